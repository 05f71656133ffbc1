"""The interface of a task: all that training, evaluation, export and the command line ask for."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from torch import nn

    from litevision.data import Issue
    from litevision.evaluation.agreement import Agreement
    from litevision.exporting.graph import FromRaw
    from litevision.runtime import Bundle, BundleMetadata, Check, Normalisation
    from litevision.runtime.metadata import Task as TaskName
    from litevision.tasks.report import CardSections, MainScore, Rows, ScoreCurve, ScoreSheet
    from litevision.training.batches import Images
    from litevision.training.image_cache import ImageStores
    from litevision.training.loop import Objective
    from litevision.training.plan import Plan
    from litevision.training.recipe import Recipe

OnResults = Callable[[Sequence[Any]], None]
"""Is given each few results as they come."""


class TrainableData(NamedTuple):
    """Data that a run can be trained on.

    Attributes:
        data: with the images that can be used.
        issues: what is wrong with the others, and with their labels.
        excluded: images that the recipe leaves out.
    """

    data: Any
    issues: tuple["Issue", ...]
    excluded: tuple[Path, ...] = ()


class TrainingSetup(NamedTuple):
    """What a task gives the training loop.

    Attributes:
        objective: the loss of a batch, and the validation score.
        images: the training images.
        chances: of each to be drawn, in proportion; None where an epoch shows each once.
    """

    objective: "Objective"
    images: "Images"
    chances: Sequence[float] | None = None


class Task(ABC):
    """One task. Its methods import what they need when they are called: some run without torch.

    Attributes:
        name: as bundles, plans and results have it.
        verb: the command that uses its models.
        counted: what of the data is counted by class.
        head_name: what of a network begins from scratch where weights fill the backbone alone.
        head_name_short: the same in a progress bar.
        data_name: its data, in words.
        main_score: the one figure by which models of this task are compared.
    """

    name: ClassVar["TaskName"]
    verb: ClassVar[str]
    counted: ClassVar[str]
    head_name: ClassVar[str]
    head_name_short: ClassVar[str]
    data_name: ClassVar[str]
    main_score: ClassVar["MainScore"]

    # Data

    @abstractmethod
    def read(self, path: Path) -> Any:
        """The labelled data at ``path``, to score a model on.

        Raises:
            DataError: no labels of this task, or damaged ones.
        """

    @abstractmethod
    def read_trainable(self, path: Path, recipe: "Recipe") -> TrainableData:
        """The labelled data at ``path``, checked for training.

        Raises:
            DataError: data that cannot be trained on.
            UsageError: options of ``recipe`` that do not fit this task or data.
        """

    @abstractmethod
    def data_to_dict(self, data: Any) -> dict[str, Any]:
        """The data as plain JSON values."""

    @abstractmethod
    def data_from_dict(self, record: Mapping[str, Any]) -> Any:
        """The inverse of `data_to_dict`; raises KeyError, TypeError or ValueError for anything else."""

    @abstractmethod
    def truth(self, sample: Any, classes: Sequence[str]) -> Any:
        """What is labelled in an image of ``classes``, to be compared by ``==``, whatever the order of the classes."""

    # Recipe and network

    @property
    @abstractmethod
    def recipe(self) -> type["Recipe"]:
        """The recipe's type, with the tables that only this task has."""

    @property
    def defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """Tables laid over the recipe's defaults."""
        return {}

    @property
    def fresh_defaults(self) -> Mapping[str, Mapping[str, Any]]:
        """Tables laid over `defaults` for a network that is trained from scratch (``model.weights = "none"``)."""
        return {}

    @property
    @abstractmethod
    def config(self) -> Any:
        """The type of the networks' configuration."""

    @abstractmethod
    def network(self, backbone: Any, recipe: "Recipe", num_classes: int) -> "nn.Module":
        """The network to train on top of ``backbone``, a classifier whose weights are in place."""

    def named_config(self, name: str, num_classes: int, in_channels: int) -> Any:
        """The configuration of a network of this task with a name of its own; None where ``name`` is a backbone's."""
        return None

    def better_start(self, name: str | None, stated: Collection[str]) -> str | None:
        """The weight set that training should start from rather than from the network's default one.

        Args:
            name: of the network; None where nobody stated one, and the set may decide.
            stated: the options that somebody stated, as ``table.key``.
        """
        return None

    def inherited_options(self, config: Any) -> dict[str, dict[str, Any]]:
        """Tables of a recipe that follow from a network of this task to go on from, beside its backbone."""
        return {}

    # Training

    @abstractmethod
    def read_for_training(self, plan: "Plan[Any, Any]") -> Callable[[Path], Any]:
        """What reads a training image, as it is cached: ``uint8[H, W, 3]``."""

    @abstractmethod
    def set_up(self, plan: "Plan[Any, Any]", stores: "ImageStores") -> TrainingSetup:
        """Objective and images of a run."""

    @abstractmethod
    def image_options_in_words(self, recipe: "Recipe") -> str:
        """What is done to training images, in words."""

    @abstractmethod
    def epoch_in_words(self, record: Mapping[str, Any]) -> str:
        """The validation score in an epoch's record, in words."""

    def warnings(self, data: Any, recipe: "Recipe") -> Sequence[str]:
        """What of the data does not go with the recipe and will cost score, a sentence each."""
        return ()

    def loss_options_in_words(self, recipe: "Recipe") -> str:
        """What of the loss is worth a word; empty for nothing."""
        return ""

    def start_in_words(self, recipe: "Recipe") -> str:
        """What stands on the backbone, to be followed by its name; empty for nothing."""
        return ""

    # Export

    def refuse_to_export(  # noqa: B027  # by default every network can be exported
        self, network: "nn.Module", preprocess: Any, options: Mapping[str, Any]
    ) -> None:
        """Raises `UsageError` for a network of which no bundle can be made."""

    @abstractmethod
    def raw_network(self, network: Any, normalisation: "Normalisation", options: Mapping[str, Any]) -> "FromRaw":
        """``network`` from raw images to results, as a module to be exported."""

    @abstractmethod
    def check_bundle(
        self, path: Path, network: "nn.Module", normalisation: "Normalisation", check_images: Sequence[Any]
    ) -> "Check":
        """Compares the bundle at ``path`` with ``network`` on real images.

        Raises:
            ExportError: they differ by more than rounding.
        """

    @abstractmethod
    def compare_bundles(self, expected: "Bundle", got: "Bundle", images: Sequence[Any], tolerance: float) -> "Check":
        """Compares what was made of a bundle with it on real images; raises `ExportError` where they disagree."""

    def export_options(self, recipe: "Recipe") -> dict[str, Any]:
        """The options of the graph that a recipe decides."""
        return {}

    # Evaluation

    def require_scoring(self) -> None:  # noqa: B027  # by default nothing more is needed
        """Raises `MissingExtraError` where what scores this task is not installed."""

    @abstractmethod
    def open(self, bundle: "Bundle") -> Any:
        """The predictor of a bundle of this task."""

    @abstractmethod
    def evaluate(
        self,
        predictor: Any,
        samples: Sequence[Any],
        classes: Sequence[str],
        *,
        split: str,
        on_results: OnResults | None = None,
    ) -> Any:
        """What ``predictor`` answers to labelled ``samples``."""

    @abstractmethod
    def scores(self, evaluation: Any) -> Any:
        """How good the answers are.

        Raises:
            UsageError: no images.
        """

    @abstractmethod
    def unlabelled(self, paths: Sequence[Path]) -> Sequence[Any]:
        """Images of which nothing is known, as samples that `evaluate` takes."""

    @abstractmethod
    def agreement(self, before: Any, after: Any, metadata: "BundleMetadata") -> "Agreement":
        """How far two evaluations of the same images have the same answers."""

    @abstractmethod
    def bundle_score(self, scores: Any, dataset: str, size_hw: tuple[int, int], measured_by: str) -> Any:
        """The score that a bundle's metadata carries."""

    @abstractmethod
    def score_sheet(self, data: Any, evaluation: Any, scores: Any) -> "ScoreSheet":
        """The scores as a person reads them."""

    # What a run leaves

    @abstractmethod
    def learned_nothing(self, evaluation: Any, scores: Any) -> str:
        """What the answers to validation images have in common with those of a model that knows nothing, in words.

        Empty where they are better.
        """

    @abstractmethod
    def chosen_on(self, evaluation: Any, dataset: str) -> dict[str, Any]:
        """Fields of the bundle's metadata that validation images choose; ``dataset`` names these."""

    def describe_chosen(self, evaluation: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Entries of ``results.json`` on what was chosen, and what comes of it on the images of ``evaluation``."""
        return {}

    def describe_data(self, data: Any) -> dict[str, Any]:
        """Entries of ``results.json``'s ``data`` that only this task has."""
        return {}

    def describe_config(self, config: Any) -> dict[str, Any]:
        """Entries of ``results.json``'s ``network`` that only this task has."""
        return {}

    @abstractmethod
    def class_rows(self, results: Mapping[str, Any], split: str) -> "Rows":
        """The content of ``classes.csv``; without a score of ``split`` the header alone."""

    @abstractmethod
    def score_sentence(self, split: str, scores: Mapping[str, Any]) -> str:
        """The score of a split as sentences: how much was measured, and what the figure means."""

    @abstractmethod
    def score_line(self, split: str, scores: Mapping[str, Any]) -> str:
        """The score of a split in one line."""

    @abstractmethod
    def card_sections(self, results: Mapping[str, Any], seeds: Sequence[Mapping[str, Any]] = ()) -> "CardSections":
        """What of the model card differs by task."""

    @property
    @abstractmethod
    def score_curve(self) -> "ScoreCurve":
        """The plot of the validation score, epoch by epoch."""

    @abstractmethod
    def report_parts(
        self, plan: "Plan[Any, Any]", network: Any, results: Mapping[str, Any], evaluations: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the report's template of this task is filled with."""
