"""Probabilities against the truth, as the numbers that people compare; N images, C classes."""

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.errors import UsageError
from litevision.evaluation.classification import Evaluation
from litevision.evaluation.confidence import LEAST_PROBABILITY, calibration, calibration_error
from litevision.runtime import Score

_TOP = 5
_SAME_ANSWER = 0.01  # of each class, the most that a probability may differ between images
_FEW_IMAGES = 20


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class, on ``count`` images of it; each score in [0, 1], or None where nothing defines it.

    ``precision`` needs an image that was taken for this class, ``recall`` and ``f1`` an image of it.
    """

    name: str
    count: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """``count`` images of the class ``truth`` were taken for ``answer``."""

    truth: str
    answer: str
    count: int


@dataclass(frozen=True, slots=True)
class Scores:
    """How good a classifier is.

    Attributes:
        count: images.
        top1: percent of the images whose best class is the true one; of equal classes the first is the best, as it is
            for `litevision.runtime.Classifier`.
        top1_interval: in percent, where the top-1 of many more such images lies, with 95 % confidence (Wilson).
        top5: percent of the images whose true class is among the best five; None for five classes or fewer.
        macro_f1: mean F1 of the classes that have images, in [0, 1].
        balanced_accuracy: mean recall of the classes that have images, in [0, 1].
        mean_loss: mean negative logarithm of the true class's probability.
        ece: expected calibration error, in [0, 1]: how far the best class's probability is from the share of right
            answers, over 15 equal bins of it.
        confusion: images by true class (rows) and best class (columns).
        per_class: each class.
    """

    count: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float | None
    macro_f1: float
    balanced_accuracy: float
    mean_loss: float
    ece: float
    confusion: tuple[tuple[int, ...], ...]
    per_class: tuple[ClassScores, ...]

    def confusions(self, most: int = 5) -> list[Confusion]:
        """The ``most`` frequent mistakes, the most frequent first."""
        mistakes = [
            Confusion(self.per_class[truth].name, self.per_class[answer].name, count)
            for truth, row in enumerate(self.confusion)
            for answer, count in enumerate(row)
            if count and truth != answer
        ]
        return sorted(mistakes, key=lambda it: -it.count)[:most]

    def to_dict(self) -> dict[str, Any]:
        """The scores as ``json.dumps`` and ``json.loads`` keep them."""
        return {
            **asdict(self),
            "top1_interval": list(self.top1_interval),
            "confusion": [list(row) for row in self.confusion],
            "per_class": [asdict(it) for it in self.per_class],
        }


def scores(evaluation: Evaluation) -> Scores:
    """How good the answers are.

    Raises:
        UsageError: no images.
    """
    truth, probabilities = evaluation.labels, evaluation.probabilities
    count, num_classes = probabilities.shape
    if count == 0:
        why = evaluation.skipped[0].detail if evaluation.skipped else "there are none"
        raise UsageError(f"no image of the split {evaluation.split!r} can be scored; expected at least one ({why}).")
    rank = _rank_of(truth, probabilities)
    right = int((rank == 0).sum())
    of_truth = probabilities[np.arange(count), truth].astype(np.float64)
    confusion = _confusion(truth, probabilities.argmax(axis=1), num_classes)
    per_class = _per_class(evaluation.classes, confusion)
    return Scores(
        count=count,
        top1=100 * right / count,
        top1_interval=wilson_interval(right, count),
        top5=100 * int((rank < _TOP).sum()) / count if num_classes > _TOP else None,
        macro_f1=_mean([it.f1 for it in per_class]),
        balanced_accuracy=_mean([it.recall for it in per_class]),
        mean_loss=float(-np.log(np.maximum(of_truth, LEAST_PROBABILITY)).mean()),
        ece=calibration_error(calibration(evaluation)),
        confusion=tuple(map(tuple, confusion.tolist())),
        per_class=per_class,
    )


def wilson_interval(right: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of ``right`` of ``count``, in percent.

    It stays within 0 to 100 and holds for few images and for none wrong, as mean +- 1.96 sigma does not.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.

    Raises:
        UsageError: no images, or more right than there are.

    Example:
        >>> low, high = wilson_interval(81, 263)
        >>> f"{low:.2f} to {high:.2f}"
        '25.53 to 36.62'
    """
    if not 0 <= right <= count or count == 0:
        raise UsageError(f"{right} right of {count}; expected at least one image, and 0 to all of them right.")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / count
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 100 / (1 + z * z / count)
    # At the ends the two terms are equal, but for their rounding.
    return 0.0 if right == 0 else scale * (middle - reach), 100.0 if right == count else scale * (middle + reach)


def like_a_constant(evaluation: Evaluation) -> str:
    """In what the answers are like one and the same answer to every image, in words; empty where they are better.

    The constant answer is the share of each class in these images. Better is what beats its loss by more than two
    standard errors, or its top-1 by more than the 95 % interval; of few images only equal answers say anything.
    """
    truth, probabilities = evaluation.labels, evaluation.probabilities.astype(np.float64)
    count = len(truth)
    shares = np.bincount(truth, minlength=probabilities.shape[1]) / max(1, count)
    if np.count_nonzero(shares) < 2:
        return ""
    if float(np.ptp(probabilities, axis=0).max()) < _SAME_ANSWER:
        answer = evaluation.classes[int(probabilities[0].argmax())]
        return f"all {count:,} images get the same answer, {answer!r}"
    loss = -np.log(np.maximum(probabilities[np.arange(count), truth], LEAST_PROBABILITY))
    constant = -np.log(shares[truth])
    gain = constant - loss
    noise = 2 * float(gain.std()) / math.sqrt(count)
    right = int((probabilities.argmax(axis=1) == truth).sum())
    if count < _FEW_IMAGES or float(gain.mean()) > noise or wilson_interval(right, count)[0] > 100 * shares.max():
        return ""
    return (
        f"the answers to {count:,} images are no better than one answer to all (loss {loss.mean():.3f}, that one's "
        f"{constant.mean():.3f}; top-1 {100 * right / count:.1f} %, that one's {100 * shares.max():.1f} %)"
    )


def as_bundle_score(scores: Scores, dataset: str, size_hw: tuple[int, int], measured_by: str) -> Score:
    """The score that a bundle's metadata carries; of five classes or fewer, the best five always hold the true one."""
    top5 = 100.0 if scores.top5 is None else scores.top5
    return Score(scores.top1, top5, dataset, scores.count, size_hw, measured_by)


def _rank_of(truth: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """How many classes come before the true one, ``int64[N]``; of equal ones, those that stand before it."""
    of_truth = np.take_along_axis(probabilities, truth[:, None], axis=1)
    before = np.arange(probabilities.shape[1]) < truth[:, None]
    ahead = (probabilities > of_truth) | ((probabilities == of_truth) & before)
    rank: npt.NDArray[np.int64] = ahead.sum(axis=1)
    return rank


def _confusion(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], num_classes: int
) -> npt.NDArray[np.int64]:
    cells = np.bincount(truth * num_classes + predicted, minlength=num_classes * num_classes)
    return cells.reshape(num_classes, num_classes)


def _per_class(names: tuple[str, ...], confusion: npt.NDArray[np.int64]) -> tuple[ClassScores, ...]:
    per_class = []
    columns = zip(names, confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0), strict=True)
    for name, *numbers in columns:
        hits, count, predicted = map(int, numbers)
        per_class.append(
            ClassScores(
                name,
                count,
                precision=hits / predicted if predicted else None,
                recall=hits / count if count else None,
                f1=2 * hits / (count + predicted) if count else None,
            )
        )
    return tuple(per_class)


def _mean(values: list[float | None]) -> float:
    defined = [value for value in values if value is not None]
    return math.fsum(defined) / len(defined)
