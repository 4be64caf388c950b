"""Videos frame by frame through PyAV: MP4, QuickTime, Matroska, WebM and AVI from a local disk.

libavformat is given an open file and the one container its first bytes name, so that no other format,
protocol or file is tried. One frame is held at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.decode import MAX_PIXELS, check_regular_file, check_size
from pixelcluster.io.raster import explained
from pixelcluster.io.video_header import check_container

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_DEFAULT_RATE = Fraction(25)
_BLOCKS = 1 << 20  # pixels
_MOST = 2**31 - 1  # that a codec can be told


class Frame(NamedTuple):
    """One picture of a video.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright.
        time: when it is shown, in units of the video's time base; rises from frame to frame.
    """

    image: NDArray[np.uint8]
    time: int


@dataclass(frozen=True)
class Video:
    """An open video.

    Attributes:
        name: how the file is called in messages.
        shape: rows and columns of the upright picture.
        rate: frames a second, on average.
        time_base: seconds a unit of time.
        n_frames: as far as the file tells, else 0.
        frames: the frames in the order they are shown; to be gone through once.
    """

    name: str
    shape: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    n_frames: int
    frames: Iterator[Frame]


@contextmanager
def open_video(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Iterator[Video]:
    """Open the video stream of a file.

    Args:
        path: an existing regular file.
        max_pixels: largest accepted height x width of a frame, compared before any is decoded.

    Yields:
        The video; going through its frames raises PixelClusterError where the file is damaged.

    Raises:
        PixelClusterError: PyAV is missing; or the file is missing, no video, cut off, damaged, or too large.
    """
    name = show_path(path)
    av = import_av(name)
    check_regular_file(Path(path))
    with open(path, "rb") as handle:
        container_format = check_container(handle, name)
        with _reading(name):
            container = av.open(handle, "r", format=container_format)
        with container:
            with _reading(name):
                stream = container.streams.best("video")
                if stream is None:
                    raise PixelClusterError(f"{name}: holds no video stream; name a file with pictures")
                codec = stream.codec_context
                if codec is None:
                    raise PixelClusterError(f"{name}: its codec is not known; convert it to H.264 in MP4")
                check_size(codec.width, codec.height, name, max_pixels)
                # A frame inside may claim another size than the header; the codec counts in whole blocks.
                codec.options = {"max_pixels": str(min(2 * max_pixels + _BLOCKS, _MOST))}
                decoded = iter(container.decode(stream))
                first = next(decoded, None)
                if first is None:
                    raise PixelClusterError(f"{name}: holds no frame; copy or export it again")
                turns = quarter_turns(first)
            shape = (first.height, first.width)
            rate = Fraction(stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
            time_base = Fraction(stream.time_base or 1 / rate)
            step = max(1, round(1 / (rate * time_base)))
            yield Video(
                name,
                shape[:: -1 if turns % 2 else 1],
                rate,
                time_base,
                stream.frames,
                _frames(chain([first], decoded), shape, turns, step, name),
            )


def quarter_turns(frame: VideoFrame) -> int:
    """Return how many quarter turns counterclockwise make a frame upright, 0 .. 3."""
    return round(frame.rotation / 90) % 4


def import_av(name: str) -> Any:
    """Import PyAV.

    Raises:
        PixelClusterError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise PixelClusterError(f"{name}: videos need PyAV; pip install 'pixelcluster[video]'") from None
    return av


def _reading(name: str) -> AbstractContextManager[None]:
    return explained(f"{name}: cannot be read as a video", "copy or export it again")


def _frames(
    decoded: Iterator[VideoFrame], shape: tuple[int, int], turns: int, step: int, name: str
) -> Iterator[Frame]:
    last = None
    with _reading(name):
        for frame in decoded:
            if (frame.height, frame.width) != shape:
                raise PixelClusterError(
                    f"{name}: a frame of {frame.width} x {frame.height} after those of {shape[1]} x "
                    f"{shape[0]}; export it at one size"
                )
            time = frame.pts
            if last is not None and (time is None or time <= last):
                time = last + step
            last = time or 0
            image = np.rot90(frame.to_ndarray(format="rgb24"), turns)
            yield Frame(np.ascontiguousarray(image, dtype=np.uint8), last)
