"""litevision draw: a network as an image."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision import console
from litevision.cli.fields import MODEL_HELP, NetworkOptions, any_model_names, shape_option, size_option
from litevision.cli.parser import argument, option


@dataclass(frozen=True, kw_only=True)
class DrawOptions(NetworkOptions):
    """Draw a network: a box for each of its parts, with shapes, parameters and multiply-adds."""

    examples: ClassVar = ("litevision draw mobilenet_v2 -o network.svg",)
    model: str = argument(metavar="NAME|FILE|RUN", choices=any_model_names, help=MODEL_HELP)
    output: Path = option(short="-o", metavar="FILE", help="File to write: .svg, .png, .pdf or .dot.", writes="drawing")
    size: str | None = size_option("Input side in pixels, or height and width; 224 unless a file fixes it.")
    shape: tuple[str, ...] = shape_option()


def run(options: DrawOptions) -> int:
    """Draw the network."""
    from litevision.cli.checks import parse_shapes, parse_size, require_torch

    require_torch("litevision draw")
    from litevision.cost.draw import draw

    draw(
        options.model,
        options.output,
        size=parse_size(options.size) if options.size else None,
        shapes=parse_shapes(options.shape),
        **options.form().given(),
    )
    console.note(f"wrote {options.output}")
    return 0
