"""litevision export: make a checked bundle from weights."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    source: Annotated[
        str, typer.Argument(metavar="NAME|FILE|URL", help="A weight set's or network's name, a weight file, or a URL.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .onnx file to write.")],
    model: Annotated[
        str | None, typer.Option(help="The network that the file belongs to; recognised unless given.")
    ] = None,
    dialect: Annotated[str | None, typer.Option(help="Whose form, where the file alone cannot tell.")] = None,
    width: Annotated[float | None, typer.Option(help="The width, if it is an unusual one.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="S|HxW", help="The input's side, or its height and width.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The classes' names, one a line; ImageNet's for 1000.")
    ] = None,
    normalisation: Annotated[
        str | None, typer.Option(help="imagenet, half ([-1, 1]) or unit ([0, 1]); the weights' own unless given.")
    ] = None,
    check_images: Annotated[
        Path | None,
        typer.Option(
            "--check-images", "--photos", metavar="FOLDER", help="Images to check with; four come with the package."
        ),
    ] = None,
) -> None:
    """Make a bundle: one .onnx file with its labels and preprocessing, checked against the network it came from."""
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision export")
    from litevision.cli._shared.size import parse_size
    from litevision.exporting.weights import export_weights
    from litevision.image import list_images

    size_hw = None if size is None else parse_size(size)
    names = None if labels is None else _read_labels(labels)
    images = None if check_images is None else list_images(check_images)
    metadata = export_weights(
        source,
        output,
        model,
        dialect=dialect,
        width_mult=width,
        size_hw=size_hw,
        normalisation=normalisation,
        labels=names,
        check_images=images,
    )
    check, (height, width_px) = metadata.check, metadata.preprocess.size_hw
    print(f"wrote {output}: {metadata.architecture.name}, {len(metadata.labels)} classes, {height}x{width_px}")
    print(f"size: {output.stat().st_size / 1e6:.1f} MB")
    print(
        f"checked on {check.images} images in {check.engine}: largest difference of a probability "
        f"{check.max_abs_diff:.1e}, the top answer agrees on {check.top1_agreement:.0%}"
    )


def _read_labels(file: Path) -> tuple[str, ...]:
    from litevision.errors import FileMissingError, UsageError

    try:
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    except FileNotFoundError:
        raise FileMissingError(f"{file}: no such file of labels; expected one name a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read as labels ({error}); expected UTF-8 text, one name a line") from None
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{file}: the label {twice!r} stands there twice; each class needs a name of its own")
    return names
