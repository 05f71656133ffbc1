"""What `litevision evaluate` does with labels of any kind: opens the bundle, watches the images, tells the scores."""

import json
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from litevision import console
from litevision.cli.evaluate import EvaluateOptions
from litevision.cli.progress import ImageProgress
from litevision.cli.signals import Interrupted, Signals
from litevision.cli.tables import escape
from litevision.data import LabelledBoxes, LabelledImages
from litevision.errors import UsageError
from litevision.evaluation import Evaluation, Scores
from litevision.evaluation.coco import DetectionScores
from litevision.evaluation.detection import DetectionEvaluation
from litevision.files import atomic_write, sha256_of, write_csv
from litevision.hub import find_bundle
from litevision.runtime import Bundle
from litevision.runtime.cpus import available_cpus
from litevision.runtime.results import Result

Callback = Callable[[Sequence[Result[Any]]], None]
T = TypeVar("T")


class Rows(NamedTuple):
    """The content of a CSV file; ``told`` is what it came to."""

    header: tuple[str, ...]
    rows: Iterable[Sequence[object]]
    told: str


class Outcome(NamedTuple):
    """What came of the images.

    Attributes:
        images: what was scored, in words.
        show: prints the scores for a person.
        per_class: for ``--csv``.
        predictions: for ``--predictions``.
    """

    evaluation: Evaluation | DetectionEvaluation
    scores: Scores | DetectionScores
    images: str
    show: Callable[[], None]
    per_class: Rows
    predictions: Rows


def open_bundle(options: EvaluateOptions) -> Bundle:
    """The bundle, with a stream for each CPU."""
    path, streams = find_bundle(options.bundle), available_cpus()
    return Bundle.open(path, engine=options.engine, device=options.device, threads=1, streams=streams)


def with_progress(evaluate: Callable[[Callback], T], count: int, bundle: Bundle) -> T:
    """What ``evaluate`` gives, told of on the error output; a signal ends the program in order."""
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


def report(options: EvaluateOptions, bundle: Bundle, data: LabelledImages | LabelledBoxes, outcome: Outcome) -> int:
    """Prints and writes what was options for; gives the exit code.

    Raises:
        UsageError: a file that cannot be written.
    """
    document = _document(bundle, data, outcome)
    if options.json == "-":
        print(json.dumps(document, allow_nan=False))
    else:
        _print_heading(bundle, data, outcome)
        outcome.show()
    try:
        _write(options, document, outcome)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    return int(bool(outcome.evaluation.skipped))


def _document(bundle: Bundle, data: LabelledImages | LabelledBoxes, outcome: Outcome) -> dict[str, Any]:
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
            "skipped": [{"path": str(it.path), "detail": it.detail} for it in outcome.evaluation.skipped],
        },
        "split": outcome.evaluation.split,
        "scores": outcome.scores.to_dict(),
    }


def _print_heading(bundle: Bundle, data: LabelledImages | LabelledBoxes, outcome: Outcome) -> None:
    split, skipped = outcome.evaluation.split, outcome.evaluation.skipped
    left_out = f", {len(skipped):,} left out that could not be read" if skipped else ""
    print(f"bundle  {escape(str(bundle.path))}")
    print(f"data    {escape(str(data.root))}")
    print(f"split   {split}: {outcome.images}{left_out}")
    if data.made_splits and split != "all":
        print("        litevision made the splits that the data lacks; --split all takes every image")


def _write(options: EvaluateOptions, document: dict[str, Any], outcome: Outcome) -> None:
    if options.json_file:
        with atomic_write(options.json_file) as partial:
            partial.write_text(f"{json.dumps(document, allow_nan=False)}\n")
        console.note(f"wrote {options.json_file}")
    for file, rows in ((options.csv, outcome.per_class), (options.predictions, outcome.predictions)):
        if file:
            write_csv(file, rows.header, rows.rows)
            console.note(f"wrote {file}: {rows.told}")
