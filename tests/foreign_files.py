"""ONNX files as others export them, small: answers are known by hand, and move a little with the image."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from litevision.exporting.append import NodeAppender

SIDE = 64
Array = npt.NDArray[Any]


def foreign(
    build: Callable[[NodeAppender, str], Mapping[str, str]],
    shape: Sequence[int | str] = (1, 3, SIDE, SIDE),
    *,
    element: int = TensorProto.FLOAT,
    integers: Sequence[str] = (),
    inputs: Sequence[onnx.ValueInfoProto] = (),
    opset: int = 11,
) -> onnx.ModelProto:
    """A file with the input ``x``; ``build`` appends its nodes and gives the tensor for each output's name."""
    graph = helper.make_graph([], "foreign", [helper.make_tensor_value_info("x", element, shape), *inputs], [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    for name, tensor in build(NodeAppender(model, "n/"), "x").items():
        graph.node.append(helper.make_node("Identity", [tensor], [name]))
        model.graph.node.append(graph.node[-1])
        kind = TensorProto.INT64 if name in integers else TensorProto.FLOAT
        model.graph.output.append(helper.make_tensor_value_info(name, kind, None))
    return onnx.shape_inference.infer_shapes(model)


def brightness(nodes: NodeAppender, x: str, rank: int) -> str:
    """0.9 to 1 for images in [0, 1], [N, 1, ...] of ``rank`` axes."""
    mean = nodes.op("ReduceMean", x, axes=[1, 2, 3], keepdims=1)
    near = nodes.op("Add", nodes.op("Mul", mean, nodes.floats(0.1)), nodes.floats(0.9))
    return nodes.op("Reshape", near, nodes.integers([-1, *[1] * (rank - 1)]))


def constant(outputs: Mapping[str, Array], dimmed: Mapping[str, tuple[int, slice]] | None = None, **options: Any):
    """A file with these outputs; of those in ``dimmed``, a slice of an axis is multiplied by the brightness."""
    dimmed = dimmed or {}

    def build(nodes: NodeAppender, x: str) -> dict[str, str]:
        found = {}
        for name, value in outputs.items():
            if name in dimmed:
                axis, part = dimmed[name]
                mask = np.zeros(value.shape, np.float32)
                mask[(slice(None),) * axis + (part,)] = 1
                factor = brightness(nodes, x, value.ndim)
                kept = nodes.floats(value * (1 - mask))
                found[name] = nodes.op("Add", kept, nodes.op("Mul", nodes.floats(value * mask), factor))
            else:
                found[name] = nodes.constant(value)
        return found

    integers = [name for name, value in outputs.items() if value.dtype == np.int64]
    return foreign(build, integers=integers, **options)


def channel_logits(nodes: NodeAppender, x: str, axes: Sequence[int] = (2, 3)) -> str:
    """Logits of three classes, 6 times the mean of each channel less 2, [N, 3]."""
    mean = nodes.op("ReduceMean", x, axes=list(axes), keepdims=0)
    return nodes.op("Sub", nodes.op("Mul", mean, nodes.floats(6)), nodes.floats(2))


def saved(model: onnx.ModelProto, folder: Path, name: str = "foreign.onnx") -> Path:
    """The path of ``model``, written."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path
