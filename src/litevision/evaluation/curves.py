"""Precision against recall as the score that is asked for falls, and the score that is best for each class."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.detections import box_area, box_iou
from litevision.evaluation.detection import DetectionEvaluation

_IOU = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """One class at every score that a box of it has, the highest first; S is the number of these scores.

    Attributes:
        name: the class.
        count: boxes that are truly there.
        scores: ``float64[S]``.
        precision: ``float64[S]``, the share of right boxes among those with at least that score.
        recall: ``float64[S]``, the share of the true boxes that these find; empty where there are no true boxes.
    """

    name: str
    count: int
    scores: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]

    def best_f1(self) -> "OperatingPoint | None":
        """Where F1 is highest; of equal places the one with the higher score. None without true or found boxes."""
        if not len(self.recall):
            return None
        sums = self.precision + self.recall
        f1 = np.divide(2 * self.precision * self.recall, sums, out=np.zeros_like(sums), where=sums > 0)
        place = int(f1.argmax())
        # Half way to the next score, so that rounding in another engine adds and drops nothing.
        lower = self.scores[place + 1] if place + 1 < len(self.scores) else 0.0
        threshold = float((self.scores[place] + lower) / 2)
        return OperatingPoint(threshold, float(self.precision[place]), float(self.recall[place]), float(f1[place]))


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The score from which on boxes of a class should count, and what comes of it; all in [0, 1]."""

    threshold: float
    precision: float
    recall: float
    f1: float


def curves(evaluation: DetectionEvaluation, iou: float = _IOU) -> tuple[Curve, ...]:
    """The curve of each class; a box is right where it overlaps a true one of its class by at least ``iou``.

    The surest box comes first and takes the true box that it overlaps most, as in COCO's evaluation. A box that meets
    only a box to be ignored counts neither as right nor as wrong.
    """
    return tuple(_curve(evaluation, label, name, iou) for label, name in enumerate(evaluation.classes))


def best_thresholds(evaluation: DetectionEvaluation, otherwise: float) -> tuple[float, ...]:
    """The best score of each class for a bundle's metadata; ``otherwise`` for classes that nothing is known of."""
    bests = (curve.best_f1() for curve in curves(evaluation))
    return tuple(otherwise if it is None or it.f1 == 0 else it.threshold for it in bests)


def at_thresholds(evaluation: DetectionEvaluation, thresholds: tuple[float, ...]) -> list[dict[str, Any]]:
    """What comes of the scores that were chosen, for each class: precision, recall and F1 at IoU 0.5.

    None where nothing was found, or nothing was there.
    """
    rows: list[dict[str, Any]] = []
    for curve, threshold in zip(curves(evaluation), thresholds, strict=True):
        kept = int(np.searchsorted(-curve.scores, -threshold, side="right"))
        precision = float(curve.precision[kept - 1]) if kept else None
        recall = (float(curve.recall[kept - 1]) if kept else 0.0) if curve.count else None
        f1 = None
        if precision is not None and recall is not None:
            f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        rows.append({"name": curve.name, "threshold": threshold, "precision": precision, "recall": recall, "f1": f1})
    return rows


def _curve(evaluation: DetectionEvaluation, label: int, name: str, iou: float) -> Curve:
    scores: list[float] = []
    right: list[bool] = []
    count = 0
    for sample, found in zip(evaluation.samples, evaluation.found, strict=True):
        of_class, mine = sample.labels == label, found.class_ids == label
        real = sample.boxes_xyxy[of_class & ~sample.ignored]
        ignored = sample.boxes_xyxy[of_class & sample.ignored]
        count += len(real)
        for score, verdict in zip(
            found.scores[mine].tolist(), _judged(found.xyxy[mine], real, ignored, iou), strict=True
        ):
            if verdict is not None:
                scores.append(score)
                right.append(verdict)
    order = np.argsort(-np.array(scores), kind="stable")
    sorted_scores = np.array(scores, np.float64)[order]
    hits = np.array(right, np.int64)[order].cumsum()
    # Boxes of one score come in together.
    last = np.flatnonzero(np.append(np.diff(sorted_scores) != 0, True)) if len(order) else np.array([], np.intp)
    recall = hits[last] / count if count else np.array([], np.float64)
    return Curve(name, count, sorted_scores[last], hits[last] / (last + 1), recall)


def _judged(
    found: npt.NDArray[np.float32], real: npt.NDArray[np.float32], ignored: npt.NDArray[np.float32], iou: float
) -> list[bool | None]:
    """Right, wrong or, None, not to be counted, for each box that was found in one image, the surest first."""
    overlaps = box_iou(found, real)
    inside = _share_inside(found, ignored)
    free = np.ones(len(real), bool)
    verdicts: list[bool | None] = []
    for place in range(len(found)):
        candidates = np.where(free, overlaps[place], -math.inf)
        if len(real) and candidates.max() >= iou:
            free[candidates.argmax()] = False
            verdicts.append(True)
        else:
            verdicts.append(None if (inside[place] >= iou).any() else False)
    return verdicts


def _share_inside(found: npt.NDArray[np.float32], ignored: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``float32[M, N]``: how much of each found box lies in each box to be ignored, which may hold many objects."""
    start = np.maximum(found[:, None, :2], ignored[None, :, :2])
    end = np.minimum(found[:, None, 2:], ignored[None, :, 2:])
    shared = np.maximum(end - start, 0).prod(axis=2)
    share: npt.NDArray[np.float32] = shared / np.maximum(box_area(found)[:, None], np.finfo(np.float32).tiny)
    return share
