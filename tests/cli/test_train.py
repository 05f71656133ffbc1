"""litevision train: the one-line command and what it leaves, and how it refuses before it begins."""

import csv
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from litevision.tasks.classification.recipe import ClassificationRecipe
from litevision.training.recipe_file import make_recipe
from trainings import CLASSES, PROMISED, settings, train_there, write_colours

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder in which the one-line command ran, on an image that is broken too, and what it printed."""
    place = tmp_path_factory.mktemp("train")
    write_colours(place / "data", 8, test=4)
    (place / "data/train/red/oops.png").write_bytes(b"oops")
    changes: dict[str, dict[str, object]] = {
        "schedule": {"epochs": 20, "freeze_backbone_epochs": 0, "batch_size": 8},
        "optimizer": {"lr": 0.02, "backbone_lr_mult": 1.0, "layer_decay": 1.0},
        "augment": {"policy": "none", "erasing": 0.0},
        "run": {"ema_decay": 0.5, "workers": 1},
        "card": {"data": "three colours", "data_licence": "CC0-1.0"},
    }
    return place, *train_there(place, *settings(changes))


@pytest.mark.slow
def test_it_leaves_every_file_that_is_promised(done: tuple[Path, str, str]) -> None:
    assert {path.name for path in (done[0] / "runs/mine").iterdir()} == PROMISED
    assert len(list((done[0] / "runs/mine/tensorboard").iterdir())) == 1


def test_it_learns(done: tuple[Path, str, str]) -> None:
    results = json.loads((done[0] / "runs/mine/results.json").read_text())
    assert results["scores"]["validation"]["top1"] == 100
    assert (results["scores"]["test"]["top1"], results["scores"]["test"]["count"]) == (100, 12)
    assert results["epochs"][results["best_epoch"] - 1]["validation_top1"] == 100
    assert results["data"]["counts"] == {"train": [8, 8, 8], "validation": [2, 2, 2], "test": [4, 4, 4]}
    assert [Path(one["path"]).name for one in results["data"]["skipped"]] == ["oops.png"]
    assert (results["interruptions"], results["stopped_early"], results["name"]) == (0, False, "mine")


def test_data_and_recipe_stand_before_the_first_epoch(done: tuple[Path, str, str]) -> None:
    lines = done[2].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("epoch "))
    before = "\n".join(lines[:first])
    for name in CLASSES:
        assert re.search(rf"^{name} +8 +2 +4$", before, re.MULTILINE)
    assert re.search(r"^left out: .*oops\.png: ", before, re.MULTILINE)
    assert "network   mobilenet_v1 x0.25 at 32x32, from scratch" in before
    assert "schedule  20 epochs" in before
    assert f"run       {Path('runs/mine')} (the whole recipe: " in before
    assert sum(line.startswith("epoch ") for line in lines) == 20


def test_answers_go_to_standard_output(done: tuple[Path, str, str]) -> None:
    assert "test: top-1 100.00 % of 12 images (95 % interval " in done[1]
    assert f"try it: litevision classify IMAGE --model {Path('runs/mine/model.onnx')}" in done[1]


def test_evaluate_gives_the_same_scores(
    done: tuple[Path, str, str], litevision: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(done[0])
    code, out, _ = litevision("evaluate", "runs/mine/model.onnx", "data", "--json", "-")
    scores = json.loads((done[0] / "runs/mine/results.json").read_text())["scores"]["test"]
    assert code == 0
    assert json.loads(out)["scores"] == scores


def test_tables_say_what_the_results_say(done: tuple[Path, str, str]) -> None:
    results = json.loads((done[0] / "runs/mine/results.json").read_text())
    with (done[0] / "runs/mine/epochs.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    assert [float(row["validation_top1"]) for row in epochs] == pytest.approx(
        [epoch["validation_top1"] for epoch in results["epochs"]]
    )
    with (done[0] / "runs/mine/classes.csv").open(newline="") as file:
        assert [(row["split"], row["class"], row["count"]) for row in csv.DictReader(file)] == [
            ("test", name, "4") for name in CLASSES
        ]


def test_the_recipe_and_the_card(done: tuple[Path, str, str]) -> None:
    recipe = make_recipe(tomllib.loads((done[0] / "runs/mine/recipe.toml").read_text()))
    assert (recipe.schedule.epochs, recipe.model.size_hw, recipe.optimizer.lr) == (20, (32, 32), 0.02)
    card = (done[0] / "runs/mine/model_card.md").read_text()
    assert "three colours" in card
    assert "CC0-1.0" in card


def test_no_cache_is_left(done: tuple[Path, str, str]) -> None:
    assert list((done[0] / "runs/mine").glob("cache*")) == []
    assert list((done[0] / "runs/mine").glob(".*")) == []


def test_a_finished_run_is_not_resumed(
    done: tuple[Path, str, str], litevision: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(done[0])
    before = {path: path.stat().st_mtime_ns for path in Path("runs/mine").iterdir()}
    code, out, err = litevision("train", "--resume", "runs/mine")
    report = Path("runs/mine/report.html")
    assert (code, out, err) == (1, "", f"error: {report.parent}: this run is finished; its report is {report}\n")
    assert {path: path.stat().st_mtime_ns for path in Path("runs/mine").iterdir()} == before


def test_a_name_that_is_taken(done: tuple[Path, str, str], litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(done[0])
    before = (done[0] / "runs/mine/plan.json").read_bytes()
    code, _, err = litevision("train", "data", "--name", "mine", *settings())
    assert code == 1
    assert err.splitlines()[-1].startswith(f"error: {Path('runs/mine')}: holds a run already; choose another --name")
    assert (done[0] / "runs/mine/plan.json").read_bytes() == before
    assert {path.name for path in (done[0] / "runs/mine").iterdir()} == PROMISED


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with good data and several kinds of bad ones."""
    monkeypatch.chdir(tmp_path)
    write_colours(Path("data"), 2)
    write_colours(Path("broken"), 2)
    for path in Path("broken").rglob("*.png"):
        path.write_bytes(b"oops")
    Path("empty").mkdir()
    Path("single").mkdir()
    Path("data/train/red").rename("single/red")
    write_colours(Path("single-source"), 2)
    Path("single-source/train/red").rename("data/train/red")
    Path("typo.toml").write_text("[schedule]\nepoch = 3\n")
    Path("wrong.toml").write_text('[augment]\npolicy = "autoaugment"\n')
    Path("cut.toml").write_text("[schedule\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], r"nowhere: No such file or directory"),
        (["single"], r"single: one class alone, 'red'"),
        (["empty"], r"empty: "),
        (["broken"], r"broken: no images of 'blue', 'green', 'red' to train with \(\d+ files cannot be read\)"),
        (["typo.toml"], r"typo\.toml: "),
        ([], r"give the folder of labelled images: litevision train DATA \(or --resume RUN\)"),
        (["data", "--recipe", "typo.toml"], r"no key in \[schedule\] of typo\.toml: 'epoch'\. Did you mean 'epochs'"),
        (
            ["data", "--recipe", "wrong.toml"],
            r"wrong\.toml: augment\.policy is 'autoaugment', expected 'none' or",
        ),
        (["data", "--recipe", "cut.toml"], r"cut\.toml: cannot be read as a recipe"),
        (["data", "--recipe", "none.toml"], r"none\.toml: no such recipe"),
        (["data", "--set", "scedule.epochs=3"], r"no table in the command line: 'scedule'\. Did you mean 'schedule'"),
        (["data", "--set", "epochs=3"], r"--set takes table\.key=value"),
        (["data", "--epochs", "0"], r"schedule\.epochs is 0; expected at least 1"),
        (["data", "--size", "large"], r"large"),
        (["data", "--model", "mobilnet_v2", "--weights", "none"], r"no model 'mobilnet_v2'\. Did you mean"),
        (["data", "--weights", "nothing.pth"], r"nothing\.pth"),
        (["data", "--weights", "none", "--set", "loss.teacher=none.onnx"], r"none\.onnx"),
        (["--resume", "data"], r"data: holds no run; expected the folder of one, with a plan\.json"),
        (["--resume", "nowhere"], r"nowhere: holds no run"),
        (["--resume", "data", "--epochs", "3"], r"--resume goes on with a run as it was planned; give nothing else"),
        (["--resume", "data", "--set", "run.seed=1"], r"--resume goes on with a run as it was planned"),
        (["data", "--resume", "data"], r"--resume goes on with a run as it was planned"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(
    place: Path, litevision: Run, arguments: list[str], message: str
) -> None:
    before = sorted(place.rglob("*"))
    code, out, err = litevision("train", *arguments)
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert lines[-1].startswith("error: ")
    assert re.search(message, lines[-1])
    assert [line for line in lines[:-1] if line.startswith(("error", "epoch", "Traceback"))] == []
    assert sorted(place.rglob("*")) == before


def test_the_shown_recipe_reads_back(place: Path, litevision: Run) -> None:
    code, out, err = litevision("train", "--show-recipe")
    assert (code, err) == (0, "")
    assert make_recipe(tomllib.loads(out)) == ClassificationRecipe()
    Path("mine.toml").write_text(out)
    changed = ("--recipe", "mine.toml", "--epochs", "20", "--size", "96x128", "--set", "loss.teacher=big.onnx")
    _, out, _ = litevision("train", *changed, "--show-recipe")
    recipe = make_recipe(tomllib.loads(out))
    assert (recipe.schedule.epochs, recipe.model.size_hw, recipe.loss.teacher) == (20, (96, 128), "big.onnx")
    assert sorted(path.name for path in place.iterdir()) == sorted(
        ["broken", "cut.toml", "data", "empty", "mine.toml", "single", "single-source", "typo.toml", "wrong.toml"]
    )


def test_options_lie_over_the_recipe_and_set_over_both(place: Path, litevision: Run) -> None:
    Path("r.toml").write_text("[schedule]\nepochs = 3\nbatch_size = 5\n[optimizer]\nlr = 0.5\n")
    options = ("--epochs", "4", "--lr", "0.25", "--set", "schedule.epochs=5", "--seed", "7")
    _, out, _ = litevision("train", "--recipe", "r.toml", *options, "--show-recipe")
    recipe = make_recipe(tomllib.loads(out))
    assert (recipe.schedule.epochs, recipe.schedule.batch_size, recipe.optimizer.lr, recipe.run.seed) == (5, 5, 0.25, 7)
