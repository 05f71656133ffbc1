"""Trainings of seconds: noisy images of three colours, and a network of four layers."""

import contextlib
import functools
import io
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from images import encoded
from litevision.cli import main
from litevision.data import Sample
from litevision.models.network import Network
from litevision.tasks.classification.objective import Validation, image_transform
from litevision.tasks.classification.recipe import ClassificationRecipe
from litevision.training.balance import class_chances
from litevision.training.batches import Batch, EpochOrder, TrainingImages
from litevision.training.callbacks import Callback
from litevision.training.checkpoint import read_checkpoint
from litevision.training.frozen import Split
from litevision.training.image_cache import ImageCache
from litevision.training.loop import Loop, Objective
from litevision.training.recipe_file import make_recipe
from litevision.weights.create import create
from networks import SHORT_ROWS

COLOURS = {"blue": (40, 60, 200), "green": (60, 200, 40), "red": (200, 40, 60)}
CLASSES = tuple(COLOURS)
TINY = {
    "model": {"name": "mobilenet_v1", "weights": "none", "width": 0.25, "size_hw": [32, 32]},
    "schedule": {
        "epochs": 2,
        "freeze_backbone_epochs": 1,
        "frozen_passes": 1,
        "first_size": 1.0,
        "batch_size": 4,
    },
    "run": {"precision": "fp32", "workers": 0, "ema_decay": 0.9},
}


PROMISED = {
    "best.ckpt",
    "classes.csv",
    "epochs.csv",
    "last.ckpt",
    "model.onnx",
    "model_card.md",
    "plan.json",
    "recipe.toml",
    "report.html",
    "results.json",
    "tensorboard",
}
"""The files that a finished run leaves."""


def train_there(place: Path, *arguments: str) -> tuple[str, str]:
    """Trains the run ``mine`` on ``data``, both in the folder ``place``, and gives what was printed."""
    return run_there(place, "train", "data", "--name", "mine", *arguments)


def run_there(place: Path, *arguments: str) -> tuple[str, str]:
    """Runs the command line in the folder ``place``, which must end well, and gives what was printed.

    In this process, which has imported already what a process of its own would take seconds for.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        patch.chdir(place)
        patch.setattr("sys.argv", ["litevision", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code in (0, None), err.getvalue()
    return out.getvalue(), err.getvalue()


def tiny_recipe(*changes: Mapping[str, Mapping[str, Any]]) -> ClassificationRecipe:
    return make_recipe(TINY, *changes)


def settings(*changes: Mapping[str, Mapping[str, Any]], base: Mapping[str, Mapping[str, Any]] = TINY) -> list[str]:
    """`tiny_recipe`, or another one, as arguments of the command line."""
    return [
        word
        for tables in (base, *changes)
        for table, keys in tables.items()
        for key, value in keys.items()
        for word in ("--set", f"{table}.{key}={_toml(value)}")
    ]


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def coloured(label: int, seed: int, height: int = 40, width: int = 48) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-40, 41, (height, width, 3))
    return np.clip(np.array(COLOURS[CLASSES[label]]) + noise, 0, 255).astype(np.uint8)


def write_colours(folder: Path, count: int, *, test: int = 2, validation: int = 2) -> Path:
    """A data set with splits; ``count`` training images of each colour."""
    seed = 0
    for split, images in (("train", count), ("validation", validation), ("test", test)):
        for label, name in enumerate(CLASSES):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(images):
                (place / f"{number}.png").write_bytes(encoded(coloured(label, seed)))
                seed += 1
    return folder


def select_split(folder: Path, split: str) -> tuple[Sample, ...]:
    return tuple(
        Sample(path, CLASSES.index(path.parent.name), split) for path in sorted((folder / split).rglob("*.png"))
    )


def tiny_network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return create("mobilenet_v1", num_classes=3, rows=SHORT_ROWS["mobilenet_v1"])


class ColourObjective:
    """The plainest `Objective`: cross-entropy, and a validation score that is made up of the weights."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        images, classes = batch
        return nn.functional.cross_entropy(network(images.float() / 255), classes)

    def split(self, network: Any) -> Split:
        def features(images: Tensor) -> Tensor:
            found: Tensor = network.features(images.float() / 255).mean((2, 3), keepdim=True)
            return found

        return Split(features, lambda kept, classes: nn.functional.cross_entropy(network.head(kept), classes))

    def validate(self, network: nn.Module) -> Validation:
        with torch.no_grad():
            total = sum(float(tensor.double().sum()) for tensor in network.parameters())
        return Validation(loss=abs(total), top1=total % 100)


class Quiet(Callback):
    """A `Callback` that keeps what it hears."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.steps = 0

    def on_epoch_start(self, epoch: int, phase: str, batches: int, first: int) -> None:
        pass

    def on_step(self, images: int, loss: float) -> None:
        self.steps += 1

    def on_epoch_end(self, record: Mapping[str, Any]) -> None:
        self.records.append(dict(record))


def tiny_loop(
    folder: Path,
    recipe: ClassificationRecipe,
    *,
    objective: Objective | None = None,
    network: Network | None = None,
    count: int = 12,
) -> Loop:
    """A loop over ``count`` images in memory; its checkpoints go into ``folder``."""
    labels = [index % 3 for index in range(count)]

    def read(path: Path) -> npt.NDArray[np.uint8]:
        return coloured(int(path.name) % 3, int(path.name))

    place = Path(tempfile.mkdtemp(dir=folder)) / "cache"  # each loop's own, as in a run
    store = ImageCache(place, [Path(str(index)) for index in range(count)], read, 10**7)
    transform_to = functools.partial(image_transform, recipe.augment)
    images = TrainingImages(store, labels, transform_to, recipe.train_size_hw)
    chances = class_chances(labels) if recipe.loss.sampler == "balanced" else None
    order = EpochOrder(len(labels), recipe.schedule.batch_size, recipe.run.seed, chances=chances)
    fabric = Fabric(accelerator="cpu", devices=1)
    return Loop(fabric, network or tiny_network(), objective or ColourObjective(), recipe, order, images, folder)


CLOCK = ("seconds", "wait_seconds", "images_per_s", "data_wait_share", "interruptions")


def checkpoints(folder: Path) -> dict[str, Any]:
    """All that the checkpoints of a run hold, but for times and interruptions."""
    found: dict[str, Any] = {}
    for name in ("last.ckpt", "best.ckpt"):
        progress, states = read_checkpoint(folder / name)
        plain = {key: value for key, value in asdict(progress).items() if key not in CLOCK}
        plain["epochs"] = [{k: v for k, v in epoch.items() if k not in CLOCK} for epoch in plain["epochs"]]
        found[name] = (plain, states)
    return found


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two checkpoints are not the same, bit for bit."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return [] if one.dtype == other.dtype and torch.equal(one, other) else [where]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [fault for key in one for fault in differences(one[key], other[key], f"{where}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [fault for place, pair in enumerate(pairs) for fault in differences(*pair, f"{where}/{place}")]
    return [] if type(one) is type(other) and one == other else [f"{where}: {one!r} and {other!r}"]
