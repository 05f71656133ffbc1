"""Run folders, recipes and bundles that litevision 0.1.0 wrote are still read, resumed and scored.

`tests/fixtures/v0_1_0` holds two runs of two epochs of MobileNetV1 at width 0.1, on the images that are made here.
"""

import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import litevision
from labelled import write_classes
from labelled_boxes import scenes, write_voc
from litevision.models.centernet import CenterNet
from litevision.tasks import task_of
from litevision.training.plan import PLAN, first_network, read_plan
from litevision.training.recipe_file import make_recipe, read_recipe
from litevision.training.result import RESULTS
from litevision.training.train import choose_recipe

OLD = Path(__file__).parents[2] / "fixtures/v0_1_0"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The images of both runs."""
    seeds = count()
    for split, images in (("train", 10), ("validation", 4), ("test", 4)):
        write_classes(tmp_path / f"data/clothes/{split}", ("dress", "hat"), images, seeds)
    write_voc(tmp_path / "data/cells", scenes(8, 2, 2))
    return tmp_path / "data"


def restored(name: str, data: Path, *, without: str | None = None) -> Path:
    """A copy of an old run, its images where they lie here."""
    folder = data.parent / "runs" / name
    shutil.copytree(OLD / name, folder)
    plan = (folder / PLAN).read_text().replace("{data}", str(data))
    (folder / PLAN).write_text(plan)
    if without:
        (folder / without).unlink()
    return folder


def assert_same_scores(found: dict[str, Any], old: dict[str, Any]) -> None:
    assert found.keys() == old.keys()
    for key, value in old.items():
        assert found[key] == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value), key


def test_the_plan_of_a_classifier(data: Path) -> None:
    plan = read_plan(restored("classes", data))
    assert (plan.task.name, plan.name, plan.data.classes) == ("classification", "classes", ("dress", "hat"))
    assert (plan.recipe.schedule.freeze_backbone_epochs, plan.recipe.optimizer.backbone_lr_mult) == (1, 0.5)
    assert (plan.backbone.architecture, plan.backbone.width_mult) == ("mobilenet_v1", 0.1)
    assert (plan.preprocess.size_hw, plan.preprocess.crop) == ((32, 32), "center")
    assert (plan.start, plan.recipe.run.device) == (None, "auto")


def test_the_plan_of_a_detector(data: Path) -> None:
    plan = read_plan(restored("boxes", data))
    assert (plan.task.name, plan.data.classes, plan.data.kind) == ("detection", ("cell", "dot"), "Pascal VOC")
    assert (plan.config.neck, plan.preprocess.crop) == ("light", "letterbox")
    options = plan.recipe.detection
    assert (options.rot90, options.aspect_jitter, options.center_radius) == (False, 1.15, 0)
    assert len(plan.data.of("train")[0].boxes_xyxy) == 3


@pytest.mark.parametrize("name", ["classes", "boxes"])
def test_a_plan_is_written_again_with_the_names_of_today(name: str, data: Path, tmp_path: Path) -> None:
    plan = read_plan(restored(name, data))
    plan.write(tmp_path / "again")
    again = read_plan(tmp_path / "again")
    assert (again.recipe, again.config, again.skipped) == (plan.recipe, plan.config, plan.skipped)
    text = (tmp_path / "again/recipe.toml").read_text()
    assert "freeze_backbone_epochs" in text
    assert "head_epochs" not in text


def test_the_recipe() -> None:
    later = {"schedule": {"first_size": 1.0, "frozen_passes": 1}}
    assert make_recipe(read_recipe(OLD / "recipe.toml")) == make_recipe(later)


def test_a_run_that_was_killed_before_its_results_is_finished(data: Path) -> None:
    """Its weights are trained to the end, so the scores are those of then."""
    folder = restored("classes", data, without=RESULTS)
    (folder / "model.onnx").unlink()
    run = litevision.train(resume=folder, quiet=True)
    old = json.loads((OLD / "classes" / RESULTS).read_text())
    for split in ("validation", "test"):
        assert_same_scores(run.results["scores"][split], old["scores"][split])
    assert [epoch["train_loss"] for epoch in run.results["epochs"]] == [e["train_loss"] for e in old["epochs"]]
    assert run.results["interruptions"] == 1


def test_its_bundle_scores_as_then(data: Path) -> None:
    run = litevision.Run.open(restored("classes", data))
    old = run.results["scores"]["test"]
    for model in (run, run.folder, run.bundle):
        scores = litevision.evaluate(model, data / "clothes", split="test")
        assert_same_scores(scores.to_dict(), old)
    assert run.metrics["top1"] == old["top1"]


def test_its_network_answers_as_its_bundle(data: Path) -> None:
    run = litevision.Run.open(restored("classes", data))
    image = data / "clothes/test/hat/0.png"
    expected = litevision.load_classifier(run).predict(image)
    network = run.network
    assert network.pretrained is not None
    assert network.pretrained.labels == ("dress", "hat")
    with torch.inference_mode():
        logits = network(network.pretrained.transform()(Image.open(image))[None])
    found = logits.softmax(1)[0]
    scores = dict(zip(expected.labels, expected.scores.tolist(), strict=True))
    assert [scores[name] for name in network.pretrained.labels] == pytest.approx(found.tolist(), abs=1e-4)


def test_a_detector_to_go_on_from(data: Path) -> None:
    """Its neck and all heads are kept, as it knows all classes."""
    run = restored("boxes", data)
    plan = read_plan(run)
    recipe = choose_recipe(task_of("detection"), None, {"model.weights": str(run)}, origin="the test").recipe
    assert (recipe.model.name, recipe.model.width, recipe.model.size_hw) == ("mobilenet_v1", 0.1, (64, 64))
    begun = first_network(replace(plan, recipe=recipe))
    before = litevision.Run(run).network
    assert isinstance(before, CenterNet)
    kept = before.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in begun.state_dict().items())
