"""Counts what each node of an ONNX graph costs, from shapes alone: nothing is run."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from onnx import GraphProto, NodeProto

from litevision.cost.graph import operators
from litevision.cost.graph.branches import with_branches_taken
from litevision.cost.graph.constants import Constants, Weights
from litevision.cost.graph.inputs import InputShapes, bind, graph_inputs, is_image
from litevision.cost.graph.learned import LearnedOperands
from litevision.cost.graph.ledger import GraphLedger, NodeCost
from litevision.cost.graph.load import load_graph, with_functions_inlined
from litevision.cost.graph.memory_traffic import MemoryTraffic, is_view, peak_bytes, reads_shapes_alone
from litevision.cost.graph.op_spec import op_spec
from litevision.cost.graph.shapes import Shapes
from litevision.cost.graph.tensors import subgraphs
from litevision.errors import UsageError

_MOST_NESTED = 16  # branches within branches


@dataclass(frozen=True)
class CountedGraph:
    """A graph as it was counted.

    Attributes:
        model: with its functions inlined, and each If whose condition the file fixes replaced by the branch that runs.
        shapes: what is known of its tensors.
        ledger: what its nodes cost.
    """

    model: onnx.ModelProto
    shapes: Shapes
    ledger: GraphLedger


def graph_ledger(
    model: str | os.PathLike[str] | onnx.ModelProto,
    *,
    batch: int = 1,
    size_hw: tuple[int, int] | None = None,
    shapes: InputShapes | None = None,
) -> GraphLedger:
    """Count the cost of every node of an ONNX file or graph for one batch; nothing is run.

    Args:
        batch: images in it; a file that fixes another number than 1 is counted at its own.
        size_hw: of the images, for a file that leaves it open.
        shapes: of inputs by name, for what else the file leaves open.

    Raises:
        FileMissingError: no such file, or one that should lie beside it is not there.
        BundleError: not ONNX, or broken.
        UnsafeFileError: it keeps tensors in files outside its folder.
        UsageError: no such batch, size or input, or the file fixes another one.
    """
    return count_graph(model, batch=batch, size_hw=size_hw, shapes=shapes).ledger


def count_graph(
    model: str | os.PathLike[str] | onnx.ModelProto,
    *,
    batch: int = 1,
    size_hw: tuple[int, int] | None = None,
    shapes: InputShapes | None = None,
) -> CountedGraph:
    """Count as `graph_ledger` does, with the same arguments and errors, and return the graph that was counted, too."""
    if batch < 1 or (size_hw and min(size_hw) < 1):
        raise UsageError(f"a batch of 1 or more and sides of 1 pixel or more are counted, got {batch} and {size_hw}")
    name = "the graph" if isinstance(model, onnx.ModelProto) else str(Path(model))
    loaded = with_functions_inlined(model if isinstance(model, onnx.ModelProto) else load_graph(Path(model)), name)
    inputs, names = bind(graph_inputs(loaded.graph), batch, size_hw, shapes or {})
    found = Shapes(loaded, inputs, names)
    for _ in range(_MOST_NESTED):
        taken = with_branches_taken(loaded, found)
        if taken is None:
            break
        loaded, found = taken, Shapes(taken, inputs, names)
    ledger = _ledger(loaded.graph, found, [value.name for value in inputs])
    open_images = tuple(value.name for value in inputs if is_image(value))
    return CountedGraph(loaded, found, replace(ledger, open_images=open_images))


def _ledger(graph: GraphProto, shapes: Shapes, inputs: Sequence[str]) -> GraphLedger:
    constants = Constants(graph, shapes)
    traffic = MemoryTraffic(graph, shapes, constants)
    weights = Weights(constants, LearnedOperands(graph, shapes, constants.names))
    used: set[str] = set()
    nodes = []
    for node in graph.node:
        if operators.is_standard(node) and node.op_type == "Constant":
            continue
        name = _name(node, used)
        if constants.is_computed(node):
            nodes.append(_constant(node, name, shapes))
        else:
            nodes.append(_row(node, name, shapes, constants, traffic, weights))
    kept = frozenset(traffic.behind(value.name) for value in graph.output if value.name not in constants)
    sizes = {name: tensor.bytes for name, tensor in shapes.tensors.items()}
    peak, is_peak_known = peak_bytes(nodes, sizes, inputs, kept)
    is_written_known = all(node.bytes_written is not None for node in nodes)
    is_known = {
        "num_params": not any(any(subgraphs(node)) for node in graph.node),
        "macs": all(node.macs is not None for node in nodes),
        "bytes_read": all(node.bytes_read is not None for node in nodes),
        "bytes_written": is_written_known,
        "activation_bytes": is_written_known,
        "peak_activation_bytes": is_peak_known and is_written_known,
    }
    return GraphLedger(
        rows=tuple(nodes),
        input_shapes={name: shapes.shape(name) for name in inputs},
        kept=kept,
        peak_activation_bytes=peak,
        at_least=frozenset(total for total, known in is_known.items() if not known),
    )


def _row(
    node: NodeProto, name: str, shapes: Shapes, constants: Constants, traffic: MemoryTraffic, weights: Weights
) -> NodeCost:
    spec = op_spec(node, shapes, constants)
    read, written = traffic.of(node, name, is_known=spec.kind != "unknown")
    weight_bytes = 0 if is_view(node) or reads_shapes_alone(node) else constants.bytes(node.input)
    if node.op_type in operators.SLICES and node.input[0] in constants:
        weight_bytes = min(weight_bytes, written[0].bytes or 0)
    weight = spec.weight if spec.weight and spec.weight in constants else None
    return NodeCost(
        name=name,
        layer=weights.layer(weight) or name,
        op_type=operators.operator_of(node),
        kind=spec.kind,
        outputs=tuple(filter(None, node.output)),
        in_shapes=tuple(shapes.shape(x) for x in node.input if x and x not in constants),
        out_shapes=tuple(shapes.shape(y) for y in node.output if y),
        kernel=spec.kernel,
        stride=spec.stride,
        dilation=spec.dilation,
        groups=spec.groups,
        params=weights.params(node, weight),
        buffers=weights.buffers(node),
        weights=shapes.tensors[weight].numel or 0 if weight else 0,
        weight_bytes=weight_bytes,
        macs=spec.macs,
        read=read,
        written=written,
        in_place=traffic.is_in_place(node),
        is_view=is_view(node),
        note=spec.note,
    )


def _constant(node: NodeProto, name: str, shapes: Shapes) -> NodeCost:
    """The row of a node that gives the same for every image: an engine runs it once, when it loads the file."""
    outputs = tuple(filter(None, node.output))
    return NodeCost(
        name=name,
        kind="constant",
        layer=name,
        op_type=operators.operator_of(node),
        outputs=outputs,
        in_shapes=(),
        out_shapes=tuple(shapes.shape(y) for y in outputs),
    )


def _name(node: NodeProto, used: set[str]) -> str:
    """The node's name, or its first output's, told apart where a node before it has that too."""
    first = next(filter(None, node.output), node.op_type)
    name = first if not node.name or node.name in used else node.name
    while name in used:
        name += "_"
    used.add(name)
    return name
