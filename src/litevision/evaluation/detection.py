"""Evaluation of a detector on labelled images, with the runtime's own preprocessing, pipeline and engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from litevision.data import DetectionSample
from litevision.detections import Detections
from litevision.evaluation.samples import Skipped, collect, label_indices
from litevision.runtime import Detector, Result
from litevision.runtime.pipeline import BATCH_SIZE, stream_batches


@dataclass(frozen=True, eq=False, slots=True)
class DetectionEvaluation:
    """The truth and what was found in P images.

    Attributes:
        split: which images of the data these are, for example "test".
        classes: the bundle's labels.
        samples: the P images that could be read, their labels as indices into ``classes``.
        found: what was found in each, the surest first; its class names are ``classes``.
        skipped: the images that could not be read; they count nowhere.
    """

    split: str
    classes: tuple[str, ...]
    samples: tuple[DetectionSample, ...]
    found: tuple[Detections, ...]
    skipped: tuple[Skipped, ...] = ()


def evaluate_detector(
    detector: Detector,
    samples: Sequence[DetectionSample],
    classes: Sequence[str],
    *,
    split: str,
    tiles: int = 1,
    on_results: Callable[[Sequence[Result[Detections]]], None] | None = None,
) -> DetectionEvaluation:
    """All boxes that ``detector`` finds in ``samples``, however unsure; its classes are the bundle's labels.

    Args:
        detector: computes as many chunks of images at once as it has streams: open it with ``threads=1`` and
            ``streams=available_cpus()`` to use every core.
        samples: the images; one that cannot be read is left out and noted.
        classes: the names of the samples' labels, matched with the bundle's by name.
        split: what to call the samples.
        tiles: as for `Detector.predict`.
        on_results: is given each few results as they come, for a progress bar.

    Raises:
        UnknownNameError: classes with boxes that the bundle does not know: all are named.
        BundleError: the model gives infinities or NaN.
    """
    shown = {label for sample in samples for label in sample.labels.tolist()}
    places = label_indices(classes, detector.labels, shown)
    kept: list[DetectionSample] = []
    found: list[Detections] = []

    def keep(place: int, result: Result[Detections]) -> None:
        kept.append(replace(samples[place], labels=places[samples[place].labels]))
        found.append(result.predictions)

    chunks = stream_batches(
        detector.inference(0.0, tiles=tiles).run,
        (sample.path for sample in samples),
        workers=detector.bundle.engine.choice.streams,
        batch_size=BATCH_SIZE if tiles == 1 else 1,
    )
    skipped = collect(chunks, samples, keep, on_results)
    return DetectionEvaluation(split, detector.labels, tuple(kept), tuple(found), skipped)
