"""What `litevision evaluate` does with images that have boxes."""

from collections.abc import Iterator
from pathlib import Path

from litevision.cli.evaluate import EvaluateOptions
from litevision.cli.scoring import Callback, Outcome, Rows, open_bundle, report, with_progress
from litevision.cli.tables import Align, escape, format_value, pluralise, print_table
from litevision.data import LabelledBoxes, read_boxes
from litevision.evaluation import select_split
from litevision.evaluation.coco import DetectionScores, detection_scores, require_coco
from litevision.evaluation.detection import DetectionEvaluation, evaluate_detector
from litevision.runtime import Detector

_FIGURES = ("ap", "ap50", "threshold", "precision", "recall", "f1")


def evaluate_boxes(options: EvaluateOptions) -> int:
    """Scores a detector, tells, and gives the exit code."""
    require_coco()
    data = read_boxes(options.data)
    split, samples = select_split(data, options.split)
    detector = Detector(open_bundle(options))

    def answered(callback: Callback) -> DetectionEvaluation:
        return evaluate_detector(detector, samples, data.classes, split=split, on_answers=callback)

    evaluation = with_progress(answered, len(samples), detector.bundle)
    found = detection_scores(evaluation)
    boxes = sum(len(it.labels) for it in evaluation.found)
    outcome = Outcome(
        evaluation,
        found,
        f"{pluralise(found.count)} with {found.boxes:,} boxes",
        lambda: _print(data, found),
        Rows(
            ("class", "boxes", *_FIGURES),
            [(it.name, it.count, *(getattr(it, figure) for figure in _FIGURES)) for it in found.per_class],
            pluralise(len(found.per_class), "class"),
        ),
        Rows(
            ("path", "label", "score", "x1", "y1", "x2", "y2"),
            _boxes(evaluation),
            f"{boxes:,} boxes in {pluralise(found.count)}",
        ),
    )
    return report(options, detector.bundle, data, outcome)


def _print(data: LabelledBoxes, scores: DetectionScores) -> None:
    errors = sum(fault.severity == "error" for fault in data.issues)
    if errors:
        print(f"        {errors:,} errors in the labels are left out; 'litevision check-data' names them")
    print()
    for name, value in (
        ("AP (IoU 0.50 to 0.95)", scores.ap),
        ("AP50", scores.ap50),
        ("AP75", scores.ap75),
        ("AP small (to 32 x 32 px)", scores.ap_small),
        ("AP medium (to 96 x 96 px)", scores.ap_medium),
        ("AP large", scores.ap_large),
        ("recall, 100 an image", scores.ar100),
    ):
        print(f"{name:26}{format_value(value)}")
    print("\nthreshold: the score at which F1 is highest on these images; precision, recall and F1 are those at it")
    columns: dict[str, Align] = {"class": "left"}
    columns |= dict.fromkeys(("boxes", "AP", "AP50", "threshold", "precision", "recall", "F1"), "right")
    rows = [
        (escape(it.name), f"{it.count:,}", *(format_value(getattr(it, figure)) for figure in _FIGURES))
        for it in scores.per_class
        if it.count
    ]
    print_table(columns, rows)


def _boxes(evaluation: DetectionEvaluation) -> Iterator[tuple[Path, str, float, float, float, float, float]]:
    """Path, class, score and box of all that was found."""
    for sample, found in zip(evaluation.samples, evaluation.found, strict=True):
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes_xyxy.tolist(), strict=True)
        for label, score, (x1, y1, x2, y2) in rows:
            yield sample.path, evaluation.classes[label], score, x1, y1, x2, y2
