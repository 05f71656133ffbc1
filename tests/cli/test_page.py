"""litevision page, as its user sees it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bundles import write_bundle
from litevision.web.onnxruntime_web import MODULE, WASM

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def runtime(tmp_path: Path) -> str:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / MODULE).write_text("// onnxruntime-web")
    (folder / WASM).write_bytes(b"\0asm")
    return str(folder)


def test_it_says_what_it_wrote_and_how_to_see_it(
    litevision: Run, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = str(write_bundle(tmp_path / "colours.onnx"))
    site = tmp_path / "site"
    code, out, err = litevision("page", bundle, "-o", f"{site}/", "--runtime", runtime)
    assert (code, out) == (0, "")
    assert err == f"wrote {site} (0.0 MB)\nto see it: python -m http.server --bind 127.0.0.1 -d {site}\n"
    code, _, err = litevision("page", bundle, "-o", str(tmp_path / "one.html"), "--runtime", runtime)
    assert (code, err) == (0, f"wrote {tmp_path}/one.html (0.0 MB)\n")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert litevision("page", bundle, "-o", ".", "--runtime", runtime)[0] == 0
    assert (here / "index.html").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize(
    ("model", "output", "line"),
    [
        ("none.onnx", "site", "none.onnx: no such bundle."),
        ("colours.onnx", "colours.onnx", "--output colours.onnx: a file of another kind; expected a folder"),
        ("colours.onnx", "colours.onnx/site", "colours.onnx/site: cannot be written ("),
        ("colours.onnx", "none/one.html", "--output none/one.html: not a file that can be written. Give one in an"),
        ("colours.onnx", "site", "onnxruntime-web@1.30.0: not in the cache, and offline mode is on. Run 'npm pack "),
    ],
)
def test_an_error_is_one_line(
    litevision: Run, tmp_path: Path, runtime: str, monkeypatch: pytest.MonkeyPatch, model: str, output: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    write_bundle(tmp_path / "colours.onnx")
    before = sorted(tmp_path.rglob("*"))
    given = () if line.startswith("onnxruntime-web@") else ("--runtime", runtime)
    code, out, err = litevision("page", model, "-o", output, *given)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert line in err
    assert [path for path in sorted(tmp_path.rglob("*")) if ".cache" not in path.parts] == before
