"""Changes to a finished bundle's graph for runtimes that want another form: float input, maps, one image, half."""

from collections.abc import Set
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from litevision.errors import ExportError
from litevision.exporting.append import rename_tensors
from litevision.exporting.graph_parts import copied, keep_nodes
from litevision.runtime.engines.adapted import MAPS

_FRONT = {"Transpose", "Cast", "Mul", "Add", "Sub", "Div", "ReduceSum", "Identity"}
WEIGHTED = {"Conv", "ConvTranspose", "Gemm"}
"""Operators that have weights."""


def read_graph(path: Path) -> onnx.ModelProto:
    """Reads a bundle's graph with the shape of every tensor."""
    model = onnx.load(path)
    infer_shapes(model)
    return model


def take_floats(model: onnx.ModelProto) -> None:
    """Makes the graph take normalised images, float32 [N, C, H, W], in place of uint8 [N, H, W, 3].

    Raises:
        ExportError: the graph does more to its input than to normalise it.
    """
    graph = model.graph
    [given] = graph.input
    front = _behind_front(graph)
    shape = shape_of(graph, front)
    if given.type.tensor_type.elem_type != TensorProto.UINT8 or len(shape) != 4 or shape[1] not in (1, 3):
        raise ExportError(
            "the graph does not begin with a normalisation of uint8 images, so that it cannot take floats; "
            "expected a bundle of litevision"
        )
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == front:
                node.input[place] = given.name
    given.CopyFrom(helper.make_tensor_value_info(given.name, TensorProto.FLOAT, shape))
    prune(graph, {front})


def give_maps(model: onnx.ModelProto) -> None:
    """Makes a CenterNet's graph give its maps, ``heatmap``, ``size`` and ``offset``, in place of boxes.

    Raises:
        ExportError: a graph without such heads.
    """
    graph = model.graph
    heads = {
        name: node.output[0]
        for node in graph.node
        if node.op_type == "Conv"
        for name in MAPS
        if node.input[1].endswith(f"heads.{name}.output.weight")
    }
    if set(heads) != set(MAPS):
        raise ExportError("maps are those of a CenterNet of litevision, and this graph has none")
    shapes = [shape_of(graph, heads[name]) for name in MAPS]
    rename_tensors(graph, {heads[name]: name for name in MAPS})
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip(MAPS, shapes, strict=True)
    )
    prune(graph)


def fix_batch(model: onnx.ModelProto, count: int) -> None:
    """Makes the graph take ``count`` images at a time, and no other number."""
    graph = model.graph
    for it in (*graph.input, *graph.output):
        side = it.type.tensor_type.shape.dim[0]
        side.Clear()
        side.dim_value = count
    infer_shapes(model)


def fixed_to_one_image(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` with a batch of 1 and the shapes of all its tensors."""
    made = copied(model)
    fix_batch(made, 1)
    return made


def to_half(model: onnx.ModelProto) -> None:
    """Makes the layers compute in float16, from the first behind the normalisation to the last that has weights.

    What goes in and comes out stays as it is; so do normalisation, softmax and decoding.

    Raises:
        ExportError: a weight is too large for float16.
    """
    graph = model.graph
    [given] = graph.input
    front = _behind_front(graph) if given.type.tensor_type.elem_type == TensorProto.UINT8 else given.name
    inside = _layers(graph, front)
    known = (*graph.value_info, *graph.output, given)
    floats = {it.name for it in known if it.type.tensor_type.elem_type == TensorProto.FLOAT}
    weights = {one.name: one for one in graph.initializer if one.data_type == TensorProto.FLOAT}
    made = {name for place, node in enumerate(graph.node) if place in inside for name in node.output if name in floats}
    used_outside = {it.name for it in graph.output}
    used_outside |= {name for place, node in enumerate(graph.node) if place not in inside for name in node.input}
    nodes: list[onnx.NodeProto] = []
    halves: dict[str, str] = {}

    def half_of(name: str) -> str:
        """The name of the same in float16, which is made where it is first asked for."""
        if name in halves or name not in floats | weights.keys():
            return halves.get(name, name)
        halves[name] = f"{name}_half"
        if name in weights:
            with np.errstate(over="ignore"):
                values = numpy_helper.to_array(weights[name]).astype(np.float16)
            if not np.isfinite(values).all():
                raise ExportError(f"{name} holds numbers that are too large for float16; export it without half")
            graph.initializer.append(numpy_helper.from_array(values, halves[name]))
        elif name not in made:
            nodes.append(helper.make_node("Cast", [name], [halves[name]], to=TensorProto.FLOAT16))
        return halves[name]

    for place, node in enumerate(list(graph.node)):
        if place not in inside:
            nodes.append(node)
            continue
        stays = node.op_type == "Resize"  # its scales are float32 whatever it resizes
        taken = [name if stays and number else half_of(name) for number, name in enumerate(node.input)]
        given_out = [half_of(name) for name in node.output]
        changed = onnx.NodeProto.FromString(node.SerializeToString())
        changed.input[:], changed.output[:] = taken, given_out
        for attribute in changed.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        nodes.append(changed)
        nodes += [
            helper.make_node("Cast", [halves[name]], [name], to=TensorProto.FLOAT)
            for name in node.output
            if name in halves and name in used_outside
        ]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    prune(graph)
    infer_shapes(model)


def _layers(graph: onnx.GraphProto, front: str) -> set[int]:
    """The places of the nodes between ``front`` and the last layers with weights, these among them."""
    behind, found = {front}, set()
    for place, node in enumerate(graph.node):
        if behind & set(node.input):
            behind |= set(node.output)
            found.add(place)
    needed: set[str] = set()
    inside = set()
    for place in sorted(found, reverse=True):
        node = graph.node[place]
        if node.op_type in WEIGHTED or needed & set(node.output):
            needed |= set(node.input)
            inside.add(place)
    return inside


def infer_shapes(model: onnx.ModelProto) -> None:
    """Writes the shape of every tensor anew."""
    del model.graph.value_info[:]
    model.CopyFrom(onnx.shape_inference.infer_shapes(model, data_prop=True))


def _behind_front(graph: onnx.GraphProto) -> str:
    """The tensor that the normalisation of the graph's input gives."""
    constants = {one.name for one in graph.initializer}
    for node in graph.node:  # of which some are unpacked by nodes
        if all(name in constants for name in node.input):
            constants |= set(node.output)
    name: str = graph.input[0].name
    while True:
        users = [node for node in graph.node if name in node.input]
        if len(users) != 1 or users[0].op_type not in _FRONT:
            return name
        if not all(one == name or one in constants for one in users[0].input):
            return name
        [name] = users[0].output


def shape_of(graph: onnx.GraphProto, name: str) -> list[int | str]:
    """The sides of a tensor, by number or name; none where they are not known."""
    for it in (*graph.value_info, *graph.input, *graph.output):
        if it.name == name:
            return [side.dim_value or side.dim_param for side in it.type.tensor_type.shape.dim]
    return []


def prune(graph: onnx.GraphProto, without: Set[str] = frozenset()) -> None:
    """Takes out what no output needs, and what makes the tensors ``without``."""
    keep_nodes(graph, [node for node in graph.node if not without & set(node.output)])
