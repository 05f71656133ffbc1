"""A run before it begins: its data, its network and its recipe, checked; and the file that a resumed run reads."""

import copy
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from litevision.data import Issue
from litevision.errors import DataError, FileMissingError, TrainingError, UsageError, reason_of
from litevision.files import atomic_write, refuse_links
from litevision.image import Preprocess
from litevision.models.config import NetworkConfig
from litevision.models.kinds import AnyNetwork, config_type
from litevision.runtime import Normalisation, Weights
from litevision.runtime.schema import from_dict, to_dict
from litevision.tasks import Task, task_of, task_of_data
from litevision.tasks.base import TrainableData
from litevision.training.optimise import set_mode
from litevision.training.process import has_bf16, resolve_device
from litevision.training.recipe import Adapted, Precision, Recipe
from litevision.training.recipe_file import make_recipe, read_recipe, recipe_toml, with_options
from litevision.training.remote_run import check_address
from litevision.training.same_data import digests_of
from litevision.training.start import starting_network

PLAN, RECIPE = "plan.json", "recipe.toml"
FORMAT_VERSION = 1
_MIN_BF16_PX = 128  # smaller images gain less from bf16 than its conversions cost


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that is left out, by what rule and why."""

    path: str
    rule: str
    detail: str


Data = TypeVar("Data")
Config = TypeVar("Config")


@dataclass(frozen=True)
class Plan(Generic[Data, Config]):
    """Everything that a run begins with.

    Attributes:
        name: the run's name.
        created: when it was planned, ISO 8601.
        recipe: with every choice made that was left to the machine.
        data: the images that can be read.
        skipped: those that cannot.
        config: the network's configuration.
        normalisation: what its graph does to an image.
        start: where its first weights come from; None where it is trained from scratch.
        fresh_head: whether these fill the backbone alone, and the classifier, or neck and heads, begin from scratch.
        adapted: options that followed from the data.
        digests: of the bytes of each image of ``data``, in its order; empty for a run of 0.1.0.
    """

    name: str
    created: str
    recipe: Any
    data: Data
    skipped: tuple[Skipped, ...]
    config: Config
    normalisation: Normalisation
    start: Weights | None
    fresh_head: bool = False
    digests: tuple[str, ...] = ()
    adapted: tuple[Adapted, ...] = ()

    @property
    def task(self) -> Task:
        """What is learned."""
        return task_of(self.config)

    @property
    def backbone(self) -> NetworkConfig:
        """The network, or the one whose backbone a detector stands on."""
        config: Any = self.config
        found: NetworkConfig = getattr(config, "backbone", config)
        return found

    @property
    def preprocess(self) -> Preprocess:
        """What makes the finished model's input of an image."""
        model = self.recipe.model
        return Preprocess(model.size_hw, round(min(model.size_hw) / model.crop_fraction), model.crop, "bilinear")

    def write(self, folder: Path) -> None:
        """Writes the plan and the recipe into the run's folder, which is made.

        Raises:
            TrainingError: a folder that holds a run already, or cannot be written.
            UnsafeFileError: a folder that holds links.
        """
        if (folder / PLAN).exists():
            raise TrainingError(
                f"{folder}: holds a run already; choose another --name, or go on with --resume {folder}"
            )
        config: Any = self.config
        plain = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "created": self.created,
            "task": self.task.name,
            "data": self.task.data_to_dict(self.data),
            "skipped": [asdict(one) for one in self.skipped],
            "network": config.to_dict(),
            "normalisation": to_dict(self.normalisation),
            "start": None if self.start is None else to_dict(self.start),
            "fresh_head": self.fresh_head,
            "digests": self.digests,
            "adapted": [asdict(one) for one in self.adapted],
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            refuse_links(folder)
            with atomic_write(folder / RECIPE) as partial:
                partial.write_text(recipe_toml(self.recipe), "utf-8")
            with atomic_write(folder / PLAN) as partial:
                partial.write_text(json.dumps(plain), "utf-8")
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be written ({error.strerror}); give another --output") from None


AnyPlan = Plan[Any, Any]
"""The plan of any task's run."""


def make_plan(
    path: Path, recipe: Recipe, name: str, *, stated: Collection[str] | None = None
) -> tuple[AnyPlan, nn.Module, tuple[Issue, ...]]:
    """Reads and scans the data, and fills the network; everything that can be wrong is found here.

    Args:
        path: a folder of labelled images, or a CSV; or images with boxes, in any form that can be read.
        recipe: what to do with them.
        name: of the run.
        stated: the options of the recipe that stay as they are; the others follow from the data where the task knows
            how. None for all.

    Returns:
        The plan, the network that the run begins with, and what was left out of the data.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a recipe of another task, a teacher of other classes, or no address to copy the run to.
        WeightsError: weights that cannot be used.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if recipe.run.copy_to:
        check_address(recipe.run.copy_to)
    (data, issues, excluded), recipe, adapted = read_adapted(path, recipe, stated)
    task, recipe = task_of(recipe.task), _resolved(recipe.located())
    _require_judges(data, recipe)
    images = len(data.of(*recipe.schedule.splits))
    epochs = recipe.schedule.epochs_for(images, recipe.run.devices)
    recipe = replace(recipe, schedule=replace(recipe.schedule, epochs=epochs))
    network, start = starting_network(task, recipe, data.classes)
    recipe = _with_passes(recipe, images, network)
    _require_variance(network, recipe, images)
    skipped = (*_skipped(issues), *(Skipped(str(one), "excluded", "by the recipe") for one in excluded))
    digests = digests_of([sample.path for sample in data.samples])
    plan = Plan(name, created, recipe, data, skipped, network.config, *start, digests, adapted)
    return plan, network, issues


def read_adapted(
    path: Path, recipe: Recipe, stated: Collection[str] | None
) -> tuple[TrainableData, Recipe, tuple[Adapted, ...]]:
    """The data, and the recipe with the options that follow from it but for those in ``stated``; None for all.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a recipe of another task.
    """
    task = task_of_data(path)
    if not isinstance(recipe, task.recipe):
        raise UsageError(f"{path}: {task.data_name}, and a recipe of {recipe.task}; expected a recipe of {task.name}")
    found = task.read_trainable(path.absolute(), recipe)
    adapted = () if stated is None else tuple(one for one in recipe.adapted(found.data) if one.key not in stated)
    return found, with_options(recipe, adapted), adapted


def run_folder(output: str | os.PathLike[str], name: str) -> Path:
    """The folder of the run called ``name`` in ``output``.

    Raises:
        UsageError: a name that leads out of ``output``.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UsageError(f"a run's folder lies inside {Path(output)}, got the name {name!r}; choose another --output")
    return Path(output) / name


def first_network(plan: AnyPlan) -> nn.Module:
    """The network that a run begins with, once more: for one that was killed before its first checkpoint."""
    network: nn.Module = starting_network(plan.task, plan.recipe, plan.data.classes)[0]
    return network


def read_plan(folder: Path) -> AnyPlan:
    """The plan of the run in ``folder``.

    Raises:
        FileMissingError: there is none, or images of it are gone.
        TrainingError: it cannot be read.
        UnsafeFileError: the folder holds links, so that what is written into it could land elsewhere.
    """
    plan = read_plan_without_images(folder)
    gone = [sample.path for sample in plan.data.samples if not _is_file(sample.path)]
    if gone:
        raise FileMissingError(f"{gone[0]}: gone, with {len(gone) - 1} more of the run's images; bring them back first")
    return plan


def read_plan_without_images(folder: Path) -> AnyPlan:
    """The plan of the run in ``folder``, whose images may be gone: for what needs its network alone.

    Raises:
        FileMissingError: there is none.
        TrainingError: it cannot be read.
    """
    path = folder / PLAN
    if not path.is_file():
        raise FileMissingError(f"{folder}: holds no run; expected the folder of one, with a {PLAN}")
    refuse_links(folder)
    try:
        plain = json.loads(path.read_text("utf-8"))
        if plain["format_version"] != FORMAT_VERSION:
            raise TrainingError(f"{path}: of version {plain['format_version']}; this litevision reads {FORMAT_VERSION}")
        task = task_of(plain["task"])
        plan: AnyPlan = Plan(
            name=plain["name"],
            created=plain["created"],
            recipe=make_recipe(read_recipe(folder / RECIPE), origin=RECIPE, task=task),
            data=task.data_from_dict(plain["data"]),
            skipped=tuple(Skipped(**one) for one in plain["skipped"]),
            config=config_type(task.name, plain["network"].get("architecture")).from_json(json.dumps(plain["network"])),
            normalisation=_from_dict(Normalisation, plain["normalisation"]),
            start=None if plain["start"] is None else _from_dict(Weights, plain["start"]),
            fresh_head=plain.get("fresh_head", False),
            digests=tuple(map(str, plain.get("digests", ()))),
            adapted=tuple(Adapted(**one) for one in plain.get("adapted", ())),
        )
        if len(plan.digests) not in (0, len(plan.data.samples)):
            raise ValueError(f"{len(plan.digests)} digests of {len(plan.data.samples)} images")
        _require_labels(plan.data)
        return plan
    except TrainingError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, OSError) as error:
        raise TrainingError(f"{path}: cannot be read as the plan of a run ({reason_of(error)}); start anew") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _require_labels(data: Any) -> None:
    for sample in data.samples:
        labels = sample.labels if hasattr(sample, "labels") else np.array([sample.label])
        if labels.ndim != 1 or (labels.size and labels.dtype.kind != "i"):
            raise ValueError(f"the class of {sample.path} is no number")
        if labels.size and not 0 <= labels.min() <= labels.max() < len(data.classes):
            raise ValueError(f"{sample.path} is of class {labels.max()}, of {len(data.classes)}")


def _from_dict(kind: type[Any], plain: Any) -> Any:
    faults: list[str] = []
    found = from_dict(kind, plain, "", faults)
    if faults:
        raise ValueError("; ".join(faults))
    return found


def _skipped(issues: Sequence[Issue]) -> tuple[Skipped, ...]:
    return tuple(Skipped(str(issue.path), issue.rule, issue.detail) for issue in issues if issue.path)


def _require_judges(data: Any, recipe: Recipe) -> None:
    """Raises ``DataError`` where every image is learned from, and none is left to be judged by."""
    if "validation" in recipe.schedule.splits and not sum(data.counts("test")):
        raise DataError(
            f"{data.root}: no test images, and schedule.train_on = {recipe.schedule.train_on!r} leaves no others to "
            "measure a score on; add a test split, or train on train alone"
        )


def _require_variance(network: AnyNetwork, recipe: Recipe, images: int) -> None:
    """Raises `UsageError` where a batch of one image ends in maps of one cell: one number has no variance."""
    schedule = recipe.schedule
    if min(schedule.batch_size, images // recipe.run.devices) > 1:
        return
    probe = copy.deepcopy(network)
    head_alone = schedule.freeze_backbone_epochs >= schedule.epochs
    set_mode(probe, head_alone=head_alone, freeze_bn=recipe.optimizer.freeze_bn)
    try:
        with torch.no_grad():
            probe(torch.zeros(1, network.config.in_channels, *recipe.train_size_in(0)))
    except ValueError:
        height, width = recipe.train_size_in(0)
        few = "" if schedule.batch_size == 1 else f" ({images} training images fill no larger one)"
        raise UsageError(
            f"a batch of one image{few} at {height}x{width} leaves batch normalisation one number to learn a variance "
            "from; expected schedule.batch_size of 2 or more, a larger model.size_hw, or optimizer.freeze_bn = true"
        ) from None


def _with_passes(recipe: Recipe, images: int, network: Any) -> Recipe:
    """The recipe with one pass over each frozen epoch's images where their features cannot be kept."""
    keeps = recipe.keeps_features and recipe.run.devices == 1 and recipe.schedule.freeze_backbone_epochs > 0
    if keeps and 4 * images * network.endpoints[-1].channels <= recipe.run.cache_mb * 1_000_000:
        return recipe
    return replace(recipe, schedule=replace(recipe.schedule, frozen_passes=1))


def _resolved(recipe: Recipe) -> Recipe:
    resolve_device(recipe.run.device)  # for its faults alone
    if recipe.run.precision != "auto":
        return recipe
    large = min(recipe.train_size_hw) >= _MIN_BF16_PX
    precision: Precision = "bf16" if large and has_bf16(recipe.run.device) else "fp32"
    return replace(recipe, run=replace(recipe.run, precision=precision))
