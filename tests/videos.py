"""Small videos for tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = Fraction(30000, 1001)


def write_video(
    path: Path,
    images: Sequence[np.ndarray],
    times: Sequence[int] | None = None,
    *,
    container: str = "mp4",
    codec: str = "mpeg4",
    time_base: Fraction = 1 / RATE,
) -> None:
    """Write pictures (H, W, 3) uint8 at times in units of the time base."""
    import av

    with open(path, "wb") as handle, av.open(handle, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE, options={"qscale": "2"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = time_base
        for time, image in zip(times or range(len(images)), images, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def mark_rotated(path: Path) -> None:
    """Make an MP4 say that its pictures were taken with the camera turned: to be shown turned clockwise."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    turned = [0, one, 0, -one & 0xFFFFFFFF, 0, 0, 0, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big") for value in turned)
    path.write_bytes(bytes(data))
