"""Surgery on graphs before and after quantisation: nodes that stay in float, layers put back."""

from collections.abc import Collection

import numpy as np
import onnx

from litevision.exporting.graph_parts import copied, keep_nodes

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
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


def weight_bytes(node: onnx.NodeProto, model: onnx.ModelProto) -> int:
    """Counts the bytes of a layer's weights in float32."""
    shapes = {one.name: tuple(one.dims) for one in model.graph.initializer}
    return int(np.prod(shapes[node.input[1]])) * 4
