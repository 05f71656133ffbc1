"""How far two models answer alike: the same network before and after a change of its arithmetic. No truth is needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.detections import Detections, box_iou

_LEAST_PROBABILITY = 1e-9
_LEAST_COUNT = 5
_SAME_PLACE = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Comparison of the answers of two models to the same images.

    Attributes:
        share: of answers that agree, in [0, 1]: best classes, or boxes (twice those that match by all of both).
        kl: mean Kullback-Leibler divergence of the probabilities in nats; None for boxes.
        worst_class: the class with the lowest share, of those that the first model gave five times or more; None where
            there is none.
        worst_share: its share.
        worst_count: how often the first model gave it.
    """

    share: float
    kl: float | None
    worst_class: str | None
    worst_share: float | None
    worst_count: int


def classes_agree(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], classes: Sequence[str]) -> Agreement:
    """Compares probabilities, ``float32[N, classes]`` of each."""
    first, second = before.argmax(1), after.argmax(1)
    p, q = (np.clip(each.astype(np.float64), _LEAST_PROBABILITY, None) for each in (before, after))
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    counts = np.bincount(first, minlength=len(classes))
    same = np.bincount(first[first == second], minlength=len(classes))
    kl = float((p * np.log(p / q)).sum(1).mean()) if len(p) else 0.0
    share = float((first == second).mean()) if len(p) else 1.0
    return Agreement(share, kl, *_worst(classes, same, counts))


def boxes_agree(
    before: Sequence[Detections], after: Sequence[Detections], classes: Sequence[str], thresholds: Sequence[float]
) -> Agreement:
    """Compares boxes that count: of the same class, and with an overlap (IoU) of 0.5 or more."""
    least = np.asarray(thresholds, np.float32)
    same, first, second = (np.zeros(len(classes), np.int64) for _ in range(3))
    for one, other in zip(before, after, strict=True):
        one, other = (each[each.scores >= least[each.class_ids]] for each in (one, other))
        first += np.bincount(one.class_ids, minlength=len(classes))
        second += np.bincount(other.class_ids, minlength=len(classes))
        for label in _matched(one, other):
            same[label] += 1
    total = int(first.sum() + second.sum())
    share = 2 * float(same.sum()) / total if total else 1.0
    return Agreement(share, None, *_worst(classes, 2 * same, first + second, first))


def _matched(one: Detections, other: Detections) -> Iterator[int]:
    """The class of each box of ``one`` that ``other`` has, too, the surest first; none counts twice."""
    overlaps = box_iou(one.xyxy, other.xyxy)
    overlaps[one.class_ids[:, None] != other.class_ids[None]] = 0
    for row, label in enumerate(one.class_ids.tolist()):
        if overlaps.shape[1] and overlaps[row].max() >= _SAME_PLACE:
            overlaps[:, overlaps[row].argmax()] = 0
            yield label


def _worst(
    classes: Sequence[str],
    same: npt.NDArray[np.int64],
    of: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64] | None = None,
) -> tuple[str | None, float | None, int]:
    counts = of if counts is None else counts
    enough = np.flatnonzero((counts >= _LEAST_COUNT) & (of > 0))
    if not enough.size:
        return None, None, 0
    worst = int(enough[(same[enough] / of[enough]).argmin()])
    return classes[worst], float(same[worst] / of[worst]), int(counts[worst])
