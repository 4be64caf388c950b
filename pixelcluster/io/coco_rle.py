"""Label maps as COCO annotations: one run-length encoded mask a cluster and image (extra `coco`).

Source: the data format of cocodataset.org; masks are encoded by pycocotools and read back by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError


@dataclass(frozen=True)
class LabelledFile:
    """One image of the document.

    Attributes:
        file_name: of its label map.
        label_map: (H, W) ids.
        names: of the clusters, where there are any.
        nodata: id of pixels without data, which get no annotation.
    """

    file_name: str
    label_map: NDArray[np.integer]
    names: Sequence[str] = ()
    nodata: int | None = None


def require_pycocotools() -> Any:
    """Return the module of masks.

    Raises:
        PixelClusterError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError:
        raise PixelClusterError("COCO needs pycocotools; pip install 'pixelcluster[coco]'") from None
    return mask


def coco_document(files: Sequence[LabelledFile]) -> dict[str, Any]:
    """Return a COCO document, JSON-ready.

    Category ids are cluster ids; a category's name is the cluster's, or "cluster 3". Images are numbered from
    1 in the order given. `area` is in pixels, `bbox` is (x, y, width, height).

    Args:
        files: the label maps.

    Raises:
        PixelClusterError: pycocotools is missing.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: dict[int, str] = {}
    for number, file in enumerate(files, 1):
        height, width = file.label_map.shape
        images.append({"id": number, "file_name": file.file_name, "height": height, "width": width})
        for cluster in np.unique(file.label_map[file.label_map != file.nodata]).tolist():
            if cluster < len(file.names) and file.names[cluster]:
                names[cluster] = file.names[cluster]
            names.setdefault(cluster, f"cluster {cluster}")
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": cluster}
                | encode_mask(file.label_map == cluster)
            )
    categories = [{"id": cluster, "name": name} for cluster, name in sorted(names.items())]
    return {"images": images, "annotations": annotations, "categories": categories}


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return segmentation, area and bbox of a mask (H, W)."""
    coco = require_pycocotools()
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {
        "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")},
        "area": int(coco.area(encoded)),
        "bbox": coco.toBbox(encoded).tolist(),
        "iscrowd": 0,
    }
