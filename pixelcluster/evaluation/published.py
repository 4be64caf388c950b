"""The figures of the papers, by data set and method."""

from __future__ import annotations

OURS = "clustered-generator"

# ACC in percent on the full data sets, learned from scratch, as printed in tables 1 and 2 of Zhu et al., Deep
# Unsupervised Clustering with Clustered Generator Model; but IIC's are of Ji et al., ICCV 2019 (best epochs,
# best of several runs), and InfoSeg's of Harb and Knoebelreiter, GCPR 2021.
PUBLISHED: dict[tuple[str, str], float] = {
    **{("coco-stuff-3", name): value for name, value in (
        ("kmeans", 52.2), ("sift", 38.1), ("deep_cluster", 41.6), ("co_occurrence", 54.0), ("cvae", 62.4),
        ("iic", 72.3), (OURS, 73.3), ("infoseg", 73.8),
    )},
    **{("coco-stuff-15", name): value for name, value in (
        ("kmeans", 14.1), ("sift", 20.2), ("deep_cluster", 19.9), ("co_occurrence", 24.3), ("cvae", 24.5),
        ("iic", 27.7), (OURS, 28.1), ("infoseg", 38.8),
    )},
    **{("potsdam-3", name): value for name, value in (
        ("kmeans", 45.7), ("sift", 38.2), ("deep_cluster", 41.7), ("co_occurrence", 63.9), ("cvae", 61.9),
        ("iic", 65.1), (OURS, 66.3), ("infoseg", 71.6),
    )},
    **{("potsdam-6", name): value for name, value in (
        ("kmeans", 35.3), ("sift", 28.5), ("deep_cluster", 29.2), ("co_occurrence", 44.9), ("cvae", 39.8),
        ("iic", 45.4), (OURS, 46.2), ("infoseg", 57.3),
    )},
    **{("mnist", name): value for name, value in (
        ("kmeans", 53.5), ("aae", 83.5), ("dec", 84.3), ("vade", 94.5), ("hashgan", 96.5), ("cvae", 82.3),
        (OURS, 98.35), ("iic", 99.2),
    )},
    **{("svhn", name): value for name, value in (
        ("aae", 80.0), ("dec", 80.6), ("vade", 84.5), ("hashgan", 39.4), ("cvae", 62.4), (OURS, 85.15),
    )},
    **{("stl10", name): value for name, value in (
        ("kmeans", 28.4), ("dec", 11.9), ("cvae", 58.3), ("iic", 59.6), (OURS, 75.30),
    )},
}  # fmt: skip
