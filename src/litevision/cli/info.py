"""litevision info: what every layer of a network costs."""

from dataclasses import dataclass
from typing import ClassVar

from litevision.cli.fields import dialect_option, json_flag, model_names, shape_option, size_option
from litevision.cli.parser import argument, flag, option


@dataclass(frozen=True, kw_only=True)
class InfoOptions:
    """Show what every layer of a network or ONNX file costs: its parameters, multiply-adds and output.

    1 MAC is one multiply-add of a convolution or linear layer; biases, BN, activations, pools and sums count 0. Of a
    file, also the bytes that each row reads and writes.
    """

    examples: ClassVar = ("litevision info mobilenet_v2", "litevision info model.onnx --all --json")
    model: str = argument(
        metavar="NAME|FILE|RUN",
        choices=model_names,
        help="A network or bundle ('litevision models' lists them), any .onnx or weight file, or a run's folder.",
    )
    width: float = option(1.0, help="Width multiplier of the paper.")
    size: str | None = size_option("Input side in pixels, or height and width; 224 unless a file fixes it.")
    shape: tuple[str, ...] = shape_option()
    classes: int = option(1000, help="Number of classes; 0 leaves out the classifier.")
    dialect: str | None = dialect_option("Library whose form of the network is built; the name's own unless given.")
    output_stride: int = option(
        32, choices=("8", "16", "32"), help="Input pixels per output pixel; less makes later strides dilation."
    )
    all: bool = flag(help="Show one row per operation: BN, activations and sums by themselves.")
    json: bool = json_flag("Print one JSON object, with every row.")


def run(options: InfoOptions) -> int:
    """Count and print."""
    from litevision.cli.checks import parse_shapes, parse_size, require_onnx

    require_onnx("litevision info")
    import json

    from litevision import console
    from litevision.cli.tables import print_report
    from litevision.cost.graph import GraphLedger
    from litevision.cost.info import info

    costs = info(
        options.model,
        width=options.width,
        size=parse_size(options.size) if options.size else None,
        shapes=parse_shapes(options.shape),
        classes=options.classes,
        dialect=options.dialect,
        output_stride=options.output_stride,
    )
    if isinstance(costs, GraphLedger) and costs.remark:
        console.note(f"note: {costs.remark}")
    if options.json:
        print(json.dumps(costs.to_dict()))
    else:
        print_report(costs.sections(every=options.all))
    return 0
