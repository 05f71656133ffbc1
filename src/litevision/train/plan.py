"""A run before it begins: its data, its network and its recipe, checked, and the file that a resumed run reads."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from litevision.cache import replacing
from litevision.data import Fault, LabelledBoxes, LabelledPictures, Sample, is_detection, quick_scan, read_labelled
from litevision.errors import DataError, FileMissingError, TrainingError, UsageError
from litevision.export.defaults import NORMALISATIONS, describe
from litevision.image import Preprocess
from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.models.factory import build, configure
from litevision.models.network import Network
from litevision.runtime import Normalisation, Weights
from litevision.runtime.metadata import Task
from litevision.runtime.records import from_plain, to_plain
from litevision.train.detection.data import boxes_from_record, boxes_record, read_trainable
from litevision.train.detection.options import Detection
from litevision.train.optimise import Trainable
from litevision.train.process import has_bf16
from litevision.train.recipe import Augment, Loss, Recipe
from litevision.train.recipe_file import make_recipe, read_recipe, recipe_toml
from litevision.train.teacher import open_teacher
from litevision.weights.load import load_weights

PLAN, RECIPE = "plan.json", "recipe.toml"
FORMAT_VERSION = 1
_MIN_BF16_PX = 128  # smaller pictures gain less from bf16 than its conversions cost


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that is left out, by what rule and why."""

    path: str
    rule: str
    detail: str


Data = TypeVar("Data", bound=LabelledPictures | LabelledBoxes)
Config = TypeVar("Config", bound=NetworkConfig | CenterNetConfig)


@dataclass(frozen=True)
class Plan(Generic[Data, Config]):
    """Everything that a run begins with.

    Attributes:
        name: the run's name.
        created: when it was planned, ISO 8601.
        recipe: with every choice made that was left to the machine.
        data: the pictures that can be read.
        skipped: those that cannot.
        config: the network.
        normalisation: what its graph does to a picture.
        start: where its first weights come from; None for a fresh start.
    """

    name: str
    created: str
    recipe: Recipe
    data: Data
    skipped: tuple[Skipped, ...]
    config: Config
    normalisation: Normalisation
    start: Weights | None

    @property
    def task(self) -> Task:
        """What is learned."""
        return "detection" if isinstance(self.config, CenterNetConfig) else "classification"

    @property
    def trunk(self) -> NetworkConfig:
        """The network, or the one whose trunk a detector stands on."""
        return self.config.backbone if isinstance(self.config, CenterNetConfig) else self.config

    @property
    def preprocess(self) -> Preprocess:
        """What makes the finished model's input of a picture."""
        model = self.recipe.model
        return Preprocess(model.size_hw, round(min(model.size_hw) / model.crop_fraction), model.crop, "bilinear")

    def write(self, folder: Path) -> None:
        """Writes the plan and the recipe into the run's folder, which is made.

        Raises:
            TrainingError: a folder that holds a run already, or cannot be written.
        """
        if (folder / PLAN).exists():
            raise TrainingError(
                f"{folder}: holds a run already; choose another --name, or go on with --resume {folder}"
            )
        plain = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "created": self.created,
            "task": self.task,
            "data": boxes_record(self.data) if isinstance(self.data, LabelledBoxes) else _pictures_record(self.data),
            "skipped": [asdict(one) for one in self.skipped],
            "network": self.config.to_record(),
            "normalisation": to_plain(self.normalisation),
            "start": None if self.start is None else to_plain(self.start),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RECIPE).write_text(recipe_toml(self.recipe, self.task), "utf-8")
            with replacing(folder / PLAN) as partial:
                partial.write_text(json.dumps(plain), "utf-8")
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be written ({error.strerror}); give another --output") from None


class ClassificationPlan(Plan[LabelledPictures, NetworkConfig]):
    """The plan of a classifier."""


class DetectionPlan(Plan[LabelledBoxes, CenterNetConfig]):
    """The plan of a detector."""


AnyPlan = ClassificationPlan | DetectionPlan


def read_plan(folder: Path) -> AnyPlan:
    """The plan of the run in ``folder``.

    Raises:
        FileMissingError: there is none, or pictures of it are gone.
        TrainingError: it cannot be read.
    """
    path = folder / PLAN
    if not path.is_file():
        raise FileMissingError(f"{folder}: holds no run; expected the folder of one, with a {PLAN}")
    try:
        plain = json.loads(path.read_text("utf-8"))
        if plain["format_version"] != FORMAT_VERSION:
            raise TrainingError(f"{path}: of version {plain['format_version']}; this litevision reads {FORMAT_VERSION}")
        common = {
            "name": plain["name"],
            "created": plain["created"],
            "recipe": make_recipe(read_recipe(folder / RECIPE), origin=RECIPE),
            "skipped": tuple(Skipped(**one) for one in plain["skipped"]),
            "normalisation": _record(Normalisation, plain["normalisation"]),
            "start": None if plain["start"] is None else _record(Weights, plain["start"]),
        }
        network = json.dumps(plain["network"])
        plan: AnyPlan
        if plain.get("task") == "detection":
            plan = DetectionPlan(
                data=boxes_from_record(plain["data"]), config=CenterNetConfig.from_json(network), **common
            )
        else:
            plan = ClassificationPlan(
                data=_pictures_of(plain["data"]), config=NetworkConfig.from_json(network), **common
            )
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read as the plan of a run ({error}); start anew") from None
    gone = [sample.path for sample in plan.data.samples if not sample.path.is_file()]
    if gone:
        raise FileMissingError(
            f"{gone[0]}: gone, with {len(gone) - 1} more of the run's pictures; bring them back first"
        )
    return plan


def make_plan(path: Path, recipe: Recipe, name: str) -> tuple[AnyPlan, Trainable, tuple[Fault, ...]]:
    """Reads and scans the data, and fills the network; everything that can be wrong is found here.

    Args:
        path: a folder of labelled pictures, or a CSV; or pictures with boxes, in any form that can be read.
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
        skipped = (*_skipped(faults), *(Skipped(str(one), "excluded", "by the recipe") for one in excluded))
        detector, normalisation, start = _detector(recipe, boxes.classes)
        plan = DetectionPlan(name, created, recipe, boxes, skipped, detector.config, normalisation, start)
        return plan, detector, faults
    _refuse_options_of("detection", recipe)
    data, faults = quick_scan(read_labelled(path.absolute()))
    _require_trainable(data, len(faults))
    network, normalisation, start = _network(recipe, data.classes)
    if recipe.loss.teacher != "none":
        open_teacher(recipe.loss.teacher, data.classes)  # for its faults alone
    skipped = _skipped(faults)
    return (
        ClassificationPlan(name, created, recipe, data, skipped, network.config, normalisation, start),
        network,
        faults,
    )


def first_network(plan: AnyPlan) -> Trainable:
    """The network that a run begins with, once more: for one that was killed before its first checkpoint."""
    make = _detector if plan.task == "detection" else _network
    return make(plan.recipe, plan.data.classes)[0]


def _skipped(faults: Sequence[Fault]) -> tuple[Skipped, ...]:
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
        other = (
            "pictures with boxes, whose own options are in [detection]" if task != "detection" else "labelled pictures"
        )
        raise UsageError(f"{changed[0]} is an option of {task}, and these are {other}; leave it out")
    if task == "classification" and recipe.model.crop == "center":
        raise UsageError('the crop \'center\' cuts objects off; expected model.crop = "letterbox" or "stretch"')


def _pictures_record(data: LabelledPictures) -> dict[str, Any]:
    samples = [[str(sample.path), sample.label, sample.split] for sample in data.samples]
    return {
        "root": str(data.root),
        "classes": data.classes,
        "made_splits": data.made_splits,
        "samples": samples,
    }


def _pictures_of(record: Mapping[str, Any]) -> LabelledPictures:
    samples = tuple(Sample(Path(file), label, split) for file, label, split in record["samples"])
    return LabelledPictures(Path(record["root"]), tuple(record["classes"]), samples, record["made_splits"])


def _require_trainable(data: LabelledPictures, skipped: int) -> None:
    left_out = f"; {skipped} could not be read ('litevision check-data' names them)" if skipped else ""
    if len(data.classes) < 2:
        raise DataError(f"{data.root}: {len(data.classes)} class; expected at least 2, a folder each{left_out}")
    empty = [name for name, count in zip(data.classes, data.counts("train"), strict=True) if not count]
    if empty:
        raise DataError(
            f"{data.root}: no training pictures of {', '.join(empty[:5])}; add some, or remove it{left_out}"
        )
    if not data.of("validation"):
        raise DataError(f"{data.root}: no validation pictures; add some, or more pictures to split{left_out}")


def _resolved(recipe: Recipe) -> Recipe:
    if recipe.run.precision != "auto":
        return recipe
    large = min(recipe.train_size_hw) >= _MIN_BF16_PX
    return replace(recipe, run=replace(recipe.run, precision="bf16" if large and has_bf16() else "fp32"))


def _network(recipe: Recipe, classes: tuple[str, ...]) -> tuple[Network, Normalisation, Weights | None]:
    model, card = recipe.model, recipe.card
    torch.manual_seed(recipe.run.seed)
    if model.weights == "none":
        config = configure(model.name, width_mult=model.width)
        network = build(replace(config, num_classes=len(classes), dropout=model.dropout))
        return network, NORMALISATIONS["imagenet" if model.normalisation == "auto" else model.normalisation], None
    width = None if model.width == 1.0 else model.width
    loaded = load_weights(model.weights, model.name, width_mult=width, num_classes=len(classes), reset_classifier=True)
    wanted = None if model.normalisation == "auto" else model.normalisation
    described = describe(loaded, labels=classes, normalisation=wanted)
    network = build(replace(loaded.network.config, dropout=model.dropout))
    network.load_state_dict(loaded.network.state_dict())
    known = described["weights"]
    start = replace(
        known,
        provenance=known.provenance if card.weights == "auto" else card.weights,
        licence=known.licence if card.weights_licence == "auto" else card.weights_licence,
    )
    return network, described["normalisation"], start


def _detector(recipe: Recipe, classes: tuple[str, ...]) -> tuple[CenterNet, Normalisation, Weights | None]:
    """A detector on the trunk of the recipe's network; its neck and heads begin fresh."""
    network, normalisation, start = _network(recipe, classes)
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
    detector.take_trunk(network)
    return detector, normalisation, start


def _record(kind: type[Any], plain: Any) -> Any:
    faults: list[str] = []
    found = from_plain(kind, plain, "", faults)
    if faults:
        raise ValueError("; ".join(faults))
    return found


def sha256_of(path: Path) -> str:
    """The file's digest, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
