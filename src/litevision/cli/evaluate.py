"""litevision evaluate: how often a bundle is right on labelled images."""

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
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
    from litevision.tasks.base import Task
    from litevision.tasks.report import MainScore, ScoreSheet

_SECONDS = 0.5  # of computing, by which the sizes' times are compared


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Score a model on labelled images, with its own preprocessing.

    Classes are matched with the bundle's labels by name. An image that cannot be read is reported and left out, and
    the exit code is 1. A detector's boxes are scored as COCO does. With --size the model is exported for that size too,
    which needs torch, and a table says what it gains and costs.
    """

    examples: ClassVar = (
        "litevision evaluate clothing clothes/",
        "litevision evaluate runs/first clothes/ --split test --csv classes.csv",
        "litevision evaluate clothing clothes/ --size 256",
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
    size: tuple[str, ...] = option(
        (),
        metavar="S|HxW",
        help="Input side in pixels, or height and width, to score the model at beside its own; once for each.",
    )
    engine: str | None = option(
        None,
        choices=engine_names_with_auto,
        help="Engine that computes the network; auto for the faster one. onnxruntime unless given, or an export's own.",
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
    from litevision.cli.checks import parse_size, require_torch
    from litevision.evaluation import select_split
    from litevision.exporting.export import resized
    from litevision.hub import find_bundle
    from litevision.tasks import task_of_data

    sizes = [parse_size(size) for size in options.size]
    if sizes:
        require_torch("evaluate --size")
    task = task_of_data(options.data)
    task.require_scoring()
    data = task.read(options.data)
    split, samples = select_split(data, options.split)
    path = find_bundle(options.bundle)
    predictor = task.open(_open_bundle(path, options))
    others = []
    with ExitStack() as files:
        made = [files.enter_context(resized(path, size_hw)) for size_hw in sizes]  # what cannot be made is said at once
        try:
            evaluation = _score(task, samples, data.classes, split, predictor, "evaluate")
            for file in made:
                other = task.open(_open_bundle(file, options))
                title = "{}x{}".format(*other.bundle.metadata.preprocess.size_hw)
                answers = _score(task, samples, data.classes, split, other, title)
                others.append(_AtSize.of(other.bundle, task.scores(answers), task.main_score))
        except _StoppedError as stop:
            return stop.code
    if predictor.bundle.metadata.is_multi_label:
        console.note("each class has a probability of its own (sigmoid); the likeliest counts as an image's answer")
    scores = task.scores(evaluation)
    sheet = task.score_sheet(data, evaluation, scores)
    document = _document(predictor.bundle, data, evaluation, scores)
    if others:
        own = _AtSize.of(predictor.bundle, scores, task.main_score)
        document["sizes"] = _compare_sizes([own, *others], task.main_score)
    if options.json == "-":
        print(json.dumps(document, allow_nan=False))
    else:
        _print(predictor.bundle, data, evaluation, sheet)
        if others:
            _print_sizes(document["sizes"], task.main_score)
    try:
        _write(options, document, sheet)
    except OSError as error:  # of a full disk, for example
        raise UsageError(f"the scores cannot be written ({error.strerror}). Write them somewhere else.") from error
    return int(bool(evaluation.skipped))


class _StoppedError(Exception):
    """A signal ended an evaluation; ``code`` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _score(task: "Task", samples: Any, classes: Any, split: str, predictor: Any, title: str) -> Any:
    """Evaluate, with a progress bar.

    Raises:
        _StoppedError: a signal came.
    """
    from litevision.cli.progress import ImageProgress

    progress = ImageProgress(len(samples), None, title)
    try:
        with Signals():
            try:
                found = task.evaluate(predictor, samples, classes, split=split, on_results=progress.write)
            finally:
                progress.finish()
    except Interrupted as stop:
        name = signal.Signals(stop.signum).name
        console.note(f"stopped by {name}: {progress.conclusion()}; part of the images gives no scores")
        raise _StoppedError(128 + stop.signum) from stop
    console.note(f"{progress.conclusion()}, {predictor.bundle.engine.choice.title}")
    return found


def _open_bundle(path: Path, options: EvaluateOptions) -> "Bundle":
    """The bundle, with a stream for each CPU."""
    from litevision.runtime import Bundle
    from litevision.runtime.cpus import available_cpus

    return Bundle.open(path, engine=options.engine, device=options.device, threads=1, streams=available_cpus())


@dataclass(frozen=True)
class _AtSize:
    """What a model scores with inputs of one size, and what it then costs: MACs an image, and the calls to time."""

    bundle: "Bundle"
    score: float
    macs: int

    @classmethod
    def of(cls, bundle: "Bundle", scores: Any, main: "MainScore") -> "_AtSize":
        from litevision.cost.info import info

        score = main.of(scores) or 0.0
        return cls(bundle, score, info(bundle.path).macs)

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.bundle.metadata.preprocess.size_hw


def _compare_sizes(rows: Sequence[_AtSize], main: "MainScore") -> list[dict[str, Any]]:
    """Each size with its score, what it gains over the model's own, which comes first, and its cost."""
    import statistics

    from litevision.runtime.engines.timing import interleaved, sample_images

    calls = [partial(row.bundle.run, sample_images(row.bundle.metadata.preprocess)[:1]) for row in rows]
    times = [1000 * statistics.median(seconds) for seconds in interleaved(calls, _SECONDS)]
    return [
        {
            "size": list(row.size_hw),
            main.key: row.score,
            "gain": row.score - rows[0].score,
            "macs": row.macs,
            "ms": ms,
        }
        for row, ms in zip(rows, times, strict=True)
    ]


def _print_sizes(found: Sequence[Mapping[str, Any]], main: "MainScore") -> None:
    from litevision.cli.tables import print_table

    own = found[0]
    percent = main.name.endswith("%")
    digits = 2 if percent else 4
    rows = [
        (
            "x".join(map(str, row["size"])),
            f"{row[main.key]:.{digits}f}",
            "" if row is own else f"{row['gain']:+.{digits}f}",
            f"{row['macs'] / 1e6:,.0f} M",
            "" if row is own else f"{row['macs'] / own['macs']:.2f}x",
            f"{row['ms']:.1f}",
            "" if row is own else f"{row['ms'] / own['ms']:.2f}x",
        )
        for row in found
    ]
    titles = (main.name, "gain", "MACs", "", "ms, 1 thread", " ")
    print()
    print_table({"input": "left", **dict.fromkeys(titles, "right")}, rows)


def _document(bundle: "Bundle", data: Any, evaluation: Any, scores: Any) -> dict[str, Any]:
    return {
        "bundle": {
            "path": str(bundle.path),
            "sha256": bundle.sha256,
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
