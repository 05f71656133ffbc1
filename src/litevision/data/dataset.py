"""Data sets in memory, whatever format they were read from: samples, classes and splits.

N is the number of boxes of an image. Boxes are in px of the upright image, with continuous edges.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

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


SampleT = TypeVar("SampleT", Sample, DetectionSample)


@dataclass(frozen=True, eq=False, slots=True)
class Labelled(Generic[SampleT]):
    """A data set of either task.

    Attributes:
        root: the folder or the file that it was read from.
        classes: the class names, in the order of their labels.
        samples: every usable image, in an order that depends on the data alone.
        made_splits: whether any of its splits was made by us; False where the data came with all that it has.
        issues: what is wrong with the labels and the images, and was left out or dealt with.
    """

    root: Path
    classes: tuple[str, ...]
    samples: tuple[SampleT, ...]
    made_splits: bool
    issues: tuple[Issue, ...] = field(default=(), compare=False)

    def of(self, *splits: Split) -> tuple[SampleT, ...]:
        """The images of some splits."""
        return tuple(sample for sample in self.samples if sample.split in splits)


@dataclass(frozen=True, slots=True)
class LabelledImages(Labelled[Sample]):
    """A classification data set: images with one class each; ``classes`` are sorted."""

    task: ClassVar[Task] = "classification"

    def counts(self, *splits: Split) -> tuple[int, ...]:
        """The number of images of each class in some splits."""
        found = Counter(sample.label for sample in self.of(*splits))
        return tuple(found[label] for label in range(len(self.classes)))

    def image_counts(self, *splits: Split) -> tuple[int, ...]:
        """The same: an image shows one class."""
        return self.counts(*splits)


@dataclass(frozen=True, eq=False, slots=True)
class LabelledBoxes(Labelled[DetectionSample]):
    """A detection data set: images with boxes.

    ``classes`` are sorted in Pascal VOC, and in the order of their ids in COCO and YOLO.

    Attributes:
        kind: the name of the label format.
    """

    task: ClassVar[Task] = "detection"

    kind: str | None = None

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
