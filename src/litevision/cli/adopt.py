"""litevision adopt: make a checked bundle of an ONNX file of another making."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from litevision.cli.fields import size_option
from litevision.cli.parser import argument, option
from litevision.tables import escape

if TYPE_CHECKING:
    from litevision.runtime import Normalisation

_KNOWN_LABELS = ("coco80", "imagenet-1k")


def _presets() -> Sequence[str]:
    from litevision.adopting.presets import PRESETS

    return tuple(PRESETS)


def _normalisations() -> Sequence[str]:
    from litevision.adopting.presets import ADOPTED_NORMALISATIONS

    return tuple(ADOPTED_NORMALISATIONS)


@dataclass(frozen=True, kw_only=True)
class AdoptOptions:
    """Make a bundle of a classifier or detector that others exported to ONNX, checked against the file as it was."""

    examples: ClassVar = (
        "litevision adopt yolox_nano.onnx --preset yolox -o yolox.onnx",
        "litevision adopt flowers.onnx --preset timm --labels flowers.txt -o flowers_bundle.onnx",
        "litevision adopt own.onnx --channels bgr --normalisation none --crop stretch --labels cat,dog -o pets.onnx",
    )
    file: Path = argument(metavar="FILE.onnx", help="ONNX file of a classifier or detector.")
    output: Path = option(short="-o", metavar="FILE.onnx", help="Bundle to write.", writes="export")
    preset: str | None = option(
        None,
        choices=_presets,
        help="Project whose way of feeding images the file follows; options below say otherwise.",
    )
    labels: str | None = option(
        None,
        metavar="FILE|LIST|NAMES",
        help="Names of the classes: a file with one a line, coco80, imagenet-1k, or the names with commas between; by "
        "default those two lists for detectors of 80 and classifiers of 1000 classes.",
    )
    decoding: str | None = option(
        None,
        metavar="NAME",
        help="What the outputs mean: softmax, sigmoid, probabilities, yolox, yolov5, yolov8, fastestdet, nanodet, "
        "nanodet-plus, picodet, detr, torchvision, end-to-end; recognised unless given.",
    )
    size: str | None = size_option("Input side in pixels, or height and width, where the file leaves it open.")
    normalisation: str | None = option(
        None, choices=_normalisations, help="Range of the input: half is [-1, 1], unit is [0, 1], none is 0 to 255."
    )
    mean: str | None = option(
        None,
        metavar="A,B,C",
        help="Mean of each channel, with --std, in the order that the file takes; in [0, 1], or in 0 to 255 where a "
        "number of either is above 1.",
    )
    std: str | None = option(None, metavar="A,B,C", help="Standard deviation of each channel, with --mean.")
    channels: str | None = option(
        None, choices=("rgb", "bgr"), help="Order of the channels that the file takes; rgb unless given."
    )
    crop: str | None = option(
        None,
        choices=("center", "stretch", "letterbox"),
        help="How an image becomes the input: resize and cut out the middle, squash, or fit inside with grey borders; "
        "letterbox for detectors and center for classifiers unless given.",
    )
    crop_fraction: float | None = option(
        None, metavar="PART", help="Part of the resized shorter side that the crop center keeps, such as 0.875."
    )
    interpolation: str | None = option(
        None, choices=("bilinear", "bicubic"), help="Filter of the resize; bilinear unless given."
    )
    pad_value: int | None = option(
        None, metavar="GREY", help="Grey of a letterbox's borders, 0 to 255; 114 unless given."
    )
    align: str | None = option(
        None, choices=("center", "top-left"), help="Where a letterbox puts the image; center unless given."
    )
    iou: float | None = option(
        None,
        metavar="PART",
        help="Overlap from which on the less sure of two boxes is dropped; the decoding's own unless given.",
    )
    score: float | None = option(
        None, metavar="PART", help="Score above which a box is worth giving; the decoding's own unless given."
    )
    max_detections: int = option(100, help="Most boxes for an image.")
    name: str | None = option(None, metavar="NAME", help="Name of the network; the file's unless given.")
    licence: str = option("unknown", metavar="TEXT", help="Licence of the weights, for the record.")
    source: str = option("unknown", metavar="TEXT", help="Where the file comes from, for the record.")
    training_data: str = option("unknown", metavar="TEXT", help="What it was trained on, for the record.")
    check_images: Path | None = option(
        None,
        metavar="FOLDER",
        hidden=("--check",),
        help="Images to check the bundle with; four that come with the package unless given.",
    )


def run(options: AdoptOptions) -> int:
    """Adopt, check, and print what was made."""
    from litevision.cli.checks import parse_size, require_onnx
    from litevision.cli.export import describe_input, describe_output, find_check_images, read_labels

    require_onnx("litevision adopt")
    from litevision.adopting.adopt import adopt

    labels: str | Sequence[str] | None = options.labels
    if options.labels is not None and options.labels not in _KNOWN_LABELS:
        is_list = "," in options.labels and not Path(options.labels).is_file()
        listed = tuple(it.strip() for it in options.labels.split(",")) if is_list else None
        labels = listed or read_labels(Path(options.labels))
    metadata = adopt(
        options.file,
        options.output,
        preset=options.preset,
        labels=labels,
        decoding=options.decoding,
        size=None if options.size is None else parse_size(options.size),
        normalisation=_normalisation(options),
        channels=cast("Any", options.channels),  # the parser refuses another word
        crop=cast("Any", options.crop),
        crop_fraction=options.crop_fraction,
        interpolation=cast("Any", options.interpolation),
        pad_value=options.pad_value,
        align=cast("Any", options.align),
        iou_threshold=options.iou,
        score_threshold=options.score,
        max_detections=options.max_detections,
        name=options.name,
        licence=options.licence,
        source=options.source,
        training_data=options.training_data,
        check_images=None if options.check_images is None else find_check_images(options.check_images),
    )
    check, (height, width) = metadata.check, metadata.preprocess.size_hw
    decoding = metadata.architecture.arguments["decoding"]
    name, file = escape(metadata.architecture.name), escape(str(options.output))
    print(f"wrote {file}: {name}, {len(metadata.labels)} classes, {height}x{width}, decoded as {decoding}")
    print(f"input: {describe_input(metadata)}")
    print(f"output: {describe_output(metadata)}")
    print(f"weights: licence {escape(metadata.weights.licence)}, from {escape(metadata.weights.provenance)}")
    print(f"size: {options.output.stat().st_size / 1e6:.1f} MB")
    print(
        f"checked on {check.images} images in {check.engine}, against the file as it was: largest difference of a "
        f"{'score' if metadata.finds_boxes else 'probability'} {check.max_abs_diff:.1e}, the top answer agrees on "
        f"{check.top1_agreement:.0%}"
    )
    return 0


def _normalisation(options: AdoptOptions) -> "str | Normalisation | None":
    from litevision.adopting.presets import facts_with
    from litevision.errors import UsageError
    from litevision.runtime import Normalisation

    if options.mean is None and options.std is None:
        return options.normalisation
    if options.mean is None or options.std is None or options.normalisation is not None:
        raise UsageError("--mean and --std go together, in place of --normalisation")
    mean, std = _three("--mean", options.mean), _three("--std", options.std)
    if min(std) <= 0:
        raise UsageError(f"--std {options.std}: expected numbers above 0")
    unit = 255 if max(*mean, *std) > 1 else 1
    order = -1 if facts_with(options.preset, channels=options.channels).channels == "bgr" else 1
    red, green, blue = (part / unit for part in mean[::order])
    red_std, green_std, blue_std = (part / unit for part in std[::order])
    return Normalisation((red, green, blue), (red_std, green_std, blue_std))


def _three(option: str, text: str) -> tuple[float, ...]:
    from litevision.errors import UsageError

    try:
        parts = tuple(float(part) for part in text.split(","))
    except ValueError:
        parts = ()
    if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
        raise UsageError(f"{option} {text}: expected three numbers from 0 to 255, such as 103.53,116.28,123.675")
    return parts
