"""What the first bytes of a video say: which container it is, and whether the file ends where it claims to.

Only MP4 and QuickTime, Matroska and WebM, and AVI are known; what lies inside is not looked at.

Sources: ISO/IEC 14496-12 (boxes), RFC 8794 (EBML), Microsoft's RIFF.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Literal

from pixelcluster.errors import PixelClusterError

Container = Literal["mov", "matroska", "avi"]
"""As libavformat calls its readers."""

VIDEO_LABELS = ".mkv"
"""What label videos end in."""
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MAX_PARTS = 1_000_000


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a name is one of a video; the content is looked at when it is opened."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def check_container(handle: IO[bytes], name: str) -> Container:
    """Tell the container of a file from its content, and refuse one that was cut.

    Args:
        handle: of the file, seekable; left at its start.
        name: how the file is called in messages.

    Raises:
        PixelClusterError: another kind of file, or one whose end is missing.
    """
    size = handle.seek(0, os.SEEK_END)
    handle.seek(0)
    start = handle.read(12)
    kind: Container
    if start[:4] == _EBML:
        kind, end = "matroska", _end_of_segment(handle, size)
    elif start[:4] == b"RIFF" and start[8:] == b"AVI ":
        kind, end = "avi", 8 + int.from_bytes(start[4:8], "little")
        end = 0 if end == 8 + 0xFFFFFFFF else end  # written to a pipe: the length was not known
    elif start[4:8] in _FIRST_BOXES:
        kind, end = "mov", _end_of_boxes(handle, size)
    else:
        raise PixelClusterError(
            f"{name}: not a video this program reads; convert it to MP4, MKV, WebM or AVI"
        )
    if end > size:
        raise PixelClusterError(
            f"{name}: the video is cut off ({size} of at least {end} bytes); copy or export it again"
        )
    handle.seek(0)
    return kind


def _end_of_boxes(handle: IO[bytes], size: int) -> int:
    """Return where the last box at the top level ends."""
    position = 0
    for _ in range(_MAX_PARTS):
        handle.seek(position)
        header = handle.read(16)
        if len(header) < 8:
            return position if not header else position + 8
        length = int.from_bytes(header[:4], "big")
        if length == 0:  # to the end of the file, whatever that is
            return size
        if length == 1:
            if len(header) < 16:
                return position + 16
            length = int.from_bytes(header[8:], "big")
        position += max(length, 8)
        if position > size:
            return position
    return position


def _end_of_segment(handle: IO[bytes], size: int) -> int:
    """Return where the first segment ends, or what reaches past the file; 0: not known, as in a stream."""
    position = 0
    for _ in range(_MAX_PARTS):
        handle.seek(position)
        header = handle.read(12)
        if len(header) < 5 or not header[4]:
            return position + 12
        width = 9 - header[4].bit_length()
        length = int.from_bytes(header[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        unknown = length == (1 << 7 * width) - 1
        if header[:4] == _SEGMENT or unknown:
            return 0 if unknown else position + 4 + width + length
        position += 4 + width + length
        if position > size:
            return position  # file systems refuse to seek much further
    return position
