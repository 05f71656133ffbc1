"""litevision profile: its table, its documents, and how it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from exports import graph
from litevision.lab.profile import Peaks, measure

Run = Callable[..., tuple[int, str, str]]

COLUMNS = ["layer", "operation", "ms", "spread", "%", "GMAC/s", "GB/s", "bound"]


@pytest.fixture
def profile(litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``litevision profile`` beside a short network, in onnxruntime, with peaks that nobody measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "measure_peaks", lambda *_: Peaks(100.0, ((1_000, 50.0), (1_000_000, 10.0))))
    onnx.save(graph("mobilenet_v2", "torchvision", (64, 64)), "short.onnx")
    return lambda model, *options: litevision("profile", model, "--repeats", "9", "--threads", "1", *options)


def test_table(profile: Run) -> None:
    code, out, err = profile("short.onnx")
    assert (code, err) == (0, "")
    header, *rows = out.partition("\n\n")[0].splitlines()
    assert header.split() == COLUMNS
    assert any(line.startswith("stem ") and "conv 3x3 /2 +ReLU6" in line for line in rows)
    assert [line.split("  ")[0] for line in rows[-2:]] == ["changes of layout", "between kernels"]
    assert sum(float(line.split()[-1]) for line in rows if line.startswith("between")) >= 0
    assert "onnxruntime 1." in out
    assert "1 thread, input 1x64x64x3, 9 runs with the profiler and 9 without, in turns" in out
    assert "peaks              100.0 GMAC/s; 10.0 GB/s from memory, 50.0 GB/s from cache" in out


def test_all_names_what_the_engine_adds(profile: Run) -> None:
    _, out, _ = profile("short.onnx", "--all")
    assert "\nreorder ReorderOutput" in out
    assert "changes of layout" not in out


def test_json(profile: Run) -> None:
    code, out, err = profile("short.onnx", "--json", "--batch", "2")
    found = json.loads(out)
    assert (code, err, found["model"], found["input_shape"]) == (0, "", "short.onnx", [2, 64, 64, 3])
    assert sum(row["share"] for row in found["rows"]) == pytest.approx(1)
    assert sum(row["time"]["ms"] for row in found["rows"]) == pytest.approx(found["sum_ms"])
    assert found["difference"] == pytest.approx(found["sum_ms"] / found["whole"]["ms"] - 1)
    stem = next(row for row in found["rows"] if row["name"] == "stem")
    assert stem["kind"] == "layer"
    assert stem["nodes"][0].startswith("node_conv2d")
    assert {"cpu", "load", "versions"} < found["machine"].keys()


def test_html(profile: Run) -> None:
    code, out, err = profile("short.onnx", "--html", "page.html")
    assert (code, err) == (0, "wrote page.html\n")
    assert out.split()[: len(COLUMNS)] == COLUMNS
    assert "short.onnx: where the time goes" in Path("page.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--engine", "tflite"),
            "no engine 'tflite'. Did you mean 'litert'?",
        ),
        (("--precision", "bf16"), "onnxruntime does not compute in bf16"),
        (("--threads", "0"), "0 threads; expected at least 1."),
        (("--batch", "0"), "a batch of 1 or more"),
        (("--repeats", "0"), "0 repeats; expected 1 to 1000."),
        (("--size", "big"), "a size is one side in pixels or HxW"),
        (("--html", "none/page.html"), "--html none/page.html: not a file that can be written."),
    ],
)
def test_wrong_options_are_one_line(profile: Run, options: tuple[str, ...], message: str) -> None:
    code, out, err = profile("short.onnx", *options)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_missing_file_is_one_line(profile: Run) -> None:
    code, out, err = profile("none.onnx")
    assert (code, out) == (1, "")
    assert err.startswith("error: none.onnx: no such file.")
    assert err.count("\n") == 1
