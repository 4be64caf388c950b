"""Videos of label maps: ids without loss, and pictures to look at.

Ids are FFV1 in Matroska, 8-bit grey, or 16-bit above 256 ids: PyAV and FFmpeg read them as grey frames,
OpenCV as the three equal channels of a picture (16-bit ones with CAP_PROP_CONVERT_RGB 0). The class list is
JSON in the tag `CLASSES`. Pictures are H.264 in MP4, or MPEG-4 where PyAV was built without x264. Matroska
keeps time to the millisecond, MP4 exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.label_raster import class_list
from pixelcluster.io.raster import explained
from pixelcluster.io.video import Video, import_av

Write = Callable[[NDArray[Any], int], None]
"""Takes the next picture and its time in units of the video's time base."""

MAX_IDS = 65536
_MPEG4_UNITS = 65535  # a second at most
_QUALITY = "20"  # of x264, 0 (lossless) to 51


@contextmanager
def label_video(
    path: Path, target: Path, video: Video, palette: NDArray[np.uint8], names: Sequence[str]
) -> Iterator[Write]:
    """Write ids (H, W) frame by frame (wrap in `atomic_write` for the final name).

    Args:
        path: where the bytes go.
        target: the final name, for messages.
        video: gives size, rate and time base.
        palette: (K, 3) colours of the clusters.
        names: of the K clusters, "" for one without.

    Yields:
        Takes each frame's ids.

    Raises:
        PixelClusterError: more than 65536 clusters, or the disk is full.
    """
    if len(names) > MAX_IDS:
        raise PixelClusterError(f"{len(names)} clusters do not fit a label video; at most {MAX_IDS} do")
    pixels, dtype = ("gray", np.uint8) if len(names) <= 256 else ("gray16le", np.uint16)
    tags = {"CLASSES": json.dumps(class_list(palette, names))}
    with _encoder(path, target, "matroska", "ffv1", pixels, video, video.shape, {}, tags) as encode:
        yield lambda labels, time: encode(labels.astype(dtype), pixels, time)


@contextmanager
def picture_video(path: Path, target: Path, video: Video) -> Iterator[Write]:
    """Write pictures (H, W, 3) uint8 frame by frame; arguments as of `label_video`.

    Odd sides are made even by repeating the last row or column, which the codecs want.
    """
    codec = picture_codec()
    options = {"crf": _QUALITY} if codec == "libx264" else {"qscale": "3"}
    height, width = (side + side % 2 for side in video.shape)

    def even(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        missing = [(0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)]
        return np.pad(picture, missing, mode="edge")

    with _encoder(path, target, "mp4", codec, "yuv420p", video, (height, width), options, {}) as encode:
        yield lambda picture, time: encode(even(picture), "rgb24", time)


def picture_codec() -> str:
    """Name of the best codec for pictures that this PyAV can write."""
    av = import_av("PyAV")
    try:
        av.Codec("libx264", "w")
    except av.codec.codec.UnknownCodecError:
        return "mpeg4"
    return "libx264"


@contextmanager
def _encoder(
    path: Path,
    target: Path,
    container_format: str,
    codec: str,
    pixels: str,
    video: Video,
    shape: tuple[int, int],
    options: dict[str, str],
    tags: dict[str, str],
) -> Iterator[Callable[[NDArray[Any], str, int], None]]:
    """Give a function that encodes and stores an array of a pixel format, shown at a time."""
    av = import_av(show_path(target))
    problem = f"{show_path(target)}: cannot be written", "free the disk, or choose another with -o"
    base = video.time_base
    if codec == "mpeg4":
        base = base.limit_denominator(_MPEG4_UNITS) or Fraction(1, _MPEG4_UNITS)
    with _closing(path) as handle:  # a name could be taken for an address
        with explained(*problem):
            container = av.open(handle, "w", format=container_format)
        try:
            with explained(*problem):
                container.metadata.update(tags)
                stream = container.add_stream(codec, rate=video.rate, options=options)
                stream.height, stream.width = shape
                stream.pix_fmt = pixels
                stream.time_base = stream.codec_context.time_base = base

            def encode(array: NDArray[Any], array_format: str, time: int) -> None:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=array_format)
                frame.pts, frame.time_base = round(time * video.time_base / base), base
                with explained(*problem):
                    container.mux(stream.encode(frame))

            yield encode
            with explained(*problem):
                container.mux(stream.encode(None))
                container.close()
                handle.flush()
        except BaseException:
            with suppress(PixelClusterError), explained(*problem):  # nothing of it will be kept
                container.close()
            raise


@contextmanager
def _closing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing; it is flushed by whoever writes, so that closing has nothing to say."""
    handle = open(path, "wb")  # noqa: SIM115
    try:
        yield handle
    finally:
        with suppress(OSError):
            handle.close()
