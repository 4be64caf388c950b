"""What no request gets past: hosts, origins, headers, and the size of a body."""

from __future__ import annotations

import re

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
_PATIENCE = 120  # seconds for a whole body
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses what does not come from the page itself, and adds the headers that keep the page alone.

    The Host header must name this machine, or a hostile site could point its own name here (DNS rebinding).
    Other sites can neither post nor read: Origin and Sec-Fetch-Site, which a page cannot forge, must be ours.

    Args:
        app: what is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        complaint = _complaint(scope["method"], scope["path"], Headers(scope=scope))
        app = self.app if complaint is None else JSONResponse({"error": complaint}, status_code=403)
        await app(scope, receive, send_with_headers)


def _complaint(method: str, path: str, headers: Headers) -> str | None:
    """Return what is wrong with where a request comes from."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return "this page answers to 127.0.0.1 and localhost alone; open the address the command printed"
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{hosts[0].lower()}":
        return "requests of other sites are refused"
    arrival = method == "GET" and path == "/"  # a link elsewhere may lead here
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not arrival:
        return "requests of other sites are refused"
    return None


async def read_body(request: Request, limit: int) -> bytes:
    """Read a body, and stop as soon as it is too large or too slow.

    Args:
        request: whose body.
        limit: bytes.

    Raises:
        HTTPException: 413 or 408.
    """
    too_large = HTTPException(413, f"more than {limit / 1e6:.1f} MB were sent; that is the limit, send less")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 18 or int(length) > limit:
        raise too_large
    body = bytearray()
    with anyio.move_on_after(_PATIENCE) as patience:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise too_large
    if patience.cancelled_caught:
        raise HTTPException(408, f"the body did not arrive within {_PATIENCE} seconds; send it again")
    return bytes(body)
