"""Decodings of detectors that give a box for each cell of their maps, to be suppressed: YOLOX, YOLO and FastestDet."""

import numpy as np

from litevision.adopting.decoding import (
    Array,
    Decoding,
    Fit,
    MismatchError,
    Seen,
    best_class_alone,
    corners,
    grid_cells,
    grid_points,
    plain_best_class_alone,
    sigmoid,
)
from litevision.exporting.append import NodeAppender, Tensor
from litevision.runtime.engines.base import Outputs

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
_LARGEST_OFFSET = 20.0
"""Raw offsets are a few cells, and raw sizes logarithms; decoded ones go up to hundreds of px."""


def _rows_with_objectness(seen: Seen) -> str:
    """The only output, [1, cells, 5 + classes]: a box, its objectness and a score for each class."""
    name = seen.only("[N, cells, 5 + classes]", 3)
    if seen.shapes[name][2] != 5 + seen.classes:
        raise MismatchError(f"needs rows of 5 + {seen.classes} classes, got {list(seen.shapes[name])}")
    seen.require_shares(name, seen.values(name, ..., slice(4, None)))
    return name


def _match_yolox(seen: Seen) -> Fit:
    name = _rows_with_objectness(seen)
    cells = seen.shapes[name][1]
    strides = next((it for it in _STRIDES if sum(grid_cells(seen.size_hw, it)) == cells), None)
    if strides is None:
        expected = " or ".join(str(sum(grid_cells(seen.size_hw, it))) for it in _STRIDES)
        raise MismatchError(f"needs {expected} cells, got {cells}")
    largest = np.abs(seen.values(name, ..., slice(0, 4))).max()
    if largest > _LARGEST_OFFSET:
        raise MismatchError(f"needs offsets and logarithms of sizes, got numbers up to {largest:.3g}: px already?")
    return Fit(seen.size_hw, seen.classes, {"rows": name}, {"strides": strides})


def _yolox(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    rows = nodes.as_float(fit.outputs["rows"])
    points, strides = (nodes.floats(it[None]) for it in grid_points(fit.size_hw, fit.facts["strides"]))
    centre = nodes.op("Mul", nodes.op("Add", nodes.slice(rows, 0, 2, axis=2), points), strides)
    size = nodes.op("Mul", nodes.op("Exp", nodes.slice(rows, 2, 4, axis=2)), strides)
    return corners(nodes, centre, size), _scores(nodes, rows, fit)


def _plain_yolox(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    rows = outputs[fit.outputs["rows"]].astype(np.float64)
    points, strides = grid_points(fit.size_hw, fit.facts["strides"])
    return _plain_corners((rows[..., :2] + points) * strides, np.exp(rows[..., 2:4]) * strides), _plain_scores(rows)


def _scores(nodes: NodeAppender, rows: Tensor, fit: Fit) -> Tensor:
    of_class = nodes.slice(rows, 5, 5 + fit.classes, axis=2)
    return nodes.op("Mul", nodes.slice(rows, 4, 5, axis=2), of_class)


def _plain_scores(rows: Array) -> Array:
    return rows[..., 4:5] * rows[..., 5:]


def _plain_corners(centre: Array, size: Array) -> Array:
    return np.concatenate([centre - size / 2, centre + size / 2], -1)


def _match_yolov5(seen: Seen) -> Fit:
    name = _rows_with_objectness(seen)
    largest = seen.values(name, ..., slice(0, 4)).max()
    if largest <= _LARGEST_OFFSET:
        raise MismatchError(f"needs boxes in px, got numbers up to {largest:.3g}")
    return Fit(seen.size_hw, seen.classes, {"rows": name})


def _yolov5(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    rows = nodes.as_float(fit.outputs["rows"])
    centre, size = nodes.slice(rows, 0, 2, axis=2), nodes.slice(rows, 2, 4, axis=2)
    return corners(nodes, centre, size), _scores(nodes, rows, fit)


def _plain_yolov5(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    rows = outputs[fit.outputs["rows"]].astype(np.float64)
    return _plain_corners(rows[..., :2], rows[..., 2:4]), _plain_scores(rows)


def _match_yolov8(seen: Seen) -> Fit:
    name = seen.only("[N, 4 + classes, cells]", 3)
    shape = seen.shapes[name]
    if shape[1] != 4 + seen.classes:
        raise MismatchError(f"needs columns of 4 + {seen.classes} classes, got {list(shape)}")
    seen.require_shares(name, seen.values(name, slice(None), slice(4, None)))
    largest = seen.values(name, slice(None), slice(0, 4)).max()
    if largest <= 2:
        raise MismatchError(f"needs boxes in px, got numbers up to {largest:.3g}")
    return Fit(seen.size_hw, seen.classes, {"columns": name})


def _yolov8(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    rows = nodes.op("Transpose", nodes.as_float(fit.outputs["columns"]), perm=[0, 2, 1])
    centre, size = nodes.slice(rows, 0, 2, axis=2), nodes.slice(rows, 2, 4, axis=2)
    return corners(nodes, centre, size), nodes.slice(rows, 4, 4 + fit.classes, axis=2)


def _plain_yolov8(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    rows = outputs[fit.outputs["columns"]].astype(np.float64).transpose(0, 2, 1)
    return _plain_corners(rows[..., :2], rows[..., 2:4]), rows[..., 4:]


def _match_fastestdet(seen: Seen) -> Fit:
    name = seen.only("[N, 5 + classes, h, w]", 4)
    shape = seen.shapes[name]
    if shape[1] != 5 + seen.classes:
        raise MismatchError(f"needs a map of 5 + {seen.classes} channels, got {list(shape)}")
    if (height := seen.size_hw[0] // shape[2]) != seen.size_hw[1] // shape[3] or height < 2:
        raise MismatchError(f"needs a map of one stride, got {list(shape)} for {seen.size_hw[0]}x{seen.size_hw[1]}")
    seen.require_shares(name, seen.values(name, slice(None), slice(0, 1)))
    seen.require_shares(name, seen.values(name, slice(None), slice(5, None)))
    return Fit(seen.size_hw, seen.classes, {"map": name}, {"map_hw": shape[2:]})


def _fastestdet_grid(fit: Fit) -> tuple[Array, Array]:
    """Column and row of each cell, float32 [1, cells, 2]; and how many px of the input one cell is, [1, 1, 2]."""
    rows, columns = fit.facts["map_hw"]
    points, _ = grid_points((rows, columns), (1,))
    return points[None], np.array([[[fit.size_hw[1] / columns, fit.size_hw[0] / rows]]], np.float32)


def _fastestdet(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    channels = 5 + fit.classes
    flat = nodes.op("Reshape", nodes.as_float(fit.outputs["map"]), nodes.integers([0, channels, -1]))
    rows = nodes.op("Transpose", flat, perm=[0, 2, 1])
    points, cell = _fastestdet_grid(fit)
    offset = nodes.op("Tanh", nodes.slice(rows, 1, 3, axis=2))
    centre = nodes.op("Mul", nodes.op("Add", offset, nodes.floats(points)), nodes.floats(cell))
    whole = nodes.floats([fit.size_hw[::-1]])
    size = nodes.op("Mul", nodes.op("Sigmoid", nodes.slice(rows, 3, 5, axis=2)), whole)
    objectness = nodes.op("Pow", nodes.slice(rows, 0, 1, axis=2), nodes.floats(0.6))
    of_class = nodes.op("Pow", nodes.slice(rows, 5, channels, axis=2), nodes.floats(0.4))
    return corners(nodes, centre, size), best_class_alone(nodes, nodes.op("Mul", objectness, of_class))


def _plain_fastestdet(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    channels = outputs[fit.outputs["map"]].astype(np.float64)
    rows = channels.reshape(len(channels), 5 + fit.classes, -1).transpose(0, 2, 1)
    points, cell = _fastestdet_grid(fit)
    size = sigmoid(rows[..., 3:5]) * fit.size_hw[::-1]
    scores = rows[..., :1] ** 0.6 * rows[..., 5:] ** 0.4
    return _plain_corners((np.tanh(rows[..., 1:3]) + points) * cell, size), plain_best_class_alone(scores)


DECODINGS = (
    Decoding(
        "yolox",
        "detection",
        "[N, cells, 5 + classes], strides 8, 16, 32: offsets in cells, logarithms of sizes, objectness, class scores",
        _match_yolox,
        _yolox,
        _plain_yolox,
        iou_threshold=0.45,
    ),
    Decoding(
        "yolov5",
        "detection",
        "[N, cells, 5 + classes]: centre and size in px, objectness, class scores",
        _match_yolov5,
        _yolov5,
        _plain_yolov5,
        iou_threshold=0.45,
    ),
    Decoding(
        "yolov8",
        "detection",
        "[N, 4 + classes, cells]: centre and size in px, class scores",
        _match_yolov8,
        _yolov8,
        _plain_yolov8,
        iou_threshold=0.7,
    ),
    Decoding(
        "fastestdet",
        "detection",
        "[N, 5 + classes, h, w]: objectness, a box in units of one cell and of the image, class scores",
        _match_fastestdet,
        _fastestdet,
        _plain_fastestdet,
        iou_threshold=0.45,
    ),
)
