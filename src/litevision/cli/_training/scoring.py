"""What `litevision evaluate` does with labels of any kind: opens the bundle, watches the images, tells the scores."""

import json
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import typer

from litevision.cli._images.report import Report
from litevision.cli._images.results import printable
from litevision.cli._shared.bundle import bundle_path
from litevision.cli._shared.outputs import check_writable, write_csv
from litevision.cli._shared.signals import Interrupted, Signals
from litevision.data import LabelledBoxes, LabelledImages
from litevision.errors import UsageError
from litevision.evaluation import Evaluation, Scores
from litevision.evaluation.coco import DetectionScores
from litevision.evaluation.detection import DetectionEvaluation
from litevision.files import atomic_write, sha256_of
from litevision.runtime import Bundle
from litevision.runtime.cpus import available_cpus
from litevision.runtime.results import Result

Told = Callable[[Sequence[Result[Any]]], None]
T = TypeVar("T")


class Asked(NamedTuple):
    """The command's options, as `litevision.cli.evaluate` explains them."""

    bundle: str
    data: Path
    split: str | None
    engine: str
    json: str | None
    csv: Path | None
    predictions: Path | None

    @property
    def json_file(self) -> Path | None:
        """Where the document goes, if not to standard output."""
        return None if self.json in (None, "-") else Path(self.json)

    def require_writable(self) -> None:
        """Raises ``UsageError`` for a file that cannot be written."""
        for option, file in (("--json", self.json_file), ("--csv", self.csv), ("--predictions", self.predictions)):
            if file:
                check_writable(file, option)

    def open_bundle(self) -> Bundle:
        """The bundle, with a stream for each CPU."""
        return Bundle.open(bundle_path(self.bundle), engine=self.engine, threads=1, streams=available_cpus())


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


def watched(evaluate: Callable[[Told], T], count: int, bundle: Bundle) -> T:
    """What ``evaluate`` gives, told of on the error output; a signal ends the program in order."""
    report = Report(count, None, "evaluate")
    try:
        with Signals():
            try:
                evaluation = evaluate(report.write)
            finally:
                report.finish()
    except Interrupted as stop:
        name = signal.Signals(stop.signum).name
        print(f"stopped by {name}: {report.conclusion()}; part of the images gives no scores", file=sys.stderr)
        raise typer.Exit(128 + stop.signum) from None
    print(f"{report.conclusion()}, {bundle.engine.choice.title}", file=sys.stderr)
    return evaluation


def tell(asked: Asked, bundle: Bundle, data: LabelledImages | LabelledBoxes, outcome: Outcome) -> int:
    """Prints and writes what was asked for; gives the exit code.

    Raises:
        UsageError: a file that cannot be written.
    """
    document = _document(bundle, data, outcome)
    if asked.json == "-":
        print(json.dumps(document, allow_nan=False))
    else:
        _print_heading(bundle, data, outcome)
        outcome.show()
    try:
        _write(asked, document, outcome)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    return int(bool(outcome.evaluation.skipped))


def share(value: float | None) -> str:
    """A number in [0, 1], or a dash."""
    return "-" if value is None else f"{value:.4f}"


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
    print(f"bundle  {printable(str(bundle.path))}")
    print(f"data    {printable(str(data.root))}")
    print(f"split   {split}: {outcome.images}{left_out}")
    if data.made_splits and split != "all":
        print("        litevision made the splits that the data lacks; --split all takes every image")


def _write(asked: Asked, document: dict[str, Any], outcome: Outcome) -> None:
    if asked.json_file:
        with atomic_write(asked.json_file) as partial:
            partial.write_text(f"{json.dumps(document, allow_nan=False)}\n")
        print(f"wrote {asked.json_file}", file=sys.stderr)
    for file, rows in ((asked.csv, outcome.per_class), (asked.predictions, outcome.predictions)):
        if file:
            write_csv(file, rows.header, rows.rows)
            print(f"wrote {file}: {rows.told}", file=sys.stderr)
