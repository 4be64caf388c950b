"""The application: routes, and errors as {"error": "one line"}."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pixelcluster.errors import PixelClusterError
from pixelcluster.web.api import Api, Settings
from pixelcluster.web.guard import Guard
from pixelcluster.web.jobs import QueueFullError


def create_app(settings: Settings) -> Starlette:
    """Make the application.

    Args:
        settings: of the server.

    Raises:
        PixelClusterError: the model cannot be loaded.
    """
    api = Api(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(api.jobs.close)

    picture, job = "/api/pictures/{picture}", "/api/jobs/{job}"
    result = picture + "/results/{result}"
    routes = [
        Route("/", api.index),
        Mount("/static", StaticFiles(packages=[("pixelcluster.web", "static")])),
        Route("/api/about", api.about),
        Route("/api/sample", api.sample, methods=["POST"]),
        Route("/api/sample", api.sample_view),
        Route("/api/pictures", api.upload, methods=["POST"]),
        Route(picture, api.view),
        Route(picture + "/runs", api.run, methods=["POST"]),
        Route(job, api.job),
        Route(job, api.cancel, methods=["DELETE"]),
        Route(result, api.result),
        Route(result + "/labels", api.labels),
        Route(result + "/name", api.name, methods=["POST"]),
        Route(result + "/merge", api.merge, methods=["POST"]),
        Route(result + "/undo", api.undo, methods=["POST"]),
        Route(result + "/files/{file}", api.download),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard)],
        exception_handlers={
            HTTPException: _refused,
            QueueFullError: _answer(429),
            PixelClusterError: _answer(400),
            ClientDisconnect: _answer(400),
            MemoryError: _answer(507, "not enough memory; use a smaller image"),
            Exception: _answer(500, "unexpected problem; see the terminal"),
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _answer(status: int, message: str | None = None) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": message or str(error)}, status_code=status)

    return answer


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
