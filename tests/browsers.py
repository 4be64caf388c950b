"""A real browser for tests: the system's Chromium, driven by playwright's client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


@contextmanager
def browser_page(**context: Any) -> Iterator[Page]:
    """Open an empty page, or skip; what it prints on its console fails the test, but for refusals (400)."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright's client is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("neither chromium nor google-chrome is installed (apt-get install chromium)")
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        # Without its own sandbox: it does not work for root, and the pages are ours.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(**context)
        page.on("console", lambda message: "status of 400" in message.text or said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
        browser.close()
    assert said == []
