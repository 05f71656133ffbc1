"""What a file's outputs mean: the interface of the rows of `litevision.adopting.decodings.DECODINGS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.exporting.append import NodeAppender, Tensor
from litevision.runtime.engines.base import Outputs
from litevision.runtime.metadata import Activation, Task

Array = npt.NDArray[Any]
COCO_CLASSES = 80
_ROUNDING = 1e-3


class MismatchError(Exception):
    """Why outputs are not of a decoding, in words that follow its name."""


@dataclass(frozen=True)
class Seen:
    """What a file gave for real images.

    Attributes:
        answers: its outputs for each image, which was run by itself.
        size_hw: of its input, px.
        labels: how many class names there are; None where none were given.
    """

    answers: Sequence[Outputs]
    size_hw: tuple[int, int]
    labels: int | None

    @property
    def classes(self) -> int:
        """The classes that a detector is expected to have: those of COCO where no labels were given."""
        return COCO_CLASSES if self.labels is None else self.labels

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each output, for the first image."""
        return {name: array.shape for name, array in self.answers[0].items()}

    def only(self, form: str, *ranks: int) -> str:
        """Return the name of the only output, whose rank is one of ``ranks``.

        Raises:
            MismatchError: there are several, or it has another form.
        """
        if len(self.shapes) != 1 or len(next(iter(self.shapes.values()))) not in ranks:
            raise MismatchError(f"needs one output {form}")
        return next(iter(self.shapes))

    def values(self, name: str, *part: Any) -> Array:
        """Return the numbers of an output, or of a part of it, for all images in one row."""
        return np.concatenate([answer[name][part or ...].ravel() for answer in self.answers])

    def require_shares(self, name: str, values: Array) -> None:
        """Raise a `MismatchError` where numbers that must be scores are not in [0, 1]."""
        if values.size and not -_ROUNDING <= values.min() <= values.max() <= 1 + _ROUNDING:
            raise MismatchError(f"needs scores in [0, 1], {name!r} has {values.min():.3g} to {values.max():.3g}")


@dataclass(frozen=True)
class Fit:
    """How a decoding fits a file.

    Attributes:
        size_hw: of the file's input, px.
        classes: how many it has.
        outputs: the names of the outputs that are used, by what they hold.
        facts: what else the decoding found.
        activation: of a classifier, what makes its probabilities.
    """

    size_hw: tuple[int, int]
    classes: int
    outputs: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    activation: Activation | None = None


@dataclass(frozen=True)
class Decoding:
    """A row of ``DECODINGS``: one way to make answers of a file's outputs.

    Attributes:
        name: what ``--decoding`` calls it.
        task: what such files predict.
        help: which outputs it takes, in a line.
        match: finds how it fits what was seen, or raises a `MismatchError` that says why it does not.
        nodes: appends it to a graph. Of a classifier it gives the probabilities, [N, classes]; of a detector boxes
            [N, M, 4], (x1, y1, x2, y2) in px of the input, and scores [N, M, classes], or, where ``iou_threshold`` is
            None, scores [N, M] and classes [N, M].
        plain: the same in numpy, for the outputs for one image; the check compares the two.
        iou_threshold: of a detector whose boxes are to be suppressed, from which overlap on; None for one whose boxes
            are found already.
        score_threshold: of a detector, the scores that are worth a box.
        is_stated: outputs look the same under another row, so that this one is never recognised, only stated.
    """

    name: str
    task: Task
    help: str
    match: Callable[[Seen], Fit]
    nodes: Callable[[NodeAppender, Fit], tuple[Tensor, ...]]
    plain: Callable[[Outputs, Fit], tuple[Array, ...]]
    iou_threshold: float | None = None
    score_threshold: float = 0.01
    is_stated: bool = False


def grid_cells(size_hw: tuple[int, int], strides: Sequence[int]) -> list[int]:
    """Return how many cells the map of each stride has."""
    return [-(-size_hw[0] // stride) * -(-size_hw[1] // stride) for stride in strides]


def grid_points(size_hw: tuple[int, int], strides: Sequence[int]) -> tuple[Array, Array]:
    """Return column and row of every cell, float32 [cells, 2], row by row and map by map, and its stride [cells, 1]."""
    points, sizes = [], []
    for stride in strides:
        rows, columns = np.mgrid[: -(-size_hw[0] // stride), : -(-size_hw[1] // stride)]
        points.append(np.stack([columns.ravel(), rows.ravel()], -1))
        sizes.append(np.full((rows.size, 1), stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(sizes).astype(np.float32)


def corners(nodes: NodeAppender, centre: Tensor, size: Tensor) -> Tensor:
    """Append what makes (x1, y1, x2, y2) of centres and sizes, [N, M, 2] each."""
    half = nodes.op("Mul", size, nodes.floats(0.5))
    return nodes.op("Concat", nodes.op("Sub", centre, half), nodes.op("Add", centre, half), axis=2)


def best_class_alone(nodes: NodeAppender, scores: Tensor) -> Tensor:
    """Append what sets all scores of a cell to 0 but the highest, [N, M, classes]."""
    best, _ = nodes.ops("TopK", scores, nodes.integers([1]), outputs=2, axis=2)
    return nodes.op("Mul", scores, nodes.as_float(nodes.op("Not", nodes.op("Less", scores, best))))


def plain_best_class_alone(scores: Array) -> Array:
    """The same in numpy."""
    return np.where(scores >= scores.max(-1, keepdims=True), scores, 0)


def sigmoid(values: Array) -> Array:
    """Compute the logistic function without overflow."""
    return np.exp(-np.logaddexp(0, -values.astype(np.float64)))
