"""Data sets and image preparation; import the modules where used (`augment` pulls in albumentations)."""
