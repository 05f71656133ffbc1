"""A classifier's scores as tables for people and as CSV."""

from collections.abc import Iterator
from pathlib import Path

from litevision.evaluation import Evaluation, Scores
from litevision.tables import pluralise
from litevision.tasks.report import Rows, ScoreSheet, figure

FIGURES = ("precision", "recall", "f1")
_NAMED = 5  # of the labels that have no images


def score_sheet(evaluation: Evaluation, scores: Scores) -> ScoreSheet:
    """The scores as a person reads them."""
    low, high = scores.top1_interval
    lines = [f"labels  {absent}"] if (absent := _labels_without_images(scores)) else []
    lines += ["", f"top-1              {scores.top1:.2f} %, 95 % interval {low:.2f} to {high:.2f} %"]
    if scores.top5 is not None:
        lines.append(f"top-5              {scores.top5:.2f} %")
    lines += [
        f"macro F1           {scores.macro_f1:.4f}",
        f"balanced accuracy  {scores.balanced_accuracy:.4f}",
        f"ECE (calibration)  {scores.ece:.4f}",
        f"mean loss          {scores.mean_loss:.4f}",
        "",
    ]
    mistakes = [f"{it.truth} taken for {it.answer}: {it.count:,}" for it in scores.confusions()]
    count = pluralise(scores.count)
    return ScoreSheet(
        count,
        lines,
        {"class": "left", **dict.fromkeys(("count", "precision", "recall", "F1"), "right")},
        [
            (it.name, f"{it.count:,}", *map(figure, (it.precision, it.recall, it.f1)))
            for it in scores.per_class
            if it.count
        ],
        ["", "most frequent mistakes", *mistakes] if mistakes else [],
        Rows(
            ("class", "count", *FIGURES),
            [(it.name, it.count, it.precision, it.recall, it.f1) for it in scores.per_class],
            pluralise(len(scores.per_class), "class"),
        ),
        Rows(("path", "label", "predicted", "score", "correct"), _answers(evaluation), count),
    )


def _labels_without_images(scores: Scores) -> str:
    names = [it.name for it in scores.per_class if it.count == 0]
    if not names:
        return ""
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"{len(names):,} of the bundle's {len(scores.per_class):,} have no images here: {some}"


def _answers(evaluation: Evaluation) -> Iterator[tuple[Path, str, str, float, bool]]:
    """Path, true class, best class, its probability, and whether it is the true one, for each image."""
    best = evaluation.probabilities.argmax(axis=1).tolist()
    score = evaluation.probabilities.max(axis=1).tolist()
    for path, label, answer, value in zip(evaluation.paths, evaluation.labels.tolist(), best, score, strict=True):
        yield path, evaluation.classes[label], evaluation.classes[answer], value, label == answer
