"""The loop: it learns, it can be taken up again after any step, and it ends clearly."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litevision.errors import TrainingError
from litevision.models.network import Network
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
    for name, _ in network.named_parameters():
        tensor = found[name]
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

    loop = tiny_loop(tmp_path, tiny_recipe(), objective=Diverging())
    loop.write()
    message = rf"^the loss is {value} in epoch 1, batch 1, before any step: .* Start from other model\.weights"
    with pytest.raises(TrainingError, match=message):
        run(loop)
    assert read_checkpoint(tmp_path / "last.ckpt")[0] == Progress()


class Exploding(ColourObjective):
    """Losses from a place on are as given: of training steps, or of validations."""

    def __init__(self, *, after: int, loss: float = 1.0, validation: float = 1.0) -> None:
        self._left, self._loss, self._validation = after, loss, validation

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        if not torch.is_grad_enabled():  # statistics are measured
            return super().loss(network, batch)
        self._left -= 1
        return super().loss(network, batch) * (self._loss if self._left < 0 else 1)

    def validate(self, network: nn.Module) -> Validation:
        return Validation(self._validation if self._left <= 0 else 1.0, 50.0)


@pytest.mark.parametrize(
    ("explosion", "where"),
    [
        ({"loss": float("nan")}, "the loss is nan in epoch 2, batch 2"),
        ({"loss": 1e9}, r"the loss is \d\.\d+e\+0\d in epoch 2, batch 2"),
        ({"loss": 1e4}, r"the training loss is \d\.\d+e\+0\d in epoch 2, after 1\.\d+ at the first step"),
        ({"validation": float("nan")}, "the validation loss is nan after epoch 2"),
        ({"validation": 1e16}, r"the validation loss is 1e\+16 after epoch 2"),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_that_diverges_ends_with_its_cause(
    explosion: dict[str, float], where: str, precision: str, tmp_path: Path
) -> None:
    recipe = tiny_recipe({"optimizer": {"lr": 0.004}, "run": {"precision": precision}, "schedule": {"epochs": 9}})
    after = 4 if "loss" in explosion else 6
    loop = tiny_loop(tmp_path, recipe, objective=Exploding(after=after, **explosion))
    loop.write()
    advice = r', or run\.precision = "fp32"' if precision == "bf16" else ""
    message = (
        rf"^{where}: the training diverged, and no model file was made\. Try a lower optimizer\.lr than 0\.004{advice}"
        r"\. Epoch 1 was the best so far, and best\.ckpt keeps it\.$"
    )
    with pytest.raises(TrainingError, match=message):
        run(loop)
    assert read_checkpoint(tmp_path / "last.ckpt")[0].epoch == 1


def slow(network: Network, momentum: float = 0.0003) -> Network:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    return network


def normalised_by(loop: Loop) -> list[Tensor]:
    return [tensor for name, tensor in loop.scored_network().state_dict().items() if name.endswith("running_var")]


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_slow_statistics_of_batch_normalisation_are_measured_before_every_validation(
    ema_decay: float, tmp_path: Path
) -> None:
    recipe = tiny_recipe({"run": {"ema_decay": ema_decay}, "schedule": {"freeze_backbone_epochs": 0}})
    found = {}
    for momentum in (0.0003, 0.001, 0.01, 0.1):
        folder = tmp_path / str(momentum)
        folder.mkdir()
        loop = tiny_loop(folder, recipe, network=slow(tiny_network(), momentum))
        run(loop)
        found[momentum] = normalised_by(loop)
    for one in found.values():
        torch.testing.assert_close(one, found[0.1], rtol=0.01, atol=0)
        assert all((tensor - 1).abs().max() > 0.01 for tensor in one)


def test_statistics_of_a_frozen_backbone_stay(tmp_path: Path) -> None:
    network = slow(tiny_network())
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    loop = tiny_loop(tmp_path, tiny_recipe({"schedule": {"epochs": 1, "freeze_backbone_epochs": 1}}), network=network)
    run(loop)
    assert all(torch.equal(tensor, before[name]) for name, tensor in loop.scored_network().named_buffers())


def test_statistics_that_follow_their_batches_are_left_as_they_are(tmp_path: Path) -> None:
    """With a weight of 0.9 for each batch, six steps leave nothing of the start."""
    recipe = tiny_recipe({"run": {"ema_decay": 0.0}, "schedule": {"freeze_backbone_epochs": 0}})
    network = slow(tiny_network(), 0.9)
    seen: list[Tensor] = []

    class Keeping(Quiet):
        def on_step(self, images: int, loss: float) -> None:
            seen.append(next(network.buffers()).clone())

    loop = tiny_loop(tmp_path, recipe, network=network)
    run(loop, Keeping())
    assert torch.equal(next(loop.scored_network().buffers()), seen[-1])


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_run_with_slow_statistics_that_is_killed_ends_the_same(ema_decay: float, tmp_path: Path) -> None:
    recipe = tiny_recipe(WHOLE, {"run": {"ema_decay": ema_decay}, "augment": {"mixup": 0.2}})
    ends = []
    for name, steps in (("whole", ()), ("killed", (2, 1, 1))):
        folder = tmp_path / name
        folder.mkdir()
        loop = tiny_loop(folder, recipe, network=slow(tiny_network()))
        loop.write()
        for step in steps:
            with pytest.raises(KilledError):
                run(loop, KilledAt(step))
            loop = tiny_loop(folder, recipe, network=slow(tiny_network(seed=9)))
            loop.load(*read_checkpoint(folder / "last.ckpt"))
        run(loop)
        ends.append(checkpoints(folder))
    assert differences(*ends) == []


def test_an_epoch_of_one_step_has_a_learning_rate(tmp_path: Path) -> None:
    recipe = tiny_recipe({"schedule": {"epochs": 4, "batch_size": 12, "warmup_epochs": 1.0}})
    records = run(tiny_loop(tmp_path, recipe)).records
    assert records[0]["lr"] == pytest.approx(recipe.optimizer.lr / 2)
    assert records[0]["lr"] < records[1]["lr"]


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
    recipe = tiny_recipe()
    first, second = run(tiny_loop(tmp_path, recipe)).records
    assert (first["epoch"], first["phase"], second["epoch"], second["phase"]) == (1, "head", 2, "all")
    # The last of three steps begins after 2/3 of an epoch, in the warm-up of one epoch.
    cosine = 0.01 + 0.99 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi / 3)).item())
    assert first["lr"] == pytest.approx(recipe.optimizer.lr * (2 / 3) * cosine)
    assert 0 <= first["data_wait_share"] <= 1
    assert first["images_per_s"] == pytest.approx(12 / first["seconds"])


def test_a_checkpoint_of_another_network_is_noticed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last.ckpt", Progress(), {"network": {}, "optimizer": {}, "average": {}})
    with pytest.raises(RuntimeError, match="Missing key"):
        resumed(tmp_path, tiny_recipe())


def test_workers_are_one_per_two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litevision.runtime.cpus.available_cpus", lambda: 7)
    assert [workers_for(-1), workers_for(0), workers_for(5)] == [3, 0, 5]
