"""Images with boxes as plain records, whatever they were read from.

N is the number of boxes of an image. Boxes are in px of the upright image, with continuous edges.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from litevision.data.issues import Issue
from litevision.data.records import Split

Kind = Literal["Pascal VOC", "COCO", "YOLO"]


@dataclass(frozen=True, eq=False, slots=True)
class DetectionSample:
    """One image and its boxes, of which there may be none.

    Attributes:
        boxes_xyxy: ``float32[N, 4]``, inside the image.
        labels: ``int64[N]``, indices into the data's ``classes``.
        ignored: ``bool[N]``, the boxes marked as difficult or as a crowd, which are neither learned nor scored.
        size_hw: height and width of the upright image, px.
        areas: ``float32[N]``, the areas of the objects themselves, px², by which COCO calls them small or large; None
            where their boxes' areas stand for them.
    """

    path: Path
    boxes_xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]
    split: Split
    size_hw: tuple[int, int]
    areas: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class LabelledBoxes:
    """A detection data set.

    Attributes:
        root: the folder or the file that it was read from.
        classes: the class names: VOC's sorted, those of COCO and YOLO in the order of their ids.
        samples: every image that can be used, in an order that depends on the data alone.
        made_splits: whether any of its splits was made by us; False where the data came with all that it has.
        faults: what is wrong with the labels and the images, and was left out or dealt with.
        kind: the form of the labels.
    """

    root: Path
    classes: tuple[str, ...]
    samples: tuple[DetectionSample, ...]
    made_splits: bool
    faults: tuple[Issue, ...] = ()
    kind: Kind | None = None

    def of(self, *splits: Split) -> tuple[DetectionSample, ...]:
        """The images of some splits."""
        return tuple(sample for sample in self.samples if sample.split in splits)

    def counts(self, split: Split) -> tuple[int, ...]:
        """How many boxes of each class a split has, those to be ignored not counted."""
        found = np.zeros(len(self.classes), np.int64)
        for sample in self.of(split):
            found += np.bincount(sample.labels[~sample.ignored], minlength=len(found))
        return tuple(map(int, found))

    def image_counts(self, split: Split) -> tuple[int, ...]:
        """How many images of a split show each class, in boxes that are not to be ignored."""
        found = np.zeros(len(self.classes), np.int64)
        for sample in self.of(split):
            found[np.unique(sample.labels[~sample.ignored])] += 1
        return tuple(map(int, found))
