"""The page that computes in the browser: in Chromium, with the network cut, against Python's own answers."""

import base64
import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import litevision
from browsers import LIMIT_MS, drop, needs_chromium, open_browser
from bundles import write_bundle
from images import STORED_BY, encoded, noise, scene
from litevision.image import Preprocess
from litevision.web.page import write_page
from pages import ROOT, blocks
from web_runtime import users_runtime

EXAMPLES = ROOT / "examples"
TOLERANCE = 1e-3

pytestmark = needs_chromium

INPUT_OF_PIXELS = """async ([text, height, width, how]) => {
  const rgb = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < width * height; at++) rgba.set([...rgb.subarray(3 * at, 3 * at + 3), 255], 4 * at);
  const image = await opened.library.readImage(new ImageData(rgba, width, height));
  return btoa(String.fromCharCode(...opened.library.preprocess(image, how)));
}"""
INPUT_OF_FILE = """async ([text, how]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const image = await opened.library.readImage(new Blob([bytes]));
  return btoa(String.fromCharCode(...opened.library.preprocess(image, how)));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clothing.html, in one file, and the folder blood-cells; onnxruntime-web is in the user's cache."""
    with users_runtime():
        folder = tmp_path_factory.mktemp("pages")
        write_page("clothing", folder / "clothing.html")
        write_page("blood-cells", folder / "blood-cells")
        write_page(str(write_bundle(folder / "colours.onnx")), folder / "own")
        return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(made: Path) -> Iterator[str]:
    """The address of a plain static server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(made)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def opened(browser: Browser, url: str, *, width: int, scheme: Any, faults: list[str]) -> Page:
    """The page, once its model is loaded, with the network cut from there on."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.set_default_timeout(LIMIT_MS)
    expect.set_options(timeout=LIMIT_MS)
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda it: faults.append(it.url) if not it.url.startswith((url, "blob:")) else None)
    page.goto(url)
    expect(page.locator("#facts dd").first).to_be_visible()
    page.context.set_offline(True)
    return page


@pytest.fixture(scope="module")
def clothing(browser: Browser, made: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page in one file, opened from the disk, and what went wrong in it."""
    faults: list[str] = []
    page = opened(browser, (made / "clothing.html").as_uri(), width=1200, scheme="light", faults=faults)
    yield page, faults
    page.close()


def test_one_file_classifies_as_python_does(clothing: tuple[Page, list[str]]) -> None:
    page, faults = clothing
    classifier = litevision.load_classifier("clothing")
    for name in ("elephant.jpg", "blood.jpg", "dress.jpg"):
        data = (EXAMPLES / name).read_bytes()
        drop(page, data, name)
        expected = classifier.predict(data, top=10)
        expect(page.locator("#rows li").first).to_have_text(re.compile(f"^{expected.labels[0]}"))
        expect(page.locator("#status")).to_have_text(re.compile(r"pixels, \d+ ms$"))
        shown = page.locator("#rows li").all_inner_texts()
        scores = [float(text.split("\n")[1].removesuffix(" %")) / 100 for text in shown]
        np.testing.assert_allclose(scores, expected.scores, atol=TOLERANCE)
        confidence, unsure = page.evaluate("() => [row.confidence, row.unsure]")
        assert confidence == pytest.approx(expected.confidence, abs=TOLERANCE)
        assert unsure == expected.unsure == page.locator("#unsure").is_visible()
    page.get_by_text("Model card").click()
    expect(page.locator("#card-text")).to_contain_text("clothing")
    assert faults == []


def test_what_is_no_image_gets_one_line(clothing: tuple[Page, list[str]]) -> None:
    page, _ = clothing
    unreadable = "not an image that this browser reads, or a damaged one; expected JPEG, "
    for data, name, line in (
        (b"hello", "hello.txt", unreadable),
        (b"", "none.jpg", r"the file is empty \(0 bytes\)\."),
        (
            encoded(Image.new("1", (9000, 8000))),
            "huge.png",
            "9000 × 8000 = 72 million pixels, more than the 64 ",
        ),
        (encoded(scene(90, 90), "JPEG")[:-600], "cut.jpg", unreadable),
    ):
        drop(page, data, name)
        expect(page.locator("#status")).to_have_text(re.compile(f"^{name}: {line}"))
        expect(page.locator("#rows li")).to_have_count(0)


def test_a_model_with_corrupted_weights_is_told(clothing: tuple[Page, list[str]]) -> None:
    page, _ = clothing
    said = page.evaluate("""async () => {
      const session = { run: async () => ({ probabilities: { data: new Float32Array([0.5, NaN]) } }) };
      const model = new opened.library.Model(opened.model.ort, session, opened.model.record);
      return model.predict(new ImageData(8, 8)).catch((error) => error.message);
    }""")
    assert said == "the model outputs NaN or inf; its weights are corrupted."


def test_the_webcam_is_answered_live(clothing: tuple[Page, list[str]]) -> None:
    page, faults = clothing
    del faults[:]
    button = page.get_by_role("button", name="Live webcam")
    button.click()
    expect(page.locator("#rows li")).to_have_count(10)
    expect(page.locator("#rate")).to_have_text(re.compile(r"^\d+ ms an image$"))
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#rate")).to_have_text("")
    assert faults == []


def test_a_folder_detects_as_python_does_at_phone_width(browser: Browser, address: str) -> None:
    faults: list[str] = []
    page = opened(browser, f"{address}blood-cells/", width=390, scheme="dark", faults=faults)
    data = (EXAMPLES / "blood.jpg").read_bytes()
    page.get_by_label("Choose image").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": data})
    detector = litevision.load_detector("blood-cells")
    expected = detector.predict(data)
    expect(page.locator("#rows .total")).to_have_text(f"all{len(expected)}")
    counts = dict(text.split("\n") for text in page.locator("#rows li:not(.total)").all_inner_texts())
    assert {name: int(count) for name, count in counts.items()} == expected.counts()
    answer = page.evaluate("() => row")
    everything = detector.predict(data, score=0.05)
    assert [it["label"] for it in answer["detections"]] == list(everything.labels)
    np.testing.assert_allclose([it["score"] for it in answer["detections"]], everything.scores, atol=TOLERANCE)
    np.testing.assert_allclose([it["box_xyxy"] for it in answer["detections"]], everything.xyxy, atol=0.1)

    slider = page.get_by_role("slider", name="Least score")
    slider.focus()
    slider.press("End")
    expect(page.locator("#rows .total")).to_have_text("all0")
    slider.press("Home")
    expect(page.locator("#rows .total")).to_have_text(f"all{len(everything)}")
    assert page.locator("html").evaluate("element => element.scrollWidth") <= 390
    assert faults == []
    page.close()


def test_a_folder_that_is_opened_from_the_disk_says_what_to_do(browser: Browser, made: Path) -> None:
    page = browser.new_page()
    page.goto((made / "blood-cells/index.html").as_uri())
    expect(page.locator("#status")).to_have_text(re.compile("Serve this folder .*, or make a page in one file"))
    page.close()


def test_the_documented_script_serves_ones_own_site(browser: Browser, made: Path, address: str) -> None:
    [script] = blocks(ROOT / "docs/page.md", "js")
    code = f'{script.text}document.title = "ready";'
    (made / "own/index.html").write_text(f'<input type="file"><script type="module">{code}</script>', "utf-8")
    page = browser.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(f"{address}own/")
    expect(page).to_have_title("ready", timeout=LIMIT_MS)
    red = {"name": "red.png", "mimeType": "image/png", "buffer": encoded(np.full((9, 12, 3), (255, 0, 0), np.uint8))}
    with page.expect_console_message(timeout=LIMIT_MS) as printed:
        page.locator("input").set_input_files(red)
    predictions = printed.value.args[0].json_value()
    expected = litevision.load_classifier(made / "colours.onnx").predict(red["buffer"], top=3)
    assert [it["label"] for it in predictions] == list(expected.labels)
    np.testing.assert_allclose([it["score"] for it in predictions], expected.scores, atol=TOLERANCE)
    page.close()


def as_array(text: str, shape: tuple[int, ...]) -> Any:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape).astype(int)


def record_of(preprocess: Preprocess) -> dict[str, Any]:
    names = ("size_hw", "resize_px", "crop", "interpolation", "pad_value", "align")
    return {name: getattr(preprocess, name) for name in names if getattr(preprocess, name) is not None}


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop", ["center", "stretch", "letterbox"])
def test_pixels_become_the_very_input_of_the_runtime(
    clothing: tuple[Page, list[str]], crop: Any, interpolation: Any
) -> None:
    page, _ = clothing
    draw = np.random.default_rng(7)
    for height, width in ((1, 1), (1, 300), (300, 7), (31, 40), (64, 64), (120, 90), (333, 250)):
        kinds: Any = {"pad_value": 200, "align": "top-left"} if crop == "letterbox" and width % 2 else {}
        out_hw = (int(draw.integers(1, 100)), int(draw.integers(1, 100)))
        preprocess = Preprocess(out_hw, int(draw.integers(1, 120)), crop, interpolation, **kinds)
        pixels = noise(height, width, seed=height)
        text = base64.b64encode(pixels.tobytes()).decode()
        got = as_array(page.evaluate(INPUT_OF_PIXELS, [text, height, width, record_of(preprocess)]), (*out_hw, 3))
        np.testing.assert_array_equal(got, preprocess(pixels), err_msg=f"{height} x {width}: {preprocess}")


def image_files() -> Iterator[tuple[str, bytes, int]]:
    """Files of many forms, and by how much of 255 a browser may differ."""
    upright = Image.fromarray(scene(120, 160))
    for value, transposed in STORED_BY.items():
        stored = upright if transposed is None else upright.transpose(transposed)
        exif = Image.Exif()
        exif[0x112] = value
        yield f"EXIF orientation {value}", encoded(stored, "JPEG", exif=exif, quality=90), 1
    yield "grey JPEG", encoded(upright.convert("L"), "JPEG"), 0
    yield "CMYK JPEG", encoded(upright.convert("CMYK"), "JPEG"), 1
    yield "progressive JPEG without subsampling", encoded(upright, "JPEG", progressive=True, subsampling=0), 0
    yield "PNG", encoded(upright), 0
    yield "palette", encoded(upright.convert("P"), "GIF"), 0
    yield "WebP", encoded(upright, "WEBP"), 0
    grey16 = np.asarray(upright.convert("L")).astype(np.uint16) * 257 + 90
    yield "16-bit PNG", encoded(Image.fromarray(grey16)), 2  # the browser cuts off what the runtime rounds
    alpha = upright.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(upright.size))
    yield "transparent PNG", encoded(alpha), 1
    yield "wider than a canvas", encoded(np.tile(scene(8, 90), (1, 100, 1))), 0


def test_files_become_the_input_of_the_runtime(clothing: tuple[Page, list[str]]) -> None:
    page, _ = clothing
    preprocess = Preprocess((64, 64), 72, "center", "bicubic")
    far = {}
    for name, data, most in image_files():
        answer = page.evaluate(INPUT_OF_FILE, [base64.b64encode(data).decode(), record_of(preprocess)])
        got = as_array(answer, (64, 64, 3))
        difference = int(np.abs(got - preprocess(data)).max())
        if difference > most:
            far[name] = difference
    assert far == {}
