"""The clustered generator: generators, noise, prior on the label map and its graphs."""
