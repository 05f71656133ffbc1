"""Intervals of AP: each draw's AP is what faster-coco-eval gives for the images so repeated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from evaluations import evaluation, found, random_evaluation, sample
from litevision.evaluation.bootstrap import ap_intervals, drawn_ap
from litevision.evaluation.coco import detection_scores
from litevision.evaluation.detection import DetectionEvaluation


def with_scores_of_their_own(it: DetectionEvaluation) -> DetectionEvaluation:
    """Of equal scores in one image that is drawn twice, the order is COCO's own; here there are none."""
    steps = [np.linspace(0, 0.009, len(one) + 1)[: len(one)] for one in it.found]
    scores = [(one.scores - step).astype(np.float32) for one, step in zip(it.found, steps, strict=True)]
    return replace(it, found=tuple(replace(one, scores=its) for one, its in zip(it.found, scores, strict=True)))


def repeated(it: DetectionEvaluation, times: npt.NDArray[np.int64]) -> DetectionEvaluation:
    places = np.repeat(np.arange(len(it.samples)), times)
    return replace(
        it, samples=tuple(it.samples[place] for place in places), found=tuple(it.found[place] for place in places)
    )


@pytest.mark.parametrize("seed", range(6))
def test_each_draw_is_scored_as_coco_does(seed: int) -> None:
    it = with_scores_of_their_own(random_evaluation(seed, images=10))
    weights = np.random.default_rng(seed).multinomial(10, np.full(10, 0.1), 5)
    weights[0] = 1  # the images as they are
    weights[1] = [10, *[0] * 9]  # an image without a box
    ours = drawn_ap(it, weights)
    for draw, times in enumerate(weights):
        theirs = detection_scores(repeated(it, times))
        if theirs.ap is None:
            assert np.isnan(ours[:, draw]).all()
            continue
        assert ours[:, draw].mean() == pytest.approx(theirs.ap, abs=1e-9)
        assert ours[0, draw] == pytest.approx(theirs.ap50, abs=1e-9)


def test_the_intervals_are_around_the_scores_and_the_same_each_time() -> None:
    it = random_evaluation(1, images=40)
    scores = detection_scores(it, intervals=True)
    for value, interval in ((scores.ap, scores.ap_interval), (scores.ap50, scores.ap50_interval)):
        assert interval is not None
        assert interval[0] < value < interval[1]
        assert interval[1] - interval[0] < 0.5
    assert ap_intervals(it) == (scores.ap_interval, scores.ap50_interval)
    assert ap_intervals(it, seed=1) != ap_intervals(it)
    plain = scores.to_dict()
    assert (plain["ap_interval"], plain["ap50_interval"]) == (list(scores.ap_interval), list(scores.ap50_interval))


def test_more_images_make_the_interval_narrower() -> None:
    few, many = (detection_scores(random_evaluation(2, images=n), intervals=True).ap_interval for n in (10, 90))
    assert few
    assert many
    assert many[1] - many[0] < 0.6 * (few[1] - few[0])


def test_what_has_no_interval() -> None:
    box = [(0, 0, 9, 9)]
    one = (sample(box, [0], path=Path("a.png")), found(box, [0.9], [0]))
    nothing = (sample([], []), found([], [], []))
    assert ap_intervals(evaluation(one)) == (None, None)
    assert ap_intervals(evaluation(nothing, nothing)) == (None, None)
    assert ap_intervals(evaluation(one, one)) == (pytest.approx((1, 1)), pytest.approx((1, 1)))
    assert detection_scores(evaluation(one, one)).ap_interval is None
