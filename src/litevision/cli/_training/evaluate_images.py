"""What `litevision evaluate` does with labelled images."""

from collections.abc import Iterator
from pathlib import Path

from litevision.cli._images.report import counted
from litevision.cli._images.results import printable
from litevision.cli._shared.table import Align, print_table
from litevision.cli._training.scoring import Asked, Outcome, Rows, Told, share, tell, watched
from litevision.data import read_labelled
from litevision.evaluation import Evaluation, Scores, evaluate_bundle, scores, select_split
from litevision.runtime import Classifier

_NAMED = 5  # of the labels that have no images
_FIGURES = ("precision", "recall", "f1")


def evaluate_images(asked: Asked) -> int:
    """Scores a classifier, tells, and gives the exit code."""
    data = read_labelled(asked.data)
    split, samples = select_split(data, asked.split)
    classifier = Classifier(asked.open_bundle())

    def answered(told: Told) -> Evaluation:
        return evaluate_bundle(classifier, samples, data.classes, split=split, on_answers=told)

    evaluation = watched(answered, len(samples), classifier.bundle)
    found = scores(evaluation)
    outcome = Outcome(
        evaluation,
        found,
        counted(found.count),
        lambda: _print(found),
        Rows(
            ("class", "count", *_FIGURES),
            [(it.name, it.count, it.precision, it.recall, it.f1) for it in found.per_class],
            counted(len(found.per_class), "class"),
        ),
        Rows(("path", "label", "predicted", "score", "correct"), _answers(evaluation), counted(found.count)),
    )
    return tell(asked, classifier.bundle, data, outcome)


def _print(scores: Scores) -> None:
    low, high = scores.top1_interval
    if absent := _labels_without_images(scores):
        print(f"labels  {absent}")
    print()
    print(f"top-1              {scores.top1:.2f} %, 95 % interval {low:.2f} to {high:.2f} %")
    if scores.top5 is not None:
        print(f"top-5              {scores.top5:.2f} %")
    print(f"macro F1           {scores.macro_f1:.4f}")
    print(f"balanced accuracy  {scores.balanced_accuracy:.4f}")
    print(f"ECE (calibration)  {scores.ece:.4f}")
    print(f"mean loss          {scores.mean_loss:.4f}\n")
    columns: dict[str, Align] = {"class": "left"}
    columns |= dict.fromkeys(("count", "precision", "recall", "F1"), "right")
    rows = [
        (printable(it.name), f"{it.count:,}", *map(share, (it.precision, it.recall, it.f1)))
        for it in scores.per_class
        if it.count
    ]
    print_table(columns, rows)
    if confusions := scores.confusions():
        print("\nmost frequent mistakes")
        for it in confusions:
            print(f"{printable(it.truth)} taken for {printable(it.answer)}: {it.count:,}")


def _labels_without_images(scores: Scores) -> str:
    names = [printable(it.name) for it in scores.per_class if it.count == 0]
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
