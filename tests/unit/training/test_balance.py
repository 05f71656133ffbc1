"""Classes of different size: their weights in the loss, and how often their images are drawn."""

from pathlib import Path
from typing import Any

import pytest
import torch

from litevision.errors import UnknownNameError, UsageError
from litevision.training.balance import class_chances, class_weights, repeat_factors
from litevision.training.plan import make_plan
from litevision.training.recipe_file import make_recipe
from shapes import RECIPE, write_shapes
from trainings import tiny_recipe, write_colours


def test_class_weights_by_hand() -> None:
    weights = class_weights([10, 30, 60])
    assert weights.tolist() == pytest.approx([100 / 30, 100 / 90, 100 / 180])
    assert float((weights * torch.tensor([10, 30, 60])).sum() / 100) == pytest.approx(1)


def test_a_class_of_nothing_has_a_weight_too() -> None:
    assert class_weights([10, 0, 30]).tolist() == pytest.approx([2, 1, 2 / 3])


def test_every_class_is_drawn_equally_often() -> None:
    labels = [0] * 900 + [1] * 90 + [2] * 10
    chances = class_chances(labels)
    of_class = [sum(chance for chance, label in zip(chances, labels, strict=True) if label == it) for it in range(3)]
    assert of_class == pytest.approx([1, 1, 1])


def test_repeat_factors_are_those_of_the_rarest_class() -> None:
    """Class 0 is in 8 of 10 images, 1 in 2, 2 and 3 in one each; the last image shows nothing."""
    shown = [{0}] * 6 + [{0, 1}, {0, 1, 2}, {3}, set()]
    found = repeat_factors(shown)
    assert found == pytest.approx([1.0] * 6 + [2.0, 8**0.5, 8**0.5, 1.0])
    assert repeat_factors([set(), set()]) == [1.0, 1.0]


@pytest.mark.parametrize("option", ["sampler", "class_weights"])
def test_boxes_have_the_options_too(option: str) -> None:
    recipe = make_recipe({"loss": {option: "balanced"}}, task="detection")
    assert getattr(recipe.loss, option) == "balanced"
    with pytest.raises(UnknownNameError, match=rf"no key in \[loss\] of the recipe: '{option}s'\. Did you mean"):
        make_recipe({"loss": {f"{option}s": "balanced"}}, task="detection")


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("alone", [False, True])
def test_a_batch_of_one_without_a_variance_is_refused_before_a_folder_is_made(
    size: int, alone: bool, tmp_path: Path
) -> None:
    """Asked for, or as there is one training image alone."""
    changes: dict[str, Any] = {"model": {"size_hw": [size, size]}}
    changes |= {} if alone else {"schedule": {"batch_size": 1, "freeze_backbone_epochs": 0}}
    data = write_shapes(tmp_path / "data", 1 if alone else 4, 2, 2)
    with pytest.raises(UsageError, match=r"^a batch of one image.* leaves batch normalisation one number") as error:
        make_plan(data, make_recipe(RECIPE, changes, task="detection"), "mine")
    assert ("(1 training images" in str(error.value)) is alone


def test_a_batch_of_one_with_larger_maps_or_frozen_statistics_is_fine(tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data", 2)
    alone = {"schedule": {"batch_size": 1}}
    with pytest.raises(UsageError, match="a batch of one image at 32x32"):
        make_plan(data, tiny_recipe(alone), "mine")
    for changes in ({"model": {"size_hw": [64, 64]}}, {"optimizer": {"freeze_bn": True}}):
        make_plan(data, tiny_recipe(alone, changes), "mine")
