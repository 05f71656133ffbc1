"""What every layer of an ONNX file costs, as a table or JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from litevision import console

if TYPE_CHECKING:
    from litevision.cost.graph import GraphLedger, NodeCost

_SIZE_HW = (224, 224)  # of images whose size a file leaves open
_UNKNOWNS_SHOWN = 10


def print_graph(path: Path, size_hw: tuple[int, int] | None, *, title: str, every: bool, as_json: bool) -> None:
    """Prints the costs of the file at ``path``, which is called ``title``.

    Raises:
        LitevisionError: as for ``litevision.cost.graph.graph_ledger``.
    """
    import json

    from litevision.cost.graph import graph_ledger

    costs = graph_ledger(path, size_hw=size_hw)
    if size_hw is None and None in costs.input_shapes.values():
        costs = graph_ledger(path, size_hw=_SIZE_HW)
        console.note("note: the file leaves an input's size open; counted at 224x224, --size sets another")
    if as_json:
        print(json.dumps(_as_plain(title, costs)))
        return
    inputs = ", ".join(f"{name} {_shape(shape)}" for name, shape in costs.input_shapes.items())
    print(f"{title}, {len(costs.nodes)} nodes, input {inputs}", end="\n\n")
    rows = _nodes(costs) if every else _steps(costs)
    _print_rows(costs, rows)
    print()
    _print_totals(costs, None if every else rows)


# layer, operation, the node whose output it gives, params, MACs, bytes read and written
_Row = tuple[str, str, "NodeCost", int, int | None, int | None, int | None]


def _nodes(costs: "GraphLedger") -> list[_Row]:
    """A row for each node, by itself."""
    from litevision.cost.steps import describe

    return [
        (node.name, _operation(describe(node), node), node, node.params, node.macs, node.bytes_read, node.bytes_written)
        for node in costs.nodes
    ]


def _steps(costs: "GraphLedger") -> list[_Row]:
    """A row for each layer with what runs on its output, as one kernel; views and constants are left out."""
    from litevision.cost.steps import steps

    rows = []
    for step in steps(node for node in costs.nodes if not node.is_view and node.kind != "constant"):
        moved = costs.together(node.name for node in step.rows)
        macs = step.layer.macs
        operation = _operation(step.operation, step.layer)
        rows.append((step.layer.layer, operation, step.rows[-1], step.params, macs, moved.read, moved.written))
    return rows


def _operation(words: str, node: "NodeCost") -> str:
    """``words``, with the operator's name where they begin with its being unknown."""
    return node.op_type + words.removeprefix(node.kind) if node.kind == "unknown" else words


def _print_rows(costs: "GraphLedger", rows: list[_Row]) -> None:
    from litevision.cli.tables import print_table

    print_table(
        {
            "layer": "left",
            "operation": "left",
            "output": "left",
            "params": "right",
            "MACs": "right",
            "KB read": "right",
            "KB written": "right",
            "%": "right",
        },
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


def _print_totals(costs: "GraphLedger", kernels: list[_Row] | None) -> None:
    """The totals; also of ``kernels``, the rows above, where each stands for more than a node."""
    from litevision.cli.info import print_totals

    def number(name: str) -> str:
        return ("at least " if name in costs.at_least else "") + f"{getattr(costs, name):,}"

    intensity = "not known" if costs.intensity is None else f"{costs.intensity:.1f}"
    lines = [
        (
            "params",
            number("params"),
            f"and {costs.buffers:,} running means and variances of BN" if costs.buffers else "",
        ),
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
    print_totals(lines)
    if costs.unknown:
        print(f"\nnot counted: {len(costs.unknown)} of {len(costs.nodes)} nodes, so that the totals are lower bounds")
        for node in costs.unknown[:_UNKNOWNS_SHOWN]:
            print(f"  {node.name}: {node.note}")
        if len(costs.unknown) > _UNKNOWNS_SHOWN:
            print(f"  and {len(costs.unknown) - _UNKNOWNS_SHOWN} more; --json names them all")


def _shape(shape: tuple[int, ...] | None) -> str:
    from litevision.cost.steps import shape_text

    return "?" if shape is None else shape_text(shape) or "scalar"


def _as_plain(title: str, costs: "GraphLedger") -> dict[str, Any]:
    from dataclasses import asdict

    nodes = []
    for node in costs.nodes:
        row = asdict(node)
        del row["read"], row["written"]
        nodes.append({**row, "inputs": node.inputs, "bytes_read": node.bytes_read, "bytes_written": node.bytes_written})
    return {
        "model": title,
        "input_shapes": costs.input_shapes,
        "num_params": costs.params,
        "num_buffers": costs.buffers,
        "macs": costs.macs,
        "bytes_read": costs.bytes_read,
        "bytes_written": costs.bytes_written,
        "activation_bytes": costs.activation_bytes,
        "peak_activation_bytes": costs.peak_activation_bytes,
        "intensity": costs.intensity,
        "at_least": sorted("num_params" if name == "params" else name for name in costs.at_least),
        "unknown": [{"name": node.name, "op_type": node.op_type, "note": node.note} for node in costs.unknown],
        "nodes": nodes,
    }
