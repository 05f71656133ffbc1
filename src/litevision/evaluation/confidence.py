"""Whether a classifier is as often right as its probabilities say, and what would make them so."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from litevision.runtime import Calibration

if TYPE_CHECKING:
    from litevision.evaluation.classification import Evaluation

_BINS = 15  # as in Guo et al. 2017, whose calibration errors people compare theirs with
# The logarithm of 0 is infinite, which JSON cannot say: what float32 rounded to 0 counts as its least normal number.
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
_FEWEST_IMAGES = 50  # of fewer, chance would decide
_TEMPERATURES = (0.05, 20.0)
_STEPS = 40  # of the search, which leaves a part of 1e-8 of the range
_UNSURE_SHARE = 0.1
_UNSURE_BELOW = (0.5, 0.9)


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The images whose best class has a probability above ``low`` and up to ``high``.

    ``confidence`` is their mean probability and ``accuracy`` the share of right answers; None without images.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def calibration(evaluation: "Evaluation", bins: int = _BINS) -> tuple[CalibrationBin, ...]:
    """How often the best class is right where its probability is so high: ``bins`` equal bins of (0, 1].

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    edges = np.linspace(0, 1, bins + 1)
    confidence = evaluation.probabilities.max(axis=1).astype(np.float64)
    right = evaluation.probabilities.argmax(axis=1) == evaluation.labels
    place = np.digitize(confidence, edges[1:-1], right=True)
    counts = np.bincount(place, minlength=bins).tolist()
    confidences = np.bincount(place, confidence, bins).tolist()
    rights = np.bincount(place, right, bins).tolist()
    return tuple(
        CalibrationBin(low, high, count, *((total / count, hits / count) if count else (None, None)))
        for low, high, count, total, hits in zip(
            edges[:-1].tolist(), edges[1:].tolist(), counts, confidences, rights, strict=True
        )
    )


def calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """The expected calibration error, in [0, 1]: the mean gap of the bins, by their images."""
    gaps = [
        it.count * abs(it.accuracy - it.confidence)
        for it in bins
        if it.accuracy is not None and it.confidence is not None
    ]
    return math.fsum(gaps) / sum(it.count for it in bins)


def fit_calibration(evaluation: "Evaluation", fitted_on: str) -> Calibration | None:
    """Fit the temperature that gives the least loss, and from where on a confidence is too little.

    That is the confidence which the surest nine of ten of these images exceed, but no less than 0.5, where an answer
    is as likely wrong as right, and no more than 0.9, where it hardly can be called unsure.

    Args:
        evaluation: of images that trained nothing.
        fitted_on: what they are, in words.

    Returns:
        None for fewer than 50 images, and for answers that no temperature makes right.

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    truth, count = evaluation.labels, len(evaluation.labels)
    if count < _FEWEST_IMAGES:
        return None
    logarithms = np.log(np.maximum(evaluation.probabilities.astype(np.float64), LEAST_PROBABILITY))

    def loss(temperature: float) -> float:
        scaled = logarithms / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(count), truth]).mean())

    low, high = map(math.log, _TEMPERATURES)  # the loss has one minimum: it is convex in the inverse of the temperature
    part = (math.sqrt(5) - 1) / 2
    for _ in range(_STEPS):
        left, right = high - part * (high - low), low + part * (high - low)
        if loss(math.exp(left)) < loss(math.exp(right)):
            high = right
        else:
            low = left
    temperature = round(math.exp((low + high) / 2), 3)
    if not _TEMPERATURES[0] * 1.1 < temperature < _TEMPERATURES[1] / 1.1:
        return None
    confidences = Calibration(temperature, 0.0, "").confidences(evaluation.probabilities)
    tenth = float(np.quantile(confidences, _UNSURE_SHARE))
    return Calibration(temperature, round(min(max(tenth, _UNSURE_BELOW[0]), _UNSURE_BELOW[1]), 3), fitted_on)
