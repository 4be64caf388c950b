from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from pixelcluster.cli.main import cli
from tests.serving import running

pytest.importorskip("uvicorn", reason="the page needs the extra web")


def test_the_address_is_printed_and_a_signal_ends_it() -> None:
    with running() as address:
        assert address.startswith("http://127.0.0.1:")
        with urlopen(f"{address}api/about") as answer:
            assert json.load(answer)["max_pixels"] == 25_000_000
            assert "server" not in answer.headers
        with pytest.raises(URLError):  # every other address of this machine
            urlopen(address.replace("127.0.0.1", "127.0.0.2"))


def answer_to(address: str, raw: bytes) -> bytes:
    """Send bytes as they are, which no client library would, and return the first line of the answer."""
    host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(raw.replace(b"HOST", f"{host}:{port}".encode()))
        return connection.recv(65536).partition(b"\r\n")[0]


def test_requests_no_library_would_send() -> None:
    with running() as address:
        for raw, status in (
            (b"GET /static/../app.py HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
            (b"GET /static/../../../../../etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
            (b"GET /static/..%2f..%2f..%2f..%2fetc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
            (b"GET /static//etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
            (b"GET file:///etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", b"404"),
            (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
            (b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n\r\n", b"400"),
            (b"GET / HTTP/1.0\r\n\r\n", b"403"),
            (b"GET / HTTP/1.1\r\nHost: HOST\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", b"400"),
            (b"\x16\x03\x01 this is TLS\r\n\r\n", b"400"),
            (b"POST /api/pictures HTTP/1.1\r\nHost: HOST\r\nContent-Length: 999999999999\r\n\r\n", b"413"),
        ):
            assert answer_to(address, raw).split()[1] == status, raw[:60]
        # A body that breaks off leaves nothing behind, and holds nobody up.
        host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST /api/pictures HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000\r\n\r\nGIF"
            connection.sendall(head.encode())
        with urlopen(Request(f"{address}api/sample", method="POST")) as answer:
            assert answer.status == 201


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(cli, ["serve", "--no-browser", "--port", str(port)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: port {port} cannot be used")
    assert result.stderr.count("\n") == 1


def test_a_missing_extra_and_a_missing_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["serve", "--no-browser", "--port", "0", "--model", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    for name in ("uvicorn", "pixelcluster.web.server"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "pixelcluster.web.server")
    result = CliRunner().invoke(cli, ["serve", "--no-browser", "--port", "0"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error: the page needs uvicorn, which is not installed; pip install 'pixelcluster[web]'\n"
    )
