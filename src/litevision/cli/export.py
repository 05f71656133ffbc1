"""litevision export: make a checked bundle from weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from litevision.cli.fields import dialect_option, map_option, network_names, save_map_option, size_option, weight_names
from litevision.cli.parser import argument, flag, option
from litevision.tables import escape

if TYPE_CHECKING:
    from litevision.image import Preprocess
    from litevision.runtime import BundleMetadata, Normalisation


def _formats() -> str:
    from litevision.exporting.formats import FORMATS

    named = "; ".join(f"{row.suffixes[0]} for {row.help}" for row in FORMATS.values())
    return f"File or folder to write; what its name ends with decides the format: {named}."


def _format_names() -> tuple[str, ...]:
    from litevision.exporting.formats import FORMATS

    return tuple(FORMATS)


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
        help="A weight set's or network's name, a weight file, a bundle, a URL, or the folder of a run.",
    )
    output: Path = option(
        short="-o",
        metavar="FILE",
        help=_formats,
        writes="export-any",
    )
    format: str | None = option(
        None, choices=_format_names, help="Format to write, where the output's name does not say it."
    )
    half: bool = flag(help="Layers, or at least weights, in float16; what goes in and comes out stays as it is.")
    dynamic_int8: bool = flag(
        help="Of a LiteRT file, weights in 8 bits, and activations rounded image by image; no images calibrate it."
    )
    opset: int | None = option(
        None,
        metavar="N",
        help="Of a bundle, the version of ONNX's operators; the lowest that has its nodes unless given.",
    )
    batch: int | None = option(
        None, metavar="1", help="Of a bundle, take one image at a time; any number of them unless given."
    )
    input: str | None = option(
        None,
        choices=("float-nchw",),
        help="Of a bundle, take images that are normalised already, as float32 [N, 3, H, W], in place of uint8 "
        "[N, H, W, 3].",
    )
    raw_heads: bool = flag(help="Of a CenterNet's bundle, give its maps, to be decoded by the app, in place of boxes.")
    sidecar: bool = flag(
        help="Also write labels, preprocessing and decoding beside the file, as JSON and as a C header, where metadata "
        "cannot be read; a folder holds the JSON anyway."
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
    mean: str | None = option(None, metavar="R,G,B", help="Mean of each channel in [0, 1], with --std, in place of it.")
    std: str | None = option(None, metavar="R,G,B", help="Standard deviation of each channel in [0, 1], with --mean.")
    crop: str | None = option(
        None,
        choices=("center", "stretch", "letterbox"),
        help="How an image becomes the input: resize and cut out the middle, squash, or fit inside with grey borders; "
        "the weights' own unless given.",
    )
    crop_fraction: float | None = option(
        None, metavar="PART", help="Part of the resized shorter side that the crop center keeps, such as 0.875."
    )
    interpolation: str | None = option(
        None, choices=("bilinear", "bicubic"), help="Filter of the resize; the weights' own unless given."
    )
    activation: str | None = option(
        None,
        choices=("softmax", "sigmoid"),
        help="What makes probabilities of logits; sigmoid gives each class its own. The weights' own unless given.",
    )
    classes: int | None = option(None, help="Number of classes; the weights' own unless given.")
    in_channels: int | None = option(
        None,
        help="Channels of the network's input, 1 for grey; weights for RGB are adapted. The file's own unless given.",
    )
    reset_classifier: bool = flag(help="Initialise the classifier anew where the numbers of classes differ.")
    drop_background: bool = flag(help="Leave out class 0 of a file with one class more (1001).")
    map: Path | None = map_option()
    save_map: Path | None = save_map_option()
    check_images: Path | None = option(
        None,
        metavar="FOLDER",
        hidden=("--photos",),
        help="Images to check the bundle with; four that come with the package unless given.",
    )


def run(options: ExportOptions) -> int:
    """Export, check, and print what was made."""
    from litevision.cli.checks import parse_size
    from litevision.exporting.export import export
    from litevision.files import files_below

    check_images = None if options.check_images is None else find_check_images(options.check_images)
    metadata = export(
        options.source,
        options.output,
        model=options.model,
        dialect=options.dialect,
        width_mult=options.width,
        size=None if options.size is None else parse_size(options.size),
        normalisation=_normalisation(options),
        crop=cast("Any", options.crop),  # Preprocess refuses another word
        crop_fraction=options.crop_fraction,
        interpolation=cast("Any", options.interpolation),
        num_classes=options.classes,
        in_channels=options.in_channels,
        activation=cast("Any", options.activation),
        reset_classifier=options.reset_classifier,
        drop_background=options.drop_background or None,
        labels=None if options.labels is None else read_labels(options.labels),
        weight_map=options.map,
        save_map=options.save_map,
        format=options.format,
        half=options.half,
        dynamic_int8=options.dynamic_int8,
        opset=options.opset,
        batch=options.batch,
        input=cast("Any", options.input),  # the writer refuses another word
        raw_heads=options.raw_heads,
        sidecar=options.sidecar,
        check_images=check_images,
    )
    check, (height, width) = metadata.check, metadata.preprocess.size_hw
    name, file = escape(metadata.architecture.name), escape(str(options.output))
    print(f"wrote {file}: {name}, {len(metadata.labels)} classes, {height}x{width}")
    print(f"input: {describe_input(metadata)}")
    print(f"output: {describe_output(metadata)}")
    size = sum(file.stat().st_size for file in files_below(options.output))
    print(f"size: {size / 1e6:.1f} MB")
    print(
        f"checked on {check.images} images in {check.engine}: largest difference of a probability "
        f"{check.max_abs_diff:.1e}, the top answer agrees on {check.top1_agreement:.0%}"
    )
    return 0


def find_check_images(folder: Path) -> list[Path]:
    """Find the images of a folder; a note says what was passed over."""
    from litevision.console import note
    from litevision.image import find_images

    found = find_images(folder)
    paths = list(found)
    if found.passed_over:
        note(f"{folder}: {found.passed_over}")
    return paths


def _normalisation(options: ExportOptions) -> "str | Normalisation | None":
    from litevision.errors import UsageError
    from litevision.runtime import Normalisation

    if options.mean is None and options.std is None:
        return options.normalisation
    if options.mean is None or options.std is None or options.normalisation is not None:
        raise UsageError("--mean and --std go together, in place of --normalisation")
    return Normalisation(_three("--mean", options.mean), _three("--std", options.std))


def _three(option: str, text: str) -> tuple[float, float, float]:
    from litevision.errors import UsageError

    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: expected three numbers such as 0.485,0.456,0.406") from None
    least = 1e-6 if option == "--std" else 0.0
    if not all(least <= part <= 1 for part in (red, green, blue)):
        raise UsageError(f"{option} {text}: expected numbers of pixels in [0, 1], such as 0.485,0.456,0.406")
    return red, green, blue


def describe_input(metadata: "BundleMetadata") -> str:
    """What the bundle does with an image, in a line."""
    preprocess, normalisation = metadata.preprocess, metadata.normalisation
    sides = "x".join(map(str, preprocess.size_hw))
    resize = {
        "center": f"shorter side to {preprocess.resize_px}, center crop {sides}",
        "stretch": f"stretched to {sides}",
        "letterbox": f"fitted into {sides}{_padding(preprocess)}",
    }[preprocess.crop]
    mean, std = (",".join(f"{part:g}" for part in parts) for parts in (normalisation.mean, normalisation.std))
    arguments = metadata.architecture.arguments
    channels = (
        ", grey" if arguments.get("in_channels", 3) == 1 else ", BGR" if arguments.get("channels") == "bgr" else ""
    )
    return (
        f"{resize}, {preprocess.interpolation}{channels}, mean {mean}, std {std}; "
        f"dialect {metadata.architecture.dialect}"
    )


def _padding(preprocess: "Preprocess") -> str:
    """Where a letterbox pads, and with what, if it is not the usual."""
    place = " at its top left" if preprocess.align == "top-left" else ""
    return place if preprocess.pad_value is None else f"{place}, padded with {preprocess.pad_value}"


def describe_output(metadata: "BundleMetadata") -> str:
    """What the bundle's numbers mean, in a line."""
    if metadata.finds_boxes:
        return "boxes with scores"
    if metadata.activation != "sigmoid":
        return "softmax, the probabilities of all classes sum to 1"
    if metadata.is_multi_label:
        return "sigmoid, each class has a probability of its own"
    first, second = map(escape, metadata.labels)
    return f"sigmoid of one logit, the probability of {second}; {first} has the rest"


_MOST_LABEL_BYTES = 67_108_864


def read_labels(file: Path) -> tuple[str, ...]:
    """Read class names, one a line.

    Raises:
        FileMissingError: no such file.
        UsageError: no text, or a name that stands there twice.
    """
    from litevision.errors import FileMissingError, UsageError, reason_of

    try:
        if file.exists() and (not file.is_file() or file.stat().st_size > _MOST_LABEL_BYTES):
            raise UsageError(
                f"{file}: no labels; expected a file of {_MOST_LABEL_BYTES:,} bytes at most, one name a line"
            )
        names = tuple(line.strip() for line in file.read_text("utf-8-sig").splitlines() if line.strip())
    except FileNotFoundError:
        raise FileMissingError(f"{file}: no such file of labels; expected one name a line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file}: cannot be read as labels ({reason_of(error)}); expected UTF-8 text, one name a line"
        ) from None
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"{file}: the label {twice!r} stands there twice; each class needs a name of its own")
    return names
