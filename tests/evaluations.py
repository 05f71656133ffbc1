"""True boxes and boxes that were found, made up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from litevision.data import DetectionSample
from litevision.detections import Detections
from litevision.evaluation.detection import DetectionEvaluation


def sample(
    boxes: Sequence[Sequence[float]],
    labels: Sequence[int],
    ignored: Sequence[bool] = (),
    path: Path = Path("a.png"),
    size_hw: tuple[int, int] = (64, 64),
) -> DetectionSample:
    return DetectionSample(
        path,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(ignored if len(ignored) else [False] * len(labels), bool),
        "test",
        size_hw,
    )


def found(boxes: Sequence[Sequence[float]], scores: Sequence[float], labels: Sequence[int]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(labels, np.int64),
        tuple("abcdefghij"),
        (400, 400),
    )


def evaluation(*pairs: tuple[DetectionSample, Detections], classes: Sequence[str] = ("a", "b")) -> DetectionEvaluation:
    return DetectionEvaluation("test", tuple(classes), tuple(it for it, _ in pairs), tuple(it for _, it in pairs))


def random_evaluation(seed: int, *, images: int = 12, classes: int = 3) -> DetectionEvaluation:
    """Boxes of all sizes, found nearly, several times, wrongly, or not; crowds, and areas other than the boxes'."""
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(images):
        count = int(rng.integers(0, 9)) if number else 0
        start = rng.uniform(0, 300, (count, 2))
        boxes = np.concatenate([start, start + np.exp(rng.uniform(1, 5.5, (count, 2)))], axis=1).astype(np.float32)
        labels = rng.integers(0, classes - (seed % 2), count)
        truth = sample(boxes, labels, rng.random(count) < 0.2, Path(f"{number}.png"), (640, 640))
        if seed % 3 == 0:
            truth = replace(truth, areas=np.exp(rng.uniform(2, 11, count)).astype(np.float32))
        again = rng.integers(0, max(1, count), 3 * count)
        close = boxes[again] + rng.normal(0, 1, (3 * count, 4)) * rng.choice([0.5, 3, 20], (3 * count, 1))
        close = np.concatenate([np.minimum(close[:, :2], close[:, 2:]), np.maximum(close[:, :2], close[:, 2:])], axis=1)
        right = np.where(
            rng.random(3 * count) < 0.8, labels[again] if count else [], rng.integers(0, classes, 3 * count)
        )
        order = np.argsort(-(scores := rng.random(3 * count).round(2)), kind="stable")  # some scores are equal
        pairs.append((truth, found(close[order], scores[order], right.astype(np.int64)[order])))
    return evaluation(*pairs, classes=[f"class {label}" for label in range(classes)])
