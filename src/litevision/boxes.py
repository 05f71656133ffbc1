"""Boxes as numbers: formats, overlaps, and the way from an image to a network's input and back. No torch.

N and M are counts of boxes. A box is (x1, y1, x2, y2) in px from the top left corner, x to the right and y down, with
continuous edges: the first pixel reaches from 0 to 1, and width is x2 - x1.
"""

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float32]
Float = TypeVar("Float", np.float32, np.float64)
_Xyxy = tuple[float, float, float, float]


class Placement(Protocol):
    """Which part of an image landed where in the input; `litevision.image.Placement` is one."""

    @property
    def source_xyxy(self) -> _Xyxy:
        """In the image, px."""

    @property
    def target_xyxy(self) -> _Xyxy:
        """In the input, px."""


def xyxy_from_xywh(boxes_xywh: Boxes) -> Boxes:
    """Corners of boxes given by their top left corner, width and height, as COCO gives them; ``float32[N, 4]``."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def xywh_from_xyxy(boxes_xyxy: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Top left corner, width and height of boxes given by their corners; ``float32[N, 4]``, or float64 of such."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def xyxy_from_cxcywh(boxes_cxcywh: Boxes) -> Boxes:
    """Corners of boxes given by their centre, width and height, as YOLO gives them; ``float32[N, 4]``."""
    half = boxes_cxcywh[:, 2:] / 2
    return np.concatenate([boxes_cxcywh[:, :2] - half, boxes_cxcywh[:, :2] + half], axis=1)


def cxcywh_from_xyxy(boxes_xyxy: Boxes) -> Boxes:
    """Centre, width and height of boxes given by their corners; ``float32[N, 4]``."""
    start, end = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    return np.concatenate([(start + end) / 2, end - start], axis=1)


def area(boxes_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """The area of each box, px²; 0 where an edge lies on the wrong side of its opposite. ``float32[N]``."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    areas: npt.NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas


def box_iou(first_xyxy: Boxes, second_xyxy: Boxes) -> npt.NDArray[np.float32]:
    """The overlap of each of N boxes with each of M, from 0 to 1; 0 for two without an area. ``float32[N, M]``."""
    start = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    end = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    shared = np.maximum(end - start, 0).prod(axis=2)
    union = area(first_xyxy)[:, None] + area(second_xyxy)[None, :] - shared
    overlaps: npt.NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def clip(boxes_xyxy: Boxes, size_hw: tuple[int, int]) -> Boxes:
    """The boxes cut at the edges of an image; one that lay outside has no area then. ``float32[N, 4]``."""
    height, width = size_hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))


def move(boxes_xyxy: Boxes, placement: Placement) -> Boxes:
    """Boxes of an image, in px of the network's input; they may reach out of it. ``float32[N, 4]``."""
    return _moved(boxes_xyxy, placement.source_xyxy, placement.target_xyxy)


def move_back(boxes_xyxy: Boxes, placement: Placement) -> Boxes:
    """Boxes of the network's input, in px of its image; they may reach out of it. ``float32[N, 4]``."""
    return _moved(boxes_xyxy, placement.target_xyxy, placement.source_xyxy)


def _moved(boxes_xyxy: Boxes, source_xyxy: _Xyxy, target_xyxy: _Xyxy) -> Boxes:
    source, target = np.array(source_xyxy), np.array(target_xyxy)  # float64: a large image's edges keep their digits
    scale = np.tile((target[2:] - target[:2]) / (source[2:] - source[:2]), 2)
    moved: Boxes = ((boxes_xyxy - np.tile(source[:2], 2)) * scale + np.tile(target[:2], 2)).astype(np.float32)
    return moved
