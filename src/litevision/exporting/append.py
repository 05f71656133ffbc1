"""Add operators to an existing ONNX graph, node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from litevision.errors import ExportError, reason_of

Tensor = str
"""The name of a tensor in the graph."""


class NodeAppender:
    """Appends nodes to a model's graph; each method gives the name of what its node writes.

    Args:
        model: changed in place.
        prefix: of the names of the new nodes and tensors; underscores go in front where the graph has such names.
    """

    def __init__(self, model: onnx.ModelProto, prefix: str) -> None:
        self.graph = model.graph
        taken = {name for node in model.graph.node for name in (node.name, *node.output)}
        taken |= {tensor.name for tensor in model.graph.initializer}
        while any(name.startswith(prefix) for name in taken):
            prefix = f"_{prefix}"
        self._prefix = prefix
        self._count = 0

    def op(self, op_type: str, *inputs: Tensor, **attributes: Any) -> Tensor:
        """Append a node with one output."""
        return self.ops(op_type, *inputs, outputs=1, **attributes)[0]

    def ops(self, op_type: str, *inputs: Tensor, outputs: int, **attributes: Any) -> Sequence[Tensor]:
        """Append a node with several outputs."""
        name = self._name(op_type)
        names = [name] if outputs == 1 else [f"{name}:{place}" for place in range(outputs)]
        self.graph.node.append(helper.make_node(op_type, inputs, names, name=name, **attributes))
        return names

    def integers(self, values: Any) -> Tensor:
        """Add a constant of int64: a list, or a scalar."""
        return self.constant(np.array(values, np.int64))

    def floats(self, values: Any) -> Tensor:
        """Add a constant of float32."""
        return self.constant(np.asarray(values, np.float32))

    def constant(self, value: npt.NDArray[Any]) -> Tensor:
        """Add a constant of ``value``'s own type."""
        name = self._name("constant")
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def slice(self, x: Tensor, start: int, end: int, axis: int) -> Tensor:
        """Take the part from ``start`` to before ``end`` of an axis."""
        return self.op("Slice", x, *(self.integers([value]) for value in (start, end, axis)))

    def as_float(self, x: Tensor) -> Tensor:
        """Convert to float32."""
        return self.op("Cast", x, to=TensorProto.FLOAT)

    def as_integer(self, x: Tensor) -> Tensor:
        """Convert to int64."""
        return self.op("Cast", x, to=TensorProto.INT64)

    def _name(self, of: str) -> str:
        self._count += 1
        return f"{self._prefix}{of}_{self._count}"


def rename_tensors(graph: onnx.GraphProto, names: Mapping[Tensor, Tensor]) -> None:
    """Rename tensors of a graph, also where graphs inside of it use them."""
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(name, name) for name in tensors]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                rename_tensors(inner, names)
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.name = names.get(item.name, item.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)


def at_opset(model: onnx.ModelProto, least: int) -> onnx.ModelProto:
    """Return a copy of ``model`` whose operators are of version ``least`` or later.

    Raises:
        ExportError: an operator of it cannot be converted.
    """
    version = next((it.version for it in model.opset_import if it.domain in ("", "ai.onnx")), 1)
    if version >= least:
        copied = onnx.ModelProto()
        copied.CopyFrom(model)
        return copied
    try:
        return version_converter.convert_version(model, least)
    except Exception as error:  # the converter's own share no other base class
        reason = reason_of(error)
        raise ExportError(f"its operators of opset {version} cannot be converted to opset {least} ({reason})") from None
