"""What a network or ONNX file costs: its ledger, and the ledger as text."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from litevision.cost.graph.inputs import InputShapes
from litevision.cost.graph.ledger import GraphLedger, NodeCost
from litevision.cost.rows import CONVOLUTIONS, Shape, Size, describe, fuse, pair_of, shape_text
from litevision.errors import UsageError
from litevision.runtime.bundle import kind_of
from litevision.tables import Report, Table, align_totals, escape
from litevision.weights.any_model import NetworkForm, open_any

if TYPE_CHECKING:
    from torch import nn

    from litevision.cost.ledger import LayerCost, Ledger
    from litevision.models.centernet import Neck
    from litevision.models.pretrained import Pretrained
    from litevision.weights.trained import RunLike

_SIZE_HW = (224, 224)
_UNKNOWNS_SHOWN = 10
_OWN_WIDTH = "; a width of litevision's own, for the tutorial's code builds width 1 alone"


@overload
def info(model: "nn.Module", *, size: Size | None = None) -> "Ledger": ...
@overload
def info(
    model: "str | os.PathLike[str] | RunLike",
    *,
    width: float = 1.0,
    size: Size | None = None,
    shapes: InputShapes | None = None,
    classes: int | None = None,
    dialect: str | None = None,
    output_stride: int = 32,
    rows: Iterable[Any] | str | None = None,
    backbone: str | None = None,
    neck: "Neck | None" = None,
) -> "Ledger | GraphLedger": ...
def info(
    model: "str | os.PathLike[str] | nn.Module | RunLike",
    *,
    width: float = 1.0,
    size: Size | None = None,
    shapes: InputShapes | None = None,
    classes: int | None = None,
    dialect: str | None = None,
    output_stride: int = 32,
    rows: Iterable[Any] | str | None = None,
    backbone: str | None = None,
    neck: "Neck | None" = None,
) -> "Ledger | GraphLedger":
    """Count what every layer of a network or ONNX file costs; nothing is run, and nothing downloaded.

    Args:
        model: an architecture's name or alias, ``centernet`` for a detector, a weight set's name, a module, any .onnx
            file, a weight file, a run or its folder, or the name of a shipped bundle.
        width: the paper's width multiplier.
        size: of the input in pixels, as one side or (height, width); by default 224, unless a file fixes it.
        shapes: of a file's inputs by name, for what else it leaves open.
        classes: 0 for a network without a classifier; by default 1000, or the 80 kinds of objects of a detector.
        dialect: whose form of the network; the name's own by default.
        output_stride: 8, 16 or 32: later strides become dilation.
        rows: rows of the family's table to use instead, as `litevision.create` takes them.
        backbone: of ``centernet``: the network whose backbone it takes.
        neck: of ``centernet``: light, dlaup or reshape.

    Returns:
        The ledger: ``print`` it, read its ``rows`` and totals, or take its ``to_dict()``.

    Raises:
        UnknownNameError: no such network.
        UsageError: a size that the network cannot take, or options of a network for a file.
        LitevisionError: as for `litevision.cost.graph.graph_ledger`, for a file.

    Example:
        >>> info("mobilenet_v2").macs
        300774272
    """
    size_hw = pair_of(size)
    form = NetworkForm(
        width=width,
        classes=classes,
        dialect=dialect,
        output_stride=output_stride,
        rows=rows,
        backbone=backbone,
        neck=neck,
    )
    found = open_any(model, form, device="meta")
    if isinstance(found, Path):
        return _graph_info(found, str(model), size_hw, shapes)
    if shapes:
        raise UsageError(f"shapes are of the inputs of an .onnx file, and {model} is none. Give its size alone.")
    from litevision.cost.ledger import ledger

    is_exported = isinstance(model, str | os.PathLike) and kind_of(model) != ".onnx"
    facts: Pretrained | None = getattr(found, "pretrained", None) if is_exported else None
    return ledger(found, size_hw or (facts.preprocess.size_hw if facts else _SIZE_HW))


def _graph_info(path: Path, title: str, size_hw: tuple[int, int] | None, shapes: InputShapes | None) -> GraphLedger:
    from litevision.cost.graph import graph_ledger

    costs = graph_ledger(path, size_hw=size_hw, shapes=shapes)
    remarks = []
    if size_hw is None and costs.open_images:
        costs = graph_ledger(path, size_hw=_SIZE_HW, shapes=shapes)
        remarks.append("the file leaves an input's size open; counted at 224x224, --size sets another")
    still_open = [name for name, shape in costs.input_shapes.items() if shape is None]
    if still_open:
        names = " and ".join(map(repr, still_open))
        remarks.append(f"the file leaves the shape of {names} open: close it with --shape NAME=1x80x100")
    return replace(costs, title=title, remark="; ".join(remarks))


class Convolutions(Report):
    """The convolutions of a ledger alone, by their weights: no biases, no BN, no classifier.

    Source: the ledger that slim's MobileNetV1 is published with.
    """

    def __init__(self, costs: "Ledger | GraphLedger") -> None:
        self.rows = [row for row in costs.rows if row.kind in CONVOLUTIONS]
        self.num_params = sum(row.weights for row in self.rows)
        self.macs = sum(row.macs or 0 for row in self.rows)
        self._at_least = "at least " if any(row.macs is None for row in self.rows) else ""

    def sections(self) -> Iterator[str | Table]:
        """Yield the table and the totals as text."""
        yield Table(
            {"layer": "left", "params": "right", "MACs": "right"},
            [(_layer(row), f"{row.weights:,}", "?" if row.macs is None else f"{row.macs:,}") for row in self.rows],
        )
        totals = [
            ("params", f"{self.num_params:,}", "weights of the convolutions, without biases and BN"),
            ("MACs", f"{self._at_least}{self.macs:,}", "of the convolutions"),
        ]
        yield from ("", *align_totals(totals))

    def to_dict(self) -> dict[str, Any]:
        """Return the rows and totals as JSON values."""
        layers = [{"name": _layer(row), "params": row.weights, "macs": row.macs} for row in self.rows]
        return {"num_params": self.num_params, "macs": self.macs, "layers": layers}


def _layer(row: "LayerCost | NodeCost") -> str:
    return row.layer if isinstance(row, NodeCost) else row.name


def ledger_sections(costs: "Ledger", *, every: bool) -> Iterator[str | Table]:
    """Yield the ledger of a module as text: title, table and totals.

    Args:
        every: a row for each operation in place of one for each fused layer.
    """
    if costs.config:
        yield f"{_title(costs)}\n"
    rows = [(row.name, describe(row), row.out_shape, row.params, row.macs) for row in costs.rows]
    if not every:
        rows = [
            (fused.layer.name, fused.operation, fused.rows[-1].out_shape, fused.params, fused.layer.macs)
            for fused in fuse(costs.rows)
        ]
    yield Table(
        {"layer": "left", "operation": "left", "output": "left", "params": "right", "MACs": "right", "%": "right"},
        [
            (name, operation, shape_text(shape), f"{params:,}", f"{macs:,}", f"{100 * macs / max(costs.macs, 1):.1f}")
            for name, operation, shape, params, macs in rows
        ],
    )
    lines = [
        ("params", f"{costs.num_params:,}", f"{costs.param_bytes / 1e6:.2f} MB in fp32"),
        ("buffers", f"{costs.num_buffers:,}", "running means and variances of BN"),
        ("MACs", f"{costs.macs:,}", f"{costs.macs / 1e6:,.1f} M; FLOPs are twice that"),
        (
            "activations",
            f"{costs.activation_bytes:,}",
            f"bytes written for one image in fp32; at most {costs.peak_activation_bytes:,} alive at once",
        ),
    ]
    if costs.classifier:
        share = f"params; {costs.classifier_share:.1%} of all weights"
        lines.append(("classifier", f"{costs.classifier_params:,}", share))
        for saving in costs.savings:
            note = f"{'saves' if saving.params > 0 else 'adds'} {abs(saving.bytes) / 1e6:.2f} MB"
            lines.append((f"{saving.num_classes} classes", f"{-saving.params:+,}", note))
    yield from ("", *align_totals(lines))


def _title(costs: "Ledger") -> str:
    from litevision.registry import ARCHITECTURES

    config = costs.config
    assert config
    is_v3 = ARCHITECTURES[config.architecture].family == "mobilenet_v3"
    head = f"{config.num_classes} classes" if config.num_classes else "no classifier"
    stride = "" if config.output_stride == 32 else f", output stride {config.output_stride}"
    return (
        f"{ARCHITECTURES[config.architecture].title} ({config.architecture}), dialect {config.dialect}, "
        f"width {config.width_mult:g}, {head}{stride}, input {config.in_channels}x{costs.size_hw[0]}x{costs.size_hw[1]}"
        f"{_OWN_WIDTH if config.dialect == 'tutorial' and config.width_mult != 1 and is_v3 else ''}"
    )


# layer, operation, the node whose output it gives, params, MACs, bytes read and written
_Row = tuple[str, str, NodeCost, int, int | None, int | None, int | None]


def graph_sections(costs: GraphLedger, *, every: bool) -> Iterator[str | Table]:
    """Yield the ledger of an ONNX graph as text: title, table, totals, and what could not be counted.

    Args:
        every: a row for each node by itself in place of one for each fused layer as one kernel.
    """
    inputs = ", ".join(f"{escape(name)} {_shape(shape)}" for name, shape in costs.input_shapes.items())
    yield f"{costs.title}, {len(costs.rows)} nodes, input {inputs}\n"
    rows = _nodes(costs) if every else _fused(costs)
    names = ("params", "MACs", "KB read", "KB written", "%")
    yield Table(
        {"layer": "left", "operation": "left", "output": "left", **dict.fromkeys(names, "right")},
        [
            (
                layer,
                operation,
                _shape(last.out_shapes[0] if last.out_shapes else None),
                f"{params:,}",
                "?" if macs is None else f"{macs:,}",
                *("?" if size is None else f"{size / 1e3:,.1f}" for size in (read, written)),
                "?" if macs is None else f"{100 * macs / max(costs.macs, 1):.1f}",
            )
            for layer, operation, last, params, macs, read, written in rows
        ],
    )
    yield from ("", *align_totals(_graph_totals(costs, None if every else rows)))
    if costs.unknown:
        count = len(costs.unknown)
        yield f"\nnot counted: {count} of {len(costs.rows)} nodes, so that the totals are lower bounds"
        yield from (f"  {escape(node.name)}: {escape(node.note)}" for node in costs.unknown[:_UNKNOWNS_SHOWN])
        if count > _UNKNOWNS_SHOWN:
            yield f"  and {count - _UNKNOWNS_SHOWN} more; --json names them all"


def _nodes(costs: GraphLedger) -> list[_Row]:
    return [
        (node.name, _operation(describe(node), node), node, node.params, node.macs, node.bytes_read, node.bytes_written)
        for node in costs.rows
    ]


def _fused(costs: GraphLedger) -> list[_Row]:
    """Views and constants are left out: no engine runs a kernel for them."""
    rows = []
    for fused in fuse(node for node in costs.rows if not node.is_view and node.kind != "constant"):
        moved, main = costs.together(node.name for node in fused.rows), fused.layer
        operation = _operation(fused.operation, main)
        rows.append((main.layer, operation, fused.rows[-1], fused.params, main.macs, moved.read, moved.written))
    return rows


def _operation(words: str, node: NodeCost) -> str:
    """``words``, with the operator's name where they begin with its being unknown."""
    return node.op_type + words.removeprefix(node.kind) if node.kind == "unknown" else words


def _graph_totals(costs: GraphLedger, kernels: list[_Row] | None) -> list[tuple[str, str, str]]:
    """The totals; also of ``kernels``, where each row stands for more than a node."""

    def number(name: str) -> str:
        return ("at least " if name in costs.at_least else "") + f"{getattr(costs, name):,}"

    buffers = f"and {costs.num_buffers:,} running means and variances of BN" if costs.num_buffers else ""
    intensity = "not known" if costs.intensity is None else f"{costs.intensity:.1f}"
    lines = [
        ("params", number("num_params"), buffers),
        ("MACs", number("macs"), f"{costs.macs / 1e6:,.1f} M; FLOPs are twice that"),
        ("read", number("bytes_read"), "bytes, weights included, each node by itself"),
        ("written", number("bytes_written"), "bytes, each node by itself"),
        ("activations", number("activation_bytes"), "bytes written where BN and activations run in place"),
        ("peak", number("peak_activation_bytes"), "bytes of activations alive at once"),
        ("intensity", intensity, "MACs per byte read or written, each node by itself"),
    ]
    if kernels and not costs.at_least:
        moved = sum((read or 0) + (written or 0) for *_, read, written in kernels)
        lines.insert(4, ("moved", f"{moved:,}", "bytes read and written, each row above as one kernel"))
    return lines


def _shape(shape: Shape | None) -> str:
    return "?" if shape is None else shape_text(shape) or "scalar"
