"""Images to answers, one after another: the work of one thread."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from litevision.errors import LitevisionError
from litevision.image import ImageLike
from litevision.image.decode import OpenedImage

Input = TypeVar("Input")
Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)


class Task(Protocol[Input, Found_co]):
    """What a model does with images: `litevision.runtime.classifier.Naming`, for example."""

    def prepare(self, source: ImageLike | OpenedImage) -> Input:
        """The image as the model takes it.

        Raises:
            LitevisionError: it cannot be read.
        """

    def answer(self, inputs: Sequence[Input]) -> Sequence[Sequence[Found_co]]:
        """What each of one image or more shows, the surest first; the network sees them at once."""


@dataclass(frozen=True, slots=True)
class PreprocessedImage(Generic[Input]):
    """An image that its reader has dealt with: a frame, which is read in order, or a name that leads to no image.

    Attributes:
        name: what to call it.
        outcome: the image as the model takes it, or why there is no image.
        ms: milliseconds that it took.
    """

    name: str
    outcome: Input | LitevisionError
    ms: float = 0.0

    @property
    def error(self) -> LitevisionError | None:
        """Why there is no image, if there is none."""
        return self.outcome if isinstance(self.outcome, LitevisionError) else None


@dataclass(frozen=True, slots=True)
class Result(Generic[Found]):
    """What became of one image.

    Attributes:
        source: the image as it was given.
        predictions: the likeliest classes, or the objects that were found, the surest first; empty where ``error`` is
            set.
        error: why it could not be read.
        ms: milliseconds of decoding it plus its share of its batch's inference.
    """

    source: ImageLike | PreprocessedImage[Any]
    predictions: tuple[Found, ...]
    error: LitevisionError | None
    ms: float

    @property
    def name(self) -> str:
        """The path or the frame's name; the type of an image that has neither."""
        if isinstance(self.source, PreprocessedImage):
            return self.source.name
        return os.fspath(self.source) if isinstance(self.source, (str, os.PathLike)) else type(self.source).__name__


def prepare(
    by: Callable[[ImageLike | OpenedImage], Input], source: ImageLike | OpenedImage, name: str = ""
) -> PreprocessedImage[Input]:
    """The image, made the model's input; one that cannot be read is no exception here but an outcome."""
    start = time.perf_counter()
    outcome: Input | LitevisionError
    try:
        outcome = by(source)
    except LitevisionError as error:
        outcome = error
    return PreprocessedImage(name, outcome, 1e3 * (time.perf_counter() - start))


def answer(task: Task[Any, Found], sources: Iterable[ImageLike | PreprocessedImage[Any]]) -> list[Result[Found]]:
    """The answer to each of ``sources``, which the network sees at once; a bad one is answered with its error."""
    given: list[tuple[ImageLike | PreprocessedImage[Any], PreprocessedImage[Any]]] = []
    inputs: list[Any] = []
    for source in sources:
        prepared = source if isinstance(source, PreprocessedImage) else prepare(task.prepare, source)
        given.append((source, prepared))
        if prepared.error is None:
            inputs.append(prepared.outcome)
    start = time.perf_counter()
    found = iter(task.answer(inputs) if inputs else ())
    share_ms = 1e3 * (time.perf_counter() - start) / max(1, len(inputs))
    return [
        Result(source, (), prepared.error, prepared.ms)
        if prepared.error
        else Result(source, tuple(next(found)), None, prepared.ms + share_ms)
        for source, prepared in given
    ]
