import csv
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bundles import write_bundle
from litevision.cli import main
from litevision.errors import DownloadError
from pictures import encoded

Run = Callable[..., tuple[int, str, str]]


def test_table(classify: Run) -> None:
    assert classify("red.png", "more", "--top", "2") == (
        0,
        "path           rank  label   score\n"
        "red.png           1  red    0.9999\n"
        "red.png           2  green  0.0000\n"
        "more/blue.png     1  blue   0.9999\n"
        "more/blue.png     2  red    0.0000\n",
        "",
    )


def test_recursive(classify: Run) -> None:
    _, out, _ = classify("more", "--recursive", "--top", "1")
    assert [line.split()[0] for line in out.splitlines()] == ["path", "more/blue.png", "more/deep/red.png"]


def test_json_is_one_document_with_errors_in_place(classify: Run) -> None:
    code, out, err = classify("bad.jpg", "red.png", "none.png", "--json", "--top", "1")
    answer = json.loads(out)
    assert code == 1
    assert answer["model"] == "tiny.onnx"
    bad, good, missing = answer["results"]
    assert bad["path"] == "bad.jpg"
    assert bad["error"].startswith("bad.jpg: not a picture")
    assert good == {"path": "red.png", "predictions": [{"label": "red", "score": pytest.approx(0.9999092), "index": 0}]}
    assert missing["error"].startswith("none.png: No such file")
    assert [line[:16] for line in err.splitlines()] == ["error: bad.jpg: ", "error: none.png:"]


def test_csv(classify: Run) -> None:
    code, out, err = classify("red.png", "bad.jpg", "--csv", "out.csv", "--top", "2")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "wrote out.csv: 1 pictures"
    with Path("out.csv").open(newline="") as file:
        header, first, second = csv.reader(file)
    assert header == ["path", "rank", "index", "label", "score"]
    assert first[:4] == ["red.png", "1", "0", "red"]
    assert float(first[4]) == pytest.approx(0.9999092)
    assert second[:4] == ["red.png", "2", "1", "green"]
    assert not list(Path().glob(".out.csv*"))


def test_csv_and_json_together(classify: Run) -> None:
    _, out, _ = classify("red.png", "--csv", "out.csv", "--json")
    assert json.loads(out)["results"][0]["path"] == "red.png"
    assert Path("out.csv").read_text().startswith("path,rank,index,label,score\nred.png,1,0,red,")


def test_an_old_csv_survives_a_failure(classify: Run) -> None:
    Path("out.csv").write_text("precious")
    code, _, err = classify("bad.jpg", "--csv", "out.csv")
    assert (code, err.count("\n")) == (1, 1)
    assert Path("out.csv").read_text() == "precious"


@pytest.mark.parametrize("file", ["none/out.csv", "more"])
def test_a_csv_that_cannot_be_written_is_refused_first(classify: Run, file: str) -> None:
    code, out, err = classify("red.png", "--csv", file)
    assert (code, out) == (1, "")
    assert err == f"error: --csv {file}: not a file that can be written. Give one in an existing folder.\n"


@pytest.mark.parametrize("options", [(), ("--json",), ("--csv", "out.csv")])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none.jpg", "error: none.jpg: No such file or directory. Check the path.\n"),
        ("bad.jpg", "error: bad.jpg: not a picture that can be read; expected JPEG, PNG, WebP or BMP.\n"),
        ("empty", "error: empty: no pictures in this folder; looked for .jpg .jpeg .png .webp .bmp."),
    ],
)
def test_one_bad_input_is_one_line(classify: Run, given: str, message: str, options: tuple[str, ...]) -> None:
    Path("empty").mkdir()
    code, out, err = classify(given, *options)
    assert (code, out) == (1, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_a_bad_picture_does_not_stop_the_rest(classify: Run) -> None:
    code, out, err = classify("bad.jpg", "red.png", "--top", "1")
    assert code == 1
    assert out.splitlines()[1] == "red.png     1  red    0.9999"
    assert err == "error: bad.jpg: not a picture that can be read; expected JPEG, PNG, WebP or BMP.\n"


def test_odd_names_cannot_write_to_the_terminal(classify: Run) -> None:
    for name in ("a\nb\x1b[31m.png", "é.png"):
        Path(name).write_bytes(Path("red.png").read_bytes())
    _, out, _ = classify(".", "--top", "1")
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == [r"a\nb\x1b[31m.png", "red.png", "é.png"]


def test_no_arguments_is_a_usage_error(classify: Run) -> None:
    code, out, err = classify()
    assert (code, out) == (2, "")
    assert "Missing argument" in err


def test_a_broken_bundle_is_one_line(classify: Run) -> None:
    Path("broken.onnx").write_bytes(b"oops")
    code, out, err = classify("red.png", "more", model="broken.onnx")
    assert (code, out) == (1, "")
    assert err.startswith("error: broken.onnx: not an ONNX file")
    assert err.count("\n") == 1


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """In place of ``litevision.export.cached``, which needs torch and the network."""
    module = types.ModuleType("litevision.export.cached")
    parent = types.ModuleType("litevision.export")
    monkeypatch.setitem(sys.modules, "litevision.export", parent)
    monkeypatch.setitem(sys.modules, "litevision.export.cached", module)
    return module


def test_a_name_is_looked_up(classify: Run, cached: types.ModuleType) -> None:
    asked = []

    def bundle_for(name: str) -> Path:
        asked.append(name)
        return Path("tiny.onnx")

    cached.bundle_for = bundle_for  # type: ignore[attr-defined]
    code, out, _ = classify("red.png", "more/blue.png", "--json", model="mobilenet_v3_large")
    assert code == 0
    assert asked == ["mobilenet_v3_large"]
    assert json.loads(out)["model"] == "mobilenet_v3_large"


def test_a_wrong_path_costs_no_download(classify: Run, cached: types.ModuleType) -> None:
    def bundle_for(name: str) -> Path:
        raise DownloadError(f"{name}: no network")

    cached.bundle_for = bundle_for  # type: ignore[attr-defined]
    assert classify("none.jpg", model="mobilenet_v2")[2].startswith("error: none.jpg")
    assert classify("red.png", "more", model="mobilenet_v2") == (1, "", "error: mobilenet_v2: no network\n")
