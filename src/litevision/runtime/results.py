"""Results of inference: the classes of one image, and what became of each image of a stream."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from litevision.errors import LitevisionError, UsageError
from litevision.image import ImageLike

if TYPE_CHECKING:
    from PIL import Image

    from litevision.runtime.bundle import Bundle

Input = TypeVar("Input")
Found_co = TypeVar("Found_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class that an image may show; ``score`` is its probability, in [0, 1]."""

    label: str
    score: float
    index: int


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """The likeliest classes of one image as K parallel arrays, best first.

    Iterating gives a `Prediction` for each class, ``predictions[0]`` the best one, ``predictions[:3]`` the first three.

    Attributes:
        labels: the names of the classes.
        scores: ``float32[K]``, their probabilities, in [0, 1].
        index: ``int64[K]``, their places among the model's labels.
        image: the image that was classified, by reference; None where it is not kept.
        image_hw: height and width of the upright image, px; None where they are not known.
        confidence: how likely the best class is right, in [0, 1], where the model's calibration says so; else None.
        unsure: whether that is too little for an answer, as the model's calibration has it.
        is_imagenet: whether the model's classes are the 1000 of ImageNet-1k, which have WordNet ids.

    Raises:
        UsageError: arrays of different lengths.

    Example:
        >>> import numpy as np
        >>> found = Predictions(("cat", "dog"), np.array([0.75, 0.25], np.float32), np.array([3, 5]))
        >>> found[0].label, found.top(1).to_json()
        ('cat', '{"predictions": [{"label": "cat", "score": 0.75, "index": 3}]}')
    """

    labels: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    index: npt.NDArray[np.int64]
    image: ImageLike | None = field(default=None, repr=False)
    image_hw: tuple[int, int] | None = field(default=None, repr=False)
    confidence: float | None = None
    unsure: bool = False
    is_imagenet: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.scores.shape != (count,) or self.index.shape != (count,):
            raise UsageError(
                f"{count} labels, scores of shape {self.scores.shape} and index of shape {self.index.shape}; "
                "expected as many scores and indices as labels."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Prediction]:
        return map(Prediction, self.labels, self.scores.tolist(), self.index.tolist())

    @overload
    def __getitem__(self, which: int) -> Prediction: ...
    @overload
    def __getitem__(self, which: slice) -> "Predictions": ...
    def __getitem__(self, which: int | slice) -> "Prediction | Predictions":
        if isinstance(which, slice):
            return replace(self, labels=self.labels[which], scores=self.scores[which], index=self.index[which])
        return Prediction(self.labels[which], float(self.scores[which]), int(self.index[which]))

    def __eq__(self, other: object) -> bool:
        """Compare classes and scores, whatever image they are of."""
        if not isinstance(other, Predictions):
            return NotImplemented
        return (
            self.labels == other.labels
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.index, other.index)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    def top(self, k: int) -> "Predictions":
        """Take the ``k`` likeliest classes; all of them where there are fewer.

        Raises:
            UsageError: ``k`` below 1.
        """
        if k < 1:
            raise UsageError(f"top {k}; expected at least 1.")
        return self[:k]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values.

        Returns:
            ``{"predictions": [{"label": ..., "score": ..., "index": ...}, ...], "image_hw": [h, w]}``, the size where
            it is known; of a calibrated model ``"confidence"`` and ``"unsure"`` (true or false) too; and classes of
            ImageNet have a ``wordnet_id`` each.
        """
        rows: list[dict[str, Any]] = [{"label": it.label, "score": it.score, "index": it.index} for it in self]
        if self.is_imagenet:
            rows = [{**row, "wordnet_id": name} for row, name in zip(rows, self.wordnet_ids, strict=True)]
        found: dict[str, Any] = {"predictions": rows}
        if self.image_hw:
            found["image_hw"] = list(self.image_hw)
        return found if self.confidence is None else {**found, "confidence": self.confidence, "unsure": self.unsure}

    def to_row(self) -> dict[str, Any]:
        """Convert to the cells of a row of a table; `litevision.Classifier.row_types` says what they are."""
        named = {"labels": list(self.labels), "class_ids": self.index.tolist(), "scores": self.scores.tolist()}
        return {**named, "confidence": self.confidence, "unsure": None if self.confidence is None else self.unsure}

    @property
    def wordnet_ids(self) -> tuple[str, ...]:
        """The WordNet id of each class, such as ``n02504458`` for ``African_elephant``.

        Raises:
            UsageError: the model's classes are not those of ImageNet.
        """
        if not self.is_imagenet:
            raise UsageError("WordNet ids are of ImageNet's 1000 classes, and this model has others; use its labels")
        from litevision.registry.labels import imagenet_wordnet_ids

        ids = imagenet_wordnet_ids()
        return tuple(ids[it] for it in self.index.tolist())

    def decode(self) -> list[tuple[str, str, float]]:
        """List WordNet id, label and score of each class, best first, as Keras' ``decode_predictions`` does.

        Raises:
            UsageError: the model's classes are not those of ImageNet.
        """
        return list(zip(self.wordnet_ids, self.labels, self.scores.tolist(), strict=True))

    def to_json(self) -> str:
        """Write `to_dict` as JSON, as ``litevision classify --json`` does."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def plot(self, image: ImageLike | None = None, *, font: str | os.PathLike[str] | None = None) -> "Image.Image":
        """Draw the classes as bars below the image.

        Args:
            image: what to draw above the bars; by default the image that was classified, where it is kept.
            font: a font file to use first, as for `litevision.Detections.plot`.

        Returns:
            An RGB image; ``.save("out.png")`` writes it.

        Raises:
            LitevisionError: a font or an image that cannot be read.
        """
        from litevision.image.draw import draw_scores
        from litevision.image.text import Lettering, warn_of_unnamed

        shown, lettering = self.image if image is None else image, Lettering(font)
        warn_of_unnamed(lettering, self.labels)
        names = [lettering.name(label, index) for label, index in zip(self.labels, self.index.tolist(), strict=True)]
        return draw_scores(shown, names, self.scores.tolist(), lettering)


@dataclass(frozen=True, slots=True)
class PreprocessedImage(Generic[Input]):
    """An image that its reader has preprocessed: a frame, which is read in order, or a name that leads to no image.

    Attributes:
        name: what to call it.
        outcome: the image as the model takes it, or why there is no image.
        ms: milliseconds that it took.
        file: of a frame, the path of the video or animation that it was read from, or the camera's name; else empty.
        time_s: of a frame of a video or camera, the seconds from the first frame to it. It grows from frame to frame,
            also where a recording's own clock jumps back.
        frame: of a frame of an animation, its number in the file, from 0.
        duration_s: of a frame of an animation, the seconds for which it is shown, where the file says so.
    """

    name: str
    outcome: Input | LitevisionError
    ms: float = 0.0
    file: str = ""
    time_s: float | None = None
    frame: int | None = None
    duration_s: float | None = None

    @property
    def error(self) -> LitevisionError | None:
        """Why there is no image, if there is none."""
        return self.outcome if isinstance(self.outcome, LitevisionError) else None


@dataclass(frozen=True, slots=True)
class Result(Generic[Found_co]):
    """Result of one image of a stream: its predictions, or the error.

    Attributes:
        source: the image as it was given.
        outcome: what was predicted, or why the image could not be read.
        ms: milliseconds of decoding it plus its share of its batch's inference.
    """

    source: ImageLike | PreprocessedImage[Any]
    outcome: Found_co | LitevisionError
    ms: float

    @property
    def error(self) -> LitevisionError | None:
        """Why the image could not be read, if it could not."""
        return self.outcome if isinstance(self.outcome, LitevisionError) else None

    @property
    def predictions(self) -> Found_co:
        """The image's `Predictions` or `Detections`.

        Raises:
            LitevisionError: the image could not be read; it is ``error``.
        """
        if isinstance(self.outcome, LitevisionError):
            raise self.outcome
        return self.outcome

    @property
    def name(self) -> str:
        """The path or the frame's name; the type of an image that has neither."""
        if isinstance(self.source, PreprocessedImage):
            return self.source.name
        return os.fspath(self.source) if isinstance(self.source, (str, os.PathLike)) else type(self.source).__name__

    @property
    def file(self) -> str:
        """The path that the image was read from: of a frame, that of its video or animation; else as ``name``."""
        return self.source.file or self.source.name if isinstance(self.source, PreprocessedImage) else self.name

    @property
    def time_s(self) -> float | None:
        """Seconds from a video's first frame to this one; None where the image is no frame of a video or camera."""
        return self.source.time_s if isinstance(self.source, PreprocessedImage) else None

    @property
    def frame(self) -> int | None:
        """The number of an animation's frame, from 0; None where the image is no frame of an animation."""
        return self.source.frame if isinstance(self.source, PreprocessedImage) else None


def made_by(bundle: "Bundle | None") -> dict[str, Any]:
    """Say in plain values how results were made; where there is no bundle, nothing was computed."""
    from litevision import __version__

    if bundle is None:
        return {"litevision": __version__, "bundle": None}
    choice = bundle.engine.choice
    facts = {
        "sha256": bundle.sha256,
        "classes": len(bundle.metadata.labels),
        "engine": choice.name,
        "precision": choice.precision,
        "device": choice.device,
    }
    return {"litevision": __version__, "bundle": facts}
