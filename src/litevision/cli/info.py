"""litevision info: what every layer of a network costs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from litevision.cost import Ledger
    from litevision.models import NetworkConfig

CLASS_COUNTS = (10, 100, 1000)


def info(
    model: Annotated[
        str, typer.Argument(help="A network's name or a bundle's ('litevision models' lists them), or any .onnx file.")
    ],
    width: Annotated[float, typer.Option(help="The paper's width multiplier.")] = 1.0,
    size: Annotated[
        str | None,
        typer.Option(metavar="S|HxW", help="The input's side, or its height and width; 224, unless a file fixes it."),
    ] = None,
    classes: Annotated[int, typer.Option(help="Classes; 0 for a network without a classifier.")] = 1000,
    dialect: Annotated[str | None, typer.Option(help="Whose form of the network; the name's own unless given.")] = None,
    output_stride: Annotated[int, typer.Option(help="8, 16 or 32: later strides become dilation.")] = 32,
    every: Annotated[
        bool, typer.Option("--all", help="One row per operation: BN, activations and sums apart.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with every row.")] = False,
) -> None:
    """Show what every layer of a network or ONNX file costs: its parameters, multiply-adds and output.

    1 MAC is one multiply-add of a convolution or linear layer; biases, BN, activations, pools and sums count 0. Of a
    file, also the bytes that each row reads and writes.
    """
    from litevision.cli._shared.bundle import bundle_path
    from litevision.cli._shared.size import parse_size
    from litevision.cli._shared.torch import require_torch
    from litevision.errors import UsageError

    require_torch("litevision info")
    import json

    from litevision.cli._costs.graph import print_graph
    from litevision.cost import ledger
    from litevision.models import build, configure
    from litevision.zoo import BUNDLES

    if model.lower().endswith(".onnx") or model in BUNDLES:
        if (width, classes, dialect, output_stride) != (1.0, 1000, None, 32):
            raise UsageError(
                f"--width, --classes, --dialect and --output-stride build a network from its name, and {model} is "
                "built. Leave them out."
            )
        print_graph(bundle_path(model), parse_size(size) if size else None, title=model, every=every, as_json=as_json)
        return
    size_hw = parse_size(size or "224")
    config = configure(model, width_mult=width, num_classes=classes, dialect=dialect, output_stride=output_stride)
    costs = ledger(build(config, device="meta"), size_hw)
    if as_json:
        print(json.dumps(_as_plain(config, costs)))
        return
    print(_title(config, costs), end="\n\n")
    _print_layers(costs, every=every)
    print()
    _print_totals(costs)


def _title(config: "NetworkConfig", costs: "Ledger") -> str:
    from litevision.registry import ARCHITECTURES

    head = f"{config.num_classes} classes" if config.num_classes else "no classifier"
    stride = "" if config.output_stride == 32 else f", output stride {config.output_stride}"
    return (
        f"{ARCHITECTURES[config.architecture].title} ({config.architecture}), dialect {config.dialect}, "
        f"width {config.width_mult:g}, {head}{stride}, input {config.in_channels}x{costs.size_hw[0]}x{costs.size_hw[1]}"
    )


def _print_layers(costs: "Ledger", *, every: bool) -> None:
    from litevision.cli._shared.table import print_table
    from litevision.cost.steps import describe, shape_text, steps

    rows = [(row.name, describe(row), row.out_shape, row.params, row.macs) for row in costs.layers]
    if not every:
        rows = [
            (step.layer.name, step.operation, step.out_shape, step.params, step.layer.macs)
            for step in steps(costs.layers)
        ]
    print_table(
        {"layer": "left", "operation": "left", "output": "left", "params": "right", "MACs": "right", "%": "right"},
        [
            (name, operation, shape_text(out_shape), f"{params:,}", f"{macs:,}", f"{100 * macs / costs.macs:.1f}")
            for name, operation, out_shape, params, macs in rows
        ],
    )


def _print_totals(costs: "Ledger") -> None:
    from litevision.cli._costs.totals import print_totals

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
        lines.append(
            ("classifier", f"{costs.classifier_params:,}", f"params; {costs.classifier_share:.1%} of all weights")
        )
        for saving in map(costs.saving, _other_class_counts(costs)):
            verb = "saves" if saving.params > 0 else "adds"
            lines.append(
                (f"{saving.num_classes} classes", f"{-saving.params:+,}", f"{verb} {abs(saving.bytes) / 1e6:.2f} MB")
            )
    print_totals(lines)


def _other_class_counts(costs: "Ledger") -> list[int]:
    if costs.classifier is None:
        return []
    return [count for count in CLASS_COUNTS if count != costs.classifier.out_shape[-1]]


def _as_plain(config: "NetworkConfig", costs: "Ledger") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "model": config.architecture,
        "dialect": config.dialect,
        "width_mult": config.width_mult,
        "num_classes": config.num_classes,
        "output_stride": config.output_stride,
        "size_hw": list(costs.size_hw),
        "num_params": costs.num_params,
        "num_buffers": costs.num_buffers,
        "macs": costs.macs,
        "activation_bytes": costs.activation_bytes,
        "peak_activation_bytes": costs.peak_activation_bytes,
        "classifier": {
            "params": costs.classifier_params,
            "share": costs.classifier_share,
            "savings": [asdict(costs.saving(count)) for count in _other_class_counts(costs)],
        },
        "layers": [asdict(layer) for layer in costs.layers],
    }
