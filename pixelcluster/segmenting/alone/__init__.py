"""One image, no trained model: the generator fitted to the image itself."""
