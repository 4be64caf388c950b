"""Rivals that learn one clustering of the pixels of a whole data set: ids mean the same on every image."""
