"""Lint rules: the layers that go against a guideline of the ShuffleNetV2 paper, and what could stand in their place.

Source: arXiv:1807.11164, section 2, guidelines G1 to G4.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt, prod
from pathlib import Path
from typing import Literal

import onnx
from onnx import NodeProto

from litevision.cost.graph import InputShapes, NodeCost, count_graph
from litevision.cost.graph.load import load_graph, with_functions_inlined
from litevision.cost.graph.operators import IN_PLACE
from litevision.cost.graph.tensors import subgraphs
from litevision.errors import UsageError
from litevision.lab.guidelines.kernels import kernels
from litevision.lab.lint.lone_node import MOST_ELEMENTS, LoneNodes
from litevision.lab.onnx_builder import INPUT, OnnxGraphBuilder, serialised
from litevision.runtime.engines import Engine, EngineChoice, open_engine
from litevision.tables import pluralise

WIDEST = 2.0
"""How many times as wide one side of a pointwise convolution may be as the other."""
BRANCHES = 3
"""So many convolutions of one map are fragments."""

_ELEMENT_WISE = IN_PLACE | {"Add", "Div", "Mul", "Sub", "Sum"}  # activations and batch normalisation among them
_MACS_OFF = 0.02
_SQUARE_ENOUGH = 1.5


@dataclass(frozen=True, slots=True)
class Violation:
    """A layer that goes against a guideline.

    Attributes:
        guideline: G1 to G4.
        layer: its path in the network, or its node's name.
        what: what is wrong with it.
        instead: what could stand in its place, in words.
        macs: its multiply-adds; ``instead_macs`` those of what could stand in its place.
        model: the layer as a graph of its own.
        instead_model: what could stand in its place; None where that is nothing.
    """

    guideline: Literal["G1", "G2", "G3", "G4"]
    layer: str
    what: str
    instead: str
    macs: int
    instead_macs: int
    model: onnx.ModelProto
    instead_model: onnx.ModelProto | None


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A layer, or a part of a graph, of which no guideline can be told, and why."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Findings:
    """What the guidelines say of a graph.

    Attributes:
        violations: in the order of the graph.
        convolutions: how many the file holds, those inside branches and loops included.
        judged: how many of them were compared with the guidelines.
        unjudged: what was not, each with its reason.
    """

    violations: tuple[Violation, ...]
    convolutions: int
    judged: int
    unjudged: tuple[Unjudged, ...]


def find_violations(
    path: Path,
    choice: EngineChoice,
    *,
    size_hw: tuple[int, int] | None = None,
    shapes: InputShapes | None = None,
    opened_by: Callable[..., Engine] = open_engine,
) -> Findings:
    """Find the layers of a file that go against a guideline; G4's are those that the engine does not fuse.

    Raises:
        LitevisionError: as for `litevision.lab.lint.measure.lint`.
    """
    counted = count_graph(with_functions_inlined(load_graph(path), str(path)), size_hw=size_hw, shapes=shapes)
    ledger, model = counted.ledger, counted.model
    convolutions = [cost for cost in ledger.rows if _is_convolution(cost)]
    is_open = [name for name, shape in ledger.input_shapes.items() if shape is None]
    if is_open and any(cost.macs is None for cost in convolutions):
        raise UsageError(
            f"{path}: the file does not say how large its maps are. Give the images' size with --size, or the shape of "
            f"{' and '.join(map(repr, is_open))} with --shape."
        )
    for value in model.graph.input:
        dims, lengths = value.type.tensor_type.shape.dim, ledger.input_shapes.get(value.name) or ()
        for dim, length in zip(dims, lengths, strict=False):
            dim.dim_value = length
    opened_by(serialised(model, path), choice, name=str(path))  # says in one line what the engine cannot load
    own = {kernel.output for kernel in kernels(model, choice) if kernel.op in _ELEMENT_WISE}
    judged = [cost for cost in convolutions if _why_not(cost) is None]
    unjudged = [Unjudged(cost.layer, why) for cost in convolutions if (why := _why_not(cost)) is not None]
    fragments = _fragments(judged)
    alone = LoneNodes(counted)
    violations: list[Violation] = []
    names = {cost.name for cost in judged}
    for cost in ledger.rows:
        if cost.name in names:
            violations += _convolution(cost)
            violations += fragments.get(cost.name, ())
        elif cost.op_type in _ELEMENT_WISE and cost.outputs and cost.outputs[0] in own:
            found = alone.of(cost)
            if isinstance(found, str):
                unjudged.append(Unjudged(cost.layer, found))
            elif found is not None:
                violations.append(_element_wise(cost, found))
    hidden = 0
    nodes = {output: node for node in model.graph.node for output in node.output}
    for cost in ledger.rows:
        if cost.kind != "unknown" or cost in convolutions:
            continue
        inside = _hidden_convolutions(nodes[cost.outputs[0]]) if cost.outputs else 0
        what = f"{pluralise(inside, 'convolution')} inside; " if inside else ""
        unjudged.append(Unjudged(cost.layer, f"{what}{cost.note}"))
        hidden += inside
    return Findings(tuple(violations), len(convolutions) + hidden, len(judged), tuple(unjudged))


def _is_convolution(cost: NodeCost) -> bool:
    return "Conv" in cost.op_type.rpartition(":")[2] and cost.kind != "constant"


def _why_not(cost: NodeCost) -> str | None:
    """Why no guideline can be told of a convolution; None where they can."""
    domain, _, operator = cost.op_type.rpartition(":")
    if cost.macs is None:
        return cost.note or "its multiply-adds are not known"
    if "QLinear" in operator or operator == "ConvInteger":
        return "its numbers are integers, and its alternatives would be measured in floating point"
    if "nhwc" in (domain + operator).lower():
        return "its channels come last, which only its own engine computes"
    if operator == "DeformConv":
        return "its places are computed, so that no other convolution stands for it"
    if operator == "ConvTranspose":
        is_plain = cost.groups in (1, _widths(cost)[0]) and set(cost.kernel or ()) != {1}
        return None if is_plain else "it is transposed, and no alternative is known here"
    if sum(map(prod, filter(None, (*cost.in_shapes, *cost.out_shapes)))) > MOST_ELEMENTS:
        return "its maps are too large to be measured"
    return None


def _hidden_convolutions(node: NodeProto) -> int:
    """How many convolutions are inside the graphs of ``node``."""
    return sum(
        ("Conv" in inner.op_type) + _hidden_convolutions(inner) for graph in subgraphs(node) for inner in graph.node
    )


def balanced_widths(product: int) -> tuple[int, int]:
    """Channels in and out whose product is ``product`` to 2 %, as equal as can be; multiples of 16 or 8 if they may be.

    >>> balanced_widths(24 * 144)
    (48, 72)
    """
    for step in (16, 8):
        narrow_sides = range(step, isqrt(product) + step, step)
        pairs = [(narrow, step * round(product / narrow / step)) for narrow in narrow_sides]
        fits = [
            (wide / narrow, narrow, wide)
            for narrow, wide in map(sorted, pairs)
            if abs(narrow * wide / product - 1) <= _MACS_OFF and wide <= _SQUARE_ENOUGH * narrow
        ]
        if fits:
            return min(fits)[1:]
    side = max(1, round(product**0.5))
    return side, max(1, round(product / side))


def _convolution(cost: NodeCost) -> Iterator[Violation]:
    """G1 for a pointwise convolution of unequal widths, on more than one place; G2 for groups that are not channels."""
    in_channels, out_channels, place = *_widths(cost), _place(cost)
    one, other = sorted((in_channels, out_channels))
    if cost.kind == "conv_transpose":
        return
    # At equal MACs, bytes read and written are fewest where both widths are equal: they grow with c1 + c2, MACs with
    # c1 * c2. A map of one place has next to no bytes beside its weights, so there the ratio says nothing.
    if cost.kind == "pointwise_conv" and prod(_sides(cost)) > 1 and other > WIDEST * one:
        ratio = f"1:{other / one:.3g}" if in_channels < out_channels else f"{other / one:.3g}:1"
        yield _dense("G1", cost, f"{in_channels} to {out_channels} channels ({ratio}), {place}")
    # More groups at equal MACs mean more channels, and so more bytes. Depthwise is left out: no dense layer of equal
    # MACs does its work.
    if 1 < cost.groups < in_channels:
        yield _dense("G2", cost, f"{cost.groups} groups, {in_channels} to {out_channels} channels, {place}")


def _dense(guideline: Literal["G1", "G2"], cost: NodeCost, what: str) -> Violation:
    """Beside a convolution of one group, equal MACs and widths as equal as can be."""
    in_channels, out_channels = _widths(cost)
    narrow, wide = balanced_widths(in_channels * out_channels // cost.groups)
    models = []
    for width_in, width_out, groups in ((in_channels, out_channels, cost.groups), (narrow, wide, 1)):
        graph = OnnxGraphBuilder((1, width_in, *_in_sides(cost)))
        models.append(graph.model(_add_conv(graph, cost, width_out, groups)))
    macs = prod(_sides(cost)) * prod(cost.kernel or ()) * narrow * wide
    return Violation(guideline, cost.layer, what, f"{narrow} to {wide}", cost.macs or 0, macs, models[0], models[1])


def _fragments(judged: Sequence[NodeCost]) -> dict[str, list[Violation]]:
    """G3 for convolutions of one map that give maps of one size, by the first one's name."""
    # Two are what a residual block or a ShuffleNet unit needs; from three on, the paper saw launches and waiting cost
    # more than the work. Only maps of one size could come from one convolution, so strides and sides are in the key.
    readers: dict[tuple[object, ...], list[NodeCost]] = defaultdict(list)
    for cost in judged:
        if cost.kind != "conv_transpose" and cost.macs:
            readers[cost.read[0].tensor, _sides(cost), cost.stride].append(cost)
    return {costs[0].name: [_side_by_side(costs)] for costs in readers.values() if len(costs) >= BRANCHES}


def _side_by_side(costs: Sequence[NodeCost]) -> Violation:
    """Beside one convolution, of the kernel of the heaviest, with all of their MACs."""
    in_channels = _widths(costs[0])[0]
    shape = (1, in_channels, *_in_sides(costs[0]))
    apart, together = OnnxGraphBuilder(shape), OnnxGraphBuilder(shape)
    outputs = [_add_conv(apart, cost, _widths(cost)[1], cost.groups) for cost in costs]
    heaviest = max(costs, key=lambda cost: cost.macs or 0)
    total = sum(cost.macs or 0 for cost in costs)
    each = prod(_sides(heaviest)) * prod(heaviest.kernel or ()) * in_channels
    out_channels = max(1, round(total / each))
    return Violation(
        "G3",
        f"{costs[0].layer} and {len(costs) - 1} beside it",
        f"{len(costs)} convolutions of one map, {in_channels} to {' + '.join(str(_widths(cost)[1]) for cost in costs)} "
        f"channels, {_place(costs[0])}",
        f"one, {in_channels} to {out_channels}",
        total,
        each * out_channels,
        apart.model(*outputs),
        together.model(_add_conv(together, heaviest, out_channels, 1)),
    )


def _element_wise(cost: NodeCost, alone: onnx.ModelProto) -> Violation:
    """G4 for an operation that is a kernel of its own."""
    # Fused, it costs next to nothing: the map is in registers. By itself it reads and writes the whole map for one
    # operation a number, which is why nothing stands in its place here but fusion.
    sizes = " and ".join("x".join(map(str, shape[1:])) or "1" for shape in cost.in_shapes if shape is not None)
    what = f"{cost.op_type} on {sizes} is a kernel of its own"
    return Violation("G4", cost.layer, what, "fused", 0, 0, alone, None)


def _add_conv(graph: OnnxGraphBuilder, cost: NodeCost, out_channels: int, groups: int) -> str:
    ones = (1,) * len(_in_sides(cost))
    kernel, strides, dilations = (value or ones for value in (cost.kernel, cost.stride, cost.dilation))
    return graph.conv(INPUT, out_channels, kernel=kernel, groups=groups, strides=strides, dilations=dilations)


def _widths(cost: NodeCost) -> tuple[int, int]:
    """Channels in and out of a convolution whose shapes are known, as they are where its MACs are."""
    return (cost.in_shapes[0] or ())[1], (cost.out_shapes[0] or ())[1]


def _in_sides(cost: NodeCost) -> tuple[int, ...]:
    return (cost.in_shapes[0] or ())[2:]


def _sides(cost: NodeCost) -> tuple[int, ...]:
    return (cost.out_shapes[0] or ())[2:]


def _place(cost: NodeCost) -> str:
    kernel = "x".join(map(str, cost.kernel or ()))
    stride = "" if set(cost.stride or (1,)) == {1} else f" with stride {'x'.join(map(str, cost.stride or ()))}"
    return f"{kernel}{stride} on {'x'.join(map(str, _in_sides(cost)))}"
