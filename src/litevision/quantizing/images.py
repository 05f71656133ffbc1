"""Which images calibrate a quantised graph, and which judge it: never the same."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.console import note
from litevision.errors import DataError, FileMissingError, ImageError, UnknownNameError, UsageError
from litevision.evaluation.samples import label_indices, select_split
from litevision.image import Preprocess, find_images
from litevision.tables import pluralise
from litevision.tasks import Task

_MOST_UNLABELLED = 1000


@dataclass(frozen=True)
class Judge:
    """The images that a bundle is measured on.

    Attributes:
        samples: as the task evaluates them.
        classes: what their labels stand for.
        split: which of the data they are.
        dataset: what they are, in words.
        is_labelled: whether they give a score.
    """

    samples: Sequence[Any]
    classes: Sequence[str]
    split: str
    dataset: str
    is_labelled: bool


@dataclass(frozen=True)
class Calibration:
    """The images that decide the ranges of activations: their files, and what they are."""

    paths: tuple[Path, ...]
    dataset: str

    def load(self, preprocess: Preprocess) -> npt.NDArray[np.uint8]:
        """Preprocesses them as the runtime does, ``uint8[N, H, W, 3]``; those that cannot be read are said.

        Raises:
            UsageError: none can be read.
        """
        images = []
        for path in self.paths:
            try:
                images.append(preprocess(path))
            except (ImageError, FileMissingError) as error:
                note(f"left out: {error}")
        if not images:
            raise UsageError(
                f"{self.dataset}: none of {pluralise(len(self.paths))} can be read; nothing to calibrate on"
            )
        return np.stack(images)


def choose_images(
    task: Task,
    labels: Sequence[str],
    data: Path,
    *,
    evaluate_on: Path | None,
    split: str | None,
    count: int,
    seed: int,
) -> tuple[Calibration, Judge]:
    """Draws the images that calibrate from ``data``, and finds those that judge.

    Of labelled data the split ``train`` calibrates. A folder without labels of this model is divided: the images that
    do not calibrate judge how far the answers agree, which is no score.

    Args:
        labels: the bundle's.
        evaluate_on: other labelled images to judge by.
        split: which of them; by default the first of test and validation that has images.
        count: how many calibrate at most.

    Raises:
        UsageError: too few images, or a split that calibrates.
    """
    drawn = random.Random(seed)
    labelled = _read_labelled(task, data, labels)
    if labelled is None:
        paths = list(find_images(data, recursive=True))
        drawn.shuffle(paths)
        used = len(paths) if evaluate_on else len(paths) // 2
        calibration = Calibration(tuple(sorted(paths[: min(count, used)])), f"images of {data.name}, without labels")
        rest = sorted(paths[len(calibration.paths) :][:_MOST_UNLABELLED])
        judge = Judge(task.unlabelled(rest), labels[:1], "held out", f"other images of {data.name}", False)
    else:
        train = [sample.path for sample in labelled.of("train")]
        drawn.shuffle(train)
        calibration = Calibration(tuple(sorted(train[:count])), f"train of {labelled.root.name}")
        judge = Judge((), (), "", "", True) if evaluate_on else _judge(labelled, split)
    if evaluate_on is not None:
        judge = _judge(task.read(evaluate_on), split)
    both = {path.resolve() for path in calibration.paths} & {sample.path.resolve() for sample in judge.samples}
    if both:
        raise UsageError(
            f"{pluralise(len(both))} would calibrate and judge, such as {min(both)}; expected another --split, or "
            "other images with --evaluate-on"
        )
    if not calibration.paths or not judge.samples:
        raise UsageError(
            f"{data}: {pluralise(len(calibration.paths))} to calibrate on and {len(judge.samples):,} to judge by; "
            "expected some of both: give more images, or others to judge by with --evaluate-on"
        )
    return calibration, judge


def _read_labelled(task: Task, data: Path, labels: Sequence[str]) -> Any:
    """The data, where it is labelled for this task with classes that the bundle has."""
    if not data.exists():
        raise FileMissingError(f"no images at {data}. Check the path.")
    try:
        labelled = task.read(data)
        if labelled.of("train"):
            label_indices(labelled.classes, labels)
            return labelled
    except (DataError, UsageError) as error:
        reason = "other classes than the bundle's" if isinstance(error, UnknownNameError) else "no labels for this task"
        note(f"{data}: {reason}, so its images calibrate without labels")
    return None


def _judge(labelled: Any, split: str | None) -> Judge:
    chosen, samples = select_split(labelled, split)
    return Judge(samples, labelled.classes, chosen, f"{chosen} of {labelled.root.name}", True)
