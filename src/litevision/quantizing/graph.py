"""Surgery on graphs before and after quantisation: nodes that stay in float, layers put back, answers in 8 bits."""

from collections import Counter
from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from litevision.errors import ExportError
from litevision.exporting.graph_parts import copied, keep_nodes, run_graph, with_outputs

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LEAST_WEIGHTS = 1024  # smaller tensors weigh nothing
_ALWAYS_FLOAT = ("Softmax", "LogSoftmax", "Sigmoid", "TopK", "NonMaxSuppression", "Mod", "Exp", "Log", "Pow", "Sqrt")


def layers_of(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Lists the nodes with weights of their own that are no part of the decoding: neither behind a Softmax."""
    weights = {one.name for one in model.graph.initializer}
    behind: set[str] = set()
    found = []
    for node in model.graph.node:
        if node.op_type in ("Softmax", "TopK") or behind & set(node.input):
            behind.update(node.output)
        elif node.op_type in _LAYERS and node.input[1] in weights:
            found.append(node)
    return found


def last_layers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Lists the layers behind which there is no other: of a classifier one, of a detector those of its heads."""
    layers = {node.name for node in layers_of(model)}
    needed: set[str] = set()  # tensors that a layer further behind is made of
    found = []
    for node in reversed(model.graph.node):
        is_needed = bool(needed & set(node.output))
        if node.name in layers and not is_needed:
            found.append(node)
        if node.name in layers or is_needed:
            needed.update(node.input)
    return found[::-1]


def float_nodes(model: onnx.ModelProto) -> list[str]:
    """Names the nodes that stay in float: before the first layer, after the last ones, and activations by exponents."""
    layers = {node.name for node in layers_of(model)}
    after: set[str] = set()  # tensors that a layer has had a part in
    for node in model.graph.node:
        if node.name in layers or after & set(node.input):
            after.update(node.output)
    before: set[str] = set()  # tensors that a layer will have a part in
    for node in reversed(model.graph.node):
        if node.name in layers or before & set(node.output):
            before.update(node.input)
    return [
        node.name
        for node in model.graph.node
        if node.name not in layers
        and (node.op_type in _ALWAYS_FLOAT or not after & set(node.input) or not before & set(node.output))
    ]


def put_back(quantised: onnx.ModelProto, original: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """Copies ``quantised`` with the layers ``names`` in float, as ``original`` has them."""
    model = copied(quantised)
    tensors = {one.name: one for one in original.graph.initializer}
    theirs = {node.name: node for node in original.graph.node}
    added: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        if node.name not in names:
            continue
        inputs = []
        for name in theirs[node.name].input:
            if name in tensors:
                own = onnx.TensorProto.FromString(tensors[name].SerializeToString())
                own.name = f"{name}_float"
                added[own.name] = own
                name = own.name
            inputs.append(name)
        del node.input[:]
        node.input.extend(inputs)
    model.graph.initializer.extend(added.values())
    keep_nodes(model.graph, model.graph.node)
    return model


def store_in_eight_bits(model: onnx.ModelProto) -> onnx.ModelProto:
    """Gives layers whose weights are in float int8 weights with a scale a channel; they go on computing in float.

    Source: symmetric, per-channel quantisation as in arXiv:1806.08342, section 3.1.1. The graph is changed.
    """
    graph = model.graph
    layers = {node.output[0] for node in layers_of(model)}
    tensors = {one.name: one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT}
    stored_as: dict[str, str] = {}  # which several layers may share
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        weight = tensors.get(node.input[1]) if node.output[0] in layers else None
        if weight is not None and weight.name in stored_as:
            node.input[1] = stored_as[weight.name]
        elif weight is not None and np.prod(weight.dims) >= _LEAST_WEIGHTS:
            axis = _output_axis(node, len(weight.dims))
            values = np.moveaxis(numpy_helper.to_array(weight), axis, -1)
            most = np.abs(values.reshape(-1, values.shape[-1])).max(0)
            scales = np.maximum(most / 127, np.finfo(np.float32).tiny).astype(np.float32)
            integers = np.moveaxis(np.rint(values / scales).astype(np.int8), -1, axis)
            stored, by, name = (f"{weight.name}{end}" for end in ("_int8", "_scale", "_rounded"))
            zeros = f"int8_zeros_{len(scales)}"
            added = {stored: np.ascontiguousarray(integers), by: scales, zeros: np.zeros(len(scales), np.int8)}
            there = {one.name for one in graph.initializer}
            graph.initializer.extend(numpy_helper.from_array(it, key) for key, it in added.items() if key not in there)
            nodes.append(helper.make_node("DequantizeLinear", [stored, by, zeros], [name], name=name, axis=axis))
            node.input[1] = stored_as[weight.name] = name
        nodes.append(node)
    keep_nodes(graph, nodes)
    return model


def _output_axis(node: onnx.NodeProto, rank: int) -> int:
    """The axis of a layer's weights that has its outputs."""
    if node.op_type == "Gemm":
        return 0 if any(one.name == "transB" and one.i for one in node.attribute) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type, rank - 1)


def check_answers(model: onnx.ModelProto) -> None:
    """Checks that a graph's answers can be in 8 bits, too.

    Raises:
        ExportError: it does not end in the probabilities of classes.
    """
    last = model.graph.node[-1]
    if last.op_type not in ("Softmax", "Sigmoid") or list(last.output) != [one.name for one in model.graph.output]:
        raise ExportError("integers alone are for classifiers that end in softmax, or in a sigmoid of each class")


def with_integer_answers(quantised: onnx.ModelProto, images_u8_nhwc: npt.NDArray[np.uint8]) -> onnx.ModelProto:
    """Copies a classifier with its last layer and its probabilities in 8 bits, too.

    Args:
        quantised: the graph, which ends as ``check_answers`` asks for.
        images_u8_nhwc: the range of the last layer is what it gives on these.
    """
    from onnxruntime import InferenceSession

    model = copied(quantised)
    graph, last = model.graph, model.graph.node[-1]
    logits, answer = last.input[0], last.output[0]
    probe = copied(model)
    probe.graph.output.append(helper.make_empty_tensor_value_info(logits))
    session = InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    found = np.stack([session.run([logits], {"images": image[None]})[0] for image in images_u8_nhwc])
    low, high = min(float(found.min()), 0.0), max(float(found.max()), 1e-6)
    step = (high - low) / 255
    last.input[0], last.output[0] = f"{logits}_whole", f"{answer}_plain"
    place = len(graph.node) - 1
    for node in reversed(_rounded(graph, logits, last.input[0], step, round(-low / step))):
        graph.node.insert(place, node)
    graph.node.extend(_rounded(graph, last.output[0], answer, 1 / 256, 0))
    return model


def _rounded(graph: onnx.GraphProto, name: str, result: str, step: float, zero: int) -> list[onnx.NodeProto]:
    """The two nodes by which a tensor is a multiple of ``step``, in 8 bits."""
    numbers = (f"{result}_step", f"{result}_zero")
    graph.initializer.append(numpy_helper.from_array(np.array(step, np.float32), numbers[0]))
    graph.initializer.append(numpy_helper.from_array(np.array(zero, np.uint8), numbers[1]))
    return [
        helper.make_node("QuantizeLinear", [name, *numbers], [f"{result}_8"], f"{result}_quantize"),
        helper.make_node("DequantizeLinear", [f"{result}_8", *numbers], [result], f"{result}_dequantize"),
    ]


def round_before_hard_swish(quantised: onnx.ModelProto, images_u8_nhwc: npt.NDArray[np.uint8]) -> onnx.ModelProto:
    """Copies a graph with the outputs of layers in 8 bits where a HardSwish follows, so that they compute in 8 bits.

    The quantiser rounds behind the activation alone, as OpenVINO computes it together with the layer. onnxruntime and
    LiteRT do not, and would compute the layer in float: MobileNetV3-Large took 12.2 and 2.3 ms so, and 7.7 and 1.4
    with 0.5 points fewer of its answers.

    Args:
        quantised: the graph.
        images_u8_nhwc: the ranges are what the layers give on these.
    """
    model = copied(quantised)
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    activations = {}
    for node in graph.node:
        layer = made_by.get(node.input[0]) if node.op_type == "HardSwish" else None
        if layer is not None and layer.op_type in _LAYERS and readers[node.input[0]] == 1:
            given = [made_by[name] for name in layer.input[:2] if name in made_by]
            if [one.op_type for one in given] == ["DequantizeLinear"] * 2:
                activations[node.input[0]] = node
    if not activations:
        return model
    probe = with_outputs(model, list(activations))
    low, high = dict.fromkeys(activations, 0.0), dict.fromkeys(activations, 1e-6)
    for image in images_u8_nhwc:
        for name, found in run_graph(probe, list(activations), {"images": image[None]}).items():
            low[name], high[name] = min(low[name], float(found.min())), max(high[name], float(found.max()))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        name = node.input[0] if node.op_type == "HardSwish" else ""
        if name in activations:
            step = (high[name] - low[name]) / 255
            node.input[0] = f"{name}_rounded"
            nodes += _rounded(graph, name, node.input[0], step, round(-low[name] / step))
        nodes.append(node)
    keep_nodes(graph, nodes)
    return model


def weight_bytes(node: onnx.NodeProto, model: onnx.ModelProto) -> int:
    """Counts the bytes of a layer's weights in float32."""
    shapes = {one.name: tuple(one.dims) for one in model.graph.initializer}
    return int(np.prod(shapes[node.input[1]])) * 4
