import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_svg_shows_the_shapes_at_the_asked_size(litevision: Run, folder: Path) -> None:
    code, out, err = litevision(
        "draw", "mobilenet_v2", "-o", "net.svg", "--width", "0.5", "--size", "96x161", "--classes", "7"
    )
    assert (code, out, err) == (0, "", "wrote net.svg\n")
    texts = [text.strip() for text in ElementTree.parse("net.svg").getroot().itertext()]
    assert {"MobileNetV2", "3x96x161", "16x48x81", "48 x 81, stride 2", "linear 1280→7"} <= set(texts)
    assert list(folder.iterdir()) == [folder / "net.svg"]


@pytest.mark.parametrize(
    ("name", "start"), [("net.png", b"\x89PNG"), ("net.PDF", b"%PDF"), ("net.dot", b"digraph network {")]
)
def test_the_suffix_says_the_format(litevision: Run, folder: Path, name: str, start: bytes) -> None:
    assert litevision("draw", "shufflenet_v2_x0_5", "-o", name) == (0, "", f"wrote {name}\n")
    assert (folder / name).read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mobilenet_v2", "-o", "net.gif"], "a drawing's file must end with .svg, .png, .pdf or .dot, got 'net.gif'"),
        (["mobilenet_v2", "-o", "none/net.svg"], "--output none/net.svg: not a file that can be written."),
        (["mobilenet_v2", "-o", "net.svg", "--size", "x"], "a size is one side in pixels or HxW"),
        (["mobilenet_v2", "-o", "net.svg", "--width", "0"], "width_mult must be a number above 0, got 0.0"),
        (["mobilenet_v9", "-o", "net.svg"], "no model 'mobilenet_v9'."),
    ],
)
def test_a_wrong_argument_is_one_line_and_no_file(
    litevision: Run, folder: Path, arguments: list[str], message: str
) -> None:
    code, out, err = litevision("draw", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not list(folder.iterdir())


@pytest.mark.parametrize("module", ["torch", "pygraphviz"])
def test_a_missing_part_names_the_extra(
    litevision: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = litevision("draw", "mobilenet_v2", "-o", "net.svg")
    assert code == 1
    assert err.endswith("Install them with: pip install 'litevision[train]'\n")
    assert not list(folder.iterdir())


def test_dot_text_needs_no_graphviz(litevision: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert litevision("draw", "mobilenet_v2", "-o", "net.dot") == (0, "", "wrote net.dot\n")
    assert (folder / "net.dot").is_file()
