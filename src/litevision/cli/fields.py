"""Options that several commands have, each defined once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.weights.any_model import NetworkForm

BUNDLE_HELP = "A bundle (.onnx or .tflite), a folder of an export or of a finished run, or a model's name."
MODEL_HELP = (
    "Name of a network, detector, weight set or bundle ('litevision models' lists them), any .onnx or weight file, or "
    "the folder of a run."
)


def engine_names() -> Sequence[str]:
    """The engines of bundles, for help and completion."""
    from litevision.runtime.engines import ENGINES

    return tuple(name for name, spec in ENGINES.items() if ".onnx" in spec.reads)


def all_engine_names() -> Sequence[str]:
    """The engines, also those of other kinds of files."""
    from litevision.runtime.engines import ENGINES

    return tuple(ENGINES)


def engine_names_with_auto() -> Sequence[str]:
    """All engines, and ``auto`` for the fastest."""
    return (*all_engine_names(), "auto")


def precision_names() -> Sequence[str]:
    """The precisions that engines compute in."""
    from litevision.runtime.engines import ENGINES

    return tuple(dict.fromkeys(name for spec in ENGINES.values() for name in spec.precisions))


def bundle_names() -> Sequence[str]:
    """The bundles that come with the package."""
    from litevision.zoo import BUNDLES

    return tuple(BUNDLES)


def network_names() -> Sequence[str]:
    """The architectures and other libraries' names for them."""
    from litevision.registry import ALIASES, ARCHITECTURES

    return (*ARCHITECTURES, *ALIASES)


def trainable_names() -> Sequence[str]:
    """What can be trained by name: networks, and detectors that have names of their own."""
    from litevision.registry import CENTERNET, DETECTORS

    return (*network_names(), *(name for name in DETECTORS if name != CENTERNET))


def model_names() -> Sequence[str]:
    """What a command that runs a model accepts by name."""
    return (*bundle_names(), *network_names())


def any_model_names() -> Sequence[str]:
    """What a command that looks at a network accepts by name."""
    from litevision.registry import DETECTORS

    return (*model_names(), *DETECTORS)


def weight_names() -> Sequence[str]:
    """What weights can be loaded from by name."""
    from litevision.registry.weight_sets import weight_sets

    return (*(row.name for row in weight_sets()), *network_names())


def dialect_names() -> Sequence[str]:
    """The forms that architectures have."""
    from litevision.registry import ARCHITECTURES

    return tuple(dict.fromkeys(dialect for row in ARCHITECTURES.values() for dialect in row.dialects))


def data_formats() -> str:
    """What labelled data may look like, for help."""
    from litevision.data.formats import data_help

    return data_help()


def box_formats() -> str:
    """What labelled boxes may look like, for help."""
    from litevision.data.formats import format_names

    return f"Images with boxes: {format_names('detection')}."


def engine_option(default: str = "onnxruntime") -> Any:
    """``--engine`` of a command that measures."""
    return option(default, choices=engine_names, help="Engine that computes the network.")


def precision_option(default: str | None = "fp32") -> Any:
    """``--precision``."""
    return option(default, choices=precision_names, help="Precision; bf16 where engine and processor have it.")


def device_names() -> Sequence[str]:
    """What engines compute on."""
    from litevision.runtime import engines

    return engines.device_names()


def device_option(default: str = "cpu") -> Any:
    """``--device`` of a command that runs a bundle."""
    return option(
        default, choices=device_names, help="Device that computes the network; auto for a GPU where the engine has one."
    )


def threads_option() -> Any:
    """``--threads``."""
    return option(None, help="Threads that compute one batch; all CPUs unless given.")


def size_option(help: str = "Input side in pixels, or height and width.", default: str | None = None) -> Any:
    """``--size``."""
    return option(default, metavar="S|HxW", help=help)


def shape_option() -> Any:
    """``--shape``, once for each input."""
    return option(
        (), metavar="NAME=1x3x224x224", help="Shape of an input that a file leaves open; once for each such input."
    )


def dialect_option(help: str) -> Any:
    """``--dialect``."""
    return option(None, choices=dialect_names, help=help)


def map_option() -> Any:
    """``--map`` of a command that reads weights."""
    return option(
        None, metavar="FILE", help="Which of the network's tensors each tensor of the file is, as --save-map writes it."
    )


def save_map_option() -> Any:
    """``--save-map`` of a command that reads weights."""
    return option(
        None,
        metavar="FILE.json",
        help="Write that map, of a file of no known layout, which is read by its structure.",
        writes='json:{"format":"litevisionweightmap"',
    )


def json_flag(help: str = "Print one JSON document.") -> Any:
    """``--json`` of a command that prints nothing else then."""
    return flag(help=help, writes="stdout")


def csv_option(help: str, *, columns: str) -> Any:
    """``--csv`` of a table whose header begins with ``columns``."""
    return option(None, metavar="FILE.csv", help=help, writes=f"csv:{columns}")


def plot_option() -> Any:
    """``--plot``."""
    return option(None, metavar="FILE.png|svg", help="Draw the result into this file.", writes="plot")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # a start pays for each method, used or not
class PredictOptions:
    """The options that `classify` and `detect` share."""

    inputs: tuple[str, ...] = argument(
        metavar="IMAGE|FOLDER|VIDEO",
        help="Images, folders of images, quoted patterns such as 'shots/**/*.jpg', videos, webcam:0, or - for paths on "
        "standard input, one a line, or for the bytes of one image.",
    )
    model: str | None
    recursive: bool = flag(help="Also look into folders in folders.")
    frames: bool = flag(help="Read every frame of an animation, not only the first.")
    videos: bool = flag(help="Also take the videos in folders; one that is named is read without.")
    every: float = option(1.0, min=0, metavar="SECONDS", help="Seconds between frames of a video; 0 for every frame.")
    json: bool = flag(help="Print one JSON document.", writes="stdout")
    jsonl: bool = flag(help="Print one JSON object a line for each image.", writes="stdout")
    csv: str | None
    strict: bool = flag(help="Stop at the first image or folder that cannot be read.")
    engine: str = option(
        "auto", choices=engine_names_with_auto, help="Engine that computes the network; auto for the faster one."
    )
    precision: str | None = option(
        None, choices=precision_names, help="Precision; fp32 unless --engine auto finds another one faster."
    )
    device: str = device_option()
    workers: int | None = option(None, min=1, help="Images processed at once; all CPUs unless given.")
    batch: int | None = option(None, min=1, help="Batch size; chosen by the number of images unless given.")


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class NetworkOptions:
    """The form of a network that is given by its name."""

    width: float = option(1.0, hidden=("--alpha", "--width-mult"), help="Width multiplier of the paper.")
    classes: int | None = option(
        None,
        hidden=("--num-classes",),
        help="Number of classes; 0 leaves out the classifier. 1000 unless given, of a detector 80.",
    )
    dialect: str | None = dialect_option("Library whose form of the network is built; the name's own unless given.")
    output_stride: int = option(
        32, choices=("8", "16", "32"), help="Input pixels per output pixel; less makes later strides dilation."
    )
    rows: str | None = option(
        None,
        metavar="ROWS",
        hidden=("--conv-defs",),
        help="Rows of the network's table to use instead, such as 'Conv(3, 2, 32), DepthSepConv(3, 1, 64)'.",
    )
    backbone: str | None = option(
        None, choices=network_names, help="Of the detector centernet: the network whose backbone it takes."
    )
    neck: str | None = option(
        None, choices=("light", "dlaup", "reshape"), help="Of the detector centernet: what stands on the backbone."
    )

    def form(self) -> "NetworkForm":
        """How the network is built."""
        from litevision.weights.any_model import NetworkForm

        return NetworkForm(
            width=self.width,
            classes=self.classes,
            dialect=self.dialect,
            output_stride=self.output_stride,
            rows=self.rows,
            backbone=self.backbone,
            neck=self.neck,
        )
