"""The benchmarks start, compare fairly, and leave figures that carry their conditions."""

import csv
import importlib
import importlib.util
import itertools
import re
import runpy
import subprocess
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from litevision.image import Preprocess, decode

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
RESULTS = sorted((FOLDER / "results").glob("*.csv"))
ABSOLUTE_PATH = re.compile(r"(?:^|[\s;:=(])(?:/|[A-Za-z]:\\|~/|\\\\)\w")


def run(script: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module of benchmarks/ as its scripts do."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.fixture
def common(load: Any) -> ModuleType:
    module: ModuleType = load("_common")
    return module


@pytest.fixture
def folder(load: Any) -> ModuleType:
    module: ModuleType = load("folder")
    return module


def conditions(common: ModuleType, **changes: Any) -> Any:
    return replace(common.Conditions(2, "random", "a machine", "python 3", 0.1, "2026-11-22"), **changes)


def faults(path: Path, columns: tuple[str, ...]) -> list[str]:
    """What is missing in a result file."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    found = [] if tuple(reader.fieldnames or ()) == columns else [f"columns {reader.fieldnames}"]
    found += [] if rows else ["no rows"]
    for line, row in enumerate(rows, start=2):
        needed = ("benchmark", "condition", "what", "machine", "threads", "versions", "weights", "measured")
        found += [f"line {line}: no {name}" for name in needed if not row.get(name)]
        numbers = {name: float(row[name]) for name in ("median", "spread", "low", "high", "n", "threads")}
        if not (numbers["low"] <= numbers["median"] <= numbers["high"] and numbers["spread"] >= 0 < numbers["n"]):
            found.append(f"line {line}: {numbers}")
        found += [f"line {line}: a path, {cell}" for cell in row.values() if ABSOLUTE_PATH.search(cell or "")]
    return found


def test_the_page_names_every_benchmark() -> None:
    assert {"auto_choice", "cold", "folder", "reduced_decoding"} <= {path.stem for path in SCRIPTS}
    page = (FOLDER / "README.md").read_text()
    assert [path.name for path in SCRIPTS if f"benchmarks/{path.name}" not in page] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_help_shows_the_command_and_how_long_it_takes(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(FOLDER)  # as Python does for a script
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(script), run_name="__main__")
    shown = capsys.readouterr()
    assert (left.value.code, shown.err) == (0, "")
    assert f"    python benchmarks/{script.name}" in shown.out
    assert re.search(r"[Tt]akes? about (a|\d+) (second|minute)", " ".join(shown.out.split()))
    assert "--quick" in shown.out


@pytest.mark.benchmark
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_quick_run_leaves_a_whole_result_file(script: Path, common: ModuleType, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    done = run(script, "--quick", "--output", output)
    assert done.returncode == 0, done.stderr
    assert faults(output, common.COLUMNS) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_every_result_carries_its_conditions(path: Path, common: ModuleType) -> None:
    assert faults(path, common.COLUMNS) == []


def test_a_figure_is_the_median_with_its_quartiles(common: ModuleType) -> None:
    row = common.row("cold", "one photo", "it", "ms", [4.0, 1.0, 2.0, 100.0, 3.0], engine="torch fp32")
    assert (row.median, row.spread, row.low, row.high, row.n) == (3.0, 2.0, 1.0, 100.0, 5)


def test_ratios_are_of_the_same_round(common: ModuleType) -> None:
    assert common.ratios([10.0, 30.0], [5.0, 10.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="shorter"):
        common.ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("warm_up", "first"), [(True, 3), (False, 1)])
def test_rounds_are_interleaved_and_warming_up_is_not_counted(common: ModuleType, warm_up: bool, first: int) -> None:
    calls = itertools.count(1)
    results = common.interleaved(dict.fromkeys("ab", lambda: next(calls)), 2, warm_up=warm_up)
    assert results == {"a": [first, first + 2], "b": [first + 1, first + 3]}


def test_a_result_file_is_replaced_whole_or_not_at_all(common: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "results/out.csv"
    rows = [common.row("cold", "one photo", "it, cold", "ms", [1.0, 2.0])]
    common.write_csv(path, rows, conditions(common))
    before = path.read_text()
    assert faults(path, common.COLUMNS) == []
    with pytest.raises(TypeError):
        common.write_csv(path, [*rows, None], conditions(common))
    assert path.read_text() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("changes", [{"machine": ""}, {"versions": ""}, {"weights": "/home/you/weights.pth"}])
def test_a_result_without_conditions_is_noticed(common: ModuleType, tmp_path: Path, changes: dict[str, str]) -> None:
    rows = [common.row("folder", "200 photos", "litevision, auto / bound", "images/s", [1.0])]
    common.write_csv(tmp_path / "out.csv", rows, conditions(common, **changes))
    assert len(faults(tmp_path / "out.csv", common.COLUMNS)) == 1


def test_the_conditions_name_the_weights_without_their_folder(common: ModuleType, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.touch()
    options = common.parser("", rounds=3)
    found = common.conditions(options.parse_args(["--weights", str(weights), "--threads", "1"]))
    assert (found.weights, found.threads) == ("weights.pth", 1)
    assert all(f"{name} " in found.versions for name in ("litevision", "onnxruntime", "torch", "timm", "pillow"))


def test_a_failing_contender_ends_the_benchmark(common: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"ended with exit code 1:\n(?s:.*)no such thing"):
        common.child(tmp_path, [sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_children_are_free_of_this_process_thread_limits(
    common: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = common.environment(tmp_path)
    assert "OMP_NUM_THREADS" not in found
    assert found["LITEVISION_CACHE"] == str(tmp_path / "cache")


def test_images_are_as_large_as_a_cameras(load: Any, tmp_path: Path) -> None:
    maker = load("_images")
    made = maker.make_images(tmp_path / "photos", 3, (500, 375), [maker.ELEPHANT])
    paths = sorted((tmp_path / "photos").iterdir())
    assert re.fullmatch(r"3 JPEG photos of 500x375, \d\d kB each, from 1 originals", made)
    assert all(40_000 <= path.stat().st_size <= 90_000 for path in paths)
    images = [np.asarray(decode(path), np.int16) for path in paths]
    assert [image.shape for image in images] == [(375, 500, 3)] * 3
    assert np.abs(images[0] - images[1]).mean() > 5


@pytest.mark.parametrize("text", ["4000", "4000x", "x3000", "0x10", "axb", "4000x3000x3"])
def test_a_size_that_is_none_is_refused(folder: ModuleType, text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=f"'{text}'; expected a width and a height"):
        folder.size_wh(text)


def test_the_bound_is_that_of_cores_that_do_both(folder: ModuleType) -> None:
    assert folder.bound(100.0, 50.0) == pytest.approx(100 / 3)


def folder_rounds(folder: ModuleType, **changed: list[list[Any]]) -> Any:
    """One round in which everybody agrees on 20 images, but for the contenders in ``changed``."""
    answers = [[number, 0.9] for number in range(20)]
    rounds = {
        name: [{"images_per_s": 10.0, "setup_s": 1.0, "engine": "torch fp32", "answers": answers}]
        for name in (*folder.CONTENDERS,)
    }
    for name, theirs in changed.items():
        rounds[name][0]["answers"] = theirs
    return rounds


def test_contenders_that_agree_are_no_fault(folder: ModuleType) -> None:
    assert list(folder.disagreements(folder_rounds(folder), trained=True)) == []


def test_another_answer_where_one_class_leads_is_a_fault(folder: ModuleType) -> None:
    answers = [[number, 0.9] for number in range(19)] + [[7, 0.9]]
    rounds = folder_rounds(folder, timm=answers)
    assert list(folder.disagreements(rounds, trained=True)) == [
        "timm and onnxruntime loop differ where the best class leads by over 0.05"
    ]
    rounds["onnxruntime loop"][0]["answers"][19] = [19, 0.04]
    assert list(folder.disagreements(rounds, trained=True)) == []


def test_in_bf16_a_trained_network_must_agree_on_19_of_20(folder: ModuleType) -> None:
    one, two = ([[0, 0.9]] * count + [[number, 0.9] for number in range(count, 20)] for count in (2, 3))
    for answers, trained, expected in ((one, True, 0), (two, True, 1), (two, False, 0)):
        rounds = folder_rounds(folder, **{"litevision, auto": answers})
        rounds["litevision, auto"][0]["engine"] = "openvino bf16"
        assert len(list(folder.disagreements(rounds, trained=trained))) == expected


def test_comparisons_are_made_round_by_round(folder: ModuleType) -> None:
    rounds = folder_rounds(folder)
    for results in rounds.values():
        results.append({**results[0], "images_per_s": 20.0})
    rounds["litevision, auto"][0]["images_per_s"], rounds["litevision, auto"][1]["images_per_s"] = 40.0, 40.0
    found = {row.what: row for row in folder.comparisons(rounds, "photos")}
    assert found["litevision, auto / torchvision"].median == pytest.approx(3)  # of 4 and 2
    assert found["litevision, auto / bound"].median == pytest.approx(6)
    assert found["litevision, onnxruntime / bound"].median == pytest.approx(2)


def test_auto_is_compared_with_the_best_median(load: Any) -> None:
    times = {"onnxruntime fp32": (4.0, 4.0, 4.0), "openvino fp32": (2.0, 2.0, 9.0)}
    rounds = {title: [{"ms": ms} for ms in values] for title, values in times.items()}
    rows = list(load("auto_choice").cell(rounds, "a network", "onnxruntime fp32"))
    assert [(row.what, row.median) for row in rows] == [*zip(times, (4, 2), strict=True), ("auto / best", 2)]


def test_a_scripts_answer_and_ours_are_read(load: Any) -> None:
    cold = load("cold")
    assert cold.best_class("386 0.8706\n") == 386
    assert cold.best_class('{"model": "m", "results": [{"path": "p", "predictions": [{"index": 386}]}]}\n') == 386


@pytest.mark.parametrize(("size_wh", "reduced"), [((2000, 1500), True), ((1000, 750), False)])
def test_what_is_decoded_at_reduced_size_is_known(load: Any, size_wh: tuple[int, int], reduced: bool) -> None:
    module = load("reduced_decoding")
    source = module.jpeg(Image.new("RGB", size_wh))
    assert module.is_reduced(Preprocess((224, 224), 256), source) is reduced


def test_the_readme_tables_show_every_kind_of_result(
    common: ModuleType, folder: ModuleType, load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = folder_rounds(folder)
    rounds["litevision, auto"][0]["images_per_s"] = 1234.5
    cold = {"litevision classify": 200.0, "timm script": 4000.0}
    times = {"openvino bf16": [{"ms": 2.0}, {"ms": 2.2}]}
    reduced = load("reduced_decoding").Outcome("a photo", True, True, 0.9, 0.03)
    figures = {
        "folder_4000x3000": [*folder.rates(rounds, "200 photos"), *folder.comparisons(rounds, "200 photos")],
        "cold": [common.row("cold", "one photo", name, "ms", [ms, 1.01 * ms]) for name, ms in cold.items()],
        "auto_choice": list(load("auto_choice").cell(times, "mobilenet_v2, batch 1", "openvino bf16")),
        "reduced_decoding": list(load("reduced_decoding").rows([reduced])),
        "latency": [
            common.row("latency", condition, what, unit, values, engine="onnxruntime fp32")
            for condition, what, unit, values in (
                ("30 networks", "error in the middle", "share", [0.05, 0.06, 0.1]),
                ("30 networks", "error at worst", "share", [0.2, 0.3, 0.4]),
                ("mobilenet_v1", "measured", "ms", [2.0, 2.0, 2.0]),
                ("mobilenet_v1", "predicted", "ms", [2.1, 2.2, 2.3]),
                ("mobilenet_v1", "predicted / measured", "ratio", [1.05, 1.1, 1.15]),
            )
        ],
    }
    figures["from_scratch"] = [
        common.row("from_scratch", "360 images", "mobilenet_v1, slim", unit, values)
        for unit, values in (
            ("nats, validation", [0.5]),
            ("% of training images", [91.0]),
            ("% of validation images", [80.0]),
            ("% of test images", [75.0, 70.0, 80.0]),
            ("epochs", [60.0]),
        )
    ]
    figures["formats"] = [
        common.row("formats", "mobilenet_v1, 200 images", "LiteRT, float32", unit, values)
        for unit, values in (("size, MB", [1.5]), ("ms", [2.0, 2.1]), ("largest difference", [1e-6]))
    ]
    figures["quantization"] = [
        common.row("quantization", "mobilenet_v1, 300 images", "fast bias correction", unit, values)
        for unit, values in (("top-1, %", [71.5]), ("size, MB", [0.5]), ("taken by the gate", [0.0]))
    ]
    figures["detection_starts"] = [
        common.row("detection_starts", "blood cells", "NanoDet-m, COCO", unit, values)
        for unit, values in (("AP", [0.5, 0.52, 0.54]), ("AP50", [0.8, 0.81, 0.82]), ("minutes of training", [1.0] * 3))
    ]
    figures["cold"].append(common.row("cold", "one photo", "timm script / litevision classify", "ratio", [20.0, 20.0]))
    for name, rows in figures.items():
        common.write_csv(tmp_path / f"{name}.csv", rows, conditions(common))
    monkeypatch.syspath_prepend(ROOT / "tools")
    tables = importlib.import_module("readme_tables")
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert "| litevision, auto | 1,234 |  |" in tables.measured_folder()
    assert "| torchvision | 10 | 123 |" in tables.measured_folder()
    assert "| bound |  | 247 |" in tables.measured_folder()
    assert "| timm script | 4,020 (20) | 20 (0) |" in tables.measured_cold()
    assert "| mobilenet_v2, batch 1 | openvino bf16 | 1 (0) |" in tables.measured_auto_choice()
    assert "| of these, best class differs | 0 |" in tables.measured_reduced_decoding()
    assert "| onnxruntime fp32 | 6.0% (5.0% to 10.0%) | 30.0% (20.0% to 40.0%) |" in tables.measured_latency()
    assert "| mobilenet_v1 | 2 (0) | 2.2 (0.1) |" in tables.measured_latency()
    assert "| mobilenet_v1, slim | 0.50 | 91.0 | 80.0 | 75.0 (70 to 80) | 60 |" in tables.measured_from_scratch()
    assert "| LiteRT, float32 | 1.5 | 2.05 (0.05) | 1e-06 |  |  |" in tables.measured_formats()
    assert "| fast bias correction | 71.5 |  | 0.5 |  | 0 |" in tables.measured_quantization()
    assert "| NanoDet-m, COCO | 0.52 (0.02), 0.81 (0.01), 1 (0) |" in tables.measured_detection_starts()
    for table in tables.MEASURED.values():
        assert table().endswith("; 2 threads; load average before the start 0.1; a machine; random; python 3")
