"""A real browser for tests of pages, where one is installed."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt install chromium)")
LIMIT_MS = 120_000

_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
_WEBCAM = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
_DROP = """(_, [text, name]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], name));
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
}"""


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium without a window, with a webcam that shows a drawing."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, *_WEBCAM], timeout=LIMIT_MS)
        yield opened
        opened.close()


def drop(page: Page, data: bytes, name: str) -> None:
    """Drop a file on the page."""
    page.locator("html").evaluate(_DROP, [base64.b64encode(data).decode(), name])
