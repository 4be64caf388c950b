"""Image-level clustering: the clustered generator with a label map of 1 x 1."""
