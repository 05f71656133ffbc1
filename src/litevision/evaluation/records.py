"""What a classifier answered to labelled images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from litevision.errors import UsageError


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image that could not be read, and why."""

    path: Path
    detail: str


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """The truth and the probabilities of N images; C is the number of classes.

    Attributes:
        split: which images of the data these are, for example "test".
        classes: the C class names, in the order of the probabilities.
        paths: the N images that could be read, in the order of the data.
        labels: ``int64[N]``, the true classes, as indices into ``classes``.
        probabilities: ``float32[N, C]``.
        skipped: the images that could not be read; they count nowhere.

    Raises:
        UsageError: lengths that do not belong together, or a label that is no index into ``classes``.
    """

    split: str
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        count, classes = len(self.paths), len(self.classes)
        if self.labels.shape != (count,) or self.probabilities.shape != (count, classes):
            raise UsageError(
                f"labels {self.labels.shape} and probabilities {self.probabilities.shape} for {count} images and "
                f"{classes} classes; expected ({count},) and ({count}, {classes})."
            )
        wrong = self.labels[(self.labels < 0) | (self.labels >= classes)]
        if wrong.size:
            raise UsageError(f"the label {wrong[0]} for {classes} classes; expected 0 to {classes - 1}.")
