"""The answers of a detector's bundle against every cell of its network's maps. Plain numpy: without torch too.

Two lists of detections cannot be compared line by line: where two peaks are as high as each other but for rounding,
either may come first, and of two such neighbours either may be the peak. So each detection of the bundle is looked up
among all cells of the network's maps, and each cell that stands out clearly is looked up in the bundle. What is left
out beside a better one is at CenterNet a neighbour in the map, at NanoDet a box that overlaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.detections import box_iou
from litevision.errors import ExportError
from litevision.runtime.bundle import Bundle
from litevision.runtime.metadata import Check

TOLERANCE = 1e-4
"""Largest difference of a score or probability that float32 arithmetic in another order explains."""

TOLERANCE_PX = 0.05
"""Largest difference of an edge that float32 arithmetic in another order explains; for large boxes 1e-4 of the edge."""

_IOU_TOLERANCE = 1e-3

Boxes = npt.NDArray[np.float32]


def check_answers(bundle: Bundle, batch_u8_nhwc: npt.NDArray[np.uint8], expected: Sequence["Cells"]) -> Check:
    """Compares what ``bundle`` answers, to the images one by one and all at once, with the cells of each.

    ``max_abs_diff`` of what it gives is the largest difference of a score, ``top1_agreement`` the part of the images
    whose best detection agrees.

    Raises:
        BundleError: it does not run.
        ExportError: a detection that the network does not make, or a clear one that is missing.
    """
    runs = [bundle.run(batch_u8_nhwc)]
    singly = [bundle.run(image_u8_hwc[None]) for image_u8_hwc in batch_u8_nhwc]
    runs.append({name: np.concatenate([answer[name] for answer in singly]) for name in runs[0]})
    found = [
        _compare(cells, run["boxes"][i], run["scores"][i], run["classes"][i])
        for run in runs
        for i, cells in enumerate(expected)
    ]
    strange, missing = sum(one.strange for one in found), sum(one.missing for one in found)
    agreement = sum(one.best_agrees for one in found) / len(found)
    if strange or missing or agreement < 1:
        raise ExportError(
            f"the bundle does not match its module on {len(expected)} images: {strange} detections are none of the "
            f"module's, {missing} clear ones are missing, the best one agrees on {agreement:.0%}; nothing was written"
        )
    return Check(bundle.engine.version, len(expected), max(one.score_difference for one in found), agreement)


@dataclass(frozen=True, slots=True)
class Cells:
    """What a detector says of every cell of one image's maps; M cells, C classes.

    Attributes:
        scores: [C, M].
        may_stand: which may be among the detections, whatever rounding decides, [C, M].
        must_stand: which are among them for sure, as far as there is room, [C, M].
        boxes: [M, 4].
        most_overlap: of two detections of a class; 1 where they may overlap.
    """

    scores: npt.NDArray[np.float32]
    may_stand: npt.NDArray[np.bool_]
    must_stand: npt.NDArray[np.bool_]
    boxes: Boxes
    most_overlap: float = 1.0


@dataclass(frozen=True, slots=True)
class _Comparison:
    strange: int
    missing: int
    best_agrees: bool
    score_difference: float


def overlapping_cells(boxes: Boxes, scores: npt.NDArray[np.float32], iou: float, least_score: float) -> Cells:
    """The cells of an image whose detections are left where no better one of their class overlaps them.

    Args:
        boxes: of all cells, [M, 4].
        scores: of all cells, [M, C].
        iou: what suppresses.
        least_score: what counts.
    """
    scores = np.ascontiguousarray(scores.T)
    must_stand = scores > least_score + TOLERANCE
    for mine, its_scores in zip(must_stand, scores, strict=True):
        rivals = np.flatnonzero(its_scores > least_score - TOLERANCE)
        overlaps = box_iou(boxes[rivals], boxes[rivals]) > iou - _IOU_TOLERANCE
        np.fill_diagonal(overlaps, val=False)
        is_better = its_scores[rivals][None] >= its_scores[rivals][:, None] - TOLERANCE
        mine[rivals] &= ~(overlaps & is_better).any(axis=1)
    return Cells(scores, scores > least_score - TOLERANCE, must_stand, boxes, iou + _IOU_TOLERANCE)


def _compare(
    cells: Cells, boxes: Boxes, scores: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]
) -> _Comparison:
    """The detections of a bundle in one image against every cell of the module's maps."""
    found = set[tuple[int, int]]()
    strange, largest = 0, 0.0
    reach_px = np.maximum(TOLERANCE_PX, 1e-4 * np.abs(cells.boxes).max(1))
    for box, score, label in zip(boxes, scores, classes, strict=True):
        if score == 0:
            continue  # fills the list up where there are not enough peaks
        if not (0 <= label < len(cells.scores) and np.isfinite(box).all()):
            strange += 1
            continue
        here = cells.scores[label]
        fits = (np.abs(cells.boxes - box).max(1) <= reach_px) & (np.abs(here - score) <= TOLERANCE)
        fits &= cells.may_stand[label]
        if not fits.any():
            strange += 1
            continue
        largest = max(largest, float(np.abs(here - score)[fits].min()))
        found.update((int(label), int(cell)) for cell in np.flatnonzero(fits))
    if cells.most_overlap < 1:
        overlaps = box_iou(boxes, boxes) * (classes[:, None] == classes) * (scores > 0)
        strange += int((np.triu(overlaps, 1) > cells.most_overlap).any(axis=0).sum())
    # Rounding decides which of these stand there; the list must hold what does for sure and is above the K-th of them.
    possible = np.sort(cells.scores[cells.may_stand])[::-1]
    last = possible[len(scores) - 1] if len(possible) >= len(scores) else 0.0
    is_clear = cells.must_stand & (cells.scores > last + 2 * TOLERANCE)
    missing = sum((int(label), int(cell)) not in found for label, cell in np.argwhere(is_clear))
    best = possible[0] if len(possible) else 0.0
    return _Comparison(strange, missing, bool(abs(scores.max() - best) <= TOLERANCE), largest)
