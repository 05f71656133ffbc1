"""The proof that an adopted bundle answers as the file that it was made of: both see the same real images.

The file runs as it was, image by image, with its pixels fed and its outputs decoded by plain numpy.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from litevision.adopting.decoding import Array, Decoding
from litevision.errors import BundleError, ExportError
from litevision.runtime import Bundle, Check
from litevision.runtime.engines.base import Outputs
from litevision.runtime.suppression import Suppression, suppress

_TOLERANCE = 1e-3
"""Largest difference of a score that float32 arithmetic in another order explains; float16 files have it too."""
_TOLERANCE_PX, _TOLERANCE_PART = 0.1, 1e-3

Found = tuple[Array, Array, Array]
"""Boxes [M, 4], scores [M] and classes [M] of an image, the surest first."""


def refuse_nonsense(answers: Sequence[Outputs]) -> None:
    """Refuse a file that gives no numbers, or the same for every image.

    Raises:
        ExportError: it does.
    """
    for answer in answers:
        for name, array in answer.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ExportError(
                    f"the file gives NaN or inf in {name!r}: its weights are broken, or its pixels are fed wrongly"
                )
    first = answers[0]
    is_empty = not any(array.size for array in first.values())  # a detector that found nothing, which is told elsewhere
    if (
        len(answers) > 1
        and not is_empty
        and all(
            answer[name].shape == array.shape and np.allclose(answer[name], array, rtol=1e-6, atol=1e-7)
            for answer in answers[1:]
            for name, array in first.items()
        )
    ):
        raise ExportError(
            f"the file gives the same numbers for {len(answers)} different images: its weights are broken, or its "
            "pixels are fed wrongly"
        )


def plain_detections(decoded: tuple[Array, ...], decoding: Decoding, suppression: Suppression) -> Found:
    """Choose an image's detections as the graph does, in numpy.

    Args:
        decoded: what ``decoding.plain`` gave for one image.
        decoding: the row.
        suppression: its numbers.
    """
    boxes, scores = decoded[0][0], decoded[1][0]
    if decoding.iou_threshold is None:
        order = np.argsort(-scores, kind="stable")[: suppression.max_detections]
        return boxes[order], scores[order], decoded[2][0][order]
    return suppress(boxes, scores, suppression.iou_threshold, suppression.score_threshold, suppression.max_detections)


def check_adopted(path: Path, images_u8_nhwc: Array, expected: Sequence[Array | Found]) -> Check:
    """Compare the bundle at ``path``, in onnxruntime, with what the file gave as it was.

    The bundle sees the images all at once and one by one. ``max_abs_diff`` is the largest difference of a score,
    ``top1_agreement`` the part of the images whose best answer agrees.

    Args:
        path: the bundle.
        images_u8_nhwc: its input.
        expected: for each image its probabilities, or its detections.

    Raises:
        BundleError: it does not run.
        ExportError: an answer differs.
    """
    bundle = Bundle.open(path, threads=1)
    runs = [bundle.run(images_u8_nhwc)]
    singly = [bundle.run(image_u8_hwc[None]) for image_u8_hwc in images_u8_nhwc]
    runs.append({name: np.concatenate([answer[name] for answer in singly]) for name in runs[0]})
    if any(len(array) != len(images_u8_nhwc) for run in runs for array in run.values()):
        raise BundleError(f"{path.name}: gives another number of answers than there are images")
    differences: list[float] = []
    agreements: list[bool] = []
    for run in runs:
        for place, wanted in enumerate(expected):
            if isinstance(wanted, tuple):
                got = run["boxes"][place], run["scores"][place], run["classes"][place]
                difference, agrees = _compare_detections(got, wanted)
            else:
                got_row = run["probabilities"][place]
                difference = float(np.abs(got_row - wanted).max())
                agrees = bool(wanted[got_row.argmax()] >= wanted.max() - _TOLERANCE)
                if difference > _TOLERANCE:
                    raise ExportError(f"a probability differs by {difference:.2g} (at most {_TOLERANCE:g} expected)")
            differences.append(difference)
            agreements.append(agrees)
    return Check(bundle.engine.version, len(images_u8_nhwc), max(differences), float(np.mean(agreements)))


def _compare_detections(got: Found, wanted: Found) -> tuple[float, bool]:
    """Look up each detection of one list in the other; those that the last places may or may not hold do not count.

    Returns:
        The largest difference of a score, and whether the best one agrees.
    """
    got = _above(got, 0.0)
    difference = 0.0
    for some, others, whose in ((wanted, got, "the file's"), (got, wanted, "the bundle's")):
        least = max(min(it[1].min(initial=1.0) for it in (some, others)), 0.0) + _TOLERANCE
        boxes, scores, classes = _above(some, least)
        for box, score, label in zip(boxes, scores, classes, strict=True):
            near_px = max(_TOLERANCE_PX, _TOLERANCE_PART * float(np.abs(box).max()))
            fits = (others[2] == label) & (np.abs(others[0] - box).max(-1, initial=0) <= near_px)
            gaps = np.abs(others[1] - score)[fits]
            if not gaps.size or gaps.min() > _TOLERANCE:
                raise ExportError(f"{whose} box of class {label} with the score {score:.3f} has no counterpart")
            difference = max(difference, float(gaps.min()))
    agrees = not len(wanted[1]) or abs(float(got[1].max(initial=0) - wanted[1].max())) <= _TOLERANCE
    return difference, agrees


def _above(found: Found, least: float) -> Found:
    keep = found[1] > least
    return found[0][keep], found[1][keep], found[2][keep]
