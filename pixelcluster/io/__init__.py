"""Reading images, writing files, and the formats of label maps."""
