"""Data sets in memory, whatever format they were read from: samples, classes and splits.

N is the number of boxes of an image. Boxes are in px of the upright image, with continuous edges.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from litevision.data.formats import Task
from litevision.data.issues import Issue
from litevision.image.files import PassedOver
from litevision.tables import pluralise

Split = Literal["train", "validation", "test"]
MOST_BOXES = 100
"""The objects that a detector finds in an image unless it is told another number."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_PURPOSES: dict[Split, str] = {"train": "to learn from", "validation": "to choose the best epoch by"}


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
        task: what its labels are for.
        missing_rule: the rule that a listed image breaks where there is no such file.
        absent_rule: the rule that a class breaks where no image shows it.
        untrained_rule: the rule that a class breaks where none of train does.
        root: the folder or the file that it was read from.
        classes: the class names, in the order of their labels.
        samples: every usable image, in an order that depends on the data alone.
        made_splits: whether any of its splits was made by us; False where the data came with all that it has.
        issues: what is wrong with the labels and the images, and was left out or dealt with.
        passed_over: what lies beside the images and is neither an image of the data nor a file of labels.
    """

    task: ClassVar[Task]
    missing_rule: ClassVar[str]
    absent_rule: ClassVar[str]
    untrained_rule: ClassVar[str]

    root: Path
    classes: tuple[str, ...]
    samples: tuple[SampleT, ...]
    made_splits: bool
    issues: tuple[Issue, ...] = field(default=(), compare=False)
    passed_over: PassedOver = field(default_factory=PassedOver, compare=False)

    def of(self, *splits: Split) -> tuple[SampleT, ...]:
        """The images of some splits."""
        return tuple(sample for sample in self.samples if sample.split in splits)


@dataclass(frozen=True, slots=True)
class LabelledImages(Labelled[Sample]):
    """A classification data set: images with one class each; ``classes`` are sorted."""

    task = "classification"
    missing_rule = "missing-file"
    absent_rule = "empty-class"
    untrained_rule = "class-only-in-one-split"

    def counts(self, *splits: Split) -> tuple[int, ...]:
        """The number of images of each class in some splits."""
        found = Counter(sample.label for sample in self.of(*splits))
        return tuple(found[label] for label in range(len(self.classes)))

    def image_counts(self, *splits: Split) -> tuple[int, ...]:
        """The same: an image shows one class."""
        return self.counts(*splits)

    def totals(self) -> dict[str, tuple[int, ...]]:
        """The last rows of a table of counts: the images of each split."""
        return {"all": tuple(len(self.of(split)) for split in SPLITS)}

    def summary(self) -> str:
        """What it holds in a few words, as in "60 images of 3 classes"."""
        return f"{pluralise(len(self.samples), 'image')} of {pluralise(len(self.classes), 'class')}"

    def notes(self) -> Iterator[Issue]:
        """What is dealt with in the data as a whole: nothing."""
        yield from ()

    def obstacles(self) -> Iterator[str]:
        """Why it cannot be trained on, one line each; nothing where it can."""
        empty = [name for name, count in zip(self.classes, self.counts("train"), strict=True) if not count]
        if empty:
            names = ", ".join(map(repr, empty[:3])) + (f" and {len(empty) - 3} more" if len(empty) > 3 else "")
            yield f"no training images of {names}; add some, or remove it"
        if not self.of("validation"):
            yield "no validation images; add some, or more images to split"

    def as_images(self) -> "LabelledImages":
        """The data set itself."""
        return self


@dataclass(frozen=True, eq=False, slots=True)
class LabelledBoxes(Labelled[DetectionSample]):
    """A detection data set: images with boxes.

    ``classes`` are sorted in Pascal VOC, and in the order of their ids in COCO and YOLO.

    Attributes:
        kind: the name of the label format.
    """

    task = "detection"
    missing_rule = "missing-image"
    absent_rule = "class-without-boxes"
    untrained_rule = "class-not-trained"

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

    def totals(self) -> dict[str, tuple[int, ...]]:
        """The last rows of a table of counts: the boxes and the images of each split."""
        return {
            "all": tuple(sum(self.counts(split)) for split in SPLITS),
            "images": tuple(len(self.of(split)) for split in SPLITS),
        }

    def summary(self) -> str:
        """What it holds in a few words, as in "60 images with 80 boxes of 3 classes (COCO)"."""
        images, boxes = pluralise(len(self.samples), "image"), pluralise(sum(self.counts(*SPLITS)), "box")
        return f"{images} with {boxes} of {pluralise(len(self.classes), 'class')} ({self.kind})"

    def notes(self) -> Iterator[Issue]:
        """What concerns the data as a whole: crowded images, boxes to be ignored, and images without boxes."""
        images, lost, most = self.crowded(MOST_BOXES)
        if images:
            found = f"{pluralise(images, 'image')} with more than {MOST_BOXES} objects, {most:,} at most"
            detail = f"{found}: {lost:,} can never be found; train with --set detection.top_k={most}"
            yield Issue.of("too-many-objects", None, detail)
        boxes = sum(len(sample.labels) for sample in self.samples)
        ignored = sum(int(sample.ignored.sum()) for sample in self.samples)
        if ignored:
            yield Issue.of("ignored-boxes", None, f"{ignored:,} of {boxes:,} boxes")
        empty = sum(not len(sample.labels) for sample in self.samples)
        if empty:
            yield Issue.of("images-without-boxes", None, f"{empty:,} of {len(self.samples):,} images")

    def crowded(self, most: int) -> tuple[int, int, int]:
        """How many images show more than ``most`` objects, how many objects that is too many, and the most in one."""
        counts = np.array([int((~sample.ignored).sum()) for sample in self.samples], np.int64)
        over = np.maximum(counts - most, 0)
        return int((over > 0).sum()), int(over.sum()), int(counts.max(initial=0))

    def obstacles(self) -> Iterator[str]:
        """Why it cannot be trained on, one line each; nothing where it can."""
        for split, purpose in _PURPOSES.items():
            images = self.of(split)
            if not sum(self.counts(split)):
                ignored = sum(len(sample.labels) for sample in images)
                why = "label some"
                if ignored:
                    marked = "marked as difficult or as a crowd (iscrowd), and are skipped"
                    why = f"all {ignored:,} are {marked}; unmark some"
                yield f"no boxes {purpose} in the {len(images):,} images of {split}; {why}"

    def as_images(self) -> LabelledImages:
        """The images without their boxes, all in one class without a name."""
        samples = tuple(Sample(sample.path, 0, sample.split) for sample in self.samples)
        return LabelledImages(self.root, ("",), samples, self.made_splits)
