"""The options of the commands over many images."""

from dataclasses import dataclass

from litevision.cli.fields import device_option, engine_names_with_auto, precision_names
from litevision.cli.parser import argument, flag, option


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
