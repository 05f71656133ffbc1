"""Labelled images as plain records, whatever they were read from."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image; ``label`` is an index into the data's ``classes``."""

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

    root: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    made_splits: bool

    def of(self, *splits: Split) -> tuple[Sample, ...]:
        """The images of some splits."""
        return tuple(sample for sample in self.samples if sample.split in splits)

    def counts(self, *splits: Split) -> tuple[int, ...]:
        """How many images of each class some splits have."""
        found = Counter(sample.label for sample in self.of(*splits))
        return tuple(found[label] for label in range(len(self.classes)))
