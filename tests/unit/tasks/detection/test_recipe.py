"""Options that follow from the images and boxes: what they are, why, and that whoever states one prevails."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litevision.data import DetectionSample, LabelledBoxes
from litevision.tasks import task_of
from litevision.tasks.detection.recipe import DetectionRecipe
from litevision.training.console import print_recipe
from litevision.training.plan import make_plan, read_plan
from litevision.training.recipe_file import make_recipe
from litevision.training.train import choose_recipe
from shapes import RECIPE, write_shapes


def boxes(images: int, hw: tuple[int, int] = (480, 640), side: float = 100.0) -> LabelledBoxes:
    """Images of one size, each with a box."""
    box = np.array([[0, 0, side, side]], np.float32)
    samples = tuple(
        DetectionSample(Path(f"{number}.png"), box, np.array([0]), np.array([False]), "train", hw)
        for number in range(images)
    )
    return LabelledBoxes(Path(), ("cell",), samples, False, kind="COCO")


def adapted(data: LabelledBoxes, **changes: dict[str, Any]) -> dict[str, Any]:
    recipe: DetectionRecipe = make_recipe(changes, task="detection")
    return {one.key: one.value for one in recipe.adapted(data)}


@pytest.mark.parametrize(
    ("images", "epochs", "batch"),
    [(1, 150, 2), (16, 150, 2), (40, 120, 5), (160, 60, None), (640, 30, None), (5000, 12, None), (100_000, 12, None)],
)
def test_fewer_images_get_more_epochs_and_smaller_batches(images: int, epochs: int, batch: int | None) -> None:
    found = adapted(boxes(images))
    assert (found["schedule.epochs"], found.get("schedule.batch_size")) == (epochs, batch)
    assert adapted(boxes(images), model={"weights": "none"})["schedule.epochs"] == 2 * epochs
    nanodet = {"name": "nanodet_plus_m", "weights": "nanodet_plus_m"}
    assert adapted(boxes(images), model=nanodet)["schedule.epochs"] == epochs // 2
    assert adapted(boxes(images), model=nanodet | {"weights": "none"})["schedule.epochs"] == 2 * epochs


@pytest.mark.parametrize(
    ("hw", "side", "size_hw"),
    [
        ((480, 640), 100, [320, 416]),
        ((640, 480), 100, [416, 320]),
        ((1000, 1000), 100, [416, 416]),
        ((480, 640), 20, [384, 512]),  # 16 px of 20
        ((2000, 2000), 20, [640, 640]),
        ((240, 320), 100, [256, 320]),
        ((100, 100), 20, [256, 256]),
        ((300, 3000), 200, [192, 416]),
    ],
)
def test_the_input_fits_the_images_and_their_small_boxes(hw: tuple[int, int], side: float, size_hw: list[int]) -> None:
    assert adapted(boxes(160, hw, side))["model.size_hw"] == size_hw


def test_images_of_many_shapes_get_a_square() -> None:
    data = boxes(8, (480, 640)), boxes(8, (640, 480))
    mixed = LabelledBoxes(Path(), ("cell",), data[0].samples + data[1].samples, False, kind="COCO")
    assert adapted(mixed)["model.size_hw"] == [416, 416]


def test_images_without_boxes_have_a_plan_too() -> None:
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    data = LabelledBoxes(Path(), ("a",), (DetectionSample(Path("a"), *empty, "train", (64, 64)),), False, kind="COCO")
    assert adapted(data)["model.size_hw"] == [256, 256]


def test_what_is_stated_prevails_and_the_rest_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_shapes(tmp_path / "data", 4, 2, 2)
    free = {key: value for key, value in RECIPE["schedule"].items() if key not in ("epochs", "batch_size")}
    chosen = choose_recipe(
        task_of("detection"), None, {"schedule.epochs": 2}, {**RECIPE, "schedule": free}, origin="the test"
    )
    plan, *_ = make_plan(data, chosen.recipe, "mine", stated=chosen.stated)
    assert (plan.recipe.schedule.epochs, plan.recipe.schedule.batch_size) == (2, 2)
    assert plan.recipe.model.size_hw == tuple(RECIPE["model"]["size_hw"])
    plan.write(tmp_path / "mine")
    assert read_plan(tmp_path / "mine").adapted == plan.adapted
    print_recipe(plan, tmp_path)
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("adapted")]
    assert line == "adapted   schedule.batch_size is 2: so that 4 images make 8 steps or so an epoch"


def test_a_recipe_that_is_given_whole_is_left_as_it_is(tmp_path: Path) -> None:
    recipe = make_recipe(RECIPE, task="detection")
    plan, *_ = make_plan(write_shapes(tmp_path / "data", 4, 2, 2), recipe, "mine")
    assert (plan.adapted, plan.recipe.schedule.epochs) == ((), 2)
    chosen = choose_recipe(task_of("detection"), recipe, {}, origin="the test")
    assert {"schedule.epochs", "model.size_hw"} <= chosen.stated
