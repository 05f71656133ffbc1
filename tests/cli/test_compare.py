"""litevision compare: a table of what was trained, under one budget, and nothing trained twice."""

import csv
import json
import re
import shutil
import signal
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from litevision.cost.ledger import ledger
from litevision.lab.compare import plans
from litevision.lab.compare.candidates import CANDIDATES
from litevision.models import configure
from litevision.models.centernet import CenterNet, CenterNetConfig
from pausing import PausingRun
from shapes import shape_settings, write_shapes
from trainings import run_there

Run = Callable[..., tuple[int, str, str]]

FOLDER = Path("runs/compare-data")
NAMES = ("v1-reshape", "v1-light")
TRIALS = {"v1-reshape-plain": "plain", "v1-reshape": "augmented", "v1-light-plain": "plain", "v1-light": "augmented"}
# The comparison sets the network, the neck and the epochs itself.
OPTIONS = ("--size", "64x96", "--candidates", ",".join(NAMES), *shape_settings())
COLUMNS = ["candidate", "regime", "params", "MB", "GMACs", "ms", "spread", "epochs", "minutes", "runs", "loss"]
COLUMNS += ["train AP", "test AP", "AP50"]


def compare_there(place: Path, *arguments: str) -> tuple[str, str]:
    """Compare in the folder ``place``; an epoch is said to take 0.9 s, however busy the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "measure_epoch", lambda *_: 0.9)
        return run_there(place, "compare", "centernet", "data", *arguments)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder in which two candidates were compared for two epochs each, plain and augmented, and what was printed."""
    place = tmp_path_factory.mktemp("compare")
    write_shapes(place / "data", 12, test=3)
    return place, *compare_there(place, *OPTIONS, "--minutes", "0.03", "--seconds", "0.1")


@pytest.fixture
def compare(done: tuple[Path, str, str], litevision: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``litevision compare`` beside the data, in this process: nothing is trained in it."""
    monkeypatch.chdir(done[0])
    return lambda *arguments: litevision("compare", *arguments)


def rows_of(place: Path) -> list[dict[str, str]]:
    with (place / FOLDER / "comparison.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_what_the_table_says(done: tuple[Path, str, str]) -> None:
    place, out, _ = done
    rows = rows_of(place)
    assert [(row["candidate"], row["regime"]) for row in rows] == [
        (trial.removesuffix("-plain"), regime) for trial, regime in TRIALS.items()
    ]
    for row, trial in zip(rows, TRIALS, strict=True):
        candidate, run = CANDIDATES[row["candidate"]], place / FOLDER / trial
        with torch.device("meta"):
            backbone = configure(candidate.network, dialect=candidate.dialect, width_mult=0.25)
            network = CenterNet(CenterNetConfig(backbone, 2, candidate.neck))
        costs = ledger(network, (64, 96))
        assert (int(row["num_params"]), int(row["macs"])) == (costs.num_params, costs.macs)
        assert (row["network"], row["dialect"], row["neck"]) == (candidate.network, candidate.dialect, candidate.neck)
        assert int(row["bundle_bytes"]) == (run / "model.onnx").stat().st_size
        assert 0 < float(row["p25_ms"]) <= float(row["median_ms"]) <= float(row["p75_ms"])
        results = json.loads((run / "results.json").read_text())
        assert results["recipe"]["optimizer"]["layer_decay"] == 1.0
        assert results["recipe"]["detection"]["flip"] == (row["regime"] == "augmented")
        assert (float(row["train_loss"]), row["best_epoch"]) == (results["epochs"][-1]["train_loss"], row["epochs"])
        on_train = json.loads((run / "train_scores.json").read_text())
        assert (row["train_images"], float(row["train_ap"])) == ("12", on_train["ap"])
        assert row["seed"] == "0"
        test = results["scores"]["test"]
        assert (float(row["ap"]), float(row["ap50"])) == (test["ap"], test["ap50"])
        assert (row["split"], row["images"], row["boxes"]) == ("test", "3", "6")
        assert (row["size"], row["budget_minutes"], row["budget_epochs"], row["batch_size"]) == (
            "64x96",
            "0.03",
            "",
            "4",
        )
        assert row["onnxruntime"].startswith("1.")
    header, published, *lines = out.splitlines()[:6]
    notes = out.splitlines()[6:]
    assert re.split("  +", header) == COLUMNS
    assert published.split() == ["v1-reshape", "published", "3.2", "M", *"--", "250", *"----", "about", "4.0", *"---"]
    assert [line.split()[:3] for line in lines] == [
        [row["candidate"], row["regime"], f"{int(row['num_params']):,}"] for row in rows
    ]
    assert "train AP  12 images that were learned from, as they are" in notes
    assert "AP, AP50  test split, 3 images with 6 boxes, from the bundle in onnxruntime" in notes
    assert "plain     images as they are in every epoch; augmented ones are drawn anew" in notes
    assert "budget    0.03 minutes of training for each run; minutes are those of the steps" in out
    assert re.search(r"^machine   .*onnxruntime 1\.", out, re.MULTILINE)


def test_the_minutes_become_epochs_and_are_told(done: tuple[Path, str, str]) -> None:
    place, _, err = done
    told = {
        name: (float(seconds), int(epochs))
        for name, seconds, epochs in re.findall(
            r"^(\S+): an epoch takes about (\S+) s here, so it gets (\d+)$", err, re.M
        )
    }
    assert list(told) == list(NAMES)
    for row in rows_of(place):
        seconds, epochs = told[row["candidate"]]
        assert int(row["epochs"]) == epochs == len(re.findall(r"^epoch ", _part(err, row["candidate"]), re.M))
        assert (seconds, epochs) == (0.9, 2)  # of 0.03 minutes, the same in both regimes
        results = json.loads((place / FOLDER / row["candidate"] / "results.json").read_text())
        assert results["recipe"]["schedule"]["epochs"] == epochs  # so that the learning rate ends with the budget
    assert "options of the recipe that are ignored, as each candidate has its own or begins from scratch: " in err
    assert "schedule.epochs, schedule.freeze_backbone_epochs, detection.neck_channels, detection.head_channels" in err
    assert not list((place / FOLDER).glob(".*"))


def _part(err: str, candidate: str) -> str:
    return err.split(f"{candidate}: training\n")[1].split(": training\n")[0]


def test_the_files(done: tuple[Path, str, str]) -> None:
    place, _, err = done
    document = json.loads((place / FOLDER / "comparison.json").read_text())
    assert (document["comparison"], document["data"], document["classes"]) == ("centernet", "data", ["green", "red"])
    assert document["budget"] == {"minutes": 0.03, "epochs": None}
    assert [row["regime"] for row in document["rows"]] == list(TRIALS.values())
    assert document["published"] == {
        "dlaseg": {"params": 20_000_000, "ms": 1200, "loss": ""},
        "v1-reshape": {"params": 3_200_000, "ms": 250, "loss": "about 4.0"},
        "v2-reshape": {"params": 4_300_000, "ms": 600, "loss": "below 0.5"},
    }
    assert {"median_ms", "train_loss", "ap", "ap50", "minutes", "device"} < document["rows"][0].keys()
    with Image.open(place / FOLDER / "comparison.png") as plot:
        assert plot.format == "PNG"
        assert min(plot.size) > 600
    files = ", ".join(str(FOLDER / f"comparison.{form}") for form in ("csv", "json", "png"))
    assert err.splitlines()[-1] == f"wrote {files}"


def test_a_finished_member_is_not_trained_again(done: tuple[Path, str, str], compare: Run) -> None:
    def trained() -> dict[str, int]:
        return {
            name: (done[0] / FOLDER / name / file).stat().st_mtime_ns
            for name in TRIALS
            for file in ("last.ckpt", "train_scores.json")
        }

    before, rows = trained(), rows_of(done[0])
    code, out, err = compare("centernet", "data", *OPTIONS, "--minutes", "0.03", "--seconds", "0.05", "--json")
    assert (code, trained()) == (0, before)
    for name in TRIALS:
        assert f"{name}: trained already, {FOLDER / name}\n" in err
    document: dict[str, Any] = json.loads(out)
    assert [str(row["ap"]) for row in document["rows"]] == [row["ap"] for row in rows]
    assert document == json.loads((done[0] / FOLDER / "comparison.json").read_text())


def test_another_seed_joins_its_row(
    done: tuple[Path, str, str], compare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(done[0] / FOLDER, tmp_path / FOLDER)
    options = (
        "--candidates",
        "v1-reshape",
        "--minutes",
        "0.03",
        "--seconds",
        "0.05",
        "--output",
        str(tmp_path / FOLDER),
    )
    given = (*OPTIONS, *options, "--regimes", "plain", "--output", str(tmp_path / FOLDER))
    code, out, err = compare("centernet", "data", *given, "--seeds", "2")
    assert (code, err.count(": training\n")) == (0, 1)
    assert "v1-reshape-plain-2: training\n" in err
    document = json.loads((tmp_path / FOLDER / "comparison.json").read_text())
    losses = [row["train_loss"] for row in document["rows"]]
    assert [row["seed"] for row in document["rows"]] == [0, 1]
    assert f"2  {statistics.mean(losses):.3f} ±{statistics.stdev(losses):.3f}" in out.splitlines()[2]
    assert "runs      of several seeds: their mean and, behind ±, their standard deviation" in out
    code, again, err = compare("centernet", "data", *given)  # the same without --seeds: what lies there counts
    assert (code, ": training\n" in err) == (0, False)
    assert again.splitlines()[2].split("plain")[1].split()[8:] == out.splitlines()[2].split("plain")[1].split()[8:]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("--minutes", "0.04"), "budget 0.03 minutes of training, not 0.04 minutes of training"),
        (("--epochs", "2"), "budget 0.03 minutes of training, not 2 epochs"),
        (("--minutes", "0.03", "--set", "optimizer.lr=0.01"), "optimizer.lr 0.002, not 0.01"),
        (("--minutes", "0.03", "--images", "5"), "detection.most_images 0, not 5"),
    ],
)
def test_another_comparison_is_refused(changed: tuple[str, ...], message: str, compare: Run) -> None:
    code, out, err = compare("centernet", "data", *OPTIONS, *changed)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {FOLDER}: holds a comparison with {message}; give the same again to go on with it")
    assert err.count("\n") == 1


def test_other_images_are_refused(
    done: tuple[Path, str, str], compare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same path, of which an image has gone meanwhile.
    shutil.copytree(done[0] / "data", tmp_path / "data")
    shutil.copytree(done[0] / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    settings = tmp_path / FOLDER / "settings.json"
    settings.write_text(settings.read_text().replace(str(done[0]), str(tmp_path)))
    labels = tmp_path / "data/ImageSets/Main/train.txt"
    labels.write_text(labels.read_text().replace("train3\n", ""))
    more = ("--candidates", "v1-reshape,v1-light,v2-light", "--minutes", "0.03")
    code, out, err = compare("centernet", "data", *OPTIONS, *more)
    assert (code, out) == (1, "")
    assert re.search(
        r"^error: .*data: other images or boxes than when runs/compare-data was begun; give another --output$",
        err,
        re.M,
    )
    assert not (tmp_path / FOLDER / "v2-light").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yolo", "data"), "no comparison 'yolo'. Known: centernet."),
        (("centernet", "data", "--candidates", "v3"), "no candidate of the comparison 'v3'."),
        (("centernet", "data", "--regimes", "none"), "no regime of the comparison 'none'."),
        (("centernet", "data", "--seeds", "0"), "--seeds 0; expected at least 1"),
        (("centernet", "data", "--images", "-1"), "--images -1; expected at least 1"),
        (("centernet", "data", "--minutes", "0"), "--minutes 0; expected a number above 0"),
        (("centernet", "data", "--epochs", "0"), "--epochs 0; expected at least 1"),
        (
            ("centernet", "data", "--epochs", "2", "--minutes", "3"),
            "--minutes 3 and --epochs 2: one budget is enough, leave out the other",
        ),
        (("centernet", "data", "--seconds", "0"), "--seconds 0; expected more than 0"),
        (("centernet", "data", "--size", "big"), "a size is one side in pixels or HxW"),
        (("centernet", "data", "--recipe", "no.toml"), "no.toml: no such recipe; expected a TOML file"),
        (("centernet", "data", "--set", "run.devices=2"), "run.devices is 2; a comparison trains on one device"),
        (("centernet", "nowhere"), "nowhere: no such file or folder. Check the path of the data."),
        (
            ("centernet", "runs"),
            "runs: no labels of boxes; expected Pascal VOC, COCO, YOLO, CVAT,",
        ),
        (
            ("centernet", "data", "--set", "model.width=0.3"),
            "the neck 'reshape' needs a last map whose channels divide",
        ),
    ],
)
def test_wrong_arguments_are_one_line_and_leave_nothing(arguments: tuple[str, ...], message: str, compare: Run) -> None:
    code, out, err = compare(*arguments, "--output", "other")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"error: {message}")
    assert not Path("other").exists()


def test_too_short_a_budget_leaves_nothing(compare: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "measure_epoch", lambda *_: 150.0)
    code, out, err = compare("centernet", "data", *OPTIONS, "--minutes", "1", "--output", "other")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        "error: --minutes 1 is too short for v1-reshape: one epoch takes it about 2.5 minutes here; expected 2.5 or "
        "more, or fewer --candidates"
    )
    assert not Path("other").exists()


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_was_stopped(done: tuple[Path, str, str]) -> None:
    command = (*OPTIONS, "--candidates", "v1-light", "--regimes", "augmented", "--epochs", "8", "--output", "stopped")
    command += ("--seconds", "0.1")
    command += ("--set", "run.checkpoint_minutes=0")
    run = PausingRun(done[0], "compare", "centernet", "data", *command, before=6)  # an epoch has 3 steps
    code, out, err = run.stop(signal.SIGINT)
    assert (code, out) == (130, "")
    assert re.fullmatch(
        r"stopped at (epoch \d+, batch \d of 3|the end of epoch \d+); the same command goes on", err.splitlines()[-1]
    )
    _, err = compare_there(done[0], *command)
    assert "v1-light: going on\n" in err
    results = json.loads((done[0] / "stopped/v1-light/results.json").read_text())
    assert (len(results["epochs"]), results["interruptions"]) == (8, 1)
    assert len(re.findall(r"^epoch ", err, re.M)) < 8
