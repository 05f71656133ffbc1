"""The scores of a detector as people read them: a table, a line, a sentence, and the rows of a CSV file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from litevision.data import LabelledBoxes
from litevision.evaluation.coco import DetectionScores
from litevision.evaluation.detection import DetectionEvaluation
from litevision.tables import pluralise
from litevision.tasks.report import Rows, ScoreSheet, figure

_FIGURES = ("ap", "ap50", "threshold", "precision", "recall", "f1")


def score_sheet(data: LabelledBoxes, evaluation: DetectionEvaluation, scores: DetectionScores) -> ScoreSheet:
    """The scores as a person reads them."""
    figures = (
        ("AP (IoU 0.50 to 0.95)", scores.ap, scores.ap_interval),
        ("AP50", scores.ap50, scores.ap50_interval),
        ("AP75", scores.ap75, None),
        ("AP small (to 32 x 32 px)", scores.ap_small, None),
        ("AP medium (to 96 x 96 px)", scores.ap_medium, None),
        ("AP large", scores.ap_large, None),
        ("recall, 100 an image", scores.ar100, None),
    )
    left_out = labels_left_out(data)
    boxes = sum(map(len, evaluation.found))
    images = pluralise(scores.count, "image")
    return ScoreSheet(
        f"{images} with {scores.boxes:,} boxes",
        [
            *(
                [f"        {pluralise(left_out, 'error')} in the labels left out; 'litevision check-data' names them"]
                if left_out
                else []
            ),
            "",
            *(f"{name:26}{figure(value)}{_interval(interval)}" for name, value, interval in figures),
            "",
            *([f"95 % intervals by bootstrap over the {images}"] if scores.ap_interval else []),
            "threshold: the score at which F1 is highest on these images; precision, recall and F1 are those at it",
        ],
        {
            "class": "left",
            **dict.fromkeys(("boxes", "AP", "AP50", "threshold", "precision", "recall", "F1"), "right"),
        },
        [
            (it.name, f"{it.count:,}", *(figure(getattr(it, key)) for key in _FIGURES))
            for it in scores.per_class
            if it.count
        ],
        [],
        Rows(
            ("class", "boxes", *_FIGURES),
            [(it.name, it.count, *(getattr(it, key) for key in _FIGURES)) for it in scores.per_class],
            pluralise(len(scores.per_class), "class"),
        ),
        Rows(
            ("path", "label", "score", "x1", "y1", "x2", "y2"),
            _boxes(evaluation),
            f"{boxes:,} boxes in {images}",
        ),
    )


def class_rows(results: Mapping[str, Any], split: str) -> Rows:
    """Each class with its boxes, AP, and what comes of its threshold."""
    scores = results["scores"].get(split)
    keys = _FIGURES[2:]
    pairs = zip(scores["per_class"], results["at_thresholds"], strict=True) if scores else ()
    return Rows(
        ("split", "class", "boxes", "ap", "ap50", *keys),
        [(split, row["name"], row["count"], row["ap"], row["ap50"], *map(at.get, keys)) for row, at in pairs],
    )


def score_sentence(split: str, scores: Mapping[str, Any]) -> str:
    """The count, AP50 and AP, and how far these can be trusted."""
    from litevision.training.report.facts import share

    intervals = [interval for name in ("ap50", "ap") if (interval := scores.get(f"{name}_interval"))]
    between = [f"{share(low)} and {share(high)}" for low, high in intervals]
    trust = ""
    if len(between) == 2:
        trust = (
            f" Of many more such images, expect an AP50 between {between[0]} and an AP between {between[1]} (95 % "
            f"intervals by bootstrap over the {scores['count']:,} {split} images)."
        )
    return (
        f"On {scores['count']:,} {split} images with {scores['boxes']:,} objects, the average precision is "
        f"{share(scores['ap50'])} where half of an overlap is enough (AP50), and {share(scores['ap'])} on average "
        f"over overlaps from 0.50 to 0.95 (COCO's AP); 1 would be perfect.{trust}"
    )


def score_line(split: str, scores: Mapping[str, Any]) -> str:
    """The score of a split in one line."""
    ap50, ap = (f"{scores[name]:.3f}{_short(scores.get(f'{name}_interval'))}" for name in ("ap50", "ap"))
    return f"{split}: AP50 {ap50}, AP {ap} of {scores['boxes']:,} boxes in {scores['count']:,} images"


def labels_left_out(data: LabelledBoxes) -> int:
    """How many errors in the labels were left out."""
    return sum(issue.is_left_out for issue in data.issues)


def _interval(interval: tuple[float, float] | None) -> str:
    return f", 95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else ""


def _short(interval: tuple[float, float] | None) -> str:
    return f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""


def _boxes(evaluation: DetectionEvaluation) -> Iterator[tuple[Path, str, float, float, float, float, float]]:
    """Path, class, score and box of all that was found."""
    for sample, found in zip(evaluation.samples, evaluation.found, strict=True):
        for it in found:
            yield sample.path, it.label, it.score, *it.box_xyxy
