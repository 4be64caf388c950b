"""From an image to a `Segmentation`: one image, folders, large rasters.

Named segmenting, not segment: `pixelcluster.segment` is the function, and importing a sub-package of that
name would put a module in its place.
"""
