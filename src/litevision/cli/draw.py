"""litevision draw: a network as an image."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision import console
from litevision.cli.fields import dialect_option, network_names, size_option
from litevision.cli.parser import argument, option


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """Draw a network: a box for each of its parts, with shapes, parameters and multiply-adds."""

    examples: ClassVar = ("litevision draw mobilenet_v2 -o network.svg",)
    model: str = argument(
        metavar="NAME|FILE|RUN",
        choices=network_names,
        help="Network name ('litevision models' lists them), a weight file or bundle, or the folder of a run.",
    )
    output: Path = option(short="-o", metavar="FILE", help="File to write: .svg, .png, .pdf or .dot.", writes="drawing")
    width: float = option(1.0, help="Width multiplier of the paper.")
    size: str = size_option(default="224")
    classes: int = option(1000, help="Number of classes; 0 leaves out the classifier.")
    dialect: str | None = dialect_option("Library whose form of the network is drawn; the name's own unless given.")
    output_stride: int = option(
        32, choices=("8", "16", "32"), help="Input pixels per output pixel; less makes later strides dilation."
    )


def run(options: DrawOptions) -> int:
    """Draw the network."""
    from litevision.cli.checks import parse_size, require_torch

    require_torch("litevision draw")
    from litevision.cost.draw import draw

    draw(
        options.model,
        options.output,
        width=options.width,
        size=parse_size(options.size),
        classes=options.classes,
        dialect=options.dialect,
        output_stride=options.output_stride,
    )
    console.note(f"wrote {options.output}")
    return 0
