"""Rasters window by window: read, label, write, in bounded memory."""
