"""Pictures to answers, one after another: the work of one thread."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.errors import LitevisionError
from litevision.image import Preprocess, Source
from litevision.image.decode import Picture
from litevision.runtime.classifier import Classifier, Prediction


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture that its reader has dealt with: a frame, which is read in order, or a name that leads to no picture.

    Attributes:
        name: what to call it.
        outcome: ``uint8[H, W, 3]`` as the model's ``Preprocess`` makes it, or why there is no picture.
        ms: milliseconds that it took.
    """

    name: str
    outcome: npt.NDArray[np.uint8] | LitevisionError
    ms: float = 0.0

    @property
    def error(self) -> LitevisionError | None:
        """Why there is no picture, if there is none."""
        return self.outcome if isinstance(self.outcome, LitevisionError) else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one picture.

    Attributes:
        source: the picture as it was given.
        predictions: the likeliest classes, best first; empty where ``error`` is set.
        error: why it could not be read.
        ms: milliseconds of decoding it plus its share of its batch's inference.
    """

    source: Source | Prepared
    predictions: tuple[Prediction, ...]
    error: LitevisionError | None
    ms: float

    @property
    def name(self) -> str:
        """The path or the frame's name; the type of a picture that has neither."""
        if isinstance(self.source, Prepared):
            return self.source.name
        return os.fspath(self.source) if isinstance(self.source, (str, os.PathLike)) else type(self.source).__name__


def prepare(preprocess: Preprocess, source: Source | Picture, name: str = "") -> Prepared:
    """The picture, made the model's input; one that cannot be read is no exception here but an outcome."""
    start = time.perf_counter()
    outcome: npt.NDArray[np.uint8] | LitevisionError
    try:
        outcome = preprocess(source)
    except LitevisionError as error:
        outcome = error
    return Prepared(name, outcome, 1e3 * (time.perf_counter() - start))


def answer(classifier: Classifier, sources: Iterable[Source | Prepared], top: int) -> list[Answer]:
    """The answer to each of ``sources``, which the network sees at once; a bad one is answered with its error."""
    given: list[tuple[Source | Prepared, Prepared]] = []
    images: list[npt.NDArray[np.uint8]] = []
    for source in sources:
        prepared = source if isinstance(source, Prepared) else prepare(classifier.preprocess, source)
        given.append((source, prepared))
        if not isinstance(prepared.outcome, LitevisionError):
            images.append(prepared.outcome)
    start = time.perf_counter()
    found = iter(classifier.best(np.stack(images), top) if images else ())
    share_ms = 1e3 * (time.perf_counter() - start) / max(1, len(images))
    return [
        Answer(source, (), prepared.error, prepared.ms)
        if prepared.error
        else Answer(source, tuple(next(found)), None, prepared.ms + share_ms)
        for source, prepared in given
    ]
