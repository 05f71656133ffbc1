"""What `litevision evaluate` does with labelled images."""

from collections.abc import Iterator
from pathlib import Path

from litevision.cli.evaluate import EvaluateOptions
from litevision.cli.scoring import Callback, Outcome, Rows, open_bundle, report, with_progress
from litevision.cli.tables import Align, escape, format_value, pluralise, print_table
from litevision.data import read_images
from litevision.evaluation import Evaluation, Scores, evaluate_bundle, scores, select_split
from litevision.runtime import Classifier

_NAMED = 5  # of the labels that have no images
_FIGURES = ("precision", "recall", "f1")


def evaluate_images(options: EvaluateOptions) -> int:
    """Scores a classifier, tells, and gives the exit code."""
    data = read_images(options.data)
    split, samples = select_split(data, options.split)
    classifier = Classifier(open_bundle(options))

    def answered(callback: Callback) -> Evaluation:
        return evaluate_bundle(classifier, samples, data.classes, split=split, on_answers=callback)

    evaluation = with_progress(answered, len(samples), classifier.bundle)
    found = scores(evaluation)
    outcome = Outcome(
        evaluation,
        found,
        pluralise(found.count),
        lambda: _print(found),
        Rows(
            ("class", "count", *_FIGURES),
            [(it.name, it.count, it.precision, it.recall, it.f1) for it in found.per_class],
            pluralise(len(found.per_class), "class"),
        ),
        Rows(("path", "label", "predicted", "score", "correct"), _answers(evaluation), pluralise(found.count)),
    )
    return report(options, classifier.bundle, data, outcome)


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
        (escape(it.name), f"{it.count:,}", *map(format_value, (it.precision, it.recall, it.f1)))
        for it in scores.per_class
        if it.count
    ]
    print_table(columns, rows)
    if confusions := scores.confusions():
        print("\nmost frequent mistakes")
        for it in confusions:
            print(f"{escape(it.truth)} taken for {escape(it.answer)}: {it.count:,}")


def _labels_without_images(scores: Scores) -> str:
    names = [escape(it.name) for it in scores.per_class if it.count == 0]
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
