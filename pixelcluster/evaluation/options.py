"""What the options of several tools mean."""

from __future__ import annotations

from pixelcluster.errors import PixelClusterError


def whole_numbers(text: str) -> list[int]:
    """Return comma-separated whole numbers, as of seeds.

    Raises:
        PixelClusterError: something else.
    """
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise PixelClusterError(f"{text!r}: wanted whole numbers, as in 0,1,2") from error
