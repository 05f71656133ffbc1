"""The shape of every tensor of a graph, for one batch size and one image size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.checker
import onnx.reference
import onnx.shape_inference
from onnx import AttributeProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper, numpy_helper

from litevision.cost.graph import operators
from litevision.cost.graph.stand_ins import ATTENTION, StandIn, stand_in, with_axes
from litevision.cost.graph.tensors import SMALL, UNKNOWN_TENSOR, Tensor, constant_of, subgraphs, tensor_of_type
from litevision.errors import reason_of

_FOREIGN_OPSET = 20  # in which an engine's operators are read: the first one with Gelu
_REFUSALS = (onnx.shape_inference.InferenceError, onnx.checker.ValidationError)


class Shapes:
    """What is known of the tensors of a graph before it runs.

    One pass, node by node: ONNX's own inference gives the shape, and what holds a shape rather than an image is
    computed, since the next node's shape may hang on it. What the file claims counts only where that finds nothing,
    behind an operator of another's making: a claim may be of another batch or size.

    Attributes:
        tensors: by name.
        values: the small ones that hang on no image, by name.
        faults: why inference stopped at a node, by the node's first output.
    """

    def __init__(self, model: onnx.ModelProto, inputs: Sequence[ValueInfoProto], names: Mapping[str, int]) -> None:
        """Follows ``model`` from ``inputs`` on; ``names`` are numbers for names of open axes."""
        graph = model.graph
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str, TensorProto] = {}
        self.faults: dict[str, str] = {}
        self._types: dict[str, TypeProto] = {}
        self._claims = {value.name: value.type for value in (*graph.value_info, *graph.output)}
        self._names = names
        self._opsets = list(model.opset_import)
        self._versions = {"" if row.domain == "ai.onnx" else row.domain: row.version for row in self._opsets}
        for value in inputs:
            self._learn(value.name, value.type)
        for tensor in graph.initializer:
            self._know(tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            self._learn(sparse.values.name, helper.make_tensor_type_proto(sparse.values.data_type, sparse.dims))
        for node in graph.node:
            self._follow(node)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of the tensor ``name``; None where it is not known."""
        return self.tensors.get(name, UNKNOWN_TENSOR).shape

    def value(self, name: str) -> npt.NDArray[np.generic] | None:
        """What the small tensor ``name`` holds; None where that is not known."""
        try:
            return numpy_helper.to_array(self.values[name]) if name in self.values else None
        except (TypeError, ValueError):
            return None

    def _learn(self, name: str, kind: TypeProto) -> None:
        self._types[name] = kind
        self.tensors[name] = tensor_of_type(kind)

    def _know(self, name: str, tensor: TensorProto) -> None:
        self._learn(name, helper.make_tensor_type_proto(tensor.data_type, tensor.dims))
        if (self.tensors[name].numel or 0) <= SMALL and tensor.data_location != TensorProto.EXTERNAL:
            self.values[name] = tensor

    def _follow(self, node: NodeProto) -> None:
        constant = constant_of(node) if operators.is_standard(node) and node.op_type == "Constant" else None
        if constant is not None and node.output:
            self._know(node.output[0], constant)
            return
        found = self._infer(node)
        for name in filter(None, node.output):
            if name in found:
                self._learn(name, found[name])
            if self.shape(name) is None and name in self._claims:
                self._learn(name, _closed(self._claims[name], self._names))
        self._compute(node)

    def _infer(self, node: NodeProto) -> dict[str, TypeProto]:
        first = next(filter(None, node.output), "")
        twin = stand_in(node)
        reads = node if twin is None else twin.node
        if any(name and name not in self._types for name in reads.input) or not reads.output:
            return {}
        if (node.domain, node.op_type) in ATTENTION:
            return self._infer_attention(node)
        try:
            return self._infer_foreign(node, twin) if twin and twin.node is not node else self._infer_as_onnx(node)
        except onnx.defs.SchemaError:
            return {}
        except (*_REFUSALS, RuntimeError, ValueError, KeyError, TypeError) as error:
            self.faults[first] = reason_of(error)
            return {}

    def _infer_attention(self, node: NodeProto) -> dict[str, TypeProto]:
        """Onnxruntime's attention gives what it reads, as wide as its values are."""
        is_projected = node.op_type == "Attention"
        x, other = (self._types.get(name) for name in (node.input[0], node.input[1 if is_projected else 2]))
        given = next((a.ints[2] for a in node.attribute if a.name == "qkv_hidden_sizes" and len(a.ints) > 2), 0)
        if x is None or other is None:
            return {}
        dims = other.tensor_type.shape.dim
        width = given or (dims[-1].dim_value // (3 if is_projected else 1) if dims else 0)
        found = TypeProto()
        found.CopyFrom(x)
        if len(found.tensor_type.shape.dim) != 3 or not width:
            return {}
        found.tensor_type.shape.dim[2].dim_value = width
        return {node.output[0]: found}

    def _infer_as_onnx(self, node: NodeProto) -> dict[str, TypeProto]:
        domain = "" if operators.is_standard(node) else node.domain
        wanted = self._types if any(subgraphs(node)) else {name: self._types[name] for name in node.input if name}
        schema = onnx.defs.get_schema(node.op_type, self._versions.get(domain, 0), domain)
        return onnx.shape_inference.infer_node_outputs(schema, node, wanted, self.values, opset_imports=self._opsets)

    def _infer_foreign(self, node: NodeProto, twin: StandIn) -> dict[str, TypeProto]:
        """As the node that stands in for ``node``, which may not take the types of the numbers that this one takes."""
        own = {name: self._types[name] for name in twin.node.input if name}
        wanted = {name: _as_float(kind) for name, kind in own.items()} if "QLinear" not in twin.node.op_type else own
        left_right = [name for name in twin.node.input if name][:2]
        for name, is_transposed in zip(left_right, twin.transposed, strict=False):
            rank = len(own[name].tensor_type.shape.dim)
            if is_transposed and rank > 1:
                wanted[name] = with_axes(wanted[name], [*range(rank - 2), rank - 1, rank - 2])
        if twin.channels_last and left_right:
            rank = len(own[left_right[0]].tensor_type.shape.dim)
            wanted[left_right[0]] = with_axes(wanted[left_right[0]], [0, rank - 1, *range(1, rank - 1)])
        version = max(self._versions.get("", 0), _FOREIGN_OPSET)
        schema = onnx.defs.get_schema(twin.node.op_type, version, "")
        opsets = [helper.make_opsetid("", version)]
        found = onnx.shape_inference.infer_node_outputs(schema, twin.node, wanted, {}, opset_imports=opsets)
        for name, kind in found.items():
            rank = len(kind.tensor_type.shape.dim)
            if twin.channels_last and rank > 2:
                kind = with_axes(kind, [0, *range(2, rank), 1])
            if wanted is not own and left_right:
                is_integer = node.op_type in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DequantizeLinear")
                kind.tensor_type.elem_type = (
                    TensorProto.FLOAT if is_integer else own[left_right[0]].tensor_type.elem_type
                )
            if twin.channels and rank > 1:
                kind.tensor_type.shape.dim[1].dim_value = twin.channels
            found[name] = kind
        return found

    def _compute(self, node: NodeProto) -> None:
        """Notes what ``node`` gives, where it is small and the same for every image."""
        if not operators.is_standard(node) or node.op_type not in operators.FREE or not node.input or not node.output:
            return
        x = self.shape(node.input[0])
        try:
            if node.op_type == "Shape" and x is not None:
                found: Sequence[Any] = [np.asarray(_part(node, x), np.int64)]
            elif self._is_computable(node):
                found = [*self._run(node)]
            else:
                return
            values = [numpy_helper.from_array(np.asarray(value)) for value in found]
        except Exception:  # whatever numpy makes of a stranger's numbers: the value stays unknown
            return
        for name, value in zip(filter(None, node.output), values, strict=False):
            self._know(name, value)

    def _run(self, node: NodeProto) -> Sequence[Any]:
        # As a graph: of a node alone the evaluator takes the newest meaning, whatever the file's opset.
        inputs, outputs = ([ValueInfoProto(name=name) for name in names if name] for names in (node.input, node.output))
        alone = helper.make_graph([node], "alone", inputs, outputs)
        feeds = {value.name: numpy_helper.to_array(self.values[value.name]) for value in inputs}
        return [*onnx.reference.ReferenceEvaluator(alone, opsets=self._versions).run(None, feeds)]

    def _is_computable(self, node: NodeProto) -> bool:
        sizes = [self.tensors.get(name, UNKNOWN_TENSOR).numel for name in node.output if name]
        return all(name in self.values for name in node.input if name) and all(
            size is not None and size <= SMALL for size in sizes
        )


def _as_float(kind: TypeProto) -> TypeProto:
    """``kind`` with floating-point numbers."""
    twin = TypeProto()
    twin.CopyFrom(kind)
    if twin.HasField("tensor_type"):
        twin.tensor_type.elem_type = TensorProto.FLOAT
    return twin


def _part(node: NodeProto, shape: tuple[int, ...]) -> tuple[int, ...]:
    """What a Shape node gives of ``shape``: since opset 15 a part of it."""
    ends = {attribute.name: attribute.i for attribute in node.attribute if attribute.type == AttributeProto.INT}
    return shape[ends.get("start", 0) : ends.get("end", len(shape))]


def _closed(claim: TypeProto, names: Mapping[str, int]) -> TypeProto:
    """``claim`` where axes have their numbers."""
    closed = TypeProto()
    closed.CopyFrom(claim)
    for dim in closed.tensor_type.shape.dim if closed.HasField("tensor_type") else ():
        if dim.dim_param in names:
            dim.dim_value = names[dim.dim_param]
    return closed
