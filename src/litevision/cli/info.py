"""litevision info: what every layer of a network costs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from litevision.cli.fields import dialect_option, json_flag, model_names, size_option
from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.cost import Ledger
    from litevision.models import NetworkConfig

CLASS_COUNTS = (10, 100, 1000)


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Show what every layer of a network or ONNX file costs: its parameters, multiply-adds and output.

    1 MAC is one multiply-add of a convolution or linear layer; biases, BN, activations, pools and sums count 0. Of a
    file, also the bytes that each row reads and writes.
    """

    examples: ClassVar = ("litevision info mobilenet_v2", "litevision info model.onnx --all --json")
    model: str = argument(
        metavar="NAME|FILE.onnx",
        choices=model_names,
        help="A network's or bundle's name ('litevision models' lists them), or any .onnx file.",
    )
    width: float = option(1.0, help="Width multiplier of the paper.")
    size: str | None = size_option("Input side in pixels, or height and width; 224 unless a file fixes it.")
    classes: int = option(1000, help="Number of classes; 0 leaves out the classifier.")
    dialect: str | None = dialect_option("Library whose form of the network is built; the name's own unless given.")
    output_stride: int = option(
        32, choices=("8", "16", "32"), help="Input pixels per output pixel; less makes later strides dilation."
    )
    all: bool = flag(help="Show one row per operation: BN, activations and sums by themselves.")
    json: bool = json_flag("Print one JSON object, with every row.")


def run(options: InfoOptions) -> int:
    """Count and print."""
    from litevision.cli.checks import parse_size, require_torch
    from litevision.errors import UsageError
    from litevision.hub import find_bundle

    require_torch("litevision info")
    import json

    from litevision.cli.info_graph import print_graph
    from litevision.cost import ledger
    from litevision.models import build, configure
    from litevision.zoo import BUNDLES

    model, size_hw = options.model, parse_size(options.size) if options.size else None
    if model.lower().endswith(".onnx") or model in BUNDLES:
        if (options.width, options.classes, options.dialect, options.output_stride) != (1.0, 1000, None, 32):
            raise UsageError(
                f"--width, --classes, --dialect and --output-stride build a network from its name, and {model} is "
                "built. Leave them out."
            )
        print_graph(find_bundle(model), size_hw, title=model, every=options.all, as_json=options.json)
        return 0
    config = configure(
        model,
        width_mult=options.width,
        num_classes=options.classes,
        dialect=options.dialect,
        output_stride=options.output_stride,
    )
    costs = ledger(build(config, device="meta"), size_hw or (224, 224))
    if options.json:
        print(json.dumps(_as_plain(config, costs)))
        return 0
    print(_title(config, costs), end="\n\n")
    _print_layers(costs, every=options.all)
    print()
    _print_totals(costs)
    return 0


def _title(config: "NetworkConfig", costs: "Ledger") -> str:
    from litevision.registry import ARCHITECTURES

    head = f"{config.num_classes} classes" if config.num_classes else "no classifier"
    stride = "" if config.output_stride == 32 else f", output stride {config.output_stride}"
    return (
        f"{ARCHITECTURES[config.architecture].title} ({config.architecture}), dialect {config.dialect}, "
        f"width {config.width_mult:g}, {head}{stride}, input {config.in_channels}x{costs.size_hw[0]}x{costs.size_hw[1]}"
    )


def _print_layers(costs: "Ledger", *, every: bool) -> None:
    from litevision.cli.tables import print_table
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


def print_totals(lines: Sequence[tuple[str, str, str]]) -> None:
    """Print each line's name, number and note in columns."""
    left, middle = (max(len(line[i]) for line in lines) for i in (0, 1))
    for name, number, note in lines:
        print(f"{name:<{left}}  {number:>{middle}}  {note}".rstrip())
