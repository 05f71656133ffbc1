"""The gate's verdict: what is lost, and what the images are too few to tell."""

import re

import pytest

from litevision.evaluation.agreement import Agreement
from litevision.quantizing.gate import Trial, doubt_of, faults_of
from litevision.tasks import task_of

CLASSIFICATION, DETECTION = task_of("classification"), task_of("detection")


def trial(score: float | None, share: float = 1.0) -> Trial:
    return Trial((), score, Agreement(share, None, None, None, 0), 1, 1.0)


@pytest.mark.parametrize(
    ("count", "drop", "share", "said"),
    [
        # 1.96 standard errors of sqrt(changed) / count, and the count at which they are 1 point.
        (40, 2.5, 0.975, "40 images are too few to tell: top-1, % falls by 2.50, give or take 4.90, .* about 961 "),
        (40, 0.0, 1.0, "40 images are too few to tell: top-1, % falls by 0.00, give or take 4.90, .* about 961 "),
        (
            700,
            0.3,
            0.97,
            "700 images are too few to tell: .* give or take 1.28, and at most 1 is allowed; about 1,153 ",
        ),
        (5000, 0.3, 0.99, None),
        (40, 20.0, 0.7, None),
    ],
)
def test_few_images_are_said_to_be_few(count: int, drop: float, share: float, said: str | None) -> None:
    found = doubt_of(trial(80.0), trial(80.0 - drop, share), CLASSIFICATION, 1.0, count)
    if said is None:
        assert found is None
    else:
        assert found is not None
        assert re.match(said, found), found


def test_doubt_saves_nothing() -> None:
    before, after = trial(80.0), trial(77.5, 0.975)
    assert doubt_of(before, after, CLASSIFICATION, 1.0, 40)
    assert faults_of(before, after, CLASSIFICATION, 1.0, 0.95) == ["top-1, % falls by 2.500; at most 1 is allowed"]


def test_without_labels_or_with_boxes_nothing_is_said() -> None:
    assert doubt_of(trial(None), trial(None), CLASSIFICATION, 1.0, 40) is None
    assert doubt_of(trial(0.5), trial(0.4), DETECTION, 0.01, 40) is None
