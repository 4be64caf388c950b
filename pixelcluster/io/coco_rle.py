"""Label maps as COCO annotations: one run-length encoded mask a cluster and image (extra `coco`).

Source: the data format of cocodataset.org; masks are encoded by pycocotools and read back by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path


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
        PixelClusterError: pycocotools is missing, or two label maps call one cluster by different names.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    used: set[int] = set()
    named: dict[int, LabelledFile] = {}
    for number, file in enumerate(files, 1):
        height, width = file.label_map.shape
        images.append({"id": number, "file_name": file.file_name, "height": height, "width": width})
        for cluster in np.unique(file.label_map[file.label_map != file.nodata]).tolist():
            used.add(cluster)
            if cluster < len(file.names) and file.names[cluster]:
                _refuse_another_name(cluster, named.setdefault(cluster, file), file)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "category_id": cluster}
                | encode_mask(file.label_map == cluster)
            )
    categories = [
        {"id": cluster, "name": named[cluster].names[cluster] if cluster in named else f"cluster {cluster}"}
        for cluster in sorted(used)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def _refuse_another_name(cluster: int, first: LabelledFile, file: LabelledFile) -> None:
    old, new = first.names[cluster], file.names[cluster]
    if new != old:
        raise PixelClusterError(
            f"{show_path(file.file_name)}: calls cluster {cluster} {new!r}, "
            f"{show_path(first.file_name)} calls it {old!r}, and COCO has one name an id; "
            "export them apart, each with its own -o"
        )


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
