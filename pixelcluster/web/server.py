"""The server of the page: bound to the loopback address and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from pixelcluster.errors import PixelClusterError
from pixelcluster.web.api import Settings
from pixelcluster.web.app import create_app

_ADDRESS = "127.0.0.1"
_CONNECTIONS = 64


def serve(settings: Settings, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until a signal ends it.

    Args:
        settings: of the page.
        port: 0: any that is free.
        ready: is called with the address of the page once connections are accepted.

    Raises:
        PixelClusterError: the port is taken, or the model cannot be loaded.
    """
    with _listening(port) as listener:
        config = uvicorn.Config(
            create_app(settings),
            log_level="error",
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        ready(f"http://{_ADDRESS}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        # Or the port of a server that has just ended is taken for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PixelClusterError(
            f"port {port} cannot be used ({error.strerror}); choose another with --port, or 0 for any"
        ) from None
    return listener
