"""litevision train on images with boxes: it finds the objects that it has seen, and says how well."""

import csv
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from images import encoded
from litevision.runtime import Bundle, Detector
from litevision.training.recipe_file import make_recipe
from shapes import CLASSES, shape_settings, shapes, write_shapes
from trainings import PROMISED, train_there

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder in which images were learned by heart, one was left out, and what was printed."""
    place = tmp_path_factory.mktemp("boxes")
    write_shapes(place / "data", 12, test=4, empty=1, repeated=range(3, 12))
    broken = place / "data/Annotations/train1.xml"
    point = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    broken.write_text(re.sub("<bndbox>.*?</bndbox>", point, broken.read_text(), count=1, flags=re.DOTALL))
    changes: dict[str, dict[str, object]] = {
        "schedule": {"epochs": 40, "freeze_backbone_epochs": 0, "batch_size": 2, "warmup_epochs": 2.0},
        "optimizer": {"lr": 0.005, "backbone_lr_mult": 1.0, "layer_decay": 1.0, "weight_decay": 0.0, "clip_norm": 5.0},
        "detection": {"scale": [1.0, 1.0], "stretch": 1.0, "flip": False, "colour": 0.0, "exclude": '["train2"]'},
        "run": {"ema_decay": 0.5},
        "card": {"data": "two colours", "data_licence": "CC0-1.0"},
    }
    return place, *train_there(place, *shape_settings(changes))


@pytest.mark.slow
def test_it_finds_what_it_has_learned(done: tuple[Path, str, str]) -> None:
    """The validation images are nine of those that it was trained on."""
    scores = json.loads((done[0] / "runs/mine/results.json").read_text())["scores"]["validation"]
    assert (scores["count"], scores["boxes"]) == (9, 18)
    assert scores["ap50"] > 0.95


def test_it_leaves_every_file_that_is_promised(done: tuple[Path, str, str]) -> None:
    assert {path.name for path in (done[0] / "runs/mine").iterdir()} == PROMISED


def test_what_the_results_say(done: tuple[Path, str, str]) -> None:
    results = json.loads((done[0] / "runs/mine/results.json").read_text())
    assert results["task"] == "detection"
    assert results["data"]["images"] == {"train": 11, "validation": 9, "test": 4}
    assert sum(results["data"]["counts"]["train"]) == 19  # 12 images, one empty, one left out, one box broken
    assert {(Path(one["path"]).name, one["rule"]) for one in results["data"]["skipped"]} == {
        ("train1.xml", "zero-area-box"),
        ("train2.png", "excluded"),
    }
    best = results["epochs"][results["best_epoch"] - 1]
    assert best["validation_ap"] == max(epoch["validation_ap"] for epoch in results["epochs"])
    # The bundle, in the engine, finds what the network found in training.
    assert results["scores"]["validation"]["ap"] == pytest.approx(best["validation_ap"], abs=0.02)
    assert [row["name"] for row in results["scores"]["test"]["per_class"]] == list(CLASSES)
    assert "augment" not in results["recipe"]


def test_evaluate_gives_the_same_scores(
    done: tuple[Path, str, str], litevision: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(done[0])
    results = json.loads(Path("runs/mine/results.json").read_text())
    code, out, _ = litevision("evaluate", "runs/mine/model.onnx", "data", "--json", "-")
    assert code == 0
    assert json.loads(out)["scores"] == results["scores"]["test"]
    code, out, _ = litevision("evaluate", "runs/mine/model.onnx", "data", "--csv", "c.csv", "--predictions", "p.csv")
    assert code == 0
    interval = "{:.4f} to {:.4f}".format(*results["scores"]["test"]["ap50_interval"])
    score = results["scores"]["test"]["ap50"]
    assert re.search(rf"^AP50 +{score:.4f}, 95 % interval {interval}$", out, re.MULTILINE)
    assert "95 % intervals by bootstrap over the 4 images" in out
    assert "split   test: 4 images with 6 boxes" in out
    with Path("c.csv").open(newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == list(CLASSES)
    with Path("p.csv").open(newline="") as file:
        assert len({row["path"] for row in csv.DictReader(file)}) == 4


def test_the_bundle_carries_its_score_and_thresholds(done: tuple[Path, str, str]) -> None:
    results = json.loads((done[0] / "runs/mine/results.json").read_text())
    bundle = Bundle.open(done[0] / "runs/mine/model.onnx")
    about, test = bundle.metadata, results["scores"]["test"]
    assert (about.task, about.labels) == ("detection", CLASSES)
    assert about.score_thresholds == tuple(results["thresholds"])
    assert (about.score.ap, about.score.ap50, about.score.count) == (test["ap"], test["ap50"], 4)
    assert about.training_data == "11 images of 2 classes: two colours (licence: CC0-1.0)"
    assert {output.name: output.shape[1] for output in bundle.engine.outputs}["scores"] == 20  # detection.top_k
    found = Detector(bundle).predict(done[0] / "data/JPEGImages/train3.png")
    assert {(one.label, round(one.box_xyxy[0] / 48 - 0.2)) for one in found} == {
        (label, x // 48) for label, x, *_ in shapes("train3", "train", 3)[0].boxes
    }


FIGURE = r"\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)"


def test_what_is_said_before_and_after(done: tuple[Path, str, str]) -> None:
    _, out, err = done
    assert re.search(r"^2 classes, boxes +19 +18 +6$", err, re.MULTILINE)
    assert re.search(r"^images +11 +9 +4$", err, re.MULTILINE)
    assert "left out: " in err
    assert "images left out by the recipe: 1" in err
    assert "network   CenterNet (neck light) on mobilenet_v1 x0.25 at 64x96, from scratch" in err
    assert len(re.findall(r"^epoch .* AP50 \d\.\d{3}  AP \d\.\d{3} ", err, re.MULTILINE)) == 40
    assert re.search(rf"^test: AP50 {FIGURE}, AP {FIGURE} of 6 boxes in 4 images$", out, re.MULTILINE)
    assert f"try it: litevision detect IMAGE --model {Path('runs/mine/model.onnx')}" in out


def test_the_tables_and_the_recipe(done: tuple[Path, str, str]) -> None:
    run = done[0] / "runs/mine"
    results = json.loads((run / "results.json").read_text())
    with (run / "epochs.csv").open(newline="") as file:
        rows = [float(row["validation_ap50"]) for row in csv.DictReader(file)]
    assert rows == pytest.approx([epoch["validation_ap50"] for epoch in results["epochs"]])
    with (run / "classes.csv").open(newline="") as file:
        found = [(row["split"], row["class"], float(row["threshold"])) for row in csv.DictReader(file)]
    assert found == [("test", name, threshold) for name, threshold in zip(CLASSES, results["thresholds"], strict=True)]
    recipe = make_recipe(tomllib.loads((run / "recipe.toml").read_text()), task="detection")
    assert (recipe.detection.exclude, recipe.detection.top_k) == (("train2",), 20)


def test_the_card_and_the_report(done: tuple[Path, str, str]) -> None:
    run = done[0] / "runs/mine"
    test = json.loads((run / "results.json").read_text())["scores"]["test"]
    card = (run / "model_card.md").read_text()
    assert f"AP50 {test['ap50']:.3f}" in card
    assert "Labels in error, which were left out: 1; images left out by the recipe: 1." in card
    assert "two colours. Licence: CC0-1.0" in card
    page = (run / "report.html").read_text()
    assert f"<b>{test['ap50']:.3f}</b>AP50" in page
    assert "zero-area-box" in page
    assert "CenterNet (neck light) on" in page
    assert page.count("precision against recall of") == 2
    for text in (card, page):
        assert "top-1" not in text
        assert "classifier" not in text


def test_the_program_in_the_card_runs(done: tuple[Path, str, str], tmp_path: Path) -> None:
    card = (done[0] / "runs/mine/model_card.md").read_text()
    [program] = re.findall("```python\n(.*?)```", card, re.DOTALL)
    _, image = shapes("train3", "train", 3)
    (tmp_path / "photo.jpg").write_bytes(encoded(image))
    (tmp_path / "model.onnx").write_bytes((done[0] / "runs/mine/model.onnx").read_bytes())
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    expected = Detector(Bundle.open(tmp_path / "model.onnx")).predict(image)
    lines = [line.split(" ", 2) for line in found.splitlines()]
    assert [line[1] for line in lines] == [one.label for one in expected]
    for line, one in zip(lines, expected, strict=True):
        assert json.loads(line[2]) == pytest.approx(one.box_xyxy, abs=1.0)  # which is not cut at the edge there


def test_a_classifier_is_no_detector(done: tuple[Path, str, str], litevision: Run, folder: Path) -> None:
    code, _, err = litevision("evaluate", "tiny.onnx", str(done[0] / "data"))
    assert code == 1
    assert re.search(
        r"^error: tiny\.onnx: a bundle for classification; expected one for detection\. Use", err, re.MULTILINE
    )


def test_the_shown_recipe_is_that_of_the_data(
    done: tuple[Path, str, str], litevision: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(done[0])
    _, out, _ = litevision("train", "data", "--show-recipe")
    tables = tomllib.loads(out)
    assert (tables["model"]["size_hw"], tables["model"]["crop"]) == ([160, 256], "letterbox")
    adapted = {"model": {"size_hw": [160, 256]}, "schedule": {"epochs": 150, "batch_size": 2}}
    assert make_recipe(tables, task="detection") == make_recipe(adapted, task="detection")
