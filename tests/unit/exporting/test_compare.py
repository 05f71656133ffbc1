"""Two models' answers to the same images: what counts as the same, and what is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from litevision.errors import ExportError
from litevision.exporting.compare import compare_boxes, compare_probabilities
from litevision.runtime import Bundle


def answering(**outputs: Any) -> Bundle:
    """A model that gives these for any images."""
    count = len(next(iter(outputs.values())))
    preprocess = SimpleNamespace(batch=lambda images: np.zeros((count, 2, 2, 3), np.uint8))
    return cast(
        "Bundle",
        SimpleNamespace(
            path=Path("it.form"),
            metadata=SimpleNamespace(preprocess=preprocess),
            engine=SimpleNamespace(version="engine 1"),
            run=lambda batch: {name: np.asarray(value) for name, value in outputs.items()},
        ),
    )


def sure(*rows: tuple[float, ...]) -> Bundle:
    return answering(probabilities=np.array(rows, np.float32))


def boxes(scores: list[float], shift: float = 0.0, drop: int = 0) -> Bundle:
    """Boxes side by side of one class, the first ``drop`` of them of another."""
    left = 20 * np.arange(len(scores)) + shift
    xyxy = np.stack([left, np.zeros_like(left), left + 10, np.full_like(left, 10)], 1)
    classes = np.array([1] * drop + [0] * (len(scores) - drop))
    return answering(boxes=xyxy[None].astype(np.float32), scores=np.array([scores], np.float32), classes=classes[None])


def test_a_difference_is_judged_by_how_sure_the_answer_is() -> None:
    check = compare_probabilities(sure((0.9, 0.1)), sure((0.895, 0.105)), [b""], 0.01)
    assert (check.engine, check.images, check.top1_agreement) == ("engine 1", 1, 1.0)
    assert check.max_abs_diff == pytest.approx(0.005, abs=1e-6)
    unsure = sure((0.0105, 0.0095, *[0.0] * 8))
    with pytest.raises(ExportError, match=r"it\.form does not answer as the bundle on 1 images in engine 1"):
        compare_probabilities(unsure, sure((0.0095, 0.0105, *[0.0] * 8)), [b""], 0.01)


def test_classes_that_are_as_likely_may_change_places() -> None:
    assert compare_probabilities(sure((0.5, 0.5)), sure((0.499, 0.501)), [b""], 0.01).top1_agreement == 1


def test_answers_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ExportError, match="gives no numbers in engine 1"):
        compare_probabilities(sure((0.5, 0.5)), sure((np.nan, 0.5)), [b""], 0.01)


def test_every_box_of_both_must_be_found_in_float32() -> None:
    scores = [*np.linspace(0.9, 0.5, 40).tolist(), 0.0]
    assert compare_boxes(boxes(scores), boxes(scores, shift=0.2), [b""], 1e-3).max_abs_diff == 0
    with pytest.raises(ExportError, match="2 of 80 boxes are found by one alone; nothing was written"):
        compare_boxes(boxes(scores), boxes(scores, drop=1), [b""], 1e-3)
    with pytest.raises(ExportError, match="80 of 80 boxes"):
        compare_boxes(boxes(scores), boxes(scores, shift=3), [b""], 1e-3)


def test_a_few_may_differ_in_float16_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    scores = [*np.linspace(0.5, 0.9, 40).tolist(), 0.0]
    assert compare_boxes(boxes(scores), boxes(scores, drop=1), [b""], 0.02).top1_agreement == 1
    assert "it.form: 2 of 80 boxes are found by one alone" in capsys.readouterr().err
    with pytest.raises(ExportError, match="10 of 80 boxes"):
        compare_boxes(boxes(scores), boxes(scores, drop=5), [b""], 0.02)


def test_scores_near_the_least_prove_nothing() -> None:
    with pytest.raises(ExportError, match="nothing stands out on these 1 images"):
        compare_boxes(boxes([0.03, 0.0]), boxes([0.03, 0.0]), [b""], 0.02)
