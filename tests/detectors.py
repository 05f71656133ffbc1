"""Tiny detectors: one puts a box around the red pixels and one around the blue, one always gives the same boxes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from bundles import plain_metadata

LABELS = ("red", "blue")
RED, BLUE = (255, 0, 0), (0, 0, 255)
SCORES = (0.9, 0.6)


def detection_metadata(
    labels: Sequence[str] = LABELS, size_hw: tuple[int, int] = (64, 64), crop: str = "letterbox", **changes: Any
) -> dict[str, Any]:
    plain = plain_metadata(labels, size_hw)
    preprocess = {"size_hw": list(size_hw), "resize_px": min(size_hw), "crop": crop, "interpolation": "bilinear"}
    return {**plain, "task": "detection", "preprocess": preprocess, **changes}


def colour_nodes(size_hw: tuple[int, int]) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[Any]]]:
    """``boxes``, ``scores`` and ``classes`` of the pixels that are red and that are blue; score 0 without any."""
    height, width = size_hw
    # The channel that must be bright, minus those that must be dark, for each class: [3, 2].
    weight = np.array([[1, -1], [-1, -1], [-1, 1]], np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["pixels", "weight"], ["bright"]),
        helper.make_node("Greater", ["bright", "half"], ["mask"]),  # [N, H, W, 2]
        helper.make_node("Cast", ["mask"], ["ones"], to=TensorProto.FLOAT),
    ]
    for axis in "xy":
        nodes += [
            helper.make_node("ReduceMax", ["ones", f"{axis}_over"], [f"{axis}_any"], keepdims=0),
            helper.make_node("Mul", [f"{axis}_any", f"{axis}_ends"], [f"{axis}_last"]),
            helper.make_node("Mul", [f"{axis}_any", f"{axis}_room"], [f"{axis}_left"]),
            helper.make_node("ReduceMax", [f"{axis}_last", "first"], [f"{axis}2"], keepdims=0),
            helper.make_node("ReduceMax", [f"{axis}_left", "first"], [f"{axis}_free"], keepdims=0),
            helper.make_node("Sub", [f"{axis}_length", f"{axis}_free"], [f"{axis}1"]),
        ]
    nodes += [
        *(helper.make_node("Unsqueeze", [edge, "last"], [f"{edge}_"]) for edge in ("x1", "y1", "x2", "y2")),
        helper.make_node("Concat", ["x1_", "y1_", "x2_", "y2_"], ["boxes"], axis=-1),
        helper.make_node("ReduceMax", ["ones", "pixel_axes"], ["any"], keepdims=0),
        helper.make_node("Mul", ["any", "sure"], ["scores"]),
        helper.make_node("Shape", ["scores"], ["shape"]),
        helper.make_node("Expand", ["ids", "shape"], ["classes"]),
    ]
    constants = {
        "weight": weight,
        "half": np.array(128, np.float32),
        "first": np.array([1]),
        "last": np.array([-1]),
        "pixel_axes": np.array([1, 2]),
        "sure": np.array(SCORES, np.float32),
        "ids": np.array([[0, 1]]),
    }
    for axis, over, length in (("x", 1, width), ("y", 2, height)):
        constants[f"{axis}_over"] = np.array([over])
        constants[f"{axis}_ends"] = np.arange(1, length + 1, dtype=np.float32)[:, None]
        constants[f"{axis}_room"] = np.arange(length, 0, -1, dtype=np.float32)[:, None]
        constants[f"{axis}_length"] = np.array(length, np.float32)
    return nodes, constants


def constant_nodes(
    boxes: Sequence[Sequence[float]], scores: Sequence[float], classes: Sequence[int]
) -> tuple[list[onnx.NodeProto], dict[str, npt.NDArray[Any]]]:
    """The same boxes for every image."""
    nodes = [
        helper.make_node("Shape", ["images"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "boxes_tail"], ["boxes_shape"], axis=0),
        helper.make_node("Concat", ["batch", "tail"], ["rows_shape"], axis=0),
        helper.make_node("Expand", ["all_boxes", "boxes_shape"], ["boxes"]),
        helper.make_node("Expand", ["all_scores", "rows_shape"], ["scores"]),
        helper.make_node("Expand", ["all_classes", "rows_shape"], ["classes"]),
    ]
    return nodes, {
        "boxes_tail": np.array([len(boxes), 4]),
        "tail": np.array([len(boxes)]),
        "all_boxes": np.array(boxes, np.float32)[None],
        "all_scores": np.array(scores, np.float32)[None],
        "all_classes": np.array(classes, np.int64)[None],
    }


def write_detector(
    path: Path,
    *,
    size_hw: tuple[int, int] = (64, 64),
    constant: tuple[Sequence[Sequence[float]], Sequence[float], Sequence[int]] | None = None,
    outputs: Sequence[str] = ("boxes", "scores", "classes"),
    metadata: dict[str, Any] | None = None,
    **about: Any,
) -> Path:
    """A bundle at ``path``: of colours, or with ``constant`` boxes, scores and classes; ``about`` is its metadata."""
    nodes, constants = colour_nodes(size_hw) if constant is None else constant_nodes(*constant)
    count = 2 if constant is None else len(constant[0])
    kinds = {"boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT, "classes": TensorProto.INT64}
    shapes: dict[str, list[str | int]] = {"boxes": ["N", count, 4], "scores": ["N", count], "classes": ["N", count]}
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *size_hw, 3])],
        [helper.make_tensor_value_info(name, kinds[name], shapes[name]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    plain = detection_metadata(size_hw=size_hw, **about) if metadata is None else metadata
    helper.set_model_props(made, {"litevision": json.dumps(plain)})
    onnx.save(made, path)
    return path


def image(
    size_hw: tuple[int, int], *marks: tuple[tuple[int, int, int, int], tuple[int, int, int]]
) -> npt.NDArray[np.uint8]:
    """A black image with boxes (x1, y1, x2, y2) filled with colours."""
    pixels = np.zeros((*size_hw, 3), np.uint8)
    for (x1, y1, x2, y2), colour in marks:
        pixels[y1:y2, x1:x2] = colour
    return pixels
