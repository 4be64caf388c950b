"""What the page asks for, checked: a run, its strokes, a name, a merge."""

from __future__ import annotations

import reprlib
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pixelcluster.arguments import Mode
from pixelcluster.errors import PixelClusterError
from pixelcluster.io.scribbles import UNKNOWN

MAX_CLUSTERS = 64
"""A page of more rows helps nobody; the command line has no such limit."""

Cluster = Annotated[int, Field(ge=0, lt=256)]
Asked = TypeVar("Asked", bound="_Asked")


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Strokes(_Asked):
    """Known labels of an image as runs of pixels in reading order."""

    height: int
    width: int
    runs: list[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)], Cluster]]
    """(first pixel, number of pixels, cluster), by first pixel, without overlap."""

    def marks(self, shape: tuple[int, int], n_ids: int) -> NDArray[np.int32]:
        """Return the labels as (H, W) ids, -1 where nothing is known.

        Args:
            shape: (H, W) of the image.
            n_ids: ids go from 0 to one less.

        Raises:
            PixelClusterError: of another size, outside the image, overlapping, or of ids there are not.
        """
        if (self.height, self.width) != shape:
            raise PixelClusterError(
                f"scribbles are {self.width} x {self.height}, the image is {shape[1]} x {shape[0]}; "
                "paint them on the image itself"
            )
        if not self.runs:
            raise PixelClusterError("the scribbles mark no pixel of the image; paint some")
        first, length, cluster = zip(*self.runs, strict=True)
        end, n_pixels = 0, shape[0] * shape[1]
        for start, count in zip(first, length, strict=True):
            if start < end or start + count > n_pixels:
                raise PixelClusterError(
                    f"a scribble of {count} pixels at pixel {start} overlaps another or leaves the image; "
                    "give runs in reading order"
                )
            end = start + count
        if max(cluster) >= n_ids:
            raise PixelClusterError(f"a scribble marks cluster {max(cluster)}; ids go from 0 to {n_ids - 1}")
        marks = np.full(n_pixels, UNKNOWN, np.int32)
        for start, count, label in self.runs:
            marks[start : start + count] = label
        return marks.reshape(shape)


class RunRequest(_Asked):
    """A run: K, the mode of the model, strokes, and the result shown, which they were painted on."""

    k: Annotated[int, Field(ge=1, le=MAX_CLUSTERS)] | None = None
    mode: Mode | None = None
    scribbles: Strokes | None = None
    result: str | None = None


class Name(_Asked):
    """A name for a cluster; "" takes it away."""

    cluster: Cluster
    name: str


class Merge(_Asked):
    """Clusters to make one."""

    clusters: Annotated[list[Cluster], Field(max_length=256)]


def parse(kind: type[Asked], body: bytes) -> Asked:
    """Read a request.

    Args:
        kind: of the request.
        body: JSON.

    Raises:
        PixelClusterError: no JSON, or another kind of thing.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:80] or "the whole"
        given = "" if first["type"] == "json_invalid" else f" is {reprlib.repr(first['input'])}"
        message = " ".join(first["msg"].split())[:200]
        raise PixelClusterError(f"request: {where}{given}: {message}") from None
