"""One node of a graph as a graph of its own, with its inputs made up, so that it can be timed."""

from math import prod

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from litevision.cost.graph import CountedGraph, NodeCost
from litevision.cost.graph.tensors import UNKNOWN_TENSOR, Tensor, constant_of, subgraphs
from litevision.errors import reason_of
from litevision.lab.onnx_builder import INPUT

MOST_ELEMENTS = 2**28
"""Numbers of maps that a layer may read and write to be measured: a gigabyte of float32."""

_IR_VERSION = 10


class LoneNodes:
    """The nodes of a graph, each to be had alone."""

    def __init__(self, counted: CountedGraph) -> None:
        model = counted.model
        self._tensors = counted.shapes.tensors
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._nodes = {output: node for node in model.graph.node for output in node.output if output}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.output and (tensor := constant_of(node)):
                self._constants[node.output[0]] = tensor
        self._opsets = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]

    def of(self, cost: NodeCost) -> onnx.ModelProto | str | None:
        """Return the graph of a node; the reason where there can be none, and None for one that works on no map."""
        shapes = [*cost.in_shapes, *cost.out_shapes]
        if not cost.in_shapes or any(shape is None for shape in shapes):
            return "the shape of what it reads is not known"
        sizes = [prod(shape) for shape in shapes if shape is not None]
        if max(map(len, filter(None, shapes)), default=0) < 2:
            return None  # a scalar or a list of numbers, which costs nothing
        if sum(sizes) > MOST_ELEMENTS:
            return "its maps are too large to be measured"
        node = self._nodes[cost.outputs[0]]
        if any(subgraphs(node)):
            return "it holds a graph"
        try:
            return self._model(node)
        except (ValueError, TypeError, KeyError, checker.ValidationError) as error:
            return f"it cannot be run by itself ({reason_of(error)})"

    def _model(self, node: NodeProto) -> onnx.ModelProto:
        """``node`` with its first map as the graph's input; its other inputs are constants, made up where need be."""
        twin = NodeProto()
        twin.CopyFrom(node)
        inputs: list[ValueInfoProto] = []
        constants: dict[str, TensorProto] = {}
        for i, name in enumerate(node.input):
            if not name or name in constants:
                continue
            tensor = self._tensors.get(name, UNKNOWN_TENSOR)
            stored = self._constants.get(name)
            if stored is not None and stored.data_location != TensorProto.EXTERNAL:
                constants[name] = stored
            elif not inputs and len(tensor.shape or ()) >= 2 and tensor.elem_type == TensorProto.FLOAT:
                inputs = [helper.make_tensor_value_info(INPUT, tensor.elem_type, tensor.shape)]
                twin.input[i] = INPUT
            else:
                constants[name] = numpy_helper.from_array(_made_up(tensor), name)
        renamed = {name: INPUT for name, given in zip(node.input, twin.input, strict=True) if given == INPUT}
        twin.input[:] = [renamed.get(name, name) for name in node.input]
        outputs = [helper.make_empty_tensor_value_info(name) for name in twin.output if name]
        if not inputs:  # integers throughout: they are constants, and one number is the input that every call gives
            return self._without_an_input(twin, constants)
        graph = helper.make_graph([twin], "alone", inputs, outputs, list(constants.values()))
        return helper.make_model(graph, opset_imports=self._opsets, ir_version=_IR_VERSION)

    def _without_an_input(self, node: NodeProto, constants: dict[str, TensorProto]) -> onnx.ModelProto:
        """``node`` on a first map that is made of the input, by a cast that is timed with it."""
        name = next(name for name in node.input if name and len(self._tensors[name].shape or ()) >= 2)
        tensor = self._tensors[name]
        constants.pop(name, None)
        cast = helper.make_node("Cast", [INPUT], [name], to=tensor.elem_type)
        value = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, tensor.shape)
        outputs = [helper.make_empty_tensor_value_info(output) for output in node.output if output]
        graph = helper.make_graph([cast, node], "alone", [value], outputs, list(constants.values()))
        return helper.make_model(graph, opset_imports=self._opsets, ir_version=_IR_VERSION)


def _made_up(tensor: Tensor) -> npt.NDArray[np.generic]:
    """Numbers of a tensor's shape and type.

    Raises:
        ValueError: of no known shape, or of a type that numpy does not have.
    """
    if tensor.shape is None:
        raise ValueError("the shape of what it reads is not known")
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if np.issubdtype(dtype, np.floating):
        return np.random.default_rng(0).standard_normal(tensor.shape, np.float32).astype(dtype)
    return np.ones(tensor.shape, dtype)
