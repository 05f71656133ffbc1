"""Comparison of a file of any format with the bundle that it was made of: both see the same real images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.console import note
from litevision.detections import box_iou
from litevision.errors import ExportError
from litevision.exporting.formats import HALF_TOLERANCE, INT8_TOLERANCE
from litevision.runtime import Bundle, Check

CheckImages = Sequence[str | Path | bytes]

_SAME_PLACE, _LEAST_SCORE = 0.9, 0.02
_LEAST_SHARES = {INT8_TOLERANCE: 0.9, HALF_TOLERANCE: 0.95}


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
    other's list. Of the rest both must have all, of the same class, in the same place (IoU of 0.9), with a score that
    differs by ``tolerance`` at most; in float16, where neighbours and overlaps are decided otherwise now and then, 95 %
    of them, and with weights in 8 bits 90 %. The agreement is the part of the images whose best box is found by both.

    Raises:
        ExportError: too many boxes of one that the other has not, none at all, or answers that are no numbers.
    """
    batch_u8_nhwc = expected.metadata.preprocess.batch(check_images)
    right, answers = (one.run(batch_u8_nhwc) for one in (expected, got))
    _check_numbers(got, answers["scores"], answers["boxes"])
    differences: list[float] = []
    best: list[bool] = []
    for one, other in ((right, answers), (answers, right)):
        for image in range(len(batch_u8_nhwc)):
            scores, others = one["scores"][image], other["scores"][image]
            counts = scores > max(_LEAST_SCORE, others.min()) + tolerance
            same = other["classes"][image][None] == one["classes"][image][:, None]
            overlaps = box_iou(one["boxes"][image], other["boxes"][image]) * same
            apart = np.where(overlaps >= _SAME_PLACE, np.abs(others[None] - scores[:, None]), np.inf).min(1)
            differences += apart[counts].tolist()
            best.append(not counts.any() or bool(apart[scores.argmax()] <= tolerance))
    found = np.array(differences)
    if not found.size:
        raise ExportError(
            f"nothing stands out on these {len(batch_u8_nhwc)} images, so that no box of {got.path.name} can be "
            "compared; give images with objects in them (on the command line --check-images FOLDER)"
        )
    agrees = found <= tolerance
    alone = f"{(~agrees).sum()} of {found.size} boxes are found by one alone"
    if agrees.mean() < _LEAST_SHARES.get(tolerance, 1):
        raise ExportError(
            f"{got.path.name} does not answer as the bundle on {len(batch_u8_nhwc)} images in {got.engine.version}: "
            f"{alone}; nothing was written"
        )
    if not agrees.all():
        note(f"{got.path.name}: {alone}, the bundle or this file")
    return Check(got.engine.version, len(batch_u8_nhwc), float(found[agrees].max()), float(np.mean(best)))


def _check_numbers(got: Bundle, *answers: npt.NDArray[np.float32]) -> None:
    if not all(np.isfinite(one).all() for one in answers):
        raise ExportError(f"{got.path.name} gives no numbers in {got.engine.version}; nothing was written")
