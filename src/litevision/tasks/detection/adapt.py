"""Options of a detector's training that follow from its images and boxes."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from litevision.data import LabelledBoxes
from litevision.tables import pluralise
from litevision.training.recipe import Adapted, Recipe

# Of 60 epochs for 160 images: twice the images get 1.4 times the steps.
_EPOCHS, _IMAGES, _LEAST_EPOCHS, _MOST_EPOCHS = 60, 160, 12, 150
_LEAST_SIDE, _SIDE, _MOST_SIDE = 256, 416, 640
_LEAST_BOX_PX = 16  # four cells of the map
_SMALL = 0.1  # the part of the boxes that may be smaller
_ALIKE = 0.75  # the part of the images that must have about one shape
_BATCH = 8


def adapted(recipe: Recipe, data: LabelledBoxes) -> tuple[Adapted, ...]:
    """What epochs, input size and batch should be for ``data``."""
    return tuple(_adapted(recipe, data))


def _adapted(recipe: Recipe, data: LabelledBoxes) -> Iterator[Adapted]:
    samples = data.of(*recipe.schedule.splits)
    images = len(samples)
    scratch = 2 if recipe.model.weights == "none" else 1
    epochs = scratch * round(_EPOCHS * math.sqrt(_IMAGES / images))
    epochs = min(scratch * _MOST_EPOCHS, max(scratch * _LEAST_EPOCHS, epochs))
    again = ", twice as many from scratch" if scratch > 1 else ""
    yield Adapted("schedule.epochs", epochs, f"{pluralise(images, 'training image')}; fewer images need more{again}")
    batch = min(_BATCH, max(2, images // _BATCH))
    if batch < _BATCH:
        yield Adapted("schedule.batch_size", batch, f"so that {images} images make {_BATCH} steps or so an epoch")
    hw = np.array([sample.size_hw for sample in samples], np.float64)
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
