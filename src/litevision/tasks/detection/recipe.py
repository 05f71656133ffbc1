"""The options of a recipe that detection alone has, its defaults for the others, and what follows from the data."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from litevision.data.dataset import MOST_BOXES, LabelledBoxes
from litevision.errors import UsageError
from litevision.registry import DETECTORS
from litevision.tables import pluralise
from litevision.training.recipe import Adapted, Balance, Range, Recipe

Radius = Literal["overlap", "reference"]

# Of 60 epochs for 160 images: twice the images get 1.4 times the steps.
_EPOCHS, _IMAGES, _LEAST_EPOCHS, _MOST_EPOCHS = 60, 160, 12, 150
_WITH_HEADS = 0.5  # of these epochs, where neck and heads were trained already
_LEAST_SIDE, _SIDE, _MOST_SIDE = 256, 416, 640
_LEAST_BOX_PX = 16  # four cells of the map
_SMALL = 0.1  # the part of the boxes that may be smaller
_ALIKE = 0.75  # the part of the images that must have about one shape
_BATCH = 8


@dataclass(frozen=True, slots=True)
class BoxAugment:
    """What is done to training images with boxes, drawn anew in each epoch.

    Attributes:
        flip: mirrors every second image.
        flip_vertical: turns every second image upside down; for what has no up, such as cells.
        rot90: turns every second image by 90 degrees; likewise.
        scale: least and greatest factor of an image's size, against its size in the model's input. Smaller ones stand
            on grey, of larger ones a part is cut out.
        aspect_jitter: greatest factor by which one side grows against the other; 1 for none.
        colour: brightness, contrast and saturation change by up to this part.
        hue: turns colours by up to this part of a circle, 0.5 at most.
        mosaic: probability of four images around one point in place of one.
        min_visible: a box of which less than this part of its area is left after a cut is ignored.
    """

    flip: bool = True
    flip_vertical: bool = False
    rot90: bool = False
    scale: tuple[float, float] = (0.6, 1.4)
    aspect_jitter: float = 1.15
    colour: float = 0.3
    hue: float = 0.0
    mosaic: float = 0.0
    min_visible: float = 0.3


@dataclass(frozen=True, slots=True)
class Detection(BoxAugment):
    """A detector, and what is done to its training images.

    Attributes:
        neck: light, dlaup or reshape.
        neck_channels: of the map that ``light`` gives; 0 for the neck's own.
        head_channels: of the hidden layer in each head, 0 for no such layer; -1 for the neck's own.
        top_k: the most boxes that the finished model gives for an image.
        radius: how far the targets' peaks reach: overlap, or reference for CenterNet's code to the letter.
        center_radius: how many cells around an object's centre learn its box as well; 0 as in the paper.
        size_weight: of the boxes' sizes in the loss.
        offset_weight: of the centres' offsets in the loss.
        iou_weight: of the boxes' overlap with the true ones (1 - GIoU) in the loss; 0 as in the paper.
        most_images: how many of the training images, evenly chosen, are taken at most, and no more validation images
            than that; 0 takes all.
        exclude: images, by their names with suffix or without, that are left out of train and validation; for those
            that show what test images show.
        backgrounds: a folder of images that show none of the objects, from which the detector learns where to find
            nothing; at most half as many as training images with boxes are taken. None where it is empty.
    """

    neck: Literal["light", "dlaup", "reshape"] = "light"
    neck_channels: int = 0
    head_channels: int = -1
    top_k: int = MOST_BOXES
    radius: Radius = "overlap"
    center_radius: int = 1
    size_weight: float = 0.1
    offset_weight: float = 1.0
    iou_weight: float = 0.0
    most_images: int = 0
    exclude: tuple[str, ...] = ()
    backgrounds: str = ""


DETECTION_DEFAULTS: dict[str, dict[str, Any]] = {
    "model": {"size_hw": [416, 416], "crop": "letterbox"},
    "schedule": {
        "epochs": 60,
        "freeze_backbone_epochs": 2,
        "frozen_passes": 1,
        "first_size": 1.0,
        "batch_size": 8,
        "warmup_epochs": 2.0,
    },
}
"""What a recipe for detection begins with in place of the defaults of the other tables."""


FRESH_DEFAULTS: dict[str, dict[str, Any]] = {
    "schedule": {"epochs": 120, "freeze_backbone_epochs": 0},
    "optimizer": {"backbone_lr_mult": 1.0, "layer_decay": 1.0},
}
"""What lies over `DETECTION_DEFAULTS` where the network is trained from scratch."""


@dataclass(frozen=True, slots=True)
class DetectionRecipe(Recipe):
    """Every option of a run that trains a detector."""

    task: ClassVar[str] = "detection"

    detection: Detection = field(default_factory=Detection)
    loss: Balance = field(default_factory=Balance)

    def adapted(self, data: Any) -> tuple[Adapted, ...]:
        """Epochs, input size and batch for the number of images, their shape and the size of their boxes."""
        return tuple(_adapted(self, data))

    def located(self) -> "DetectionRecipe":
        """The recipe with an absolute path of its backgrounds."""
        folder = self.detection.backgrounds
        if not folder:
            return self
        return replace(self, detection=replace(self.detection, backgrounds=str(Path(folder).expanduser().absolute())))

    def with_sources(self, rename: Callable[[str], str]) -> "DetectionRecipe":
        """The recipe with the name of its weights, which may be a file, and of its backgrounds given to ``rename``."""
        return replace(
            self,
            model=replace(self.model, weights=rename(self.model.weights)),
            detection=replace(self.detection, backgrounds=rename(self.detection.backgrounds)),
        )

    def ranges(self) -> tuple[Range, ...]:
        """The bounded options that only detection has."""
        options = self.detection
        return (
            ("detection.scale", min(options.scale), 0.05, 20),
            ("detection.scale", max(options.scale), 0.05, 20),
            ("detection.aspect_jitter", options.aspect_jitter, 1, 10),
            ("detection.colour", options.colour, 0, 1),
            ("detection.hue", options.hue, 0, 0.5),
            ("detection.mosaic", options.mosaic, 0, 1),
            ("detection.min_visible", options.min_visible, 0, 1),
            ("detection.neck_channels", options.neck_channels, 0, 4096),
            ("detection.head_channels", options.head_channels, -1, 4096),
            ("detection.top_k", options.top_k, 1, 100_000),
            ("detection.center_radius", options.center_radius, 0, 8),
            ("detection.size_weight", options.size_weight, 0, float("inf")),
            ("detection.offset_weight", options.offset_weight, 0, float("inf")),
            ("detection.iou_weight", options.iou_weight, 0, float("inf")),
            ("detection.most_images", options.most_images, 0, float("inf")),
        )

    def check(self) -> None:
        """Raises `UsageError` for factors that do not fit each other."""
        small, large = self.detection.scale
        if small > large:
            raise UsageError(f"detection.scale is [{small:g}, {large:g}]; expected two factors, the smaller first")


def _adapted(recipe: Recipe, data: LabelledBoxes) -> Iterator[Adapted]:
    samples = data.of(*recipe.schedule.splits)
    images = len(samples)
    share, why = _share_of_epochs(recipe)
    epochs = min(_MOST_EPOCHS, max(_LEAST_EPOCHS, _EPOCHS * math.sqrt(_IMAGES / images)))
    why = f"{pluralise(images, 'training image')}; fewer images need more{why}"
    yield Adapted("schedule.epochs", round(share * epochs), why)
    batch = min(_BATCH, max(2, images // _BATCH))
    if batch < _BATCH:
        yield Adapted("schedule.batch_size", batch, f"so that {images} images make {_BATCH} steps or so an epoch")
    with_boxes = [sample for sample in samples if len(sample.labels)]
    hw = np.array([sample.size_hw for sample in with_boxes or samples], np.float64)
    long_side = float(np.median(hw.max(1)))
    smallest = _smallest_box(data, recipe)
    wanted = math.ceil(_LEAST_BOX_PX / smallest / 32) * 32 if smallest else _SIDE
    side = min(max(_SIDE, wanted), _MOST_SIDE, max(_LEAST_SIDE, math.ceil(long_side / 32) * 32))
    ratio = _common_ratio(hw)
    short = round(side * min(ratio, 1 / ratio) / 32) * 32
    size_hw = [short, side] if ratio < 1 else [side, short]
    shape = f"images are {_shape_in_words(hw, ratio)}"
    boxes = f"; a tenth of the boxes is below {smallest * side:.0f} px in it" if smallest else ""
    yield Adapted("model.size_hw", size_hw, shape + boxes)


def _share_of_epochs(recipe: Recipe) -> tuple[float, str]:
    """How many of the usual epochs the start needs, and why."""
    if recipe.model.weights == "none":
        return 2, ", twice as many from scratch"
    if recipe.model.name in DETECTORS:
        return _WITH_HEADS, ", half as many go on with a trained detector"
    return 1, ""


def _smallest_box(data: LabelledBoxes, recipe: Recipe) -> float:
    """The side of a small box, against its image's longer side; 0 without boxes."""
    sides = [
        np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) / max(sample.size_hw)
        for sample in data.of(*recipe.schedule.splits)
        if len(boxes := sample.boxes_xyxy[~sample.ignored])
    ]
    return float(np.quantile(np.concatenate(sides), _SMALL)) if sides else 0.0


def _common_ratio(hw: npt.NDArray[np.float64]) -> float:
    """Height over width where most images have about the same; else 1."""
    ratios = hw[:, 0] / hw[:, 1]
    middle = float(np.median(ratios))
    alike = np.abs(np.log(ratios / middle)) < np.log(1.2)
    return min(2.0, max(0.5, middle)) if alike.mean() >= _ALIKE else 1.0


def _shape_in_words(hw: npt.NDArray[np.float64], ratio: float) -> str:
    height, width = np.median(hw, axis=0)
    shape = "of many shapes" if ratio == 1 and abs(height / width - 1) > 0.2 else "of that shape"
    return f"{height:.0f}x{width:.0f} in the middle, {shape}"
