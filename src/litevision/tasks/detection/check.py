"""The proof that a detection bundle answers as the module that it was made from: both see the same real images.

Two lists of detections cannot be compared line by line: where two peaks are as high as each other but for rounding,
either may come first, and of two such neighbours either may be the peak. So each detection of the bundle is looked up
among all cells of the module's maps, and each cell of the module that stands out clearly is looked up in the bundle.
What is left out beside a better one is at CenterNet a neighbour in the map, at NanoDet a box that overlaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from litevision.detections import box_iou
from litevision.errors import BundleError, ExportError
from litevision.exporting.graph import TOLERANCE, FromRaw
from litevision.models.centernet import CenterNetMaps
from litevision.models.kinds import AnyDetector
from litevision.models.nanodet import NMS_IOU, NMS_SCORE, NanoDet, NanoDetMaps, decode_cells
from litevision.models.necks import STRIDE
from litevision.runtime import Bundle, Check, Normalisation

TOLERANCE_PX = 0.05
"""Largest difference of an edge that float32 arithmetic in another order explains; for large boxes 1e-4 of the edge."""

_IOU_TOLERANCE = 1e-3

Boxes = npt.NDArray[np.float32]


def check_detection_bundle(
    path: Path, network: AnyDetector, normalisation: Normalisation, check_images: Sequence[str | Path | bytes]
) -> Check:
    """Compares the bundle at ``path``, in onnxruntime, with ``network`` as it was before export, in eval mode.

    The engine sees the images one by one and all at once, the module all at once. ``max_abs_diff`` of what it gives is
    the largest difference of a score, ``top1_agreement`` the part of the images whose best detection agrees.

    Raises:
        ExportError: a detection that the module does not make, a clear one that is missing, or no numbers.
    """
    if not check_images:
        raise ExportError("the check needs at least one image, got none")
    try:
        bundle = Bundle.open(path)
        batch_u8_nhwc = bundle.metadata.preprocess.batch(check_images)
        with torch.inference_mode():
            maps = FromRaw(network, normalisation).answer(torch.from_numpy(batch_u8_nhwc))
        if not all(part.isfinite().all() for part in maps):
            raise ExportError("the network gives no numbers for images: its weights are broken; nothing was written")
        expected = _cells_of(network, maps, batch_u8_nhwc.shape[1:3])
        runs = [bundle.run(batch_u8_nhwc)]
        singly = [bundle.run(image_u8_hwc[None]) for image_u8_hwc in batch_u8_nhwc]
        runs.append({name: np.concatenate([answer[name] for answer in singly]) for name in runs[0]})
    except BundleError as error:
        raise ExportError(f"the bundle does not run: {str(error).replace(str(path), path.name)}") from error

    found = [
        _compare(cells, run["boxes"][i], run["scores"][i], run["classes"][i])
        for run in runs
        for i, cells in enumerate(expected)
    ]
    strange, missing = sum(one.strange for one in found), sum(one.missing for one in found)
    agreement = sum(one.best_agrees for one in found) / len(found)
    if strange or missing or agreement < 1:
        raise ExportError(
            f"the bundle does not match its module on {len(check_images)} images: {strange} detections are none of the "
            f"module's, {missing} clear ones are missing, the best one agrees on {agreement:.0%}; nothing was written"
        )
    return Check(bundle.engine.version, len(check_images), max(one.score_difference for one in found), agreement)


@dataclass(frozen=True, slots=True)
class _Cells:
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


def _cells_of(network: AnyDetector, maps: Any, size_hw: tuple[int, int]) -> list[_Cells]:
    if isinstance(network, NanoDet):
        return _overlapping_cells(maps, network.points(size_hw), size_hw)
    return _neighbouring_cells(maps)


def _neighbouring_cells(maps: CenterNetMaps) -> list[_Cells]:
    scores = maps.heatmap.sigmoid()
    around = _highest_neighbour(scores)
    height, width = scores.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centre = torch.stack((columns, rows)) + maps.offset
    half = maps.size.clamp(min=0) / 2
    boxes = STRIDE * torch.cat((centre - half, centre + half), dim=1)
    may_stand, must_stand = scores >= around - TOLERANCE, scores > around + TOLERANCE
    return [
        _Cells(one.flatten(1).numpy(), may.flatten(1).numpy(), must.flatten(1).numpy(), box.flatten(1).T.numpy())
        for one, may, must, box in zip(scores, may_stand, must_stand, boxes, strict=True)
    ]


def _overlapping_cells(maps: NanoDetMaps, points: Tensor, size_hw: tuple[int, int]) -> list[_Cells]:
    found = []
    for boxes, scores in zip(*(part.numpy() for part in decode_cells(maps, points, size_hw)), strict=True):
        scores = np.ascontiguousarray(scores.T)
        must_stand = scores > NMS_SCORE + TOLERANCE
        for mine, its_scores in zip(must_stand, scores, strict=True):
            rivals = np.flatnonzero(its_scores > NMS_SCORE - TOLERANCE)
            overlaps = box_iou(boxes[rivals], boxes[rivals]) > NMS_IOU - _IOU_TOLERANCE
            np.fill_diagonal(overlaps, val=False)
            is_better = its_scores[rivals][None] >= its_scores[rivals][:, None] - TOLERANCE
            mine[rivals] &= ~(overlaps & is_better).any(axis=1)
        found.append(_Cells(scores, scores > NMS_SCORE - TOLERANCE, must_stand, boxes, NMS_IOU + _IOU_TOLERANCE))
    return found


def _highest_neighbour(scores: Tensor) -> Tensor:
    """The highest of the up to eight neighbours of each cell, [N, C, h, w] -> the same shape."""
    count, classes, height, width = scores.shape
    windows = F.unfold(F.pad(scores, (1, 1, 1, 1), value=-1), 3).reshape(count, classes, 9, height, width)
    return windows[:, :, [0, 1, 2, 3, 5, 6, 7, 8]].amax(2)


def _compare(
    cells: _Cells, boxes: Boxes, scores: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]
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
