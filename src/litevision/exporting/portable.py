"""Graphs for as many readers as their nodes allow: the lowest opset and IR version, and nodes that old readers know.

The exporter writes the newest opset whatever the nodes are. Readers refuse a file by that number alone, or read a node
of it by older rules: OpenCV 4.8 passes over the axes of a ReduceMean that come as an input, and answers wrongly.
"""

import onnx
from onnx import helper, numpy_helper

from litevision.errors import UsageError
from litevision.exporting.graph_parts import attributes_of

_INT64 = onnx.TensorProto.INT64

LOWEST_OPSET = 13
"""Below it Softmax, Squeeze and others mean something else, or take their axes as attributes."""


def make_portable(model: onnx.ModelProto, opset: int | None = None) -> None:
    """Rewrites ``model`` in place for old readers; it computes the same.

    Args:
        model: of standard operators, with the shapes of its tensors in ``value_info`` where Splits are to be lowered.
        opset: the version of ONNX's operators to write; by default the lowest that has the nodes.

    Raises:
        UsageError: that version lacks a node, or is unknown.
    """
    _pool_globally(model.graph)
    _split_by_sizes(model.graph)
    [written] = [row for row in model.opset_import if row.domain in ("", "ai.onnx")]
    lowest, node = LOWEST_OPSET, None
    for each in model.graph.node:
        needed = _lowest_opset(each, written.version)
        if needed > lowest:
            lowest, node = needed, each
    if opset is not None and not lowest <= opset <= written.version:
        because = f", which its {node.op_type} needs" if node is not None else ""
        raise UsageError(f"opset {opset} cannot be written; expected {lowest}{because}, to {written.version}")
    for each in model.graph.node:
        _drop_unknown(each, opset or lowest, written.version)
    written.version = opset or lowest
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)


def _pool_globally(graph: onnx.GraphProto) -> None:
    """Writes each mean over the height and width of feature maps as a GlobalAveragePool, which every reader knows."""
    ranks = {one.name: len(one.type.tensor_type.shape.dim) for one in graph.value_info}
    axes_of = {
        one.name: numpy_helper.to_array(one).ravel().tolist() for one in graph.initializer if one.data_type == _INT64
    }
    nodes: list[onnx.NodeProto] = []
    maps: dict[str, str] = {}  # flat means, and the same as maps of one pixel
    renamed: dict[str, str] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
        attributes = attributes_of(node)
        axes = attributes.get("axes") or axes_of.get(node.input[1] if len(node.input) == 2 else "")
        is_spatial = axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]
        if node.op_type == "Unsqueeze" and is_spatial and node.input[0] in maps:
            renamed[node.output[0]] = maps[node.input[0]]
        elif node.op_type == "ReduceMean" and is_spatial and ranks.get(node.input[0], 4) == 4:
            [result] = node.output
            kept = bool(attributes.get("keepdims", 1))
            pooled = result if kept else f"{result}_pooled"
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=node.name))
            if not kept:
                maps[result] = pooled
                nodes.append(helper.make_node("Flatten", [pooled], [result], name=f"{node.name}_flat", axis=1))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input} | {one.name for one in graph.output}
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes if used & set(node.output)]
    del graph.node[:]
    graph.node.extend(copies)
    for one in [one for one in graph.initializer if one.name not in used]:
        graph.initializer.remove(one)


def _split_by_sizes(graph: onnx.GraphProto) -> None:
    """Gives each Split the sizes of its parts: their number alone is an attribute that came with opset 18."""
    shapes = {one.name: [side.dim_value for side in one.type.tensor_type.shape.dim] for one in graph.value_info}
    constants = {one.name for one in graph.initializer}
    for node in graph.node:
        axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
        sizes = [shapes[name][axis] if name in shapes else 0 for name in node.output]
        if node.op_type != "Split" or len(node.input) > 1 or not all(sizes):
            continue
        name = f"sizes_{'_'.join(map(str, sizes))}"
        if name not in constants:
            graph.initializer.append(helper.make_tensor(name, _INT64, [len(sizes)], sizes))
            constants.add(name)
        node.input.append(name)
        kept = [one for one in node.attribute if one.name != "num_outputs"]
        del node.attribute[:]
        node.attribute.extend(kept)


def _lowest_opset(node: onnx.NodeProto, written: int) -> int:
    """The lowest opset that has ``node`` with its inputs and attributes."""
    for version in range(LOWEST_OPSET, written):
        try:
            schema = onnx.defs.get_schema(node.op_type, version, node.domain)
        except onnx.defs.SchemaError:
            continue
        if schema.min_input <= len(node.input) <= schema.max_input and not _unknown(node, schema, written)[1]:
            return version
    return written


def _unknown(
    node: onnx.NodeProto, schema: onnx.defs.OpSchema, written: int
) -> tuple[list[onnx.AttributeProto], list[onnx.AttributeProto]]:
    """The attributes of ``node`` that ``schema`` lacks: those that say what goes without saying, and the others."""
    newer = onnx.defs.get_schema(node.op_type, written, node.domain).attributes
    idle: list[onnx.AttributeProto] = []
    needed: list[onnx.AttributeProto] = []
    for one in node.attribute:
        if one.name in schema.attributes:
            continue
        default = newer[one.name].default_value
        is_default = default.type != 0 and helper.get_attribute_value(one) == helper.get_attribute_value(default)
        # Shapes hold no 0 in these graphs, which is all that it is about.
        (idle if is_default or one.name == "allowzero" else needed).append(one)
    return idle, needed


def _drop_unknown(node: onnx.NodeProto, version: int, written: int) -> None:
    idle, _ = _unknown(node, onnx.defs.get_schema(node.op_type, version, node.domain), written)
    for one in idle:
        node.attribute.remove(one)
