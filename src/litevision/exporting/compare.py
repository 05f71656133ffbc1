"""Comparison of a file of any format with the bundle that it was made of: both see the same real images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.detections import box_iou
from litevision.errors import ExportError
from litevision.runtime import Bundle, Check

CheckImages = Sequence[str | Path | bytes]

_SAME_PLACE, _LEAST_SCORE = 0.9, 0.02


def compare_probabilities(expected: Bundle, got: Bundle, check_images: CheckImages, tolerance: float) -> Check:
    """Compares the probabilities of two classifiers.

    ``tolerance`` is of an image's highest probability, so that it says as much of a network that is sure as of one that
    is not. Two classes within it of each other may stand in either order.

    Raises:
        ExportError: a probability differs by more than the tolerance, or is no number, or a top-1 answer differs.
    """
    batch_u8_nhwc = expected.metadata.preprocess.batch(check_images)
    right, answers = (one.run(batch_u8_nhwc)["probabilities"] for one in (expected, got))
    _check_numbers(got, answers)
    differences, highest = np.abs(answers - right).max(-1), right.max(-1)
    chosen = right[np.arange(len(right)), answers.argmax(-1)]
    agreement = float((chosen >= highest * (1 - tolerance)).mean())
    if (differences > tolerance * highest).any() or agreement < 1:
        raise ExportError(
            f"{got.path.name} does not answer as the bundle on {len(right)} images in {got.engine.version}: the "
            f"largest difference of a probability is {(differences / highest).max():.2g} of the highest one (at most "
            f"{tolerance:g} expected), the top answer agrees on {agreement:.0%}; nothing was written"
        )
    return Check(got.engine.version, len(right), float(differences.max()), agreement)


def compare_boxes(expected: Bundle, got: Bundle, check_images: CheckImages, tolerance: float) -> Check:
    """Compares the boxes of two detectors, also those that would not count.

    Left out are boxes whose score is within ``tolerance`` of the least that is compared, 0.02 or the last in the
    other's list. The agreement is the share of the others that both have: of the same class, in the same place (IoU of
    0.9), with a score that differs by ``tolerance`` at most.

    Raises:
        ExportError: a box of one that the other has not, or answers that are no numbers.
    """
    batch_u8_nhwc = expected.metadata.preprocess.batch(check_images)
    right, answers = (one.run(batch_u8_nhwc) for one in (expected, got))
    _check_numbers(got, answers["scores"], answers["boxes"])
    differences: list[float] = []
    for one, other in ((right, answers), (answers, right)):
        for image in range(len(batch_u8_nhwc)):
            (scores, classes), (others, other_classes) = (
                (it["scores"][image], it["classes"][image]) for it in (one, other)
            )
            counts = scores > max(_LEAST_SCORE, others.min()) + tolerance
            same = other_classes[None] == classes[:, None]
            overlaps = box_iou(one["boxes"][image], other["boxes"][image]) * same
            apart = np.where(overlaps >= _SAME_PLACE, np.abs(others[None] - scores[:, None]), np.inf)
            differences += apart.min(1)[counts].tolist()
    found = np.array(differences)
    if not found.size:
        raise ExportError(
            f"nothing stands out on these {len(batch_u8_nhwc)} images, so that no box of {got.path.name} can be "
            "compared; give images with objects in them (on the command line --check-images FOLDER)"
        )
    agrees = found <= tolerance
    if not agrees.all():
        raise ExportError(
            f"{got.path.name} does not answer as the bundle on {len(batch_u8_nhwc)} images in {got.engine.version}: "
            f"{(~agrees).sum()} of {found.size} boxes are found by one alone; nothing was written"
        )
    return Check(got.engine.version, len(batch_u8_nhwc), float(found.max()), 1.0)


def _check_numbers(got: Bundle, *answers: npt.NDArray[np.float32]) -> None:
    if not all(np.isfinite(one).all() for one in answers):
        raise ExportError(f"{got.path.name} gives no numbers in {got.engine.version}; nothing was written")
