"""Rivals that segment one image at a time."""
