"""Base of classifiers and detectors: predictions for one image, a batch or a stream of images."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from litevision.errors import LitevisionError, UsageError, unexpected_image_error
from litevision.image import FoundImages, ImageLike, Preprocess
from litevision.image.decode import OpenedImage
from litevision.image.sources import is_single_image
from litevision.runtime.bundle import Bundle
from litevision.runtime.metadata import Task
from litevision.runtime.results import Input, PreprocessedImage, Result

Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)

OnError = Literal["raise", "keep"]

# On one thread, MobileNetV2 at 224 takes 5.1, 4.9, 5.5, 6.6 and 7.6 ms of CPU an image in batches of 1, 4, 8, 16 and
# 32 in onnxruntime, and openvino's fp32 and bf16 have their best there too: larger batches leave the CPU's cache.
BATCH_SIZE = 4

NAMED_TYPES = {"labels": "list<string>", "class_ids": "list<int64>", "scores": "list<float>"}
"""The cells of a row that every task has."""


@dataclass(eq=False, repr=False)  # every start pays for what dataclasses write
class Inference(Generic[Input, Found]):
    """A predictor with its options bound: the two steps from images to predictions. Threads may share it.

    Attributes:
        preprocess: makes the model's input of one image; raises a `LitevisionError` where it cannot be read.
        infer: predicts for several inputs at once. Its second argument is the images they were made of, None where
            they are not kept.
    """

    preprocess: Callable[[ImageLike | OpenedImage], Input]
    infer: Callable[[Sequence[Input], Sequence[ImageLike | None]], Sequence[Found]]

    def predict(self, images: Iterable[ImageLike], batch_size: int = BATCH_SIZE) -> list[Found]:
        """Predict for each image, ``batch_size`` of them at once.

        Raises:
            LitevisionError: an image cannot be read.
            UsageError: ``batch_size`` below 1, or one image in place of several.
        """
        if batch_size < 1:
            raise UsageError(f"batch_size {batch_size}; expected at least 1.")
        _refuse_single(images)
        found: list[Found] = []
        rest = iter(images)
        while part := list(islice(rest, batch_size)):
            found += self.infer([self.preprocess(image) for image in part], [_kept(image) for image in part])
        return found

    def run(self, sources: Iterable[ImageLike | PreprocessedImage[Any]]) -> list[Result[Found]]:
        """Predict for all of ``sources`` in one batch; an image that cannot be read becomes a result with its error."""
        given: list[tuple[ImageLike | PreprocessedImage[Any], PreprocessedImage[Any]]] = []
        inputs: list[Any] = []
        images: list[ImageLike | None] = []
        for source in sources:
            ready = source if isinstance(source, PreprocessedImage) else preprocess_image(self.preprocess, source)
            given.append((source, ready))
            if ready.error is None:
                inputs.append(ready.outcome)
                images.append(None if isinstance(source, PreprocessedImage) else _kept(source))
        start = time.perf_counter()
        found = iter(self.infer(inputs, images) if inputs else ())
        share_ms = 1e3 * (time.perf_counter() - start) / max(1, len(inputs))
        return [
            Result(source, ready.error, ready.ms) if ready.error else Result(source, next(found), ready.ms + share_ms)
            for source, ready in given
        ]


def preprocess_image(
    preprocess: Callable[[ImageLike | OpenedImage], Input], source: ImageLike | OpenedImage, name: str = ""
) -> PreprocessedImage[Input]:
    """Make the model's input of an image; one that cannot be read raises nothing, but is the outcome."""
    start = time.perf_counter()
    outcome: Input | LitevisionError
    try:
        outcome = preprocess(source)
    except LitevisionError as error:
        outcome = error
    except Exception as error:  # whatever a reader raises is its image's error, not the end of all others
        shown = source if isinstance(source, str | os.PathLike) else name or f"image of type {type(source).__name__}"
        outcome = unexpected_image_error(str(shown), error)
    return PreprocessedImage(name, outcome, 1e3 * (time.perf_counter() - start))


class Predictor(ABC, Generic[Found_co]):
    """A model that predicts something for images; `Classifier` and `Detector` add the options of their task.

    All methods may be called from several threads at once. A pickle holds the bundle's path and how it was opened:
    other processes, of ``multiprocessing`` or Ray, may be given a predictor where they find the file.

    Attributes:
        bundle: the model.
        labels: the class names, in the order of the model's classes.
        preprocess: what makes the model's input of an image.
        row_types: the cells that ``to_row`` of what is predicted gives, with their types as Arrow writes them.
    """

    task: ClassVar[Task]
    row_types: ClassVar[Mapping[str, str]]

    def __init__(self, bundle: Bundle) -> None:
        bundle.metadata.check_task(self.task, str(bundle.path))
        self.bundle = bundle
        self.labels: tuple[str, ...] = bundle.metadata.labels
        self.preprocess: Preprocess = bundle.metadata.preprocess
        self._for_streams: Self | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[Bundle], dict[str, Any]]:
        """Pickle the preprocessing, and of the bundle what another process opens it again by."""
        return type(self), (self.bundle,), {"preprocess": self.preprocess}

    @abstractmethod
    def inference(self) -> Inference[Any, Found_co]:
        """Bind the task's options to the steps from images to predictions."""

    @abstractmethod
    def predict(self, image: ImageLike) -> Found_co:
        """Predict for one image."""

    @abstractmethod
    def predict_batch(self, images: Iterable[ImageLike]) -> list[Found_co]:
        """Predict for several images."""

    @abstractmethod
    def stream(
        self, images: Iterable[ImageLike], *, on_error: OnError = "raise", workers: int | None = None
    ) -> Iterator[Result[Found_co]]:
        """Predict for any number of images, in their order, in bounded memory."""

    def _with_workers(self, workers: int | None) -> tuple[Self, int]:
        """Return this predictor with an engine of one stream for each worker, and the number of workers."""
        from litevision.runtime.cpus import available_cpus

        streams = self.bundle.engine.choice.streams
        if workers is None:
            workers = streams if streams > 1 else available_cpus()
        if workers <= streams:
            return self, workers
        # An engine that shares all cores between a few threads of its own would get in the way of the workers.
        kept = self._for_streams
        if kept is None or kept.bundle.engine.choice.streams != workers:
            kept = self._for_streams = type(self)(self.bundle.reopen(streams=workers))
            kept.preprocess = self.preprocess
        return kept, workers


def stream_results(
    inference: Inference[Any, Found],
    images: Iterable[ImageLike],
    *,
    on_error: OnError,
    workers: int,
    batch_size: int,
) -> Iterator[Result[Found]]:
    """Yield the results of `Predictor.stream`; with ``on_error="raise"``, the first unreadable image ends it."""
    from litevision.runtime.pipeline import stream_batches

    if on_error not in ("raise", "keep"):
        raise UsageError(f"on_error {on_error!r}; expected 'raise' or 'keep'.")
    _refuse_single(images)
    sources = _with_errors(images) if isinstance(images, FoundImages) else images
    return _flatten(stream_batches(inference.run, sources, workers=workers, batch_size=batch_size), on_error)


def _with_errors(images: FoundImages) -> Iterator[ImageLike | PreprocessedImage[Any]]:
    """The images, with the error of a folder that cannot be read in its place, so that the others are still given."""
    from litevision.image.found import Unlisted

    for found in images.walk():
        yield PreprocessedImage(found.path, found.error) if isinstance(found, Unlisted) else Path(found)


def _flatten(batches: Iterator[list[Result[Found]]], on_error: OnError) -> Iterator[Result[Found]]:
    from contextlib import closing

    with closing(batches):  # type: ignore[type-var]  # a generator
        for batch in batches:
            for result in batch:
                if result.error is not None and on_error == "raise":
                    raise result.error
                yield result


def _refuse_single(images: object) -> None:
    if isinstance(images, (str, os.PathLike)) and os.path.isdir(images):  # noqa: PTH112
        path = os.fspath(images)
        raise UsageError(f"{path}: a folder; expected images. litevision.find_images({path!r}) gives those in it.")
    if is_single_image(images):
        raise UsageError(f"one image of type {type(images).__name__}; expected several. Use predict for one image.")
    if not isinstance(images, Iterable):
        raise UsageError(f"images of type {type(images).__name__}; expected an image, or several in a list.")


def _kept(image: ImageLike) -> ImageLike | None:
    """Return the image to keep by reference; a file object has been read and cannot be read again."""
    return None if hasattr(image, "read") else image
