"""litevision info: what every layer of a network costs."""

from dataclasses import dataclass
from typing import ClassVar

from litevision.cli.fields import MODEL_HELP, NetworkOptions, any_model_names, json_flag, shape_option, size_option
from litevision.cli.parser import argument, flag


@dataclass(frozen=True, kw_only=True)
class InfoOptions(NetworkOptions):
    """Show what every layer of a network or ONNX file costs: its parameters, multiply-adds and output.

    1 MAC is one multiply-add of a convolution or linear layer; biases, BN, activations, pools and sums count 0. Of a
    file, also the bytes that each row reads and writes.
    """

    examples: ClassVar = ("litevision info mobilenet_v2", "litevision info model.onnx --all --json")
    model: str = argument(metavar="NAME|FILE|RUN", choices=any_model_names, help=MODEL_HELP)
    size: str | None = size_option("Input side in pixels, or height and width; 224 unless a file fixes it.")
    shape: tuple[str, ...] = shape_option()
    all: bool = flag(help="Show one row per operation: BN, activations and sums by themselves.")
    conv_only: bool = flag(help="Show the convolutions alone, by their weights, as slim's ledger of MobileNetV1 does.")
    json: bool = json_flag("Print one JSON object, with every row.")


def run(options: InfoOptions) -> int:
    """Count and print."""
    from litevision.cli.checks import parse_shapes, parse_size, require_onnx

    require_onnx("litevision info")
    import json

    from litevision import console
    from litevision.cli.tables import print_report
    from litevision.cost.graph import GraphLedger
    from litevision.cost.info import Convolutions, info

    costs = info(
        options.model,
        size=parse_size(options.size) if options.size else None,
        shapes=parse_shapes(options.shape),
        **options.form().given(),
    )
    if isinstance(costs, GraphLedger) and costs.remark:
        console.note(f"note: {costs.remark}")
    convolutions = Convolutions(costs) if options.conv_only else None
    if options.json:
        print(json.dumps((convolutions or costs).to_dict()))
    else:
        print_report(convolutions.sections() if convolutions else costs.sections(every=options.all))
    return 0
