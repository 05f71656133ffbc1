"""A detector over images with boxes; the runtime's own preprocessing, pipeline and engine, and nothing else.

P is the number of images, M of boxes that were found in one, N of boxes that are truly there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from litevision.data import DetectionSample
from litevision.evaluation.records import Skipped
from litevision.evaluation.samples import gather, label_indices
from litevision.runtime import Detections, Detector, Result
from litevision.runtime.pipeline import BATCH_SIZE, stream_batches


@dataclass(frozen=True, eq=False, slots=True)
class FoundBoxes:
    """What was found in one image, the surest first.

    Attributes:
        boxes_xyxy: ``float32[M, 4]``, px of the upright image.
        scores: ``float32[M]``, in [0, 1].
        labels: ``int64[M]``, indices into the evaluation's classes.
    """

    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class DetectionEvaluation:
    """The truth and what was found in P images.

    Attributes:
        split: which images of the data these are, for example "test".
        classes: the bundle's labels.
        samples: the P images that could be read, their labels as indices into ``classes``.
        found: what was found in each.
        skipped: the images that could not be read; they count nowhere.
    """

    split: str
    classes: tuple[str, ...]
    samples: tuple[DetectionSample, ...]
    found: tuple[FoundBoxes, ...]
    skipped: tuple[Skipped, ...] = ()


def evaluate_detector(
    detector: Detector,
    samples: Sequence[DetectionSample],
    classes: Sequence[str],
    *,
    split: str,
    tiles: int = 1,
    on_answers: Callable[[Sequence[Result[Detections]]], None] | None = None,
) -> DetectionEvaluation:
    """All boxes that ``detector`` finds in ``samples``, however unsure; its classes are the bundle's labels.

    Args:
        detector: computes as many chunks of images at once as it has streams: open it with ``threads=1`` and
            ``streams=available_cpus()`` to use every core.
        samples: the images; one that cannot be read is left out and noted.
        classes: the names of the samples' labels, matched with the bundle's by name.
        split: what to call the samples.
        tiles: as for `Detector.predict`.
        on_answers: told of each chunk of answers as it comes.

    Raises:
        UnknownNameError: classes that the bundle does not know: all are named.
        BundleError: the model gives infinities or NaN.
    """
    places = label_indices(classes, detector.labels)
    kept: list[DetectionSample] = []
    found: list[FoundBoxes] = []

    def keep(place: int, result: Result[Detections]) -> None:
        it = result.predictions
        kept.append(replace(samples[place], labels=places[samples[place].labels]))
        found.append(FoundBoxes(it.xyxy, it.scores, it.class_ids))

    chunks = stream_batches(
        detector.inference(0.0, tiles=tiles).run,
        (sample.path for sample in samples),
        workers=detector.bundle.engine.choice.streams,
        batch_size=BATCH_SIZE if tiles == 1 else 1,
    )
    skipped = gather(chunks, samples, keep, on_answers)
    return DetectionEvaluation(split, detector.labels, tuple(kept), tuple(found), skipped)
