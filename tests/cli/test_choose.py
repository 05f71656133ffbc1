"""litevision choose: its table, its files, and how it refuses. The machine's rates are made up."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from litevision.lab.latency.model import FEATURES, LatencyModel, Rate
from litevision.lab.profile import Peaks
from litevision.registry.weight_sets import weight_sets

Run = Callable[..., tuple[int, str, str]]

RATES = tuple(Rate(kind, name, float(name == "macs")) for kind, names in FEATURES.items() for name in names)
MODEL = LatencyModel(Peaks(100.0, ((1_000_000, 10.0),)), RATES, 0.05, 0.2, 9)
WEIGHTS = (
    "mobilenet_v1.keras_in1k_a025_r128",
    "mobilenet_v1.keras_in1k_a100_r224",
    "mobilenet_v2.keras_in1k_a035_r96",
    "mobilenet_v2.timm_ra_in1k",
    "mobilenet_v2.timm_ra_in1k_w110d",
    "mobilenet_v3_small.tv_in1k_v1",
    "mobilenet_v3_large.tv_in1k_v1",
    "mobilenet_v3_large.tv_in1k_v2",
)
COLUMNS = ["network", "dialect", "width", "size", "top-1", "ms", "MB", "MMACs", "weights"]


@pytest.fixture
def choose(litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``litevision choose`` among a few, on a machine on which 100 million multiply-adds take a millisecond."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("litevision.lab.latency.calibrate", lambda choice, **_: MODEL)
    rows = [row for row in weight_sets() if row.name in WEIGHTS]
    monkeypatch.setattr("litevision.lab.choose.candidates.weight_sets", lambda: rows)
    return lambda *arguments: litevision("choose", "--threads", "1", *arguments)


def test_table(choose: Run) -> None:
    code, out, err = choose("--budget", "1ms", "--classes", "10", "--budget", "9MB")
    assert code == 0
    assert err == "measuring this machine in onnxruntime fp32, once; about a minute\n"
    header, *rest = out.splitlines()
    assert header.split() == COLUMNS
    rows, said = rest[: rest.index("")], rest[rest.index("") + 1 :]
    cells = [row.split() for row in rows]
    times, sizes = [float(row[5]) for row in cells], [float(row[6]) for row in cells]
    assert times == sorted(times)
    assert times[-1] <= 1
    assert max(sizes) <= 9
    best = max(cells, key=lambda row: float(row[4]))
    assert said[0].endswith(f"in score, time and size, {len(rows)} of these are within 1 ms and 9 MB")
    assert said[1].startswith("to train the most exact: litevision train DATA --model mobilenet_v3_small --weights ")
    assert best[8] in said[1]
    assert said[2] == "top-1 is its publisher's, on ImageNet; ms are predicted for onnxruntime fp32, 1 thread, batch 1"
    assert "half are predicted within 5% by the others, the worst within 20%" in said[3]
    code, again, err = choose("--budget", "1ms", "--classes", "10", "--budget", "9MB")
    assert (code, err) == (0, "")  # measured once
    assert again.splitlines()[: len(rows)] == out.splitlines()[: len(rows)]


def test_files_and_json(choose: Run) -> None:
    code, out, _ = choose("--budget", "2ms", "--csv", "all.csv", "--plot", "all.png", "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["classes", "budgets", "engine", "machine", "calibration", "candidates"]
    assert found["budgets"] == [{"of": "ms", "most": 2.0}]
    candidates = found["candidates"]
    assert all(it["fits"] == (it["ms"] <= 2) for it in candidates)
    assert 3 < sum(it["frontier"] for it in candidates) < len(candidates) == len(WEIGHTS)
    with Path("all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["weights"] for row in rows] == [it["weights"] for it in candidates]
    assert [row["frontier"] == "True" for row in rows] == [it["frontier"] for it in candidates]
    assert Path("all.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_that_trains_says_the_width_where_the_name_does_not(choose: Run) -> None:
    _, out, _ = choose("--json")
    train = {it["weights"]: it["train"] for it in json.loads(out)["candidates"]}
    assert train["mobilenet_v1.keras_in1k_a025_r128"] == (
        "litevision train DATA --model mobilenet_v1 --weights mobilenet_v1.keras_in1k_a025_r128 --size 128 "
        "--set model.width=0.25"
    )
    assert train["mobilenet_v2.timm_ra_in1k_w110d"].endswith(
        "--model mobilenetv2_110d --weights mobilenet_v2.timm_ra_in1k_w110d --size 224"
    )


def test_all_are_shown_with_those_on_the_frontier_marked(choose: Run) -> None:
    code, out, _ = choose("--budget", "1ms", "--all")
    rows = out.partition("\n\n")[0].splitlines()[1:]
    assert code == 0
    assert len(rows) == len(WEIGHTS)
    assert 3 < sum(row.endswith(" frontier") for row in rows) < len(rows)


def test_a_disturbed_calibration_is_told(choose: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "other work disturbed the calibration; when it is done, --calibrate measures again"
    assert line not in choose()[1]
    worse = replace(MODEL, typical_error=0.15)
    monkeypatch.setattr("litevision.lab.latency.calibrate", lambda choice, **_: worse)
    assert line in choose("--calibrate")[1].splitlines()


def test_nothing_fits(choose: Run) -> None:
    code, out, _ = choose("--budget", "1us")
    assert code == 1
    assert out.startswith("none of ")
    assert "fits into 0.001 ms; the quickest takes 0." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "5"), "--budget '5': expected a time or a size above 0 with its unit, such as 5ms, 800us or 6MB"),
        (("--classes", "0"), "0 classes; expected at least 1"),
        (("--engine", "abacus"), "no engine 'abacus'. Known: onnxruntime, openvino, litert"),
        (("--plot", "it.pdf"), "--plot it.pdf: expected a name that ends in .png or .svg"),
        (("--csv", "no/where.csv"), "--csv no/where.csv: not a file that can be written"),
    ],
)
def test_what_cannot_be_done_is_one_line(choose: Run, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = choose(*arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("error: ")  # before the machine is measured
