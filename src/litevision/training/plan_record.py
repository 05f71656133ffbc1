"""What is planned for a run, and the file that a resumed run reads it from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from litevision.data import LabelledBoxes, LabelledImages, Sample
from litevision.errors import FileMissingError, TrainingError
from litevision.files import atomic_write, refuse_links
from litevision.image import Preprocess
from litevision.models.centernet import CenterNetConfig
from litevision.models.config import NetworkConfig
from litevision.runtime import Normalisation, Weights
from litevision.runtime.metadata import Task
from litevision.runtime.records import from_dict, to_dict
from litevision.training.detection.data import boxes_from_record, boxes_record
from litevision.training.recipe import Recipe
from litevision.training.recipe_file import make_recipe, read_recipe, recipe_toml

PLAN, RECIPE = "plan.json", "recipe.toml"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that is left out, by what rule and why."""

    path: str
    rule: str
    detail: str


Data = TypeVar("Data", bound=LabelledImages | LabelledBoxes)
Config = TypeVar("Config", bound=NetworkConfig | CenterNetConfig)


@dataclass(frozen=True)
class Plan(Generic[Data, Config]):
    """Everything that a run begins with.

    Attributes:
        name: the run's name.
        created: when it was planned, ISO 8601.
        recipe: with every choice made that was left to the machine.
        data: the images that can be read.
        skipped: those that cannot.
        config: the network.
        normalisation: what its graph does to an image.
        start: where its first weights come from; None for a fresh start.
        fresh_head: whether these fill the backbone alone, and the classifier, or neck and heads, begin fresh.
    """

    name: str
    created: str
    recipe: Recipe
    data: Data
    skipped: tuple[Skipped, ...]
    config: Config
    normalisation: Normalisation
    start: Weights | None
    fresh_head: bool = False

    @property
    def task(self) -> Task:
        """What is learned."""
        return "detection" if isinstance(self.config, CenterNetConfig) else "classification"

    @property
    def backbone(self) -> NetworkConfig:
        """The network, or the one whose backbone a detector stands on."""
        return self.config.backbone if isinstance(self.config, CenterNetConfig) else self.config

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
        plain = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "created": self.created,
            "task": self.task,
            "data": boxes_record(self.data) if isinstance(self.data, LabelledBoxes) else _images_record(self.data),
            "skipped": [asdict(one) for one in self.skipped],
            "network": self.config.to_dict(),
            "normalisation": to_dict(self.normalisation),
            "start": None if self.start is None else to_dict(self.start),
            "fresh_head": self.fresh_head,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            refuse_links(folder)
            with atomic_write(folder / RECIPE) as partial:
                partial.write_text(recipe_toml(self.recipe, self.task), "utf-8")
            with atomic_write(folder / PLAN) as partial:
                partial.write_text(json.dumps(plain), "utf-8")
        except OSError as error:
            raise TrainingError(f"{folder}: cannot be written ({error.strerror}); give another --output") from None


class ClassificationPlan(Plan[LabelledImages, NetworkConfig]):
    """The plan of a classifier."""


class DetectionPlan(Plan[LabelledBoxes, CenterNetConfig]):
    """The plan of a detector."""


AnyPlan = ClassificationPlan | DetectionPlan


def read_plan(folder: Path) -> AnyPlan:
    """The plan of the run in ``folder``.

    Raises:
        FileMissingError: there is none, or images of it are gone.
        TrainingError: it cannot be read.
        UnsafeFileError: the folder holds links, so that what is written into it could land elsewhere.
    """
    path = folder / PLAN
    if not path.is_file():
        raise FileMissingError(f"{folder}: holds no run; expected the folder of one, with a {PLAN}")
    refuse_links(folder)
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
            "fresh_head": plain.get("fresh_head", False),
        }
        network = json.dumps(plain["network"])
        plan: AnyPlan
        if plain.get("task") == "detection":
            plan = DetectionPlan(
                data=boxes_from_record(plain["data"]), config=CenterNetConfig.from_json(network), **common
            )
        else:
            plan = ClassificationPlan(data=_images_of(plain["data"]), config=NetworkConfig.from_json(network), **common)
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: cannot be read as the plan of a run ({error}); start anew") from None
    gone = [sample.path for sample in plan.data.samples if not sample.path.is_file()]
    if gone:
        raise FileMissingError(f"{gone[0]}: gone, with {len(gone) - 1} more of the run's images; bring them back first")
    return plan


def _images_record(data: LabelledImages) -> dict[str, Any]:
    samples = [[str(sample.path), sample.label, sample.split] for sample in data.samples]
    return {
        "root": str(data.root),
        "classes": data.classes,
        "made_splits": data.made_splits,
        "samples": samples,
    }


def _images_of(record: Mapping[str, Any]) -> LabelledImages:
    samples = tuple(Sample(Path(file), label, split) for file, label, split in record["samples"])
    return LabelledImages(Path(record["root"]), tuple(record["classes"]), samples, record["made_splits"])


def _record(kind: type[Any], plain: Any) -> Any:
    faults: list[str] = []
    found = from_dict(kind, plain, "", faults)
    if faults:
        raise ValueError("; ".join(faults))
    return found
