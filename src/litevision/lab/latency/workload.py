"""The workload of a network: its operations by what their time depends on, from a module's ledger or a graph's."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from litevision.cost.graph import GraphLedger
from litevision.cost.rows import CONVOLUTIONS, Shape

if TYPE_CHECKING:
    from litevision.cost.ledger import Ledger

VECTOR = 16
"""Channels that a kernel computes at once: numbers of 32 bit in 512. Fewer take as long."""
_WHOLE = 4  # onnxruntime has its quick kernels for channels in fours, and plain ones for others
_HAS_PLAIN = frozenset({"pointwise", "depthwise"})
_FEW_CHANNELS = 4  # of images
_BYTES = 4
_COPIES = frozenset({"concat", "shuffle", "transpose", "resize"})
_ON_MAPS = frozenset(
    {"add", "mul", "pad", "relu6", "hardswish", "max_pool", "avg_pool"}
)  # ReLU is free where it is fused
_PRODUCTS = frozenset({"linear", "matmul"})
_RENAMED = {"mean": "avg_pool"}


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: a layer with the normalisation and ReLU that engines fuse into it; others stand by themselves.

    Attributes:
        kind: what its time follows, one of those in ``litevision.lab.latency.model.FEATURES``.
        macs: multiply-adds, channels filled up to whole vectors.
        map_bytes: of the maps that it reads.
        out_bytes: of the map that it writes.
        weight_bytes: of its weight.
        ragged_bytes: of the map that it writes, where its channels are no whole number of vectors; else 0.
    """

    kind: str
    macs: int = 0
    map_bytes: int = 0
    out_bytes: int = 0
    weight_bytes: int = 0
    ragged_bytes: int = 0


def ledger_workload(costs: "Ledger") -> list[Op]:
    """List the operations of a network's bundle for one image, from its uint8 pixels to its probabilities."""
    workload = [_input(prod(costs.size_hw) * 3)]
    for row in costs.rows:
        workload += _ops(row.kind, row.in_shape, row.out_shape, row.kernel, row.groups)
    return workload


def graph_workload(costs: GraphLedger) -> list[Op]:
    """List the operations of a bundle's graph for one image; what comes before the first product is its input."""
    rows = [node for node in costs.rows if not node.is_view and node.kind != "constant"]
    first = next((place for place, node in enumerate(rows) if node.macs), len(rows))
    workload = [_input(sum(prod(shape) for shape in costs.input_shapes.values() if shape))]
    for node in rows[first:]:
        shapes = [shape[1:] for shape in (*node.in_shapes[:1], *node.out_shapes[:1]) if shape]
        if len(shapes) == 2:
            workload += _ops(_RENAMED.get(node.kind, node.kind), shapes[0], shapes[1], node.kernel, node.groups)
    return workload


def _input(num_bytes: int) -> Op:
    """Pixels to numbers, and the call itself."""
    return Op("input", map_bytes=num_bytes, out_bytes=_BYTES * num_bytes)


def _ops(kind: str, in_shape: Shape, out_shape: Shape, kernel: Shape | None, groups: int) -> Iterator[Op]:
    reads, writes = _BYTES * prod(in_shape), _BYTES * prod(out_shape)
    if kind in CONVOLUTIONS and kernel:
        yield _convolution(in_shape, out_shape, kernel, groups, reads, writes)
    elif kind in _PRODUCTS:
        yield _linear(in_shape[-1] * out_shape[-1])
    elif kind in _COPIES:
        ragged = writes if in_shape[0] % VECTOR else 0  # of each map that is put together
        yield Op("copy", map_bytes=writes, out_bytes=writes, ragged_bytes=ragged)
    elif kind in _ON_MAPS and prod(out_shape[1:]) + prod(in_shape[1:]) > 2:
        yield Op(kind, map_bytes=reads, out_bytes=writes)


def _convolution(in_shape: Shape, out_shape: Shape, kernel: Shape, groups: int, reads: int, writes: int) -> Op:
    channels = in_shape[0], out_shape[0]
    weights = channels[0] * channels[1] // groups * prod(kernel)
    places = prod(out_shape[1:])
    if places == 1:
        return _linear(weights)
    whole = all(width % _WHOLE == 0 for width in channels)
    if groups == channels[0] > 1:
        kind, macs = "depthwise", _filled(channels[1]) * prod(kernel) * places
    elif channels[0] <= _FEW_CHANNELS:
        kind, macs = "stem", channels[0] * _filled(channels[1]) * prod(kernel) * places
    else:
        kind = "pointwise" if prod(kernel) == 1 else "conv"
        macs = groups * prod(_filled(width // groups) for width in channels) * prod(kernel) * places
    if not whole and kind in _HAS_PLAIN:
        kind = f"{kind}, plain"
    return Op(kind, macs, reads, writes, _BYTES * weights, writes if channels[1] % VECTOR else 0)


def _linear(weights: int) -> Op:
    return Op("linear", macs=weights, weight_bytes=_BYTES * weights)


def _filled(channels: int) -> int:
    return -(-channels // VECTOR) * VECTOR
