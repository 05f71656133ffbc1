"""Slicing of large images into overlapping tiles, and merging of what was found in them; M is the number of boxes."""

import math

import numpy as np
import numpy.typing as npt

from litevision.detections import box_iou
from litevision.image import Preprocess

MOST_TILES = 8
"""On the longer side: more tiles are a program of their own, over parts of the image."""

_OVERLAP = 0.2  # of a tile's side: an object up to that size is whole in one of two neighbours
_SAME_OBJECT = 0.5  # IoU of two boxes that two slices have of it
_AT_EDGE_PX = 2.0  # of the network's input: how far from a cut the box of an object that it goes through may end

TileXyxy = tuple[int, int, int, int]


def tile_boxes(image_hw: tuple[int, int], preprocess: Preprocess, tiles: int) -> list[TileXyxy]:
    """Slice an image into tiles of one size, in px, row by row; ``tiles`` of them on its longer side.

    A tile has the shape that fills the model's input, and so shows things about ``tiles`` times as large as the whole
    image does. No tile is smaller than the model's input, which would enlarge it and show nothing more: of a small
    image there are fewer, or none.

    Args:
        image_hw: of the upright image.
        preprocess: what makes the model's input of the whole image.
        tiles: at least 2.
    """
    height, width = image_hw
    if preprocess.crop == "stretch":
        whole_hw = float(height), float(width)
    else:
        scale = max(height / preprocess.size_hw[0], width / preprocess.size_hw[1])
        whole_hw = preprocess.size_hw[0] * scale, preprocess.size_hw[1] * scale
    parts = 1 + (tiles - 1) * (1 - _OVERLAP)
    tile_hw = [max(whole / parts, input_) for whole, input_ in zip(whole_hw, preprocess.size_hw, strict=True)]
    if all(tile >= length for tile, length in zip(tile_hw, image_hw, strict=True)):
        return []
    rows, columns = (_cuts(length, tile) for length, tile in zip(image_hw, tile_hw, strict=True))
    return [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]


def touches_tile_edge(
    boxes_xyxy: npt.NDArray[np.float32],
    tile_xyxy: TileXyxy,
    image_hw: tuple[int, int],
    input_hw: tuple[int, int],
) -> npt.NDArray[np.bool_]:
    """Find boxes that end where the tile was cut out, and so may hold part of an object; ``bool[M]``.

    Args:
        boxes_xyxy: ``float32[M, 4]``, px of the image.
        tile_xyxy: the tile that they were found in.
        image_hw: of the image; its own edges cut nothing that another tile would have whole.
        input_hw: of the model's input, which the tile fills.
    """
    x1, y1, x2, y2 = tile_xyxy
    height, width = image_hw
    reach_px = _AT_EDGE_PX * max((x2 - x1) / input_hw[1], (y2 - y1) / input_hw[0])
    inner = [
        x1 + reach_px if x1 > 0 else -math.inf,
        y1 + reach_px if y1 > 0 else -math.inf,
        x2 - reach_px if x2 < width else math.inf,
        y2 - reach_px if y2 < height else math.inf,
    ]
    before, after = boxes_xyxy[:, :2] < np.array(inner[:2]), boxes_xyxy[:, 2:] > np.array(inner[2:])
    ends: npt.NDArray[np.bool_] = np.concatenate([before, after], axis=1)
    at: npt.NDArray[np.bool_] = ends.max(axis=1)
    return at


def merge_tiles(
    boxes_xyxy: npt.NDArray[np.float32], classes: npt.NDArray[np.int64], slices: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Find the boxes to keep, ``bool[M]``: where two slices show one object (IoU 0.5), the surer box stays.

    Boxes of one slice are never compared: the graph has decided already that they are several objects.

    Args:
        boxes_xyxy: ``float32[M, 4]``, the surest first.
        classes: ``int64[M]``.
        slices: ``int64[M]``, the slice that each was found in.
    """
    same = box_iou(boxes_xyxy, boxes_xyxy) >= _SAME_OBJECT
    same &= (classes[:, None] == classes) & (slices[:, None] != slices)
    kept = np.ones(len(boxes_xyxy), np.bool_)
    for place in range(len(kept)):
        if kept[place]:
            kept[place + 1 :] &= ~same[place, place + 1 :]
    return kept


def _cuts(length: int, tile: float) -> list[tuple[int, int]]:
    """Place tiles along an axis of ``length`` px: from and to of each."""
    size = min(length, math.ceil(tile))
    steps = math.ceil((length - tile) / (tile * (1 - _OVERLAP)) - 1e-6)
    starts = np.linspace(0, length - size, max(0, steps) + 1).round().astype(int).tolist()
    return [(start, start + size) for start in starts]
