"""Evaluation of a classifier on labelled images, with the runtime's own preprocessing, pipeline and engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.data.dataset import Sample
from litevision.errors import UsageError
from litevision.evaluation.samples import Skipped, collect, label_indices
from litevision.runtime import Classifier, Predictions, Result
from litevision.runtime.pipeline import stream_batches


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """The truth and the probabilities of N images; C is the number of classes.

    Attributes:
        split: which images of the data these are, for example "test".
        classes: the C class names, in the order of the probabilities.
        paths: the N images that could be read, in the order of the data.
        labels: ``int64[N]``, the true classes, as indices into ``classes``.
        probabilities: ``float32[N, C]``.
        skipped: the images that could not be read; they count nowhere.

    Raises:
        UsageError: lengths that do not belong together, or a label that is no index into ``classes``.
    """

    split: str
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        count, classes = len(self.paths), len(self.classes)
        if self.labels.shape != (count,) or self.probabilities.shape != (count, classes):
            raise UsageError(
                f"labels {self.labels.shape} and probabilities {self.probabilities.shape} for {count} images and "
                f"{classes} classes; expected ({count},) and ({count}, {classes})."
            )
        wrong = self.labels[(self.labels < 0) | (self.labels >= classes)]
        if wrong.size:
            raise UsageError(f"the label {wrong[0]} for {classes} classes; expected 0 to {classes - 1}.")


def evaluate_bundle(
    classifier: Classifier,
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    split: str,
    on_results: Callable[[Sequence[Result[Predictions]]], None] | None = None,
) -> Evaluation:
    """What ``classifier`` answers to ``samples``; its classes are the bundle's labels, in the bundle's order.

    Args:
        classifier: computes as many chunks of images at once as it has streams: open it with ``threads=1`` and
            ``streams=available_cpus()`` to use every core.
        samples: the images; one that cannot be read is left out and noted.
        classes: the names that the samples' labels stand for. They are found among the bundle's labels by name.
        split: what to call the samples.
        on_results: is given each few answers as they come, for a progress bar.

    Raises:
        UnknownNameError: classes that the bundle does not know: all are named.
        BundleError: the model gives infinities or NaN.
    """
    places = label_indices(classes, classifier.labels)
    # Filled as answers come: the images are never in memory together, and their answers only once.
    probabilities = np.zeros((len(samples), len(classifier.labels)), np.float32)
    kept: list[int] = []

    def keep(place: int, result: Result[Predictions]) -> None:
        kept.append(place)
        probabilities[place, result.predictions.index] = result.predictions.scores

    chunks = stream_batches(
        classifier.inference(top=len(classifier.labels)).run,
        (sample.path for sample in samples),
        workers=classifier.bundle.engine.choice.streams,
    )
    skipped = collect(chunks, samples, keep, on_results)
    return Evaluation(
        split,
        classifier.labels,
        tuple(samples[place].path for place in kept),
        places[[samples[place].label for place in kept]],
        probabilities[kept] if skipped else probabilities,
        skipped,
    )
