"""Data sets in memory, whatever format they were read from: samples, classes and splits.

N is the number of boxes of an image. Boxes are in px of the upright image, with continuous edges.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from litevision.data.formats import Task
from litevision.data.issues import Issue

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with one class; ``label`` is an index into the data's ``classes``."""

    path: Path
    label: int
    split: Split


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """A classification data set.

    Attributes:
        root: the folder or the CSV file that it was read from.
        classes: the class names, sorted.
        samples: every image, in an order that depends on the data alone.
        made_splits: whether any of its splits was made by us; False where the data came with all that it has.
    """

    task: ClassVar[Task] = "classification"

    root: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    made_splits: bool

    def of(self, *splits: Split) -> tuple[Sample, ...]:
        """The images of some splits."""
        return tuple(sample for sample in self.samples if sample.split in splits)

    def counts(self, *splits: Split) -> tuple[int, ...]:
        """The number of images of each class in some splits."""
        found = Counter(sample.label for sample in self.of(*splits))
        return tuple(found[label] for label in range(len(self.classes)))


@dataclass(frozen=True, eq=False, slots=True)
class DetectionSample:
    """One image and its boxes, of which there may be none.

    Attributes:
        boxes_xyxy: ``float32[N, 4]``, inside the image.
        labels: ``int64[N]``, indices into the data's ``classes``.
        ignored: ``bool[N]``, boxes marked as difficult or as a crowd, which are neither learned nor scored.
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
        samples: every usable image, in an order that depends on the data alone.
        made_splits: whether any of its splits was made by us; False where the data came with all that it has.
        issues: what is wrong with the labels and the images, and was left out or dealt with.
        kind: the name of the label format.
    """

    task: ClassVar[Task] = "detection"

    root: Path
    classes: tuple[str, ...]
    samples: tuple[DetectionSample, ...]
    made_splits: bool
    issues: tuple[Issue, ...] = ()
    kind: str | None = None

    def of(self, *splits: Split) -> tuple[DetectionSample, ...]:
        """The images of some splits."""
        return tuple(sample for sample in self.samples if sample.split in splits)

    def counts(self, *splits: Split) -> tuple[int, ...]:
        """The number of boxes of each class in some splits, without those to be ignored."""
        found = np.zeros(len(self.classes), np.int64)
        for sample in self.of(*splits):
            found += np.bincount(sample.labels[~sample.ignored], minlength=len(found))
        return tuple(map(int, found))

    def image_counts(self, *splits: Split) -> tuple[int, ...]:
        """The number of images in some splits that show each class in boxes not to be ignored."""
        found = np.zeros(len(self.classes), np.int64)
        for sample in self.of(*splits):
            found[np.unique(sample.labels[~sample.ignored])] += 1
        return tuple(map(int, found))
