"""Metadata of bundles: the JSON under the key ``litevision`` in the metadata of an ONNX file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError, reason_of
from litevision.image import Preprocess
from litevision.runtime.schema import FORMERLY, OPTIONAL, REST, from_dict, to_dict
from litevision.runtime.suppression import Suppression

METADATA_KEY = "litevision"
ADOPTED = "adopted"
"""The dialect of an architecture that is a graph of another making, which can be run, and not built anew."""
FORMAT_VERSION = 1

Task = Literal["classification", "detection"]
Activation = Literal["softmax", "sigmoid"]

_REMEDY = "Make the bundle again with 'litevision export'."


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Normalisation inside the graph, for information: ``(pixel / 255 - mean) / std`` per channel, RGB."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


GREY = (0.299, 0.587, 0.114)
"""What a grey value has of red, green and blue: ITU-R BT.601, as Pillow's mode L."""

NORMALISATIONS = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""By name: ImageNet's mean and deviation; [-1, 1]; [0, 1]."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network that was exported; ``arguments`` are those of its family alone."""

    name: str
    dialect: str
    width_mult: float
    num_classes: int
    arguments: Mapping[str, Any] = field(default_factory=dict, metadata=REST)


@dataclass(frozen=True, slots=True)
class Weights:
    """Provenance of the weights; ``sha256`` is that of the file that was read."""

    name: str
    provenance: str
    licence: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Score:
    """A classifier's score, measured on ``count`` images of ``dataset``; ``top1`` and ``top5`` in percent."""

    top1: float
    top5: float
    dataset: str
    count: int
    size_hw: tuple[int, int]
    measured_by: str


@dataclass(frozen=True, slots=True)
class DetectionScore:
    """A detector's score, measured on ``count`` images of ``dataset``; COCO's average precisions, in [0, 1].

    Attributes:
        ap: mean over the overlaps 0.50, 0.55, ... 0.95 and the classes.
        ap50: where an overlap (IoU) of 0.5 is enough.
        ap75: where it must be 0.75.
    """

    ap: float
    ap50: float
    ap75: float
    dataset: str
    count: int
    size_hw: tuple[int, int]
    measured_by: str


@dataclass(frozen=True, slots=True)
class Check:
    """Comparison of the exported graph with the module it was made from, in the real engine."""

    engine: str
    images: int = field(metadata={FORMERLY: "pictures"})
    max_abs_diff: float
    top1_agreement: float


NOT_CHECKED = Check("none", 0, 0.0, 0.0)
"""Stands in the file that the check itself opens."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a classifier is of its best class, and from where on that is too little.

    Attributes:
        temperature: what the logarithms of the probabilities are divided by before the best class's probability is its
            confidence, so that of answers with a confidence of 0.8 about 80 % are right; above 0. The probabilities
            that the graph gives stay what they are. Source: Guo et al. 2017, arXiv:1706.04599.
        unsure_below: an answer with less confidence counts as unsure; in [0, 1].
        fitted_on: the images that decided both.
    """

    temperature: float
    unsure_below: float
    fitted_on: str

    def confidences(self, probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The confidence in the best class of each image, ``float64[N]``, from ``float32[N, classes]``."""
        best = probabilities.max(axis=1, keepdims=True).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):  # a class that was rounded to 0 stays at 0
            logarithms = np.log(probabilities / best) / self.temperature
        confidences: npt.NDArray[np.float64] = 1 / np.exp(logarithms).sum(axis=1)
        return confidences


@dataclass(frozen=True, slots=True)
class Quantization:
    """How a bundle was made of a larger one in 8 bits, and what that cost, measured in the engine named.

    Attributes:
        method: the quantiser, its version and what was chosen.
        calibrated_on: the images that decided the ranges of activations.
        calibration_count: how many.
        seed: what drew them.
        float_layers: the layers that were left in float.
        measured_on: the images of the comparison, none of which calibrated.
        count: how many.
        engine: what computed both, with its version.
        cpu: the processor.
        before: the score of the larger bundle, top-1 in percent or AP; None where nothing was labelled.
        after: the score of this one.
        agreement: the share of the larger one's answers that this one gives, in [0, 1].
        kl: the mean Kullback-Leibler divergence of the probabilities, nats.
        worst_class: the class that agrees least.
        sha256: of the larger bundle's file.
    """

    method: str
    calibrated_on: str
    calibration_count: int
    seed: int
    float_layers: tuple[str, ...]
    measured_on: str
    count: int
    engine: str
    cpu: str
    before: float | None
    after: float | None
    agreement: float
    kl: float | None
    worst_class: str | None
    sha256: str


class _OfTask(NamedTuple):
    """What differs between the bundles of one task and another.

    Attributes:
        score: the type of their scores.
        loader: the function that opens them.
        command: the command that uses them.
        finds_boxes: whether they give boxes, with scores from which on they count, instead of a class.
    """

    score: type
    loader: str
    command: str
    finds_boxes: bool


_TASKS = {
    "classification": _OfTask(Score, "load_classifier", "classify", finds_boxes=False),
    "detection": _OfTask(DetectionScore, "load_detector", "detect", finds_boxes=True),
}


@dataclass(frozen=True, slots=True)
class BundleMetadata:
    """Metadata of a bundle: labels, preprocessing, provenance and scores.

    Attributes:
        task: what the graph predicts.
        labels: the class names, in the order of the graph's output.
        preprocess: what makes the graph's input of an image.
        normalisation: what the graph itself does to that input.
        architecture: the network.
        weights: its weights.
        training_data: what it was trained on.
        score: a measured score, where there is one, of the kind that the task has.
        check: the check made at export.
        score_thresholds: of a detector, the score from which on a box of each class should count, in [0, 1].
        top_k: of a detector, the most boxes that it gives for an image, where that was chosen.
        calibration: of a classifier, when it is unsure, where that was measured.
        activation: of a classifier, what makes probabilities of its logits: ``softmax``, those of all classes sum to 1,
            as without this key; ``sigmoid``, each class has its own, so that several or none may be likely, and a
            single logit has that of the second of two labels.
        quantization: of a bundle in 8 bits, how it was made and what it costs.
        suppression: of a file that gives the boxes of all cells, which of them a detector gives; None where the graph
            chooses them itself.
    """

    task: Task
    labels: tuple[str, ...]
    preprocess: Preprocess
    normalisation: Normalisation
    architecture: Architecture
    weights: Weights
    training_data: str
    score: Score | DetectionScore | None
    check: Check
    score_thresholds: tuple[float, ...] | None = field(default=None, metadata=OPTIONAL)
    top_k: int | None = field(default=None, metadata=OPTIONAL)
    calibration: Calibration | None = field(default=None, metadata=OPTIONAL)
    activation: Activation | None = field(default=None, metadata=OPTIONAL)
    quantization: Quantization | None = field(default=None, metadata=OPTIONAL)
    suppression: Suppression | None = field(default=None, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        if not are_labels_of(self.architecture.num_classes, self.labels):
            raise BundleError(
                f"{len(self.labels)} labels for {self.architecture.num_classes} classes; expected one for each class."
            )
        expected = _TASKS[self.task].score
        if self.score is not None and not isinstance(self.score, expected):
            raise BundleError(f"a {type(self.score).__name__} for {self.task}; expected {expected.__name__}.")
        if self.score_thresholds is not None:
            self._check_thresholds(self.score_thresholds)
        if self.top_k is not None and (self.top_k < 1 or not self.finds_boxes):
            raise BundleError(f"top_k is {self.top_k} for {self.task}; expected 1 or more, of a detector.")
        if self.suppression is not None and not self.finds_boxes:
            raise BundleError(f"a suppression for {self.task}; expected one of a detector alone.")
        if self.calibration is not None:
            self._check_calibration(self.calibration)
        if self.activation is not None and self.finds_boxes:
            raise BundleError(f"activation is {self.activation} for {self.task}; expected none.")

    @property
    def is_multi_label(self) -> bool:
        """Whether each class has a probability of its own, so that an image may show several classes, or none."""
        return self.activation == "sigmoid" and self.architecture.num_classes > 1

    @property
    def finds_boxes(self) -> bool:
        """Whether the graph finds boxes, of any class, instead of one class for the image."""
        return _TASKS[self.task].finds_boxes

    def check_task(self, task: Task, name: str) -> None:
        """Refuse a bundle for another task; ``name`` is its path.

        Raises:
            BundleError: it is for another one.
        """
        if self.task != task:
            raise BundleError(
                f"{name}: a bundle for {self.task}; expected one for {task}. "
                f"Use litevision.{_TASKS[self.task].loader}, or 'litevision {_TASKS[self.task].command}'."
            )

    def _check_thresholds(self, thresholds: tuple[float, ...]) -> None:
        if not self.finds_boxes or len(thresholds) != len(self.labels):
            raise BundleError(
                f"{len(thresholds)} score_thresholds for {len(self.labels)} classes of {self.task}; "
                "expected one for each class of a detector."
            )
        if not all(0 <= threshold <= 1 for threshold in thresholds):
            raise BundleError(f"score_thresholds are {thresholds}; expected numbers from 0 to 1.")

    def _check_calibration(self, calibration: Calibration) -> None:
        if self.finds_boxes:
            raise BundleError(f"a calibration for {self.task}; expected one of a classifier alone.")
        if not (calibration.temperature > 0 and 0 <= calibration.unsure_below <= 1):
            raise BundleError(
                f"calibration has the temperature {calibration.temperature} and unsure_below "
                f"{calibration.unsure_below}; expected a number above 0 and one from 0 to 1."
            )

    def to_json(self) -> str:
        """Write the JSON text that a bundle carries."""
        plain = {"format_version": FORMAT_VERSION, **to_dict(self)}
        return json.dumps(plain, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, *, name: str = "the bundle") -> "BundleMetadata":
        """Parse the metadata in ``text``; unknown keys are passed over.

        Args:
            text: what `to_json` gave.
            name: the bundle's path, for messages.

        Raises:
            BundleError: no JSON, another format version, or keys that are missing or of the wrong type: all are named.
        """
        try:
            plain = json.loads(text, parse_constant=_refuse_constant)
            if "\\ud" in text.lower():  # half a character, which can be neither printed nor written
                json.dumps(plain, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{name}: its metadata is not valid JSON ({reason_of(error)}). {_REMEDY}") from None
        if not isinstance(plain, dict):
            raise BundleError(f"{name}: its metadata is a JSON {type(plain).__name__}, not an object. {_REMEDY}")
        version = plain.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise BundleError(
                f"{name}: its metadata has format_version {version!r}; this litevision reads {FORMAT_VERSION}. "
                "Update litevision, or make the bundle again with this one's 'litevision export'."
            )
        faults = [] if "format_version" in plain else ["format_version is missing"]
        metadata: BundleMetadata | None = from_dict(cls, plain, "", faults)
        if metadata is None or faults:
            raise BundleError(f"{name}: its metadata is not usable: {'; '.join(faults)}. {_REMEDY}")
        return metadata


def are_labels_of(num_classes: int, labels: Sequence[str]) -> bool:
    """Whether ``labels`` name the answers of a network with ``num_classes`` logits: one each, of a single logit two.

    A single logit decides between two answers: its sigmoid is the probability of the second.
    """
    return len(labels) == num_classes or (num_classes == 1 and len(labels) == 2)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
