"""litevision export: make a checked bundle from weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.fields import dialect_option, network_names, size_option, weight_names
from litevision.cli.parser import argument, option
from litevision.tables import escape


def _formats() -> str:
    from litevision.exporting.formats import FORMATS

    return f"File to write: {'; '.join(f'{row.suffix} for {row.help}' for row in FORMATS.values())}."


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Export a model to one file with its labels and preprocessing, checked against the network it came from."""

    examples: ClassVar = (
        "litevision export mobilenet_v2 -o mobilenet_v2.onnx",
        "litevision export weights.pth --labels classes.txt --size 192 -o model.onnx",
        "litevision export runs/first -o first.onnx",
    )
    source: str = argument(
        metavar="NAME|FILE|URL|RUN",
        choices=weight_names,
        help="A weight set's or network's name, a weight file, a URL, or the folder of a run.",
    )
    output: Path = option(
        short="-o",
        metavar="FILE",
        help=_formats,
        writes="export",
    )
    model: str | None = option(None, choices=network_names, help="Network of the weights; detected unless given.")
    dialect: str | None = dialect_option("Library whose form the network has, where the file alone cannot tell.")
    width: float | None = option(None, help="Width multiplier; detected unless given.")
    size: str | None = size_option("Input side in pixels, or height and width; the weights' own unless given.")
    labels: Path | None = option(
        None, metavar="FILE.txt", help="Names of the classes, one a line; ImageNet's for 1000 classes unless given."
    )
    normalisation: str | None = option(
        None,
        choices=("imagenet", "half", "unit"),
        help="Range of the input: half is [-1, 1], unit is [0, 1]; the weights' own unless given.",
    )
    check_images: Path | None = option(
        None,
        metavar="FOLDER",
        hidden=("--photos",),
        help="Images to check the bundle with; four that come with the package unless given.",
    )


def run(options: ExportOptions) -> int:
    """Export, check, and print what was made."""
    from litevision.cli.checks import parse_size, require_torch

    require_torch("litevision export")
    from litevision.exporting.export import export

    check_images = None if options.check_images is None else _check_images(options.check_images)
    metadata = export(
        options.source,
        options.output,
        model=options.model,
        dialect=options.dialect,
        width_mult=options.width,
        size=None if options.size is None else parse_size(options.size),
        normalisation=options.normalisation,
        labels=None if options.labels is None else _read_labels(options.labels),
        check_images=check_images,
    )
    check, (height, width) = metadata.check, metadata.preprocess.size_hw
    name, file = escape(metadata.architecture.name), escape(str(options.output))
    print(f"wrote {file}: {name}, {len(metadata.labels)} classes, {height}x{width}")
    print(f"size: {options.output.stat().st_size / 1e6:.1f} MB")
    print(
        f"checked on {check.images} images in {check.engine}: largest difference of a probability "
        f"{check.max_abs_diff:.1e}, the top answer agrees on {check.top1_agreement:.0%}"
    )
    return 0


def _check_images(folder: Path) -> list[Path]:
    from litevision.console import note
    from litevision.image import find_images

    found = find_images(folder)
    paths = list(found)
    if found.passed_over:
        note(f"{folder}: {found.passed_over}")
    return paths


_MOST_LABEL_BYTES = 67_108_864


def _read_labels(file: Path) -> tuple[str, ...]:
    from litevision.errors import FileMissingError, UsageError

    try:
        if file.exists() and (not file.is_file() or file.stat().st_size > _MOST_LABEL_BYTES):
            raise UsageError(
                f"{file}: no labels; expected a file of {_MOST_LABEL_BYTES:,} bytes at most, one name a line"
            )
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    except FileNotFoundError:
        raise FileMissingError(f"{file}: no such file of labels; expected one name a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read as labels ({error}); expected UTF-8 text, one name a line") from None
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{file}: the label {twice!r} stands there twice; each class needs a name of its own")
    return names
