"""Boxes as numpy arrays: areas, overlaps and formats.

A box is (x1, y1, x2, y2) in px from the top left corner, x to the right and y down, with continuous edges: the first
pixel reaches from 0 to 1, and width is x2 - x1. N and M are numbers of boxes.
"""

from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from litevision.errors import UnknownNameError

Boxes = npt.NDArray[np.float32]
BoxFormat = Literal["xyxy", "xywh", "cxcywh"]

_Float = TypeVar("_Float", np.float32, np.float64)


def box_area(boxes_xyxy: npt.NDArray[_Float]) -> npt.NDArray[_Float]:
    """Area of each box, ``float[N]`` in px²; 0 where an edge lies on the wrong side of its opposite."""
    sides = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0)
    areas: npt.NDArray[_Float] = sides[:, 0] * sides[:, 1]
    return areas


def box_iou(first_xyxy: Boxes, second_xyxy: Boxes) -> Boxes:
    """Intersection over union of each of N boxes with each of M, ``float32[N, M]`` in [0, 1].

    Two boxes without an area have 0.

    Example:
        >>> import numpy as np
        >>> first = np.array([[0, 0, 4, 4]], np.float32)
        >>> box_iou(first, np.array([[0, 0, 4, 2], [8, 8, 9, 9]], np.float32)).tolist()
        [[0.5, 0.0]]
    """
    start = np.maximum(first_xyxy[:, None, :2], second_xyxy[None, :, :2])
    end = np.minimum(first_xyxy[:, None, 2:], second_xyxy[None, :, 2:])
    shared = np.maximum(end - start, 0).prod(axis=2)
    union = box_area(first_xyxy)[:, None] + box_area(second_xyxy)[None, :] - shared
    overlaps: Boxes = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def box_convert(boxes: npt.NDArray[_Float], in_format: BoxFormat, out_format: BoxFormat) -> npt.NDArray[_Float]:
    """Convert boxes between formats, ``float[N, 4]``.

    Args:
        boxes: ``float[N, 4]``.
        in_format: "xyxy" (corners), "xywh" (top left corner, width and height, as in COCO) or "cxcywh" (centre, width
            and height, as in YOLO).
        out_format: likewise.

    Raises:
        UnknownNameError: no such format.

    Example:
        >>> import numpy as np
        >>> box_convert(np.array([[2, 3, 6, 10]], np.float32), "xyxy", "cxcywh").tolist()
        [[4.0, 6.5, 4.0, 7.0]]
    """
    for name in (in_format, out_format):
        if name not in get_args(BoxFormat):
            raise UnknownNameError.of("box format", name, get_args(BoxFormat))
    if in_format == out_format:
        return boxes.copy()
    start: npt.NDArray[Any] = boxes[:, :2]
    end: npt.NDArray[Any] = boxes[:, 2:]
    if in_format == "xywh":
        end = start + end
    elif in_format == "cxcywh":
        start, end = start - end / 2, start + end / 2
    if out_format == "xywh":
        end = end - start
    elif out_format == "cxcywh":
        start, end = (start + end) / 2, end - start
    return np.concatenate([start, end], axis=1)


def clip_boxes(boxes_xyxy: Boxes, image_hw: tuple[int, int]) -> Boxes:
    """Cut boxes at the edges of an image, ``float32[N, 4]``; one that lay outside has no area then."""
    height, width = image_hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32))
