"""litevision bench: its table, its files, and how it refuses."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles import write_bundle

Run = Callable[..., tuple[int, str, str]]

COLUMNS = ["engine", "precision", "batch", "threads", "streams", "ms", "p95", "spread", "images/s", "calls"]


@pytest.fixture
def bench(litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``litevision bench`` beside a bundle, short, in onnxruntime."""
    monkeypatch.chdir(tmp_path)
    write_bundle(Path("tiny.onnx"))
    return lambda model, *options: litevision(
        "bench", model, "--seconds", "0.01", "--engine", "onnxruntime", "--threads", "1", *options
    )


def test_table(bench: Run) -> None:
    code, out, err = bench("tiny.onnx", "--batch", "1,4")
    assert (code, err) == (0, "")
    header, first, second, blank, machine, *notes = out.splitlines()
    assert header.split() == COLUMNS
    assert first.split()[:5] == ["onnxruntime", "fp32", "1", "1", "1"]
    assert second.split()[:5] == ["onnxruntime", "fp32", "4", "1", "1"]
    assert all(float(value) > 0 for value in first.split()[5:7])
    assert blank == ""
    assert "onnxruntime 1." in machine
    assert notes[0].startswith("one image is answered soonest by onnxruntime fp32 on 1 thread: ")
    assert notes[1].startswith("the most images a second, ")


def test_json(bench: Run) -> None:
    code, out, err = bench("tiny.onnx", "--batch", "2", "--streams", "2", "--json")
    found = json.loads(out)
    assert (code, err, list(found)) == (0, "", ["model", "machine", "rows", "notes"])
    assert found["model"] == "tiny.onnx"
    assert {"cpu", "cores", "usable_cpus", "load", "system", "versions"} == found["machine"].keys()
    (row,) = found["rows"]
    assert (row["engine"], row["precision"], row["batch_size"]) == ("onnxruntime", "fp32", 2)
    assert (row["threads"], row["streams"], row["changed"], row["compared"]) == (1, 2, 0, 4)
    assert row["images_per_s"] == pytest.approx(4e3 / row["median_ms"])


def test_csv(bench: Run) -> None:
    code, out, err = bench("tiny.onnx", "--batch", "1,2,4", "--csv", "out.csv")
    assert (code, err) == (0, "wrote out.csv: 3 rows\n")
    assert out.split()[: len(COLUMNS)] == COLUMNS
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["batch_size"] for row in rows] == ["1", "2", "4"]
    assert all(float(row["median_ms"]) > 0 for row in rows)
    assert rows[0]["version"].startswith("onnxruntime 1.")
    assert {"model", "cpu", "cores", "usable_cpus", "load", "system", "litevision", "python"} < rows[0].keys()
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_a_name_is_looked_up(bench: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"mobilenet_v2": Path("tiny.onnx")}
    monkeypatch.setattr("litevision.exporting.graph_file.kept_at", kept.__getitem__)
    code, out, _ = bench("mobilenet_v2", "--batch", "1", "--json")
    assert (code, json.loads(out)["model"]) == (0, "mobilenet_v2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch", "1,x"), "--batch 1,x: expected whole numbers from 1 up with commas between them, such as 1,8,32."),
        (("--batch", "1,,2"), "--batch 1,,2: expected whole numbers"),
        (("--threads", "0"), "--threads 0: expected whole numbers from 1 up"),
        (("--batch", ""), "batch sizes []; expected one at least"),
        (
            ("--engine", "tflite"),
            "no engine 'tflite'. Did you mean 'litert'?",
        ),
        (("--precision", "bf16"), "onnxruntime cannot compute in bf16."),
        (("--precision", "fp8"), "no precision 'fp8'."),
        (("--seconds", "0"), "0 seconds for each row; expected more than 0."),
        (("--csv", "none/out.csv"), "--csv none/out.csv: not a file that can be written."),
    ],
)
def test_wrong_options_are_one_line(bench: Run, options: tuple[str, ...], message: str) -> None:
    code, out, err = bench("tiny.onnx", *options)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_missing_bundle_is_one_line(bench: Run) -> None:
    code, out, err = bench("none.onnx")
    assert (code, out) == (1, "")
    assert err == "error: none.onnx: no such file. Check the path, or make one with 'litevision export'.\n"
