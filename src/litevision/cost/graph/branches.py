"""Put the branch of an If in its place where the file itself says which one runs."""

from collections.abc import Iterator, Mapping

import onnx
from onnx import GraphProto, NodeProto, helper

from litevision.cost.graph.operators import is_standard
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.tensors import subgraphs


def with_branches_taken(model: onnx.ModelProto, shapes: Shapes) -> onnx.ModelProto | None:
    """Replace each If whose condition hangs on no image by the branch that runs; None where there is none."""
    taken = {}
    for i, node in enumerate(model.graph.node):
        if node.op_type == "If" and is_standard(node) and node.input:
            condition = shapes.value(node.input[0])
            if condition is not None and condition.size == 1:
                name = "then_branch" if bool(condition.item()) else "else_branch"
                branch = next((a.g for a in node.attribute if a.name == name), None)
                if branch is not None and len(branch.output) == len(node.output):
                    taken[i] = branch
    if not taken:
        return None
    inlined = onnx.ModelProto()
    inlined.CopyFrom(model)
    graph = inlined.graph
    used = set(_names(model.graph))
    del graph.node[:]
    for i, node in enumerate(model.graph.node):
        graph.node.extend(_inlined(node, taken[i], graph, used) if i in taken else [node])
    return inlined


def _inlined(node: NodeProto, branch: GraphProto, graph: GraphProto, used: set[str]) -> list[NodeProto]:
    """The nodes of ``branch``, which write what ``node`` wrote; its constants go into ``graph``."""
    made = {output for inner in branch.node for output in inner.output if output}
    own = [*made, *(tensor.name for tensor in branch.initializer)]
    new = {}
    for name in own:
        new[name] = _fresh(f"{node.output[0]}/{name}", used)
    seen: set[str] = set()
    copies = []
    for value, output in zip(branch.output, node.output, strict=True):
        if not output:
            continue
        if value.name in made and value.name not in seen:
            new[value.name] = output
        else:
            copies.append((value.name, output))
        seen.add(value.name)
    nodes = [_renamed(inner, new) for inner in branch.node]
    nodes += [helper.make_node("Identity", [new.get(name, name)], [output]) for name, output in copies]
    for tensor in branch.initializer:
        stored = graph.initializer.add()
        stored.CopyFrom(tensor)
        stored.name = new[tensor.name]
    return nodes


def _fresh(name: str, used: set[str]) -> str:
    while name in used:
        name += "_"
    used.add(name)
    return name


def _renamed(node: NodeProto, new: Mapping[str, str]) -> NodeProto:
    twin = NodeProto()
    twin.CopyFrom(node)
    twin.input[:] = [new.get(name, name) for name in node.input]
    twin.output[:] = [new.get(name, name) for name in node.output]
    for graph in subgraphs(twin):
        nodes = [_renamed(inner, new) for inner in graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        for value in graph.output:
            value.name = new.get(value.name, value.name)
    return twin


def _names(graph: GraphProto) -> Iterator[str]:
    """Every name of a tensor in ``graph`` and the graphs inside it."""
    yield from (value.name for value in (*graph.input, *graph.output))
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from (*node.input, *node.output)
        for inner in subgraphs(node):
            yield from _names(inner)
