"""The fit of a classifier's calibration: known temperatures are found, and the limit is where it is said to be."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from litevision.evaluation import Evaluation, fit_calibration, scores
from litevision.runtime import Calibration

IMAGES, CLASSES = 4000, 6


def evaluation(truth: Sequence[int], probabilities: npt.NDArray[np.floating]) -> Evaluation:
    paths = tuple(Path(f"{number}.jpg") for number in range(len(truth)))
    classes = tuple(f"class {index}" for index in range(probabilities.shape[1]))
    return Evaluation("validation", classes, paths, np.array(truth, np.int64), probabilities.astype(np.float32))


def drawn(temperature: float, spread: float = 2.0, images: int = IMAGES) -> Evaluation:
    """Answers whose classes were drawn by their probabilities, which are then sharpened by ``temperature``."""
    random = np.random.default_rng(3)
    logits = random.normal(0, spread, (images, CLASSES))
    honest = softmax(logits)
    truth = [int(random.choice(CLASSES, p=row)) for row in honest]
    return evaluation(truth, softmax(logits * temperature))


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_answers_too_sure_or_not_sure_enough_become_honest(temperature: float) -> None:
    given = drawn(temperature)
    found = fit_calibration(given, "drawn images")
    assert found is not None
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.fitted_on == "drawn images"
    right = given.probabilities.argmax(axis=1) == given.labels
    assert found.confidences(given.probabilities).mean() == pytest.approx(right.mean(), abs=0.015)
    if temperature != 1:
        calibrated = replace(given, probabilities=softmax(np.log(given.probabilities) / found.temperature))
        assert scores(calibrated).ece < scores(given).ece / 2


def test_a_confidence_is_the_best_probability_at_the_temperature() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    found = Calibration(2.5, 0.5, "").confidences(softmax(logits).astype(np.float32))
    assert found == pytest.approx(softmax(logits / 2.5).max(axis=1), rel=1e-4)
    certain = np.eye(4, dtype=np.float32)
    assert Calibration(2.5, 0.5, "").confidences(certain).tolist() == [1.0] * 4


@pytest.mark.parametrize(("spread", "limit"), [(0.3, 0.5), (1.0, 0.5), (60.0, 0.9)])
def test_the_limit_stays_between_a_toss_and_near_certainty(spread: float, limit: float) -> None:
    found = fit_calibration(drawn(1, spread), "")
    assert found is not None
    assert found.unsure_below == pytest.approx(limit, abs=0.03)


def test_one_in_ten_is_unsure() -> None:
    given = drawn(2, spread=6)
    found = fit_calibration(given, "")
    assert found is not None
    assert 0.5 < found.unsure_below < 0.9
    assert (found.confidences(given.probabilities) < found.unsure_below).mean() == pytest.approx(0.1, abs=0.005)


def test_what_says_too_little_is_not_fitted() -> None:
    assert fit_calibration(drawn(1, images=49), "") is None
    answers = np.full((60, 2), 0.4, np.float32)
    answers[:, 0] = 0.6
    assert fit_calibration(evaluation([0] * 60, answers), "") is None  # all right: no temperature is low enough
    assert fit_calibration(evaluation([1] * 60, answers), "") is None  # all wrong: none is high enough
