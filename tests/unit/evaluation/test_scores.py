"""Scores against plain loops, published examples, cases done by hand, and laws."""

import json
import math
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litevision.errors import UsageError
from litevision.evaluation import (
    ClassScores,
    Confusion,
    Evaluation,
    Skipped,
    as_bundle_score,
    calibration,
    scores,
    wilson_interval,
)
from litevision.runtime import Score


def evaluation(truth: Sequence[int], probabilities: object, **fields: Any) -> Evaluation:
    values = np.array(probabilities, np.float32)
    classes = tuple(f"class {index}" for index in range(values.shape[1]))
    paths = tuple(Path(f"{number}.jpg") for number in range(len(truth)))
    given = {"split": "test", "classes": classes, "paths": paths, "labels": np.array(truth, np.int64)}
    return Evaluation(**{**given, "probabilities": values, **fields})


def certain(truth: Sequence[int], answers: Sequence[int], num_classes: int) -> Evaluation:
    """The answers with a probability of 1."""
    return evaluation(truth, np.eye(num_classes)[list(answers)])


@st.composite
def evaluations(draw: st.DrawFn) -> Evaluation:
    """Up to 30 images of up to 8 classes, with probabilities that are often equal, 0 or 1."""
    count, num_classes = draw(st.integers(1, 30)), draw(st.integers(1, 8))
    truth = draw(st.lists(st.integers(0, num_classes - 1), min_size=count, max_size=count))
    row = st.lists(st.integers(0, 10), min_size=num_classes, max_size=num_classes)
    parts = np.array(draw(st.lists(row, min_size=count, max_size=count)), np.float32)
    parts[:, 0] += parts.sum(axis=1) == 0
    return evaluation(truth, parts / parts.sum(axis=1, keepdims=True))


def best_first(row: npt.NDArray[np.float32]) -> list[int]:
    return sorted(range(len(row)), key=lambda index: (-row[index], index))


@given(evaluations())
def test_they_are_what_plain_loops_count(given: Evaluation) -> None:
    found = scores(given)
    pairs = list(zip(given.labels.tolist(), map(best_first, given.probabilities), strict=True))
    count, classes = len(pairs), range(len(given.classes))
    assert found.count == count
    assert found.top1 == pytest.approx(100 * sum(truth == order[0] for truth, order in pairs) / count)
    if len(classes) > 5:
        assert found.top5 == pytest.approx(100 * sum(truth in order[:5] for truth, order in pairs) / count)
    else:
        assert found.top5 is None
    f1s, recalls = [], []
    for index, row in zip(classes, found.per_class, strict=True):
        hits = sum(truth == order[0] == index for truth, order in pairs)
        of_class = sum(truth == index for truth, _ in pairs)
        taken = sum(order[0] == index for _, order in pairs)
        assert (row.name, row.count) == (f"class {index}", of_class)
        assert row.precision == (hits / taken if taken else None)
        assert row.recall == (hits / of_class if of_class else None)
        if of_class:
            precision, recall = hits / taken if taken else 0.0, hits / of_class
            f1s.append(2 * precision * recall / (precision + recall) if hits else 0.0)
            recalls.append(recall)
            assert row.f1 == pytest.approx(f1s[-1])
        else:
            assert row.f1 is None
        for other in classes:
            wanted = sum(truth == index and order[0] == other for truth, order in pairs)
            assert found.confusion[index][other] == wanted
    assert found.macro_f1 == pytest.approx(sum(f1s) / len(f1s))
    assert found.balanced_accuracy == pytest.approx(sum(recalls) / len(recalls))


@given(evaluations())
def test_loss_and_calibration_are_what_plain_loops_count(given: Evaluation) -> None:
    found = scores(given)
    rows = list(zip(given.labels.tolist(), given.probabilities.tolist(), strict=True))
    losses = [-math.log(max(row[truth], 2.0**-126)) for truth, row in rows]
    assert found.mean_loss == pytest.approx(sum(losses) / len(rows))
    error = 0.0
    for number in range(15):
        inside = [(truth, row) for truth, row in rows if number / 15 < max(row) <= (number + 1) / 15]
        if inside:
            confidence = sum(max(row) for _, row in inside) / len(inside)
            accuracy = sum(row.index(max(row)) == truth for truth, row in inside) / len(inside)
            error += len(inside) / len(rows) * abs(confidence - accuracy)
    assert found.ece == pytest.approx(error, abs=1e-12)


@given(evaluations(), st.randoms())
def test_the_order_of_the_images_changes_nothing(given: Evaluation, random: object) -> None:
    order = list(range(len(given.paths)))
    random.shuffle(order)
    shuffled = evaluation(given.labels[order].tolist(), given.probabilities[order])
    before, after = scores(given), scores(shuffled)
    assert (after.confusion, after.per_class, after.top1, after.top5) == (
        before.confusion,
        before.per_class,
        before.top1,
        before.top5,
    )
    assert after.mean_loss == pytest.approx(before.mean_loss)
    assert after.ece == pytest.approx(before.ece, abs=1e-12)


@given(evaluations())
def test_the_confusion_matrix_counts_every_image_once(given: Evaluation) -> None:
    found = scores(given)
    matrix = np.array(found.confusion)
    assert matrix.sum() == found.count
    assert matrix.sum(axis=1).tolist() == [row.count for row in found.per_class]
    assert found.top1 == pytest.approx(100 * matrix.trace() / found.count)
    mistakes = found.confusions(most=100)
    assert sum(it.count for it in mistakes) == found.count - matrix.trace()
    assert [it.count for it in mistakes] == sorted((it.count for it in mistakes), reverse=True)


@given(evaluations())
def test_all_numbers_lie_where_they_may(given: Evaluation) -> None:
    found = scores(given)
    low, high = found.top1_interval
    assert 0 <= low <= found.top1 <= high <= 100
    assert found.top5 is None or found.top1 <= found.top5 <= 100
    assert 0 <= found.macro_f1 <= 1
    assert 0 <= found.balanced_accuracy <= 1
    assert 0 <= found.ece <= 1
    assert found.mean_loss >= 0


@given(evaluations())
def test_the_plain_form_outlives_json(given: Evaluation) -> None:
    plain = scores(given).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_perfect_answers(truth: list[int]) -> None:
    found = scores(certain(truth, truth, 7))
    assert (found.top1, found.top5, found.macro_f1, found.balanced_accuracy) == (100, 100, 1, 1)
    assert (found.mean_loss, found.ece) == (0, 0)
    assert found.top1_interval[1] == 100
    assert found.confusions() == []


def test_by_hand() -> None:
    # scikit-learn's example of classification_report.
    found = scores(certain([0, 1, 2, 2, 2], [0, 0, 2, 2, 1], 3))
    assert found.per_class == (
        ClassScores("class 0", 1, precision=0.5, recall=1, f1=pytest.approx(2 / 3)),
        ClassScores("class 1", 1, precision=0, recall=0, f1=0),
        ClassScores("class 2", 3, precision=1, recall=pytest.approx(2 / 3), f1=pytest.approx(0.8)),
    )
    assert found.confusion == ((1, 0, 0), (1, 0, 0), (0, 1, 2))
    assert found.top1 == pytest.approx(60)
    assert found.macro_f1 == pytest.approx((2 / 3 + 0 + 0.8) / 3)
    assert found.balanced_accuracy == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert found.confusions() == [Confusion("class 1", "class 0", 1), Confusion("class 2", "class 1", 1)]
    # two certain mistakes: each costs the logarithm of the least probability
    assert found.mean_loss == pytest.approx(2 / 5 * 126 * math.log(2))
    assert found.ece == pytest.approx(0.4)


def test_balanced_accuracy_as_published() -> None:
    # scikit-learn's example of balanced_accuracy_score.
    assert scores(certain([0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 0, 1], 2)).balanced_accuracy == 0.625


def test_calibration_as_published() -> None:
    # torchmetrics' example of MulticlassCalibrationError, whose answer is 0.2000.
    rows = [[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]]
    empty, middle, upper = calibration(evaluation([0, 1, 2, 0], rows), bins=3)
    assert (empty.low, empty.count, empty.confidence, empty.accuracy) == (0, 0, None, None)
    assert (middle.low, middle.high, middle.count) == (pytest.approx(1 / 3), pytest.approx(2 / 3), 3)
    assert (middle.confidence, middle.accuracy) == (pytest.approx(1.7 / 3), pytest.approx(1 / 3))
    assert (upper.high, upper.count, upper.confidence, upper.accuracy) == (1, 1, pytest.approx(0.9), 1)
    gaps = [it.count / 4 * abs(it.confidence - it.accuracy) for it in (middle, upper)]
    assert sum(gaps) == pytest.approx(0.2)


def test_a_bin_holds_its_upper_edge() -> None:
    lower, upper = calibration(evaluation([0, 1, 0], [[0.5, 0.5], [0, 1], [0.75, 0.25]]), bins=2)
    assert (lower.count, lower.confidence, lower.accuracy) == (1, 0.5, 1)
    assert (upper.count, upper.confidence, upper.accuracy) == (2, 0.875, 1)


def test_what_nothing_defines_is_none_and_counts_in_no_mean() -> None:
    # Nothing is taken for class 1, and of class 2 there is no image.
    found = scores(certain([0, 0, 1], [0, 2, 0], 4))
    zero, one, two, three = found.per_class
    assert (zero.precision, zero.recall, zero.f1) == (0.5, 0.5, 0.5)
    assert (one.precision, one.recall, one.f1) == (None, 0, 0)
    assert (two.precision, two.recall, two.f1) == (0, None, None)
    assert (three.precision, three.recall, three.f1) == (None, None, None)
    assert (found.macro_f1, found.balanced_accuracy) == (0.25, 0.25)


def test_of_equal_classes_the_first_is_the_answer() -> None:
    found = scores(evaluation([1, 0], [[0.5, 0.5], [0.5, 0.5]]))
    assert (found.top1, found.confusion) == (50, ((1, 0), (1, 0)))


def test_top5_of_equal_classes_are_the_first_five() -> None:
    assert scores(evaluation(range(7), np.full((7, 7), 1 / 7))).top5 == pytest.approx(500 / 7)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [  # Newcombe 1998, doi 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, method 3
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0, 16.11),
        (1, 29, 0.61, 17.18),
    ],
)
def test_wilson_as_published(right: int, count: int, low: float, high: float) -> None:
    assert wilson_interval(right, count) == pytest.approx((low, high), abs=0.005)


@given(st.integers(1, 100_000), st.floats(0, 1))
def test_wilson_ends_are_the_shares_that_the_count_just_allows(count: int, part: float) -> None:
    right = round(part * count)
    share = right / count
    for end in wilson_interval(right, count):
        p = end / 100
        assert (share - p) ** 2 == pytest.approx(1.959963985**2 * p * (1 - p) / count, rel=1e-6, abs=1e-15)


@pytest.mark.parametrize("count", [1, 7, 372, 50_000])
def test_wilson_ends_at_0_and_100_exactly(count: int) -> None:
    assert (wilson_interval(0, count)[0], wilson_interval(count, count)[1]) == (0, 100)


@pytest.mark.parametrize(("right", "count"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses_what_cannot_be(right: int, count: int) -> None:
    with pytest.raises(UsageError, match=f"^{right} right of {count}; expected at least one image"):
        wilson_interval(right, count)


def test_no_images_are_one_line() -> None:
    nothing = evaluation([], np.zeros((0, 3)), skipped=(Skipped(Path("a.jpg"), "a.jpg: not an image"),))
    with pytest.raises(
        UsageError,
        match=r"^no image of the split 'test' can be scored; expected at least one \(a.jpg: not an image\)\.$",
    ):
        scores(nothing)
    with pytest.raises(UsageError, match=r"\(there are none\)\.$"):
        scores(evaluation([], np.zeros((0, 3))))


def test_an_evaluation_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(UsageError, match=r"labels \(2,\) and probabilities \(1, 3\) for 2 images and 3 classes"):
        evaluation([0, 1], np.zeros((1, 3)))
    with pytest.raises(UsageError, match="the label 3 for 3 classes; expected 0 to 2"):
        evaluation([0, 3], np.zeros((2, 3)))
    with pytest.raises(UsageError, match="the label -1 for 3 classes"):
        evaluation([-1], np.zeros((1, 3)))


def test_the_score_that_a_bundle_carries() -> None:
    few = scores(certain([0, 1], [0, 0], 2))
    assert as_bundle_score(few, "clothing, test", (224, 224), "litevision") == Score(
        50, 100, "clothing, test", 2, (224, 224), "litevision"
    )
    many = scores(evaluation([6], [[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]]))
    assert as_bundle_score(many, "x", (8, 8), "y").top5 == 0


def test_a_thousand_classes_take_little_more_memory_than_their_probabilities() -> None:
    rng = np.random.default_rng(0)
    given = evaluation(rng.integers(0, 1000, 5000).tolist(), rng.random((5000, 1000), np.float32))
    tracemalloc.start()
    scores(given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # masks of a byte for each probability, and the confusion matrix; no sorted or float64 copy of all probabilities
    assert peak < 2 * given.probabilities.nbytes
