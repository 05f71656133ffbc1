"""Decodings of detectors with generalised focal heads: distances to four sides as distributions over whole numbers.

Source: Li et al. 2020, arXiv:2006.04388.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from litevision.adopting.decoding import Array, Decoding, Fit, MismatchError, Seen, grid_cells, grid_points, sigmoid
from litevision.exporting.append import NodeAppender, Tensor
from litevision.runtime.engines.base import Outputs

Offset = Callable[[Array], Array]
"""From the stride of each cell to where in the cell its point lies, px."""


def _middle_pixel(strides: Array) -> Array:
    return (strides - 1) / 2


def _middle(strides: Array) -> Array:
    return strides / 2


def _corner(strides: Array) -> Array:
    return strides * 0


def _match_levels(seen: Seen, strides: Sequence[int], offset: Offset) -> Fit:
    """Two outputs for each stride: scores [1, cells, classes] and distances [1, cells, 4 * bins]."""
    shapes = seen.shapes
    cells = grid_cells(seen.size_hw, strides)
    needed = f"scores [N, cells, {seen.classes}] and distances [N, cells, 4 * bins] of {len(strides)} maps"
    if len(shapes) != 2 * len(strides) or any(len(shape) != 3 for shape in shapes.values()):
        raise MismatchError(f"needs {needed}")
    scores = [name for name, shape in shapes.items() if shape[2] == seen.classes]
    sides = [name for name in shapes if name not in scores]
    widths = {shapes[name][2] for name in sides}
    if len(scores) != len(sides) or len(widths) != 1 or (width := widths.pop()) % 4:
        raise MismatchError(f"needs {needed}")
    for names in (scores, sides):
        names.sort(key=lambda name: -shapes[name][1])
        if (found := [shapes[name][1] for name in names]) != cells:
            raise MismatchError(f"needs maps of {', '.join(map(str, cells))} cells, got {', '.join(map(str, found))}")
    values = np.concatenate([seen.values(name) for name in scores])
    facts = {"bins": width // 4, "logits": _are_logits(values), "strides": strides, "offset": offset}
    outputs = {f"scores/{stride}": name for stride, name in zip(strides, scores, strict=True)}
    outputs |= {f"sides/{stride}": name for stride, name in zip(strides, sides, strict=True)}
    return Fit(seen.size_hw, seen.classes, outputs, facts)


def _match_rows(seen: Seen, strides: Sequence[int], offset: Offset) -> Fit:
    """One output [1, cells, classes + 4 * bins]."""
    name = seen.only("[N, cells, classes + 4 * bins]", 3)
    _, cells, width = seen.shapes[name]
    if cells != (expected := sum(grid_cells(seen.size_hw, strides))):
        raise MismatchError(f"needs {expected} cells, got {cells}")
    if width <= seen.classes + 4 or (width - seen.classes) % 4:
        raise MismatchError(f"needs rows of {seen.classes} classes and 4 * bins, got {width}")
    facts = {"bins": (width - seen.classes) // 4, "logits": _are_logits(seen.values(name, ..., slice(seen.classes)))}
    return Fit(seen.size_hw, seen.classes, {"rows": name}, {**facts, "strides": strides, "offset": offset})


def _are_logits(values: Array) -> bool:
    return bool(values.min() < 0 or values.max() > 1)


def _points(fit: Fit) -> tuple[Array, Array]:
    points, strides = grid_points(fit.size_hw, fit.facts["strides"])
    return points * strides + fit.facts["offset"](strides), strides


def _append(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, ...]:
    scores, sides = _joined(nodes, fit)
    bins = fit.facts["bins"]
    likely = nodes.op("Softmax", nodes.op("Reshape", sides, nodes.integers([0, -1, 4, bins])), axis=3)
    mean = nodes.op("MatMul", likely, nodes.floats(np.arange(bins)[:, None]))
    points, strides = _points(fit)
    outwards = strides * np.array([-1, -1, 1, 1], np.float32)
    distances = nodes.op("Mul", nodes.op("Reshape", mean, nodes.integers([0, -1, 4])), nodes.floats(outwards[None]))
    boxes = nodes.op("Add", distances, nodes.floats(np.tile(points, 2)[None]))
    return boxes, nodes.op("Sigmoid", scores) if fit.facts["logits"] else scores


def _joined(nodes: NodeAppender, fit: Fit) -> tuple[Tensor, Tensor]:
    """Scores [N, cells, classes] and distances [N, cells, 4 * bins] of all maps."""
    if "rows" not in fit.outputs:
        scores, sides = (nodes.op("Concat", *_of_levels(fit, which), axis=1) for which in ("scores", "sides"))
        return nodes.as_float(scores), nodes.as_float(sides)
    rows = nodes.as_float(fit.outputs["rows"])
    end = fit.classes + 4 * fit.facts["bins"]
    return nodes.slice(rows, 0, fit.classes, axis=2), nodes.slice(rows, fit.classes, end, axis=2)


def _of_levels(fit: Fit, which: str) -> list[Tensor]:
    return [fit.outputs[f"{which}/{stride}"] for stride in fit.facts["strides"]]


def _plain(outputs: Outputs, fit: Fit) -> tuple[Array, ...]:
    if "rows" in fit.outputs:
        scores, sides = np.split(outputs[fit.outputs["rows"]].astype(np.float64), [fit.classes], axis=2)
    else:
        scores, sides = (
            np.concatenate([outputs[name] for name in _of_levels(fit, which)], 1).astype(np.float64)
            for which in ("scores", "sides")
        )
    powers = np.exp((bins := sides.reshape(*sides.shape[:2], 4, -1)) - bins.max(-1, keepdims=True))
    distances = (powers * np.arange(bins.shape[-1])).sum(-1) / powers.sum(-1)
    points, strides = _points(fit)
    boxes = np.concatenate([points - distances[..., :2] * strides, points + distances[..., 2:] * strides], -1)
    return boxes, sigmoid(scores) if fit.facts["logits"] else scores


DECODINGS = (
    Decoding(
        "nanodet",
        "detection",
        "scores [N, cells, classes] and distances [N, cells, 4 * bins] of strides 8, 16, 32, an output each",
        partial(_match_levels, strides=(8, 16, 32), offset=_middle_pixel),
        _append,
        _plain,
        iou_threshold=0.6,
    ),
    Decoding(
        "nanodet-plus",
        "detection",
        "[N, cells, classes + 4 * bins] of strides 8, 16, 32, 64: class scores and distances",
        partial(_match_rows, strides=(8, 16, 32, 64), offset=_corner),
        _append,
        _plain,
        iou_threshold=0.6,
    ),
    Decoding(
        "picodet",
        "detection",
        "scores [N, cells, classes] and distances [N, cells, 4 * bins] of strides 8, 16, 32, 64, an output each",
        partial(_match_levels, strides=(8, 16, 32, 64), offset=_middle),
        _append,
        _plain,
        iou_threshold=0.6,
    ),
)
