"""Surgery on graphs before and after quantisation: constants folded, nodes that stay in float, layers put back."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from litevision.runtime.engines.onnxruntime_engine import import_onnxruntime

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ALWAYS_FLOAT = ("Softmax", "LogSoftmax", "Sigmoid", "TopK", "NonMaxSuppression", "Mod", "Exp", "Log", "Pow", "Sqrt")


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
    _keep(graph, [node for node in graph.node if node.name not in names])
    return model


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
    model = _copied(quantised)
    tensors = {one.name: one for one in original.graph.initializer}
    theirs = {node.name: node for node in original.graph.node}
    added: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        if node.name not in names:
            continue
        inputs = []
        for name in theirs[node.name].input:
            if name in tensors:
                copied = onnx.TensorProto.FromString(tensors[name].SerializeToString())
                copied.name = f"{name}_float"
                added[copied.name] = copied
                name = copied.name
            inputs.append(name)
        del node.input[:]
        node.input.extend(inputs)
    model.graph.initializer.extend(added.values())
    _keep(model.graph, model.graph.node)
    return model


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Copies ``model`` so that it gives the tensors ``names`` and nothing else."""
    copied = _copied(model)
    del copied.graph.output[:]
    copied.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copied


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


def weight_bytes(node: onnx.NodeProto, model: onnx.ModelProto) -> int:
    """Counts the bytes of a layer's weights in float32."""
    shapes = {one.name: tuple(one.dims) for one in model.graph.initializer}
    return int(np.prod(shapes[node.input[1]])) * 4


def _copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def _part(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> onnx.ModelProto:
    part = with_outputs(model, outputs)
    del part.graph.input[:]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    _keep(part.graph, kept)
    return part


def _keep(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
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
