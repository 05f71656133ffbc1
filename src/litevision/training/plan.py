"""A run before it begins: its data, its network and its recipe, checked."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litevision.data import Issue, LabelledBoxes, LabelledImages, is_detection, quick_scan, read_labelled
from litevision.errors import DataError, UsageError
from litevision.exporting.defaults import NORMALISATIONS, describe
from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.models.factory import build, configure
from litevision.models.network import Network
from litevision.runtime import Normalisation, Weights
from litevision.runtime.metadata import Task
from litevision.training.detection.data import read_trainable
from litevision.training.detection.options import Detection
from litevision.training.optimise import Trainable
from litevision.training.plan_record import (
    PLAN,
    RECIPE,
    AnyPlan,
    ClassificationPlan,
    DetectionPlan,
    Plan,
    Skipped,
    read_plan,
)
from litevision.training.process import has_bf16
from litevision.training.recipe import Augment, Loss, Recipe
from litevision.training.teacher import open_teacher
from litevision.weights.load import load_weights

__all__ = [
    "PLAN",
    "RECIPE",
    "AnyPlan",
    "ClassificationPlan",
    "DetectionPlan",
    "Plan",
    "Skipped",
    "first_network",
    "make_plan",
    "read_plan",
]

_MIN_BF16_PX = 128  # smaller images gain less from bf16 than its conversions cost


def make_plan(path: Path, recipe: Recipe, name: str) -> tuple[AnyPlan, Trainable, tuple[Issue, ...]]:
    """Reads and scans the data, and fills the network; everything that can be wrong is found here.

    Args:
        path: a folder of labelled images, or a CSV; or images with boxes, in any form that can be read.
        recipe: what to do with them.
        name: of the run.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a teacher of other classes, or an option that another task has.
        WeightsError: weights that cannot be used.
    """
    recipe = _resolved(recipe)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if is_detection(path):
        _refuse_options_of("classification", recipe)
        boxes, faults, excluded = read_trainable(path.absolute(), recipe.detection.exclude)
        _require_judges(boxes, recipe)
        skipped = (*_skipped(faults), *(Skipped(str(one), "excluded", "by the recipe") for one in excluded))
        detector, start = _detector(recipe, boxes.classes)
        plan = DetectionPlan(name, created, recipe, boxes, skipped, detector.config, *start)
        return plan, detector, faults
    _refuse_options_of("detection", recipe)
    data, faults = quick_scan(read_labelled(path.absolute()))
    _require_trainable(data, len(faults))
    _require_judges(data, recipe)
    network, start = _network(recipe, data.classes)
    if recipe.loss.teacher != "none":
        open_teacher(recipe.loss.teacher, data.classes)  # for its faults alone
    skipped = _skipped(faults)
    return (
        ClassificationPlan(name, created, recipe, data, skipped, network.config, *start),
        network,
        faults,
    )


def first_network(plan: AnyPlan) -> Trainable:
    """The network that a run begins with, once more: for one that was killed before its first checkpoint."""
    make = _detector if plan.task == "detection" else _network
    return make(plan.recipe, plan.data.classes)[0]


def _skipped(faults: Sequence[Issue]) -> tuple[Skipped, ...]:
    return tuple(Skipped(str(fault.path), fault.rule, fault.detail) for fault in faults if fault.path)


def _refuse_options_of(task: Task, recipe: Recipe) -> None:
    """Raises ``UsageError`` for options that would change nothing, because ``task`` is not what is learned."""
    tables: dict[str, tuple[Any, Any]] = (
        {"detection": (recipe.detection, Detection())}
        if task == "detection"
        else {"augment": (recipe.augment, Augment()), "loss": (recipe.loss, Loss())}
    )
    changed = [
        f"{table}.{key.name}"
        for table, (given, default) in tables.items()
        for key in fields(default)
        if getattr(given, key.name) != getattr(default, key.name)
    ]
    if changed:
        other = "images with boxes, whose own options are in [detection]" if task != "detection" else "labelled images"
        raise UsageError(f"{changed[0]} is an option of {task}, and these are {other}; leave it out")
    if task == "classification" and recipe.model.crop == "center":
        raise UsageError('the crop \'center\' cuts objects off; expected model.crop = "letterbox" or "stretch"')


def _require_trainable(data: LabelledImages, skipped: int) -> None:
    left_out = f"; {skipped} could not be read ('litevision check-data' names them)" if skipped else ""
    if len(data.classes) < 2:
        raise DataError(f"{data.root}: {len(data.classes)} class; expected at least 2, a folder each{left_out}")
    empty = [name for name, count in zip(data.classes, data.counts("train"), strict=True) if not count]
    if empty:
        raise DataError(f"{data.root}: no training images of {', '.join(empty[:5])}; add some, or remove it{left_out}")
    if not data.of("validation"):
        raise DataError(f"{data.root}: no validation images; add some, or more images to split{left_out}")


def _require_judges(data: LabelledImages | LabelledBoxes, recipe: Recipe) -> None:
    """Raises ``DataError`` where every image is learned from, and none is left to be judged by."""
    if not recipe.schedule.chooses and not sum(data.counts("test")):
        raise DataError(
            f"{data.root}: no test images, and schedule.train_on = {recipe.schedule.train_on!r} leaves no others to "
            "measure a score on; add a test split, or train on train alone"
        )


def _resolved(recipe: Recipe) -> Recipe:
    if recipe.run.precision != "auto":
        return recipe
    large = min(recipe.train_size_hw) >= _MIN_BF16_PX
    return replace(recipe, run=replace(recipe.run, precision="bf16" if large and has_bf16() else "fp32"))


class _Start(NamedTuple):
    """What a network begins with; the last fields of a `Plan`."""

    normalisation: Normalisation
    weights: Weights | None
    fresh_head: bool


def _network(recipe: Recipe, classes: tuple[str, ...]) -> tuple[Network, _Start]:
    model, card = recipe.model, recipe.card
    dialect = None if model.dialect == "auto" else model.dialect
    torch.manual_seed(recipe.run.seed)
    if model.weights == "none":
        config = configure(model.name, width_mult=model.width, dialect=dialect)
        network = build(replace(config, num_classes=len(classes), dropout=model.dropout))
        normalisation = NORMALISATIONS["imagenet" if model.normalisation == "auto" else model.normalisation]
        return network, _Start(normalisation, None, fresh_head=False)
    width = None if model.width == 1.0 else model.width
    loaded = load_weights(
        model.weights,
        model.name,
        dialect=dialect,
        width_mult=width,
        num_classes=len(classes),
        reset_classifier=True,
    )
    wanted = None if model.normalisation == "auto" else model.normalisation
    described = describe(loaded, labels=classes, normalisation=wanted)
    network = build(replace(loaded.network.config, dropout=model.dropout))
    network.load_state_dict(loaded.network.state_dict())
    known = described["weights"]
    weights = replace(
        known,
        provenance=known.provenance if card.weights == "auto" else card.weights,
        licence=known.licence if card.weights_licence == "auto" else card.weights_licence,
    )
    return network, _Start(described["normalisation"], weights, fresh_head=bool(loaded.applied.reset))


def _detector(recipe: Recipe, classes: tuple[str, ...]) -> tuple[CenterNet, _Start]:
    """A detector on the backbone of the recipe's network; its neck and heads begin fresh."""
    network, start = _network(recipe, classes)
    options = recipe.detection
    torch.manual_seed(recipe.run.seed)
    detector = CenterNet(
        CenterNetConfig(
            network.config,
            len(classes),
            neck=options.neck,
            neck_channels=options.neck_channels or None,
            head_channels=None if options.head_channels < 0 else options.head_channels,
        )
    )
    detector.take_backbone(network)
    return detector, start._replace(fresh_head=start.weights is not None)
