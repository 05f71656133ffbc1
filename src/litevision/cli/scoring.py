"""What `litevision evaluate` does with labels of any kind: opens the bundle, watches the images, tells the scores."""

import json
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from litevision import console
from litevision.cli.evaluate import EvaluateOptions
from litevision.cli.progress import ImageProgress
from litevision.cli.signals import Interrupted, Signals
from litevision.cli.tables import escape, print_table
from litevision.errors import UsageError
from litevision.evaluation import select_split
from litevision.files import atomic_write, sha256_of, write_csv
from litevision.hub import find_bundle
from litevision.runtime import Bundle
from litevision.runtime.cpus import available_cpus
from litevision.tasks import task_of_data
from litevision.tasks.base import OnResults, ScoreSheet

T = TypeVar("T")


def evaluate(options: EvaluateOptions) -> int:
    """Scores a model, prints and writes what was asked for, and gives the exit code.

    Raises:
        UsageError: a file that cannot be written.
    """
    task = task_of_data(options.data)
    task.require_scoring()
    data = task.read(options.data)
    split, samples = select_split(data, options.split)
    predictor = task.open(open_bundle(options))

    def run(callback: OnResults) -> Any:
        return task.evaluate(predictor, samples, data.classes, split=split, on_results=callback)

    evaluation = with_progress(run, len(samples), predictor.bundle)
    scores = task.scores(evaluation)
    return _report(options, predictor.bundle, data, evaluation, scores, task.score_sheet(data, evaluation, scores))


def open_bundle(options: EvaluateOptions) -> Bundle:
    """The bundle, with a stream for each CPU."""
    path, streams = find_bundle(options.bundle), available_cpus()
    return Bundle.open(path, engine=options.engine, device=options.device, threads=1, streams=streams)


def with_progress(evaluate: Callable[[OnResults], T], count: int, bundle: Bundle) -> T:
    """What ``evaluate`` gives, with progress on the error output; a signal ends the program in order."""
    progress = ImageProgress(count, None, "evaluate")
    try:
        with Signals():
            try:
                evaluation = evaluate(progress.write)
            finally:
                progress.finish()
    except Interrupted as stop:
        name = signal.Signals(stop.signum).name
        console.note(f"stopped by {name}: {progress.conclusion()}; part of the images gives no scores")
        sys.exit(128 + stop.signum)
    console.note(f"{progress.conclusion()}, {bundle.engine.choice.title}")
    return evaluation


def _report(
    options: EvaluateOptions, bundle: Bundle, data: Any, evaluation: Any, scores: Any, sheet: ScoreSheet
) -> int:
    document = _document(bundle, data, evaluation, scores)
    if options.json == "-":
        print(json.dumps(document, allow_nan=False))
    else:
        _print_heading(bundle, data, evaluation, sheet)
        for line in sheet.lines:
            print(escape(line))
        print_table(sheet.columns, [(escape(name), *cells) for name, *cells in sheet.rows])
        for line in sheet.footer:
            print(escape(line))
    try:
        _write(options, document, sheet)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    return int(bool(evaluation.skipped))


def _document(bundle: Bundle, data: Any, evaluation: Any, scores: Any) -> dict[str, Any]:
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
        },
        "split": evaluation.split,
        "scores": scores.to_dict(),
    }


def _print_heading(bundle: Bundle, data: Any, evaluation: Any, sheet: ScoreSheet) -> None:
    split, skipped = evaluation.split, evaluation.skipped
    left_out = f", {len(skipped):,} left out that could not be read" if skipped else ""
    print(f"bundle  {escape(str(bundle.path))}")
    print(f"data    {escape(str(data.root))}")
    print(f"split   {split}: {sheet.images}{left_out}")
    if data.made_splits and split != "all":
        print("        litevision made the splits that the data lacks; --split all takes every image")


def _write(options: EvaluateOptions, document: dict[str, Any], sheet: ScoreSheet) -> None:
    if options.json_file:
        with atomic_write(options.json_file) as partial:
            partial.write_text(f"{json.dumps(document, allow_nan=False)}\n")
        console.note(f"wrote {options.json_file}")
    for file, rows in ((options.csv, sheet.per_class), (options.predictions, sheet.predictions)):
        if file:
            write_csv(file, rows.header, rows.rows)
            console.note(f"wrote {file}: {rows.summary}")
