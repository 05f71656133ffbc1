"""Parts of ONNX graphs: cut out, run once, and constants folded."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from litevision.errors import ExportError
from litevision.runtime.engines.onnxruntime_engine import import_onnxruntime


def read_model(data: bytes) -> onnx.ModelProto:
    """Parses a graph with its constants folded, so that weights which it computes are plain tensors, and nodes named.

    The shipped ``imagenet-1k`` unpacks its weights from 4 and 8 bits in its graph.
    """
    model = onnx.ModelProto()
    model.ParseFromString(data)
    graph = model.graph
    for place, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{place}"
    known = {one.name for one in graph.initializer}
    folded = []
    for node in graph.node:
        if all(not name or name in known for name in node.input):
            folded.append(node)
            known.update(node.output)
    if not folded:
        return model
    names = {node.name for node in folded}
    inside = {name for node in folded for name in node.output}
    used = {name for node in graph.node if node.name not in names for name in node.input}
    wanted = sorted(inside & (used | {one.name for one in graph.output}))
    constants = run_graph(_part(model, folded, wanted), wanted, {})
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    keep_nodes(graph, [node for node in graph.node if node.name not in names])
    return model


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Copies ``model`` so that it gives the tensors ``names`` and nothing else."""
    made = copied(model)
    del made.graph.output[:]
    made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return made


def run_graph(
    model: onnx.ModelProto, outputs: Iterable[str], inputs: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Runs a graph once in onnxruntime, on one thread."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = list(outputs)
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copies a model."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    return made


def _part(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> onnx.ModelProto:
    part = with_outputs(model, outputs)
    del part.graph.input[:]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    keep_nodes(part.graph, kept)
    return part


def keep_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Leaves of ``nodes`` those that something comes of, and of the tensors those that are used."""
    used = {one.name for one in graph.output}
    kept = []
    for node in reversed(list(nodes)):
        if used & set(node.output):
            kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
            used.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [one for one in graph.initializer if one.name in used]
    shapes = [one for one in graph.value_info if one.name in used]
    copies = [onnx.TensorProto.FromString(one.SerializeToString()) for one in tensors]
    shapes = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in shapes]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(copies)
    graph.value_info.extend(shapes)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _narrowed(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in 32 bits, for runtimes that count in these."""
    if value.dtype == np.int64:
        value = np.clip(value, -(2**31), 2**31 - 1).astype(np.int32)
    elif value.dtype in (np.float64, np.float16):
        value = value.astype(np.float32)
    return value


class FixedGraph:
    """A graph for one image as another format takes it over: every shape is a number, and what is fixed is at hand.

    Attributes:
        graph: the ONNX graph.
        constants: the values of tensors that are fixed, in 32 bits.
        shapes: of all others.
    """

    def __init__(self, model: onnx.ModelProto, format_name: str) -> None:
        """Takes a graph with the shape of every tensor, and what messages call the format."""
        self.graph, self._format = model.graph, format_name
        self.constants = {one.name: _narrowed(numpy_helper.to_array(one)) for one in self.graph.initializer}
        self.shapes = {
            one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim)
            for one in (*self.graph.input, *self.graph.value_info, *self.graph.output)
        }

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor.

        Raises:
            ExportError: it is not fixed.
        """
        shape = self.constants[name].shape if name in self.constants else self.shapes.get(name)
        if shape is None or any(side <= 0 for side in shape):
            raise ExportError(f"the shape of {name!r} is not known; {self._format} have fixed shapes")
        return shape

    def slice_places(self, node: onnx.NodeProto) -> tuple[list[int], list[int], list[int]]:
        """Where a Slice begins and ends on each axis, and its steps.

        Raises:
            ExportError: steps from behind.
        """
        before, after = self.shape(node.input[0]), self.shape(node.output[0])
        starts = self.constants[node.input[1]].ravel().tolist()  # the shape of the result says where it ends
        given = [self.constants[name].ravel().tolist() if name else None for name in node.input[3:]]
        axes = given[0] if given and given[0] else list(range(len(starts)))
        steps = given[1] if len(given) > 1 and given[1] else [1] * len(starts)
        if min(steps) < 1:
            raise ExportError(f"{node.name}: a slice from behind")
        begin, stride = [0] * len(before), [1] * len(before)
        for axis, start, step in zip(axes, starts, steps, strict=True):
            begin[axis] = min(max(start + before[axis] if start < 0 else start, 0), before[axis])
            stride[axis] = step
        end = [first + (side - 1) * step + 1 for first, side, step in zip(begin, after, stride, strict=True)]
        return begin, end, stride
