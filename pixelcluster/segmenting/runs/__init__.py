"""Many inputs: what is to do, doing it, and going on where it stopped."""
