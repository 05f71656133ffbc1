"""litevision draw: a network as an image."""

from pathlib import Path
from typing import Annotated

import typer


def draw(
    model: Annotated[str, typer.Argument(help="A network's name; 'litevision models' lists them.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .svg, .png, .pdf or .dot file.")],
    width: Annotated[float, typer.Option(help="The paper's width multiplier.")] = 1.0,
    size: Annotated[str, typer.Option(metavar="S|HxW", help="The input's side, or its height and width.")] = "224",
    classes: Annotated[int, typer.Option(help="Classes; 0 for a network without a classifier.")] = 1000,
    dialect: Annotated[str | None, typer.Option(help="Whose form of the network; the name's own unless given.")] = None,
    output_stride: Annotated[int, typer.Option(help="8, 16 or 32: later strides become dilation.")] = 32,
) -> None:
    """Draw a network: a box for each of its parts, with shapes, parameters and multiply-adds."""
    import sys

    from litevision.cli._shared.size import parse_size
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision draw")
    from litevision.cost.draw import draw
    from litevision.models import build, configure

    size_hw = parse_size(size)
    config = configure(model, width_mult=width, num_classes=classes, dialect=dialect, output_stride=output_stride)
    draw(build(config, device="meta"), output, size_hw)
    print(f"wrote {output}", file=sys.stderr)
