"""litevision evaluate: how often a bundle is right on labelled images."""

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.fields import (
    BUNDLE_HELP,
    csv_option,
    data_formats,
    device_option,
    engine_names_with_auto,
    model_names,
)
from litevision.cli.parser import argument, option
from litevision.cli.signals import Interrupted, Signals
from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.runtime import Bundle
    from litevision.tasks.base import ScoreSheet


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score a model on labelled images, with its own preprocessing.

    Classes are matched with the bundle's labels by name. An image that cannot be read is reported and left out, and
    the exit code is 1. A detector's boxes are scored as COCO does.
    """

    examples: ClassVar = (
        "litevision evaluate clothing clothes/",
        "litevision evaluate runs/first clothes/ --split test --csv classes.csv",
    )
    bundle: str = argument(
        metavar="BUNDLE|RUN|NAME",
        choices=model_names,
        help=BUNDLE_HELP,
    )
    data: Path = argument(metavar="DATA", help=data_formats)
    split: str | None = option(
        None,
        choices=("train", "validation", "test", "all"),
        help="Split to score; the first of test, validation and all that has images unless given.",
    )
    engine: str | None = option(
        None,
        choices=engine_names_with_auto,
        help="Engine that computes the network; auto for the faster one. onnxruntime unless given, for .tflite litert.",
    )
    device: str = device_option()
    json: str | None = option(
        None,
        metavar="FILE.json",
        help="Write one JSON document into this file; - prints it instead.",
        writes='json:{"bundle":{',
    )
    csv: Path | None = csv_option("Write the scores of each class into this file.", columns="class,")
    predictions: Path | None = option(
        None,
        metavar="FILE.csv",
        help="Write path,label,predicted,score,correct into this file; of a detector, every box.",
        writes="csv:path,label,predicted,score,correct|path,label,score,x1,",
    )

    @property
    def json_file(self) -> Path | None:
        """Where the document goes, if not to standard output."""
        return None if self.json in (None, "-") else Path(self.json)


def run(options: EvaluateOptions) -> int:
    """Score, print and write.

    Raises:
        UsageError: a file that cannot be written.
    """
    from litevision.cli.progress import ImageProgress
    from litevision.evaluation import select_split
    from litevision.tasks import task_of_data

    task = task_of_data(options.data)
    task.require_scoring()
    data = task.read(options.data)
    split, samples = select_split(data, options.split)
    predictor = task.open(_open_bundle(options))
    progress = ImageProgress(len(samples), None, "evaluate")
    try:
        with Signals():
            try:
                evaluation = task.evaluate(predictor, samples, data.classes, split=split, on_results=progress.write)
            finally:
                progress.finish()
    except Interrupted as stop:
        name = signal.Signals(stop.signum).name
        console.note(f"stopped by {name}: {progress.conclusion()}; part of the images gives no scores")
        return 128 + stop.signum
    console.note(f"{progress.conclusion()}, {predictor.bundle.engine.choice.title}")
    if predictor.bundle.metadata.is_multi_label:
        console.note("each class has a probability of its own (sigmoid); the likeliest counts as an image's answer")
    scores = task.scores(evaluation)
    sheet = task.score_sheet(data, evaluation, scores)
    document = _document(predictor.bundle, data, evaluation, scores)
    if options.json == "-":
        print(json.dumps(document, allow_nan=False))
    else:
        _print(predictor.bundle, data, evaluation, sheet)
    try:
        _write(options, document, sheet)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    return int(bool(evaluation.skipped))


def _open_bundle(options: EvaluateOptions) -> "Bundle":
    """The bundle, with a stream for each CPU."""
    from litevision.hub import find_bundle
    from litevision.runtime import Bundle
    from litevision.runtime.cpus import available_cpus

    path, streams = find_bundle(options.bundle), available_cpus()
    return Bundle.open(path, engine=options.engine, device=options.device, threads=1, streams=streams)


def _document(bundle: "Bundle", data: Any, evaluation: Any, scores: Any) -> dict[str, Any]:
    from litevision.files import sha256_of

    return {
        "bundle": {
            "path": str(bundle.path),
            "sha256": sha256_of(bundle.path),
            "engine": bundle.engine.choice.title,
        },
        "data": {
            "path": str(data.root),
            "classes": list(data.classes),
            "made_splits": data.made_splits,
            "skipped": [{"path": str(it.path), "detail": it.detail} for it in evaluation.skipped],
            "labels_left_out": [
                {"path": it.path and str(it.path), "line": it.line, "rule": it.rule, "detail": it.detail}
                for it in data.issues
                if it.is_left_out
            ],
        },
        "split": evaluation.split,
        "scores": scores.to_dict(),
    }


def _print(bundle: "Bundle", data: Any, evaluation: Any, sheet: "ScoreSheet") -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import escape

    split, skipped = evaluation.split, evaluation.skipped
    left_out = f", {len(skipped):,} left out that could not be read" if skipped else ""
    print(f"bundle  {escape(str(bundle.path))}")
    print(f"data    {escape(str(data.root))}")
    print(f"split   {split}: {sheet.images}{left_out}")
    if data.made_splits and split != "all":
        print("        litevision made the splits that the data lacks; --split all takes every image")
    for line in sheet.lines:
        print(escape(line))
    print_table(sheet.columns, [(escape(name), *cells) for name, *cells in sheet.rows])
    for line in sheet.footer:
        print(escape(line))


def _write(options: EvaluateOptions, document: dict[str, Any], sheet: "ScoreSheet") -> None:
    from litevision.files import atomic_write, write_csv

    if options.json_file:
        with atomic_write(options.json_file) as partial:
            partial.write_text(f"{json.dumps(document, allow_nan=False)}\n", "utf-8")
        console.note(f"wrote {options.json_file}")
    for file, rows in ((options.csv, sheet.per_class), (options.predictions, sheet.predictions)):
        if file:
            write_csv(file, rows.header, rows.rows)
            console.note(f"wrote {file}: {rows.summary}")
