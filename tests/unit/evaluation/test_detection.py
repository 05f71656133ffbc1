"""A detector over labelled boxes: who is compared with whom, and COCO's figures against pycocotools."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from detectors import BLUE, RED, image, write_detector
from evaluations import evaluation, found, random_evaluation, sample
from images import encoded
from litevision.detections import box_iou
from litevision.errors import MissingExtraError, UnknownNameError, UsageError
from litevision.evaluation.coco import as_detection_score, coco_results, coco_truth, detection_scores
from litevision.evaluation.curves import best_thresholds, curves
from litevision.evaluation.detection import DetectionEvaluation, evaluate_detector
from litevision.hub import load
from litevision.runtime import DetectionScore, Detector
from litevision.runtime.results import Result

FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
FIGURES += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")


def by_pycocotools(it: DetectionEvaluation) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth(it)
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(coco_results(it)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats, run.eval["precision"]


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_those_of_pycocotools(seed: int) -> None:
    it = random_evaluation(seed)
    ours = detection_scores(it)
    stats, precision = by_pycocotools(it)
    assert len({round(value, 3) for value in stats}) > 8  # figures that could differ
    for name, theirs in zip(FIGURES, stats, strict=True):
        assert (-1 if (value := getattr(ours, name)) is None else value) == pytest.approx(theirs, abs=1e-6), name
    for place, each in enumerate(ours.per_class):
        table = precision[:, :, place, 0, 2]
        if each.count == 0:
            assert each.ap is None
        else:
            assert each.ap == pytest.approx(table[table > -1].mean(), abs=1e-6)
            assert each.ap50 == pytest.approx(table[0][table[0] > -1].mean(), abs=1e-6)


def test_right_boxes_score_one() -> None:
    box = [(10, 10, 60, 60)]
    scores = detection_scores(evaluation((sample(box, [0]), found(box, [0.5], [0])), classes=["a"]))
    assert (scores.count, scores.boxes, scores.ap, scores.ap50, scores.ap75) == (1, 1, *[pytest.approx(1)] * 3)
    assert (scores.ap_small, scores.ap_medium, scores.ap_large) == (None, pytest.approx(1), None)
    assert scores.per_class[0].f1 == 1


def test_images_without_objects_and_without_boxes() -> None:
    nothing = sample([], []), found([], [], [])
    scores = detection_scores(evaluation(nothing, nothing))
    assert (scores.count, scores.boxes, scores.ap, scores.ar100) == (2, 0, None, None)
    assert json.loads(json.dumps(scores.to_dict(), allow_nan=False))["per_class"][1]["ap50"] is None
    missed = detection_scores(evaluation(nothing, (sample([(0, 0, 9, 9)], [1]), found([], [], []))))
    assert (missed.ap, missed.per_class[0].ap, missed.per_class[1].ap) == (0, None, 0)
    false = detection_scores(evaluation((sample([], []), found([(0, 0, 9, 9)], [0.9], [0]))))
    assert (false.boxes, false.ap, false.per_class[0].threshold) == (0, None, None)


def test_no_images_give_no_scores() -> None:
    with pytest.raises(UsageError, match=r"no image of the split 'test' can be scored; .* \(there are none\)"):
        detection_scores(evaluation())


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(MissingExtraError, match=r"scoring boxes needs parts .* pip install 'litevision\[score\]'"):
        detection_scores(random_evaluation(1))


def test_the_score_of_a_bundle() -> None:
    scores = detection_scores(random_evaluation(1))
    found_score = as_detection_score(scores, "cells, test split", (320, 320), "tests")
    assert found_score == DetectionScore(
        scores.ap, scores.ap50, scores.ap75, "cells, test split", 12, (320, 320), "tests"
    )
    empty = detection_scores(evaluation((sample([], []), found([], [], []))))
    with pytest.raises(UsageError, match="cells: 1 images without a box give no score"):
        as_detection_score(empty, "cells", (320, 320), "tests")


# Curves


def slow_curve(it: DetectionEvaluation, label: int) -> list[tuple[float, float, float]]:
    """Score, precision and recall at each score, counted anew for each."""
    scores = sorted({float(s) for f in it.found for s in f.scores[f.class_ids == label]}, reverse=True)
    rows = []
    for least in scores:
        hits = counted = total = 0
        for truth, made in zip(it.samples, it.found, strict=True):
            real = [
                b for b, k, i in zip(truth.boxes_xyxy, truth.labels, truth.ignored, strict=True) if k == label and not i
            ]
            crowd = [
                b for b, k, i in zip(truth.boxes_xyxy, truth.labels, truth.ignored, strict=True) if k == label and i
            ]
            total += len(real)
            taken: set[int] = set()
            for box, score, k in zip(made.xyxy, made.scores, made.class_ids, strict=True):
                if k != label or score < least:
                    continue
                best = max(
                    (place for place in range(len(real)) if place not in taken),
                    key=lambda place: overlap(box, real[place]),
                    default=None,
                )
                if best is not None and overlap(box, real[best]) >= 0.5:
                    taken.add(best)
                    hits, counted = hits + 1, counted + 1
                elif not any(inside(box, other) >= 0.5 for other in crowd):
                    counted += 1
        if counted:
            rows.append((least, hits / counted, hits / total))
    return rows


def overlap(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(box_iou(one[None], other[None])[0, 0])


def inside(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    width = max(0.0, float(min(one[2], other[2]) - max(one[0], other[0])))
    height = max(0.0, float(min(one[3], other[3]) - max(one[1], other[1])))
    return width * height / float((one[2] - one[0]) * (one[3] - one[1]))


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_curves_equal_a_slow_count(seed: int) -> None:
    it = random_evaluation(seed, images=8)
    for label, curve in enumerate(curves(it)):
        assert curve.count > 0
        rows = {score: (precision, recall) for score, precision, recall in slow_curve(it, label)}
        assert set(curve.scores) <= set(rows)  # scores of ignored boxes alone are no place of the curve
        for score, precision, recall in zip(curve.scores, curve.precision, curve.recall, strict=True):
            assert (precision, recall) == pytest.approx(rows[score], abs=1e-12)
        f1 = [2 * p * r / (p + r) if p + r else 0.0 for p, r in rows.values()]
        best = curve.best_f1()
        assert best is not None
        assert best.f1 == pytest.approx(max(f1))
        kept = [score for score in rows if score >= best.threshold]
        assert rows[min(kept)] == pytest.approx((best.precision, best.recall))


def test_the_best_score_lies_between_the_right_and_the_wrong() -> None:
    boxes = [(0, 0, 9, 9), (20, 0, 29, 9), (40, 0, 49, 9)]
    it = evaluation((sample(boxes[:2], [0, 0]), found(boxes, [0.875, 0.75, 0.25], [0, 0, 0])))
    first, second = curves(it)
    assert first.best_f1().threshold == 0.5
    assert (first.best_f1().precision, first.best_f1().recall) == (1, 1)
    assert second.best_f1() is None
    assert best_thresholds(it, otherwise=0.3) == (0.5, 0.3)


def test_a_class_that_is_never_right_keeps_the_usual_score() -> None:
    it = evaluation((sample([(0, 0, 9, 9)], [0]), found([(50, 50, 60, 60)], [0.99], [0])), classes=["a"])
    assert best_thresholds(it, otherwise=0.3) == (0.3,)


def test_ignored_boxes_count_neither_way() -> None:
    crowd = [(0, 0, 60, 60)]
    it = evaluation((sample(crowd, [0], [True]), found([(5, 5, 20, 20), (30, 30, 50, 50)], [0.9, 0.8], [0, 0])))
    (first, _) = curves(it)
    assert (first.count, len(first.scores)) == (0, 0)


# A bundle over images


@pytest.fixture
def detector(tmp_path: Path) -> Detector:
    detector = load(write_detector(tmp_path / "it.onnx"), threads=1, streams=2)
    assert isinstance(detector, Detector)
    return detector


def write(path: Path, *marks: Any) -> Path:
    path.write_bytes(encoded(image((64, 64), *marks)))
    return path


def test_a_bundle_is_scored_by_name_on_what_can_be_read(detector: Detector, tmp_path: Path) -> None:
    red, blue, wide = (4, 4, 20, 20), (30, 30, 60, 60), (4, 4, 36, 20)
    samples = [
        sample([red, blue], [1, 0], path=write(tmp_path / "0.png", (red, RED), (blue, BLUE))),
        sample([red], [1], path=tmp_path / "missing.png"),
        sample([wide], [1], path=write(tmp_path / "1.png", (red, RED))),
        sample([], [], path=write(tmp_path / "2.png")),
    ] * 3
    heard: list[Result[Any]] = []
    it = evaluate_detector(detector, samples, ("blue", "red"), split="test", on_results=heard.extend)
    assert [answer.source for answer in heard] == [each.path for each in samples]
    assert it.classes == ("red", "blue")
    assert [each.path.name for each in it.samples] == ["0.png", "1.png", "2.png"] * 3
    assert [each.path.name for each in it.skipped] == ["missing.png"] * 3
    assert [each.labels.tolist() for each in it.samples[:3]] == [[0, 1], [0], []]
    assert it.found[0].xyxy.tolist() == [list(red), list(blue)]
    scores = detection_scores(it)
    assert (scores.count, scores.boxes) == (9, 9)
    red_scores, blue_scores = scores.per_class
    # The box of "1.png" overlaps the true one by a half exactly.
    assert (red_scores.ap50, blue_scores.ap) == (pytest.approx(1), pytest.approx(1))
    # At all other overlaps, right and wrong take turns: precisions 1, 2/3 and 3/5 at 17 of the 101 recalls each.
    assert red_scores.ap == pytest.approx(0.1 + 0.9 * 17 * (1 + 2 / 3 + 3 / 5) / 101)


def test_unsure_boxes_are_part_of_the_scores(tmp_path: Path) -> None:
    boxes = ([(0, 0, 8, 8), (8, 8, 16, 16)], [0.75, 0.001], [0, 1])
    detector = load(write_detector(tmp_path / "it.onnx", constant=boxes, score_thresholds=[0.9, 0.9]))
    path = write(tmp_path / "a.png")
    it = evaluate_detector(detector, [sample([], [], path=path)], ("red",), split="test")
    assert it.found[0].scores.tolist() == pytest.approx([0.75, 0.001])


def test_unknown_classes_are_named(detector: Detector) -> None:
    with pytest.raises(UnknownNameError, match=r"does not know 1 of the data's 2 classes: 'green'"):
        evaluate_detector(detector, [sample([(0, 0, 8, 8)], [1])], ("red", "green"), split="test")
