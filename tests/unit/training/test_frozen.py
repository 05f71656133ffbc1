"""The frozen phase learns from kept features, and images grow: the same however often a run is interrupted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litevision.tasks.classification.recipe import ClassificationRecipe
from litevision.training.checkpoint import read_checkpoint
from litevision.training.estimate import epoch_cost
from litevision.training.frozen import Split
from litevision.training.loop import Loop
from litevision.training.plan import make_plan, read_plan
from litevision.training.process import StopRequest
from litevision.training.recipe_file import make_recipe, recipe_tables
from trainings import (
    ColourObjective,
    Quiet,
    checkpoints,
    differences,
    tiny_loop,
    tiny_network,
    tiny_recipe,
    write_colours,
)

PASSES = 4
# Three passes and one of three steps each, at 32 px and then at 64.
KEPT = {
    "model": {"size_hw": [64, 64]},
    "schedule": {"frozen_passes": PASSES, "first_size": 0.5},
    "run": {"checkpoint_minutes": 0},
}
STEPS = 3 * PASSES + 3


class Watching(ColourObjective):
    """Keeps the sides of the images that pass through the frozen backbone, and through the whole network."""

    def __init__(self) -> None:
        self.frozen: list[int] = []
        self.whole: list[int] = []

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        self.whole.append(batch[0].shape[-1])
        return super().loss(network, batch)

    def split(self, network: Any) -> Split:
        features, loss = super().split(network)

        def watched(images: Tensor) -> Tensor:
            self.frozen.append(images.shape[-1])
            return features(images)

        return Split(watched, loss)


class KilledError(Exception):
    """Stands for the end of the process."""


class KilledAt(Quiet):
    def __init__(self, step: int) -> None:
        super().__init__()
        self._last = step

    def on_step(self, images: int, loss: float) -> None:
        super().on_step(images, loss)
        if self.steps == self._last:
            raise KilledError


def run(loop: Loop, listener: Quiet | None = None) -> Quiet:
    listener = listener or Quiet()
    loop.run(listener, StopRequest())
    return listener


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClassificationRecipe, dict[str, Any]]:
    """A recipe, and what its uninterrupted run leaves."""
    recipe, folder = tiny_recipe(KEPT), tmp_path_factory.mktemp("whole")
    objective = Watching()
    loop = tiny_loop(folder, recipe, objective=objective)
    loop.write()
    assert run(loop).steps == STEPS
    assert objective.frozen == [32] * 3  # once an image, whatever the passes
    assert set(objective.whole) == {64}
    return recipe, checkpoints(folder)


@pytest.mark.parametrize("steps", [[1], [3], [4], [11], [12], [13], [2, 5, 3]])
def test_a_run_killed_within_its_passes_ends_the_same(
    whole: tuple[ClassificationRecipe, dict[str, Any]], steps: list[int], tmp_path: Path
) -> None:
    recipe, expected = whole
    loop = tiny_loop(tmp_path, recipe)
    loop.write()
    for step in steps:
        with pytest.raises(KilledError):
            run(loop, KilledAt(step))
        loop = tiny_loop(tmp_path, recipe, network=tiny_network(seed=9))
        loop.load(*read_checkpoint(tmp_path / "last.ckpt"))
    run(loop)
    assert differences(checkpoints(tmp_path), expected) == []


def test_the_first_pass_is_what_one_pass_alone_would_be(tmp_path: Path) -> None:
    states = []
    for passes in (1, PASSES):
        network = tiny_network()
        recipe = tiny_recipe({"schedule": {"frozen_passes": passes, "warmup_epochs": 0.0, "final_lr": 1.0}})
        with pytest.raises(KilledError):
            run(tiny_loop(tmp_path, recipe, network=network), KilledAt(3))
        states.append(network.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({}, 10),
        ({"augment": {"mixup": 0.2}}, 1),
        ({"augment": {"cutmix": 0.2}}, 1),
        ({"run": {"cache_mb": 0}}, 1),
        ({"schedule": {"freeze_backbone_epochs": 0}}, 1),
    ],
)
def test_the_plan_says_whether_features_are_kept(
    changes: dict[str, dict[str, Any]], passes: int, tmp_path: Path
) -> None:
    recipe = tiny_recipe({"schedule": {"frozen_passes": 10}}, changes)
    plan, *_ = make_plan(write_colours(tmp_path / "data", 2), recipe, "mine")
    assert plan.recipe.schedule.frozen_passes == passes


@pytest.mark.parametrize(
    ("epochs", "first", "size", "sides"),
    [
        (1, 0.5, 224, [224]),
        (2, 0.5, 224, [128, 224]),
        (6, 0.5, 224, [128, 160, 192, 224, 224, 224]),
        (3, 1.0, 100, [100, 100, 100]),
        (4, 0.1, 48, [32, 32, 48, 48]),
    ],
)
def test_images_grow_to_their_whole_size(epochs: int, first: float, size: int, sides: list[int]) -> None:
    recipe = make_recipe(
        {"model": {"size_hw": [size, size]}, "schedule": {"epochs": epochs, "first_size": first}},
        {"schedule": {"freeze_backbone_epochs": 0}},
    )
    assert [recipe.train_size_in(epoch) for epoch in range(epochs)] == [(side, side) for side in sides]
    costs = [epoch_cost(recipe, epoch) for epoch in range(epochs)]
    assert costs == pytest.approx([(side / size) ** 2 for side in sides])


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_a_whole_recipe_of_an_earlier_version_means_what_it_meant(task: str) -> None:
    tables = recipe_tables(make_recipe({"schedule": {"first_size": 0.5, "frozen_passes": 7}}, task=task))
    for key in ("first_size", "frozen_passes"):
        del tables["schedule"][key]
    old = make_recipe(tables, task=task)
    assert (old.schedule.first_size, old.schedule.frozen_passes) == (1.0, 1)
    few = make_recipe({"schedule": {"epochs": 5}, "optimizer": {"lr": 0.1}}, task=task)
    assert few.schedule.first_size == make_recipe(task=task).schedule.first_size


def test_a_run_of_an_earlier_version_goes_on_as_it_began(tmp_path: Path) -> None:
    recipe = tiny_recipe(KEPT)
    make_plan(write_colours(tmp_path / "data", 2), recipe, "mine")[0].write(tmp_path / "mine")
    file = tmp_path / "mine/recipe.toml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("first_size", "frozen_passes"))]
    file.write_text("\n".join(kept))
    schedule = read_plan(tmp_path / "mine").recipe.schedule
    assert (schedule.first_size, schedule.frozen_passes) == (1.0, 1)
