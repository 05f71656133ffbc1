"""The page in a real browser, where one is installed: drop a file, read the answer."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from starlette.testclient import TestClient
from uvicorn import Config, Server

from browsers import LIMIT_MS, drop, needs_chromium, open_browser
from litevision.serving.server import address_of, bind


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def address(serving: Any) -> Iterator[str]:
    """The address of a server that runs in another thread."""
    one = serving()
    with bind("127.0.0.1", 0) as bound:
        server = Server(Config(one.app, log_config=None, lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, args=([bound],))
        address = address_of(bound)
        thread.start()
        yield address
        server.should_exit = True
        thread.join()


def test_it_asks_nobody_else(client: TestClient) -> None:
    answer = client.get("/")
    assert re.findall(r"https?://|//\w|@import|url\(", answer.text) == []
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_an_image_is_dropped_and_answered(
    browser: Browser, address: str, red: bytes, two_boxes: bytes, width: int, scheme: Any
) -> None:
    faults: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(LIMIT_MS)
    expect.set_options(timeout=LIMIT_MS)
    page.on("console", lambda message: faults.append(message.text))
    page.on("request", lambda it: faults.append(it.url) if not it.url.startswith((address, "data:", "blob:")) else None)
    page.goto(address)
    drop(page, red, "red.jpg")
    expect(page.locator("#rows li").first).to_have_text(re.compile("^red"))
    expect(page.get_by_role("img")).to_have_attribute("aria-label", "The image; most likely red")

    page.get_by_label("Model", exact=True).select_option("boxes")
    expect(page.locator("#rows .total")).to_have_text("all1")
    page.get_by_label("Choose image").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": two_boxes})
    expect(page.locator("#rows .total")).to_have_text("all2")
    slider = page.get_by_role("slider", name="Least score")
    slider.focus()
    slider.press("End")
    expect(page.locator("#rows .total")).to_have_text("all0")
    slider.press("Home")
    expect(page.locator("#rows .total")).to_have_text("all2")

    drop(page, b"hello", "hello.txt")
    expect(page.locator("#status")).to_have_text(re.compile("^image of 5 bytes: not an image"))
    assert page.locator("html").evaluate("element => element.scrollWidth") <= width
    assert [it for it in faults if "422" not in it] == []
    page.close()
