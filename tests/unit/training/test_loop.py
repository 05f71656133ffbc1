"""The loop: it learns, it can be taken up again after any step, and it ends clearly."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litevision.errors import TrainingError
from litevision.tasks.classification.objective import Validation
from litevision.tasks.classification.recipe import ClassificationRecipe
from litevision.training.batches import Batch
from litevision.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from litevision.training.loop import Loop, workers_for
from litevision.training.process import RunStopped, StopRequest
from trainings import ColourObjective, Quiet, checkpoints, differences, tiny_loop, tiny_network, tiny_recipe

# Two epochs, one of the head and one of all, of three steps each.
STEPS = 6


def run(loop: Loop, listener: Quiet | None = None) -> Quiet:
    listener = listener or Quiet()
    loop.run(listener, StopRequest())
    return listener


class KilledError(Exception):
    """Stands for the end of the process."""


class KilledAt(Quiet):
    """Ends the run at a step, behind the step itself and before anything of it is written."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._last = step

    def on_step(self, images: int, loss: float) -> None:
        super().on_step(images, loss)
        if self.steps == self._last:
            raise KilledError


class KilledInValidation(ColourObjective):
    def __init__(self, after: int) -> None:
        self._left = after

    def validate(self, network: nn.Module) -> Validation:
        self._left -= 1
        if self._left < 0:
            raise KilledError
        return super().validate(network)


# Dropout, momentum and weight decay of both optimizers, the average, and every kind of draw take part.
WHOLE = {
    "augment": {"policy": "randaugment", "erasing": 0.5, "mixup": 0.0},
    "schedule": {"patience": 5},
    "run": {"checkpoint_minutes": 0},
}


@pytest.fixture(scope="module", params=["adamw", "sgd"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ClassificationRecipe, dict[str, Any]]:
    """A recipe, and what its uninterrupted run leaves."""
    recipe = tiny_recipe(WHOLE, {"optimizer": {"name": request.param}})
    folder = tmp_path_factory.mktemp("whole")
    loop = tiny_loop(folder, recipe)
    loop.write()
    assert run(loop).steps == STEPS
    return recipe, checkpoints(folder)


def resumed(folder: Path, recipe: ClassificationRecipe, **arguments: Any) -> Loop:
    """A new loop over another network, which takes up the folder's last checkpoint."""
    loop = tiny_loop(folder, recipe, network=tiny_network(seed=9), **arguments)
    loop.load(*read_checkpoint(folder / "last.ckpt"))
    loop.write()
    return loop


@pytest.mark.parametrize("steps", [[step] for step in range(1, STEPS + 1)] + [[1, 1, 1, 2, 3, 1]])
def test_a_run_killed_at_any_step_ends_the_same(
    whole: tuple[ClassificationRecipe, dict[str, Any]], steps: list[int], tmp_path: Path
) -> None:
    recipe, expected = whole
    loop = tiny_loop(tmp_path, recipe)
    loop.write()
    for step in steps:
        with pytest.raises(KilledError):
            run(loop, KilledAt(step))
        loop = resumed(tmp_path, recipe)
    run(loop)
    assert loop.progress.interruptions == len(steps)
    assert differences(checkpoints(tmp_path), expected) == []


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_run_killed_in_validation_ends_the_same(
    whole: tuple[ClassificationRecipe, dict[str, Any]], epoch: int, tmp_path: Path
) -> None:
    recipe, expected = whole
    loop = tiny_loop(tmp_path, recipe, objective=KilledInValidation(epoch))
    loop.write()
    with pytest.raises(KilledError):
        run(loop)
    assert read_checkpoint(tmp_path / "last.ckpt")[0].batch == STEPS // 2
    loop = resumed(tmp_path, recipe)
    assert run(loop).steps == STEPS - (epoch + 1) * STEPS // 2
    assert differences(checkpoints(tmp_path), expected) == []


def test_a_run_killed_between_its_two_checkpoints_ends_the_same(
    whole: tuple[ClassificationRecipe, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best one of an epoch is written, the last one is not."""
    recipe, expected = whole

    def killed(self: Loop) -> None:
        if self.progress.epoch == 1 and self.progress.batch == 0:
            raise KilledError
        written(self)

    written = Loop.write
    loop = tiny_loop(tmp_path, recipe)
    loop.write()
    with monkeypatch.context() as patched:
        patched.setattr(Loop, "write", killed)
        with pytest.raises(KilledError):
            run(loop)
    assert (tmp_path / "best.ckpt").exists()
    run(resumed(tmp_path, recipe))
    assert differences(checkpoints(tmp_path), expected) == []


def test_a_stop_waits_for_the_step_and_keeps_it(
    whole: tuple[ClassificationRecipe, dict[str, Any]], tmp_path: Path
) -> None:
    recipe, expected = whole
    recipe = tiny_recipe(WHOLE, {"optimizer": {"name": recipe.optimizer.name}, "run": {"checkpoint_minutes": 60}})
    stop = StopRequest()

    class Stopping(Quiet):
        def on_step(self, images: int, loss: float) -> None:
            stop.signum = 15

    loop = tiny_loop(tmp_path, recipe)
    loop.write()
    with pytest.raises(RunStopped, match="epoch 1, batch 1 of 3") as stopped:
        loop.run(Stopping(), stop)
    assert stopped.value.signum == 15
    assert read_checkpoint(tmp_path / "last.ckpt")[0].batch == 1
    run(resumed(tmp_path, recipe))
    assert differences(checkpoints(tmp_path), expected) == []


def test_a_stop_in_the_last_validation_is_heard(tmp_path: Path) -> None:
    stop = StopRequest()

    class Stopping(ColourObjective):
        def validate(self, network: nn.Module) -> Validation:
            stop.signum = 2
            return super().validate(network)

    with pytest.raises(RunStopped, match="the end of epoch 1"):
        tiny_loop(tmp_path, tiny_recipe({"schedule": {"epochs": 1}}), objective=Stopping()).run(Quiet(), stop)
    assert read_checkpoint(tmp_path / "last.ckpt")[0].epoch == 1


def test_it_learns(tmp_path: Path) -> None:
    """Three colours, from a fresh start."""

    class Judging(ColourObjective):
        def validate(self, network: nn.Module) -> Validation:
            with torch.no_grad():
                logits = network(loop._images_of_all() / 255)
            return Validation(0.0, 100 * float((logits.argmax(1) == torch.arange(12) % 3).float().mean()))

    recipe = tiny_recipe(
        {
            "schedule": {"epochs": 6, "freeze_backbone_epochs": 0, "batch_size": 6},
            "optimizer": {"lr": 0.02, "backbone_lr_mult": 1.0},
        },
        {"augment": {"policy": "none", "crop_scale": [0.5, 1.0]}, "run": {"ema_decay": 0.5}},
    )
    loop: Any = tiny_loop(tmp_path, recipe, objective=Judging())
    loop._images_of_all = lambda: torch.stack([loop._images[index, 0][0] for index in range(12)]).float()
    records = run(loop).records
    assert records[-1]["train_loss"] < 0.3 * records[0]["train_loss"]
    assert records[-1]["validation_top1"] == 100


def test_the_average_is_what_a_plain_loop_gives(tmp_path: Path) -> None:
    class Keeping(Quiet):
        def __init__(self) -> None:
            super().__init__()
            self.states: list[dict[str, Tensor]] = []

        def on_step(self, images: int, loss: float) -> None:
            self.states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})

    network = tiny_network()
    loop = tiny_loop(tmp_path, tiny_recipe({"run": {"ema_decay": 0.3}}), network=network)
    keeping = Keeping()
    run(loop, keeping)
    found = loop.scored_network().state_dict()
    for name, tensor in found.items():
        if not tensor.is_floating_point():
            continue
        average = keeping.states[0][name].double()
        for updates, state in enumerate(keeping.states[1:], start=1):
            decay = min(0.3, (1 + updates) / (10 + updates))
            average = decay * average + (1 - decay) * state[name].double()
        torch.testing.assert_close(tensor.double(), average, rtol=1e-5, atol=1e-7)


def test_without_an_average_the_network_itself_is_scored(tmp_path: Path) -> None:
    network = tiny_network()
    assert tiny_loop(tmp_path, tiny_recipe({"run": {"ema_decay": 0.0}}), network=network).scored_network() is network


def test_the_head_alone_leaves_the_backbone(tmp_path: Path) -> None:
    network = tiny_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    run(tiny_loop(tmp_path, tiny_recipe({"schedule": {"epochs": 1, "freeze_backbone_epochs": 1}}), network=network))
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name, _ in network.named_parameters() if name.startswith("head.")}


def test_what_is_scored_is_in_evaluation_mode_and_training_goes_on_as_before(tmp_path: Path) -> None:
    class Looking(ColourObjective):
        def validate(self, network: nn.Module) -> Validation:
            assert not any(module.training for module in network.modules())
            return super().validate(network)

    network = tiny_network()
    recipe = tiny_recipe(
        {"run": {"ema_decay": 0.0}, "schedule": {"freeze_backbone_epochs": 0}, "optimizer": {"freeze_bn": True}}
    )
    loop = tiny_loop(tmp_path, recipe, objective=Looking(), network=network)
    run(loop)
    frozen = {type(module).__name__ for module in network.modules() if not module.training}
    assert frozen == {"BatchNorm2d"}


class Scripted(ColourObjective):
    """Validation scores as given."""

    def __init__(self, *found: tuple[float, float]) -> None:
        self._found = iter(found)

    def validate(self, network: nn.Module) -> Validation:
        top1, loss = next(self._found)
        return Validation(loss, top1)


def test_it_stops_when_patience_is_over(tmp_path: Path) -> None:
    recipe = tiny_recipe({"schedule": {"epochs": 20, "patience": 2}})
    task = Scripted((50, 1), (60, 1), (60, 2), (59, 0.5))
    loop = tiny_loop(tmp_path, recipe, objective=task)
    records = run(loop).records
    assert [record["validation_top1"] for record in records] == [50, 60, 60, 59]
    assert (loop.stopped_early, loop.progress.best_epoch) == (True, 2)
    assert read_checkpoint(tmp_path / "best.ckpt")[0].best_epoch == 2


def test_of_equal_scores_the_smaller_loss_is_better(tmp_path: Path) -> None:
    loop = tiny_loop(
        tmp_path, tiny_recipe({"schedule": {"epochs": 3}}), objective=Scripted((50, 1), (50, 0.9), (50, 0.95))
    )
    run(loop)
    assert (loop.progress.best_epoch, loop.progress.best_loss, loop.stopped_early) == (2, 0.9, False)


def test_a_resumed_run_remembers_its_patience(tmp_path: Path) -> None:
    recipe = tiny_recipe({"schedule": {"epochs": 20, "patience": 2}})
    loop = tiny_loop(tmp_path, recipe, objective=Scripted((50, 1), (40, 1), (45, 1)))
    run(loop)
    assert run(resumed(tmp_path, recipe)).records == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_one_clear_line(value: float, tmp_path: Path) -> None:
    class Diverging(ColourObjective):
        def loss(self, network: nn.Module, batch: Batch) -> Tensor:
            return super().loss(network, batch) * value

    loop = tiny_loop(tmp_path, tiny_recipe({"optimizer": {"lr": 0.004}}), objective=Diverging())
    loop.write()
    message = rf"^the loss is {value} in epoch 1, batch 1; try a lower optimizer\.lr than 0\.004, or run\.precision"
    with pytest.raises(TrainingError, match=message):
        run(loop)
    assert read_checkpoint(tmp_path / "last.ckpt")[0] == Progress()


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe({"run": {"checkpoint_minutes": 0}})
    loop = tiny_loop(tmp_path, recipe)
    loop.write()
    save, saved = torch.save, []

    def full(*arguments: Any) -> None:
        saved.append(1)
        if len(saved) > 2:
            raise RuntimeError("[enforce fail at inline_container.cc:668] . unexpected pos 64 vs 0\nand more")
        save(*arguments)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"last\.ckpt: the checkpoint cannot be written .* the one before is kept"):
        run(loop)
    monkeypatch.undo()
    assert read_checkpoint(tmp_path / "last.ckpt")[0].batch == 2
    assert run(resumed(tmp_path, recipe)).steps == STEPS - 2


def test_records_say_what_was_done(tmp_path: Path) -> None:
    first, second = run(tiny_loop(tmp_path, tiny_recipe())).records
    assert (first["epoch"], first["phase"], second["epoch"], second["phase"]) == (1, "head", 2, "all")
    # The last of three steps begins after 2/3 of an epoch, in the warm-up of one epoch.
    cosine = 0.01 + 0.99 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi / 3)).item())
    assert first["lr"] == pytest.approx(2e-3 * (2 / 3) * cosine)
    assert 0 <= first["data_wait_share"] <= 1
    assert first["images_per_s"] == pytest.approx(12 / first["seconds"])


def test_a_checkpoint_of_another_network_is_noticed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last.ckpt", Progress(), {"network": {}, "optimizer": {}, "average": {}})
    with pytest.raises(RuntimeError, match="Missing key"):
        resumed(tmp_path, tiny_recipe())


def test_workers_are_one_per_two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litevision.runtime.cpus.available_cpus", lambda: 7)
    assert [workers_for(-1), workers_for(0), workers_for(5)] == [3, 0, 5]
