"""litevision evaluate: how often a bundle is right on labelled pictures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from litevision.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from litevision.data.records import LabelledPictures, Sample
    from litevision.evaluate import Evaluation, Scores
    from litevision.evaluate.detection import DetectionEvaluation
    from litevision.runtime import Bundle, Classifier
    from litevision.runtime.answers import Answer

    Told = Callable[[Sequence[Answer[Any]]], None]

Result = TypeVar("Result")
_NAMED = 5  # of the labels that have no pictures


def evaluate(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE|NAME", help="The path of a bundle (.onnx), or a model.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder of class folders, with splits or without, or a CSV; for a detector, pictures with boxes: "
            "Pascal VOC, COCO or YOLO.",
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="train, validation, test or all; by default the first of test, validation and all with pictures."
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="onnxruntime, openvino, or auto for the faster one.")] = "onnxruntime",
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write one JSON document there; - to print it instead.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the scores of each class there.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write path,label,predicted,score,correct there, as CSV; of a detector, every box."
        ),
    ] = None,
) -> None:
    """Measure how often a bundle is right on labelled pictures, with its own preprocessing.

    Classes are matched with the bundle's labels by name. A picture that cannot be read is reported and left out, and
    the exit code is 1. A detector's boxes are scored as COCO does.
    """
    from litevision.cli._shared.bundle import bundle_path
    from litevision.cli._shared.csv import check_writable
    from litevision.data import is_detection, read_labelled
    from litevision.evaluate import samples_of, scores
    from litevision.runtime import Bundle, Classifier
    from litevision.runtime.cpus import available_cpus

    json_file = None if json in (None, "-") else Path(json)
    for option, file in (("--json", json_file), ("--csv", csv), ("--predictions", predictions)):
        if file:
            check_writable(file, option)
    if is_detection(data):
        from litevision.cli._training.evaluate_boxes import evaluate_boxes

        raise typer.Exit(evaluate_boxes(bundle_path(bundle), data, split, engine, json, csv, predictions))
    pictures = read_labelled(data)
    chosen, samples = samples_of(pictures, split)
    classifier = Classifier(Bundle.open(bundle_path(bundle), engine=engine, threads=1, streams=available_cpus()))
    evaluation = _evaluate(classifier, samples, pictures.classes, chosen)
    found = scores(evaluation)
    document = document_of(
        classifier.bundle, pictures.root, pictures.classes, pictures.made_splits, evaluation, found.to_plain()
    )
    if json == "-":
        print(text_of(document))
    else:
        _print(classifier, pictures, evaluation, found)
    try:
        _write(document, evaluation, found, json_file, csv, predictions)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    raise typer.Exit(int(bool(evaluation.skipped)))


def _evaluate(
    classifier: "Classifier", samples: "Sequence[Sample]", classes: "Sequence[str]", split: str
) -> "Evaluation":
    from litevision.evaluate import evaluate_bundle

    def answered(told: "Told") -> "Evaluation":
        return evaluate_bundle(classifier, samples, classes, split=split, on_answers=told)

    return watched(answered, len(samples), classifier.bundle)


def watched(evaluate: "Callable[[Told], Result]", count: int, bundle: "Bundle") -> "Result":
    """What ``evaluate`` gives, told of on the error output; a signal ends the program in order."""
    import signal

    from litevision.cli._pictures.report import Report
    from litevision.cli._shared.signals import Interrupted, Signals

    report = Report(count, None)
    try:
        with Signals():
            try:
                evaluation = evaluate(report.write)
            finally:
                report.finish()
    except Interrupted as stop:
        name = signal.Signals(stop.signum).name
        print(f"stopped by {name}: {report.conclusion()}; part of the pictures gives no scores", file=sys.stderr)
        raise typer.Exit(128 + stop.signum) from None
    print(f"{report.conclusion()}, {bundle.engine.choice.title}", file=sys.stderr)
    return evaluation


def _print(classifier: "Classifier", pictures: "LabelledPictures", evaluation: "Evaluation", scores: "Scores") -> None:
    from litevision.cli._pictures.report import counted
    from litevision.cli._pictures.results import printable
    from litevision.cli._shared.table import Align, print_table

    low, high = scores.top1_interval
    print(f"bundle  {printable(str(classifier.bundle.path))}")
    print(f"data    {printable(str(pictures.root))}")
    print(f"split   {evaluation.split}: {counted(scores.count)}{_left_out(evaluation)}")
    if pictures.made_splits and evaluation.split != "all":
        print("        litevision made the splits that the data lacks; --split all takes every picture")
    if absent := _labels_without_pictures(scores):
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
        (printable(it.name), f"{it.count:,}", *map(_share, (it.precision, it.recall, it.f1)))
        for it in scores.per_class
        if it.count
    ]
    print_table(columns, rows)
    if confusions := scores.confusions():
        print("\nmost frequent mistakes")
        for it in confusions:
            print(f"{printable(it.truth)} taken for {printable(it.answer)}: {it.count:,}")


def _left_out(evaluation: "Evaluation") -> str:
    return f", {len(evaluation.skipped):,} left out that could not be read" if evaluation.skipped else ""


def _labels_without_pictures(scores: "Scores") -> str:
    from litevision.cli._pictures.results import printable

    names = [printable(it.name) for it in scores.per_class if it.count == 0]
    if not names:
        return ""
    some = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return f"{len(names):,} of the bundle's {len(scores.per_class):,} have no pictures here: {some}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def document_of(
    bundle: "Bundle",
    root: Path,
    classes: "Sequence[str]",
    made_splits: bool,
    evaluation: "Evaluation | DetectionEvaluation",
    scores: dict[str, Any],
) -> dict[str, Any]:
    """What ``--json`` tells."""
    import hashlib

    with bundle.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "bundle": {"path": str(bundle.path), "sha256": sha256, "engine": bundle.engine.choice.title},
        "data": {
            "path": str(root),
            "classes": list(classes),
            "made_splits": made_splits,
            "skipped": [{"path": str(it.path), "detail": it.detail} for it in evaluation.skipped],
        },
        "split": evaluation.split,
        "scores": scores,
    }


def text_of(document: dict[str, Any]) -> str:
    """The document as one line."""
    import json

    return json.dumps(document, allow_nan=False)


def _write(
    document: dict[str, Any],
    evaluation: "Evaluation",
    scores: "Scores",
    json: Path | None,
    csv: Path | None,
    predictions: Path | None,
) -> None:
    from litevision.cache import replacing
    from litevision.cli._shared.csv import write_csv

    if json:
        with replacing(json) as partial:
            partial.write_text(f"{text_of(document)}\n")
        print(f"wrote {json}", file=sys.stderr)
    if csv:
        rows = [(it.name, it.count, it.precision, it.recall, it.f1) for it in scores.per_class]
        write_csv(csv, ("class", "count", "precision", "recall", "f1"), rows)
        print(f"wrote {csv}: {len(rows):,} classes", file=sys.stderr)
    if predictions:
        write_csv(predictions, ("path", "label", "predicted", "score", "correct"), _answers(evaluation))
        print(f"wrote {predictions}: {len(evaluation.paths):,} pictures", file=sys.stderr)


def _answers(evaluation: "Evaluation") -> list[tuple[Path, str, str, float, bool]]:
    """Path, true class, best class, its probability, and whether it is the true one, for each picture."""
    best = evaluation.probabilities.argmax(axis=1).tolist()
    score = evaluation.probabilities.max(axis=1).tolist()
    return [
        (path, evaluation.classes[label], evaluation.classes[answer], value, label == answer)
        for path, label, answer, value in zip(evaluation.paths, evaluation.labels.tolist(), best, score, strict=True)
    ]
