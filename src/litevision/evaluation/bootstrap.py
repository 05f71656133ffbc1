"""How far an average precision can be trusted: its interval over samples of images like the measured ones.

AP is no share of anything, so no formula gives its interval. The images are drawn anew with replacement, a thousand
times, and AP is computed of each draw (Efron and Tibshirani 1993, chapter 13, percentiles).

Each box is matched once, as COCO does it: that depends on its own image alone. A draw only weighs the images. I is the
number of images, D that of the boxes found of a class, T that of the overlaps, B that of the draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.evaluation.detection import DetectionEvaluation

DRAWS = 1000
_OVERLAPS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0.0, 1.0, 101)
_AN_IMAGE = 100  # boxes of a class that COCO looks at, the surest
_CELLS = 4_000_000  # of a table that are held at once

Numbers = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Matched:
    """The boxes found of one class, the surest first.

    Attributes:
        image: which image each is in, ``int64[D]``.
        right: whether it is right at each overlap, ``bool[T, D]``.
        ignored: whether it counts neither as right nor as wrong, ``bool[T, D]``.
        real: how many true boxes each image has, ``int64[I]``.
    """

    image: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]
    real: npt.NDArray[np.int64]


def ap_intervals(
    evaluation: DetectionEvaluation, *, draws: int = DRAWS, seed: int = 0
) -> tuple[Interval | None, Interval | None]:
    """The 95 % intervals of AP and of AP50, in [0, 1]; None of fewer than two images, or without a true box."""
    count = len(evaluation.samples)
    if count < 2:
        return None, None
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    found = drawn_ap(evaluation, weights)
    ap, ap50 = (_middle(values) for values in (found.mean(axis=0), found[0]))
    return ap, ap50


def drawn_ap(evaluation: DetectionEvaluation, weights: npt.NDArray[np.int64]) -> Numbers:
    """COCO's average precision, the mean over the classes, at each overlap and of each draw, ``float64[T, B]``.

    NaN for a draw without a true box.

    Args:
        evaluation: what was found.
        weights: how often each image is in each draw, ``int64[B, I]``.
    """
    total = np.zeros((len(_OVERLAPS), len(weights)))
    classes = np.zeros(len(weights), np.int64)
    for matched in _matched(evaluation):
        real = weights @ matched.real
        defined = real > 0
        rows = max(1, _CELLS // max(1, len(matched.image)))
        for start in range(0, len(weights), rows):
            part = slice(start, start + rows)
            total[:, part] += np.where(defined[part], _ap(matched, weights[part], real[part]), 0)
        classes += defined
    with np.errstate(invalid="ignore"):
        return np.where(classes > 0, total / np.maximum(classes, 1), np.nan)


def _middle(values: Numbers) -> Interval | None:
    """Where 95 % of the values lie, as many above it as below."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


def _ap(matched: _Matched, weights: npt.NDArray[np.int64], real: npt.NDArray[np.int64]) -> Numbers:
    """Average precision of one class, ``float64[T, B]``: the mean over 101 recalls of the best precision from there on.

    That best precision is always at a right box, so only those are looked at.
    """
    of_box = weights[:, matched.image]
    counted = of_box.cumsum(axis=1)
    results = np.zeros((len(_OVERLAPS), len(weights)))
    for place, (right, ignored) in enumerate(zip(matched.right, matched.ignored, strict=True)):
        at = np.flatnonzero(right)
        if not len(at):
            continue
        seen = (counted if not ignored.any() else np.where(ignored, 0, of_box).cumsum(axis=1))[:, at]
        hits = of_box[:, at].cumsum(axis=1)
        precision = hits / np.maximum(seen, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(_RECALLS, hits / np.maximum(real, 1)[:, None], side="right")
        results[place] = (best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(_RECALLS)
    return results


def _matched(evaluation: DetectionEvaluation) -> Iterator[_Matched]:
    """Each class that has a true box."""
    for label in range(len(evaluation.classes)):
        real = np.array([int((~it.ignored[it.labels == label]).sum()) for it in evaluation.samples], np.int64)
        if not real.any():
            continue
        scores, images, rights, ignoreds = [], [], [], []
        for image, (sample, found) in enumerate(zip(evaluation.samples, evaluation.found, strict=True)):
            mine, here = found.class_ids == label, sample.labels == label
            order = np.argsort(-found.scores[mine], kind="stable")[:_AN_IMAGE]
            right, ignored = _judged(found.xyxy[mine][order], sample.boxes_xyxy[here], sample.ignored[here])
            scores.append(found.scores[mine][order])
            images.append(np.full(len(order), image))
            rights.append(right)
            ignoreds.append(ignored)
        order = np.argsort(-np.concatenate(scores).astype(np.float64), kind="stable")
        yield _Matched(
            np.concatenate(images)[order].astype(np.int64), _joined(rights, order), _joined(ignoreds, order), real
        )


def _joined(parts: Sequence[npt.NDArray[np.bool_]], order: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    return np.concatenate(parts, axis=1)[:, order]


def _judged(
    found: npt.NDArray[np.float32], real: npt.NDArray[np.float32], ignored: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether each box of one image and class is right, and whether it is ignored, ``bool[T, D]``; surest first.

    Source: ``evaluateImg`` of pycocotools' ``cocoeval.py``: of the true boxes that are free, the one with the largest
    overlap; of equal ones the last. What meets none may lie in boxes to be ignored, any number of them in one.
    """
    right = np.zeros((len(_OVERLAPS), len(found)), bool)
    excused = np.zeros_like(right)
    overlaps = _overlaps(found, real, ignored)
    free = np.ones((len(_OVERLAPS), len(real)), bool)
    enough = overlaps[:, None, :] >= _OVERLAPS[:, None]  # [D, T, G]
    for place in np.flatnonzero(enough.any(axis=(1, 2))):
        candidates = np.where(enough[place] & free & ~ignored, overlaps[place], -1.0)
        best = len(real) - 1 - candidates[:, ::-1].argmax(axis=1)
        is_right = np.take_along_axis(candidates, best[:, None], axis=1)[:, 0] >= 0
        free[is_right, best[is_right]] = False
        right[:, place] = is_right
        excused[:, place] = ~is_right & (enough[place] & ignored).any(axis=1)
    return right, excused


def _overlaps(found: npt.NDArray[np.float32], real: npt.NDArray[np.float32], ignored: npt.NDArray[np.bool_]) -> Numbers:
    """IoU, or of boxes to be ignored the share of what was found that lies in them, ``float64[D, G]``."""
    ours, theirs = found.astype(np.float64)[:, None], real.astype(np.float64)[None]
    sides = np.minimum(ours[..., 2:], theirs[..., 2:]) - np.maximum(ours[..., :2], theirs[..., :2])
    shared = np.maximum(sides, 0).prod(axis=2)
    areas = (ours[..., 2:] - ours[..., :2]).prod(axis=2), (theirs[..., 2:] - theirs[..., :2]).prod(axis=2)
    union = np.where(ignored, areas[0], areas[0] + areas[1] - shared)
    overlaps: Numbers = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps
