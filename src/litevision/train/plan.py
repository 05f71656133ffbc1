"""A run before it begins: its data, its network and its recipe, checked, and the file that a resumed run reads."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from litevision.cache import replacing
from litevision.data import Fault, LabelledPictures, Sample, quick_scan, read_labelled
from litevision.errors import DataError, FileMissingError, TrainingError
from litevision.export.defaults import NORMALISATIONS, describe
from litevision.image import Preprocess
from litevision.models.config import NetworkConfig
from litevision.models.factory import build, configure
from litevision.models.network import Network
from litevision.runtime import Normalisation, Weights
from litevision.runtime.records import from_plain, to_plain
from litevision.train.process import has_bf16
from litevision.train.recipe import Recipe
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


@dataclass(frozen=True)
class Plan:
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
    data: LabelledPictures
    skipped: tuple[Skipped, ...]
    config: NetworkConfig
    normalisation: Normalisation
    start: Weights | None

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
        samples = [[str(sample.path), sample.label, sample.split] for sample in self.data.samples]
        data = {"root": str(self.data.root), "classes": self.data.classes, "made_splits": self.data.made_splits}
        plain = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "created": self.created,
            "data": {**data, "samples": samples},
            "skipped": [asdict(one) for one in self.skipped],
            "network": self.config.to_record(),
            "normalisation": to_plain(self.normalisation),
            "start": None if self.start is None else to_plain(self.start),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RECIPE).write_text(recipe_toml(self.recipe), "utf-8")
            with replacing(folder / PLAN) as partial:
                partial.write_text(json.dumps(plain), "utf-8")
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be written ({error.strerror}); give another --output") from None


def read_plan(folder: Path) -> Plan:
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
        data = plain["data"]
        samples = tuple(Sample(Path(file), label, split) for file, label, split in data["samples"])
        plan = Plan(
            name=plain["name"],
            created=plain["created"],
            recipe=make_recipe(read_recipe(folder / RECIPE), origin=RECIPE),
            data=LabelledPictures(Path(data["root"]), tuple(data["classes"]), samples, data["made_splits"]),
            skipped=tuple(Skipped(**one) for one in plain["skipped"]),
            config=NetworkConfig.from_json(json.dumps(plain["network"])),
            normalisation=_record(Normalisation, plain["normalisation"]),
            start=None if plain["start"] is None else _record(Weights, plain["start"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read as the plan of a run ({error}); start anew") from None
    gone = [sample.path for sample in plan.data.samples if not sample.path.is_file()]
    if gone:
        raise FileMissingError(
            f"{gone[0]}: gone, with {len(gone) - 1} more of the run's pictures; bring them back first"
        )
    return plan


def make_plan(path: Path, recipe: Recipe, name: str) -> tuple[Plan, Network, tuple[Fault, ...]]:
    """Reads and scans the data, and fills the network; everything that can be wrong is found here.

    Args:
        path: a folder of labelled pictures, or a CSV.
        recipe: what to do with them.
        name: of the run.

    Raises:
        DataError: data that cannot be trained on.
        UsageError: a teacher of other classes.
        WeightsError: weights that cannot be used.
    """
    data, faults = quick_scan(read_labelled(path.absolute()))
    _require_trainable(data, len(faults))
    recipe = _resolved(recipe)
    network, normalisation, start = _network(recipe, data.classes)
    if recipe.loss.teacher != "none":
        open_teacher(recipe.loss.teacher, data.classes)  # for its faults alone
    plan = Plan(
        name=name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe,
        data=data,
        skipped=tuple(Skipped(str(fault.path), fault.rule, fault.detail) for fault in faults if fault.path),
        config=network.config,
        normalisation=normalisation,
        start=start,
    )
    return plan, network, faults


def first_network(plan: Plan) -> Network:
    """The network that a run begins with, once more: for one that was killed before its first checkpoint."""
    network, _, _ = _network(plan.recipe, plan.data.classes)
    return network


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
