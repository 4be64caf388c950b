"""The methods by name; a method's libraries are imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, NamedTuple

from pixelcluster.errors import PixelClusterError


class Method(NamedTuple):
    """Class name, what it learns from, its paper, and its module where it is not `baselines/<name>.py`."""

    class_name: str
    regime: Literal["from scratch", "pretrained"]
    paper: str
    module: str = ""


METHODS: dict[str, Method] = {
    "per_pixel/kmeans": Method("PixelKMeans", "from scratch", "Lloyd 1982"),
    "per_pixel/sift": Method("SiftKMeans", "from scratch", "Lowe 2004"),
    "per_pixel/co_occurrence": Method("CoOccurrence", "from scratch", "Isola et al. 2016"),
    "per_pixel/deep_cluster": Method("DeepCluster", "from scratch", "Caron et al. 2018"),
    "per_pixel/iic": Method("Iic", "from scratch", "Ji et al. 2019"),
    "per_pixel/cvae": Method("Cvae", "from scratch", "Kingma et al. 2014"),
    "per_pixel/infoseg": Method("InfoSeg", "from scratch", "Harb and Knoebelreiter 2021"),
    "per_pixel/encoder_kmeans": Method("EncoderKMeans", "pretrained", "Cho et al. 2021"),
    "per_pixel/stego": Method("Stego", "pretrained", "Hamilton et al. 2022"),
    "per_pixel/variational": Method(
        "PixelVariationalClustering", "from scratch", "Prasad et al. 2020", "pixelcluster.variational.pixel"
    ),
    "per_image/kmeans": Method("LabKMeans", "from scratch", "Lloyd 1982"),
    "per_image/felzenszwalb": Method("Felzenszwalb", "from scratch", "Felzenszwalb and Huttenlocher 2004"),
    "per_image/slic": Method("SlicMerge", "from scratch", "Achanta et al. 2012"),
    "per_image/kanezaki": Method("Kanezaki", "from scratch", "Kanezaki 2018"),
    "image_level/kmeans": Method("ImageKMeans", "from scratch", "Lloyd 1982"),
    "image_level/spectral": Method("ImageSpectral", "from scratch", "Ng et al. 2001"),
    "image_level/aae": Method("Aae", "from scratch", "Makhzani et al. 2015"),
    "image_level/dec": Method("Dec", "from scratch", "Xie et al. 2016"),
    "image_level/vade": Method("Vade", "from scratch", "Jiang et al. 2017"),
    "image_level/cvae": Method("Cvae", "from scratch", "Kingma et al. 2014"),
    "image_level/iic": Method("Iic", "from scratch", "Ji et al. 2019"),
    "image_level/hashgan": Method("HashGan", "from scratch", "Ghasedi Dizaji et al. 2018"),
    "image_level/variational": Method(
        "VariationalClustering", "from scratch", "Prasad et al. 2020", "pixelcluster.variational.image"
    ),
}


def load_method(name: str) -> Any:
    """Return the class of a method; construct it with `(n_clusters, seed=, device=, minutes=)`."""
    if name not in METHODS:
        raise PixelClusterError(f"unknown method {name!r}; choose from {', '.join(METHODS)}")
    method = METHODS[name]
    module = import_module(method.module or f"pixelcluster.baselines.{name.replace('/', '.')}")
    return getattr(module, method.class_name)
