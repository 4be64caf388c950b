"""What the routes of the page do: JSON but for pictures, labels and downloads."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import pixelcluster
from pixelcluster.errors import PixelClusterError, PixelClusterWarning
from pixelcluster.io.read import read_image
from pixelcluster.render.palette import categorical, hex_colours
from pixelcluster.web.files import FILES, label_bytes, view_jpeg
from pixelcluster.web.guard import read_body
from pixelcluster.web.jobs import JobQueue
from pixelcluster.web.requests import MAX_CLUSTERS, Merge, Name, RunRequest, parse
from pixelcluster.web.runner import Runner
from pixelcluster.web.store import Picture, Result, Store

MAX_PIXELS = 25_000_000
_PICTURES = 8
_JSON_LIMIT = 40_000_000  # bytes; strokes of a large picture
_SAMPLE = files("sklearn.datasets.images") / "china.jpg"


@dataclass(frozen=True)
class Settings:
    """The choices of `pixelcluster serve`."""

    model: Path | None = None
    max_pixels: int = MAX_PIXELS
    seed: int = 0
    device: str = "auto"
    waiting: int = 8
    """Jobs that may wait behind the one that runs."""

    @property
    def max_bytes(self) -> int:
        """Of an upload: eight bytes a pixel, as an uncompressed 16-bit picture has, and room for metadata."""
        return 8 * self.max_pixels + 1_000_000


class Api:
    """The handlers; they share the pictures, the queue and the model."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(_PICTURES, 2 * settings.max_pixels)
        self.runner = Runner(self.store, settings.model, seed=settings.seed, device=settings.device)
        self.jobs = JobQueue(settings.waiting)
        self._changing = threading.Lock()
        self._uploads = anyio.Lock()  # bodies and decoded pictures of one upload at a time

    async def index(self, request: Request) -> Response:
        """The page."""
        html = (files("pixelcluster.web") / "static" / "index.html").read_text(encoding="utf-8")
        return Response(html, media_type="text/html")

    async def about(self, request: Request) -> Response:
        """What the page has to know before the first picture."""
        return JSONResponse(
            {
                "version": pixelcluster.__version__,
                "model": self.runner.described(),
                "max_pixels": self.settings.max_pixels,
                "max_bytes": self.settings.max_bytes,
                "max_clusters": MAX_CLUSTERS,
            }
        )

    async def upload(self, request: Request) -> Response:
        """Take the bytes of an image file; they have no name here, and none is asked for."""
        async with self._uploads:
            body = await read_body(request, self.settings.max_bytes)
            return await run_in_threadpool(self._add, body)

    async def sample(self, request: Request) -> Response:
        """Take the sample picture, which scikit-learn ships (`assets/samples/china.jpg` is the same file)."""
        async with self._uploads:
            return await run_in_threadpool(lambda: self._add(_SAMPLE.read_bytes()))

    def sample_view(self, request: Request) -> Response:
        """The sample picture itself."""
        return Response(_SAMPLE.read_bytes(), media_type="image/jpeg")

    def view(self, request: Request) -> Response:
        """The picture as it was read."""
        return Response(view_jpeg(self._picture(request).image), media_type="image/jpeg")

    async def run(self, request: Request) -> Response:
        """Put a run into the queue."""
        picture = self._picture(request)
        body = await read_body(request, _JSON_LIMIT)
        work = await run_in_threadpool(lambda: self.runner.plan(picture, parse(RunRequest, body)))
        return JSONResponse({"id": self.jobs.submit(work)}, status_code=202)

    def job(self, request: Request) -> Response:
        """Where a job stands, and its frames from number `after` on."""
        after = request.query_params.get("after", "0")
        if not after.isdecimal() or len(after) > 9:
            raise PixelClusterError("after is no number; give the number of the next frame wanted")
        known = self.jobs.look(request.path_params["job"], int(after))
        if known is None:
            raise HTTPException(404, "no such job; it ended long ago, or the server was started again")
        return JSONResponse(known)

    def cancel(self, request: Request) -> Response:
        """Take a job out of the queue, or end it."""
        if not self.jobs.cancel(request.path_params["job"]):
            raise HTTPException(404, "no such job; it ended long ago, or the server was started again")
        return JSONResponse({})

    def result(self, request: Request) -> Response:
        """The table of a result."""
        return self._table(self._result(request)[1])

    def labels(self, request: Request) -> Response:
        """The ids of a result, a byte a pixel."""
        body = label_bytes(self._result(request)[1].shown)
        return Response(body, media_type="application/octet-stream")

    async def name(self, request: Request) -> Response:
        """Name a cluster of a result."""
        asked = parse(Name, await read_body(request, 10_000))
        return await run_in_threadpool(
            self._change, request, lambda result: result.named(asked.cluster, asked.name)
        )

    async def merge(self, request: Request) -> Response:
        """Make clusters of a result one."""
        asked = parse(Merge, await read_body(request, 10_000))
        return await run_in_threadpool(self._change, request, lambda result: result.merged(asked.clusters))

    def undo(self, request: Request) -> Response:
        """Take the last name or merge back."""
        return self._change(request, Result.undone)

    def download(self, request: Request) -> Response:
        """A result as a file."""
        name = request.path_params["file"]
        if name not in FILES:
            raise HTTPException(404, f"there is no such file; choose {', '.join(FILES)}")
        try:
            opacity = float(request.query_params.get("opacity", "0.5"))
        except ValueError:
            opacity = math.nan
        media, make = FILES[name]
        body = make(self._result(request)[1].shown, opacity)
        return Response(body, media_type=media, headers={"Content-Disposition": "attachment"})

    def _add(self, body: bytes) -> Response:
        with warnings.catch_warnings(record=True) as caught:  # holds for all threads: one upload at a time
            warnings.simplefilter("always", PixelClusterWarning)
            image = read_image(body, max_pixels=self.settings.max_pixels)
        notes = [str(warning.message) for warning in caught if warning.category is PixelClusterWarning]
        picture = self.store.add(image, tuple(notes))
        height, width = image.shape[:2]
        return JSONResponse({"id": picture.id, "height": height, "width": width}, status_code=201)

    def _picture(self, request: Request) -> Picture:
        picture = self.store.picture(request.path_params["picture"])
        if picture is None:
            raise HTTPException(404, "no such picture; only the last few are kept, so open it again")
        return picture

    def _result(self, request: Request) -> tuple[Picture, Result]:
        picture = self._picture(request)
        result = picture.results.get(request.path_params["result"])
        if result is None:
            raise HTTPException(404, "no such result; only the last few are kept, so run again")
        return picture, result

    def _change(self, request: Request, change: Callable[[Result], Result]) -> Response:
        with self._changing:
            picture, result = self._result(request)
            changed = change(result)
            self.store.change(picture, request.path_params["result"], changed)
        return self._table(changed)

    def _table(self, result: Result) -> Response:
        shown = result.shown
        colours = hex_colours(categorical(len(shown.palette) + 1))
        rows = [
            {
                "cluster": row.cluster, "name": row.name, "pixels": row.pixels, "share": row.share,
                "mean_colour": row.mean_colour, "colour": colours[row.cluster],
            }
            for row in shown.table()
            if row.pixels
        ]  # fmt: skip
        taken = {row["cluster"] for row in rows}
        free = next(i for i in range(len(colours)) if i not in taken)
        return JSONResponse(
            {
                "rows": sorted(rows, key=lambda row: -row["pixels"]),
                "palette": colours,
                "merged": result.settings.merged,
                "new_class": free if self.runner.described() is None and free < MAX_CLUSTERS else None,
                "can_undo": len(result.history) > 1,
                "notes": result.notes,
                "seconds": shown.info["seconds"],
            }
        )
