"""Non-maximum suppression behind a graph, for files that give the boxes of all cells; no torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import BundleError


@dataclass(frozen=True, slots=True)
class Suppression:
    """Which boxes of a detector's cells are given.

    Attributes:
        iou_threshold: of two boxes of a class that overlap by more, the one with the lower score is dropped.
        score_threshold: only boxes whose score is above it are given.
        max_detections: how many for each image.
    """

    iou_threshold: float
    score_threshold: float
    max_detections: int

    def __post_init__(self) -> None:
        thresholds = self.iou_threshold, self.score_threshold
        if not all(0 <= threshold <= 1 for threshold in thresholds) or self.max_detections < 1:
            raise BundleError(
                f"suppression has the thresholds {thresholds} and {self.max_detections} detections; expected numbers "
                "from 0 to 1, and 1 or more detections."
            )


def suppress(
    boxes_xyxy: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Non-maximum suppression, class by class: drops each box that a surer one of its class overlaps.

    Args:
        boxes_xyxy: of M cells, ``float32[M, 4]``.
        scores: of each class in each cell, ``float32[M, C]``; a cell may have several classes.
        iou_threshold: the intersection over union above which two boxes are one object.
        score_threshold: only scores above it count.
        max_detections: how many boxes are given at most.

    Returns:
        Boxes ``float32[N, 4]``, scores ``float32[N]`` and classes ``int64[N]``, the surest first.

    Example:
        >>> import numpy as np
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]], np.float32)
        >>> suppress(boxes, np.array([[0.5], [0.75], [0.25]], np.float32), 0.6, 0.05, 100)[1].tolist()
        [0.75, 0.25]
    """
    from litevision.detections import box_iou  # here, because classifiers read metadata too, and have no boxes

    cells, classes = np.nonzero(scores > np.float32(score_threshold))
    found = scores[cells, classes]
    order = np.argsort(-found, kind="stable")
    cells, classes, found = cells[order], classes[order], found[order]
    boxes = boxes_xyxy[cells]
    is_left, kept = np.ones(len(cells), np.bool_), list[int]()
    for place, label in enumerate(classes):
        if not is_left[place]:
            continue
        kept.append(place)
        if len(kept) == max_detections:
            break
        behind = np.flatnonzero(is_left[place + 1 :] & (classes[place + 1 :] == label)) + place + 1
        if len(behind):
            overlaps = box_iou(boxes[place, None], boxes[behind])[0]
            is_left[behind[overlaps > np.float32(iou_threshold)]] = False
    return boxes[kept], found[kept], classes[kept]


def suppress_cells(
    boxes: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], suppression: Suppression, top_k: int
) -> dict[str, npt.NDArray[Any]]:
    """Choose the boxes that a detector gives of those of all cells.

    Args:
        boxes: ``float32[N, M, 4]``.
        scores: ``float32[N, M, C]``.
        suppression: what decides.
        top_k: how many rows the answer has for an image, or M C where that is less; those behind its last box are
            zeros.

    Returns:
        ``boxes`` float32 [N, K, 4], ``scores`` float32 [N, K], falling, and ``classes`` int64 [N, K].
    """
    top_k = min(top_k, scores.shape[1] * scores.shape[2])
    limits = suppression.iou_threshold, suppression.score_threshold, min(suppression.max_detections, top_k)
    answers: dict[str, npt.NDArray[Any]] = {
        "boxes": np.zeros((len(boxes), top_k, 4), np.float32),
        "scores": np.zeros((len(boxes), top_k), np.float32),
        "classes": np.zeros((len(boxes), top_k), np.int64),
    }
    for place, (of_image, its_scores) in enumerate(zip(boxes, scores, strict=True)):
        found = suppress(of_image, its_scores, *limits)
        count = len(found[0])
        for answer, rows in zip(answers.values(), found, strict=True):
            answer[place, :count] = rows
    return answers
