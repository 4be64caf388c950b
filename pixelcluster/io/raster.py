"""Georeferenced and large rasters: GeoTIFF (and COG), read window by window through rasterio.

Only what lies inside the file counts: side files (.aux.xml, .ovr, .msk, .tfw) are not opened, no other
driver than GTiff is tried, and nothing is fetched over a network.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pixelcluster.errors import PixelClusterError, show_path
from pixelcluster.io.windows import Bool, Float, average_valid, spread_windows

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

MAX_BANDS = 64
MAX_RASTER_PIXELS = 10_000_000_000
_MAX_BLOCK_BYTES = 400_000_000
_READ_SIDE = 2048
_FEW, _OVERVIEW_PIXELS = 10_000, 250_000
_PERCENTILES = (1.0, 99.0)
_GDAL = {
    "GDAL_CACHEMAX": 256,  # megabytes; the default grows with the machine
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
}


@dataclass(frozen=True)
class Raster:
    """An open raster, its chosen bands and their common scale.

    Attributes:
        dataset: the open file.
        name: how the file is called in messages.
        bands: numbers of the bands read, from 1.
        low: (D,) band value that becomes 0.
        high: (D,) band value that becomes 1.
    """

    dataset: DatasetReader
    name: str
    bands: tuple[int, ...]
    low: Float
    high: Float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.dataset.height, self.dataset.width

    def read(
        self, rows: slice, columns: slice, shape: tuple[int, int] | None = None, *, scaled: bool = True
    ) -> tuple[Float, Bool]:
        """Read one window of the chosen bands.

        Args:
            rows: of pixels.
            columns: of pixels.
            shape: (h, w) the window's valid pixels are averaged to; None: its own.
            scaled: to [0, 1] by `low` and `high`, clipped; False: the file's values.

        Returns:
            Values (h, w, D), 0 where invalid, and (h, w) bool, True where valid: inside the file's mask and
            finite in every band (half of the pixels that are averaged).

        Raises:
            PixelClusterError: the window cannot be decoded.
        """
        from rasterio.windows import Window

        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        with _reading(self.name):
            bands = self.dataset.read(list(self.bands), window=window, out_dtype="float32")
            mask = self.dataset.dataset_mask(window=window)
        values = np.ascontiguousarray(np.moveaxis(bands, 0, -1))
        valid: Bool = (mask > 0) & np.isfinite(bands).all(0)
        if scaled:
            values -= self.low
            values /= self.high - self.low
            np.clip(values, 0, 1, out=values)
        values[~valid] = 0
        if shape is None or shape == valid.shape:
            return values, valid
        return average_valid(values, valid, shape)

    def overview(self, max_pixels: int, *, scaled: bool = True) -> tuple[Float, Bool]:
        """Read the whole scene, averaged over squares to about `max_pixels`; valid where any pixel is."""
        height, width = self.shape
        factor = max(1, math.ceil(math.sqrt(height * width / max_pixels)))
        size = (-(-height // factor), -(-width // factor))
        values = np.zeros((*size, len(self.bands)), np.float32)
        valid = np.zeros(size, bool)
        step = max(1, _READ_SIDE // factor)  # squares a window and axis
        for top in range(0, size[0], step):
            for left in range(0, size[1], step):
                cells = (slice(top, min(top + step, size[0])), slice(left, min(left + step, size[1])))
                rows, columns = (
                    slice(part.start * factor, min(part.stop * factor, side))
                    for part, side in zip(cells, self.shape, strict=True)
                )
                shape = (cells[0].stop - top, cells[1].stop - left)
                window, seen = self.read(rows, columns, scaled=scaled)
                # Squares that reach over the border are whole squares, partly without data.
                missing = [(0, n * factor - m) for n, m in zip(shape, seen.shape, strict=True)]
                values[cells], valid[cells] = average_valid(
                    np.pad(window, [*missing, (0, 0)]), np.pad(seen, missing), shape, least=1e-6
                )
        return values, valid

    def sample(self, *, scaled: bool = True) -> Float:
        """Return valid pixels of windows spread over the scene, (n, D).

        Where the windows hold few, as data may lie in a corner, those of an averaged overview come along.

        Raises:
            PixelClusterError: the raster has no valid pixel.
        """
        windows = [self.read(*window, scaled=scaled) for window in spread_windows(*self.shape)]
        pixels = [values[valid] for values, valid in windows]
        if sum(map(len, pixels)) < _FEW:
            values, valid = self.overview(_OVERVIEW_PIXELS, scaled=scaled)
            pixels.append(values[valid])
        sampled = np.concatenate(pixels)
        if not len(sampled):
            raise PixelClusterError(f"{self.name}: holds no valid pixel; check its nodata value and mask")
        return sampled

    def display(self, values: Float) -> Float:
        """Return three channels to look at, (..., 3), of values (..., D)."""
        last = values.shape[-1] - 1
        return values[..., [0, min(1, last), min(2, last)]]


@contextmanager
def open_raster(
    path: str | os.PathLike[str], *, bands: Sequence[int] | None = None, colours_only: bool = False
) -> Iterator[Raster]:
    """Open a raster for reading.

    8-bit values keep their scale (255 becomes 1), as in a photograph; other types are stretched between the
    1st and 99th percentile of each band over windows spread over the scene, the same for every window.

    Args:
        path: a GeoTIFF or COG.
        bands: numbers of the bands, from 1; None: all but alpha.
        colours_only: where `bands` is None, take three at most: red, green, blue if the file names them,
            else the first three.

    Yields:
        The raster.

    Raises:
        PixelClusterError: rasterio is missing; not a GeoTIFF; a network path; bands that do not exist; or a
            layout that could not be read in bounded memory.
    """
    name = show_path(path)
    with open_geotiff(path) as dataset:
        with _reading(name):
            chosen = _choose_bands(dataset, name, bands, colours_only)
            check_layout(dataset, name, chosen)
            plain = Raster(dataset, name, chosen, np.zeros(1, np.float32), np.ones(1, np.float32))
            scaled = Raster(dataset, name, chosen, *_scale(plain))
        yield scaled


@contextmanager
def open_geotiff(path: str | os.PathLike[str]) -> Iterator[DatasetReader]:
    """Open a local GeoTIFF or COG, and nothing else.

    Raises:
        PixelClusterError: rasterio is missing; not a GeoTIFF; or a network path.
    """
    name = show_path(path)
    rasterio = _rasterio(name)
    absolute = os.path.abspath(path)
    if absolute.startswith("/vsi") or not os.path.isfile(absolute):
        raise PixelClusterError(f"{name}: no such file; a GeoTIFF on a local disk is wanted")
    with rasterio.Env(**_GDAL):
        with _reading(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NotGeoreferencedWarning
            dataset = rasterio.open(Path(absolute), driver="GTiff")
        with dataset:
            yield dataset


def _rasterio(name: str) -> Any:
    try:
        import rasterio
    except ImportError:
        raise PixelClusterError(
            f"{name}: georeferenced and very large TIFFs need rasterio; pip install 'pixelcluster[geo]'"
        ) from None
    return rasterio


@contextmanager
def explained(problem: str, way_out: str) -> Iterator[None]:
    """Turn what rasterio and PyAV raise into one line: "problem (reason); way_out"."""
    try:
        yield
    except PixelClusterError:
        raise
    except Exception as error:
        # rasterio does not publish the base class of GDAL's own errors; PyAV's are not all of one built-in.
        known = type(error).__module__.startswith(("rasterio", "av."))
        if not (known or isinstance(error, (OSError, ValueError))):
            raise
        text = getattr(error, "strerror", None) or error.__cause__ or error
        reason = " ".join(str(text).split())
        raise PixelClusterError(f"{problem} ({reason}); {way_out}") from None


def _reading(name: str) -> AbstractContextManager[None]:
    return explained(f"{name}: cannot be read as GeoTIFF", "copy or export the file again")


def _choose_bands(
    dataset: DatasetReader, name: str, wanted: Sequence[int] | None, colours_only: bool
) -> tuple[int, ...]:
    from rasterio.enums import ColorInterp

    if dataset.colorinterp[0] is ColorInterp.palette:
        raise PixelClusterError(
            f"{name}: holds palette indices, not intensities; expand it (gdal_translate -expand rgb) first"
        )
    if wanted is not None:
        bad = [band for band in wanted if not 1 <= band <= dataset.count]
        if bad or not wanted:
            raise PixelClusterError(f"{name}: has bands 1 to {dataset.count}, --bands names {bad or 'none'}")
        chosen = tuple(wanted)
    else:
        meaning = dict(zip(dataset.colorinterp, range(1, dataset.count + 1), strict=True))
        colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        rest = [i for i, part in enumerate(dataset.colorinterp, 1) if part is not ColorInterp.alpha]
        first = [meaning[colour] for colour in colours] if all(c in meaning for c in colours) else rest[:3]
        chosen = tuple(first if colours_only else [*first, *(i for i in rest if i not in first)])
    if not 1 <= len(chosen) <= MAX_BANDS:
        raise PixelClusterError(
            f"{name}: {len(chosen)} bands; from 1 to {MAX_BANDS} are wanted, choose some with --bands"
        )
    return chosen


def check_layout(dataset: DatasetReader, name: str, bands: Sequence[int]) -> None:
    """Refuse what could not be read in bounded memory, or is no intensity.

    Raises:
        PixelClusterError: too many pixels, blocks that are too large, or complex numbers.
    """
    height, width = dataset.height, dataset.width
    _ = dataset.crs, dataset.transform  # a damaged CRS is found out now, not when the labels are written
    if height * width > MAX_RASTER_PIXELS:
        raise PixelClusterError(
            f"{name}: {width} x {height} pixels, over the cap of {MAX_RASTER_PIXELS / 1e9:g} gigapixels; "
            "cut it into parts"
        )
    if any(dataset.dtypes[band - 1].startswith("complex") for band in bands):
        raise PixelClusterError(f"{name}: holds complex numbers; write their magnitude as a raster first")
    rows, columns = dataset.block_shapes[0]
    interleaved = dataset.count if dataset.interleaving and dataset.interleaving.name == "pixel" else 1
    size = rows * columns * interleaved * np.dtype(dataset.dtypes[0]).itemsize
    if size > _MAX_BLOCK_BYTES:
        raise PixelClusterError(
            f"{name}: stored in blocks of {columns} x {rows} pixels ({size / 1e6:.0f} MB each); rewrite it "
            "in tiles (gdal_translate -co TILED=YES)"
        )


def _scale(raster: Raster) -> tuple[Float, Float]:
    """Return (low, high), (D,) each."""
    n_bands = len(raster.bands)
    if all(raster.dataset.dtypes[band - 1] == "uint8" for band in raster.bands):
        return np.zeros(n_bands, np.float32), np.full(n_bands, 255, np.float32)
    values = raster.sample(scaled=False).astype(np.float64)
    low, high = np.percentile(values, _PERCENTILES, axis=0).astype(np.float32)
    return low, np.where(high > low, high, low + 1).astype(np.float32)
