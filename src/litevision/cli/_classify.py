"""What ``litevision classify`` does, once its command line is read."""

import io
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from litevision.cli._signals import Interrupted, Signals
from litevision.cli._stdout import silence_stdout
from litevision.errors import LitevisionError, UsageError

if TYPE_CHECKING:
    from litevision.cli._inputs import Entry
    from litevision.cli._report import Report
    from litevision.cli._results import Writer
    from litevision.runtime import Classifier
    from litevision.runtime.answers import Answer

    Chunks = Generator[list[Answer]]

_FEW = 4  # fewer pictures are answered one by one, each with all threads: workers would not have started by then
_MAX_LABEL_WIDTH = 30


@dataclass(frozen=True)
class Options:
    """The command's options by their names; ``min`` is the least value. `litevision.cli.classify` explains them."""

    inputs: tuple[str, ...]
    model: str = "clothing"
    top: int = field(default=5, metadata={"min": 1})
    recursive: bool = False
    frames: bool = False
    every: float = 1.0
    json: bool = False
    jsonl: bool = False
    csv: str | None = None
    strict: bool = False
    engine: str = "auto"
    precision: str | None = None
    workers: int | None = field(default=None, metadata={"min": 1})
    batch: int | None = field(default=None, metadata={"min": 1})


def run(options: Options) -> int:
    """Names what the pictures show; gives the exit code.

    Raises:
        LitevisionError: nothing can be answered, or the only picture cannot be read.
    """
    if options.json + options.jsonl + (options.csv == "-") > 1:
        raise UsageError("--json, --jsonl and --csv - each need standard output for themselves. Give one of them.")
    if sys.stdout is None and _rows_shown(options):
        raise UsageError("standard output is closed. Give --csv a file.")
    with Signals() as signals:
        try:
            return _classify(options, signals)
        except Interrupted as stop:
            print(f"stopped by {_name(stop)} before the first answer", file=sys.stderr)
            return 128 + stop.signum
        except (LitevisionError, BrokenPipeError):
            raise
        except OSError as error:  # of a full disk, for example
            silence_stdout()
            raise UsageError(f"the answers cannot be written ({error.strerror}). Write them somewhere else.") from error


def _classify(options: Options, signals: Signals) -> int:
    from litevision.cli._inputs import Finder
    from litevision.cli._report import Report
    from litevision.runtime.answers import Prepared
    from litevision.runtime.cpus import available_cpus

    finder = Finder(options.recursive, options.frames, options.every)
    entries = [entry for argument in options.inputs for entry in finder.find(argument)]
    total = None if any(map(callable, entries)) else len(entries)
    workers = 0 if total is not None and total < _FEW else options.workers or available_cpus()
    # A wrong path should not cost the download of a model.
    wrong = all(isinstance(entry, Prepared) for entry in entries)
    classifier = None if wrong else _open(options, entries, total, workers)

    report = Report(total, sys.stdout if _rows_shown(options) else None)
    with ExitStack() as stack:
        writers = [*_writers(options, entries, total, workers, classifier, stack), report]
        chunks = stack.enter_context(closing(_chunks(options, entries, total, workers, classifier)))
        ended = _write(chunks, writers, report, signals)
        if isinstance(ended, BrokenPipeError):
            silence_stdout()
        for writer in writers:
            writer.finish()
    if isinstance(ended, BrokenPipeError):
        return 1
    _conclude(options, report, classifier, ended)
    if isinstance(ended, Interrupted):
        return 128 + ended.signum
    if ended:
        raise ended
    return int(report.errors > 0)


def _rows_shown(options: Options) -> bool:
    """Whether the answers go to standard output."""
    return options.json or options.jsonl or options.csv in (None, "-")


def _open(options: Options, entries: "list[Entry]", total: int | None, workers: int) -> "Classifier":
    from litevision.cli._bundle import bundle_path
    from litevision.runtime import load
    from litevision.runtime.engines import AUTO, engine_choice, installed_engines

    engine, precision = options.engine, options.precision
    threads, streams = (1, workers) if workers else (None, 1)
    if engine == AUTO and precision != "bf16" and (not workers or len(installed_engines()) == 1):
        engine = "onnxruntime"  # always there, and the quickest to start
    if engine != AUTO:
        engine_choice(engine, precision)  # refuses unknown names before anything is downloaded
    path = bundle_path(options.model)
    if engine == AUTO:
        from litevision.runtime.engines.auto import choose

        photos = [entry for entry in entries if isinstance(entry, str)]
        decision = choose(
            path,
            _batch_size(options, total, workers),
            precision=precision,
            threads=threads,
            streams=streams,
            pictures=total,
            sample=photos,
        )
        print(f"engine auto: {decision.reason}", file=sys.stderr)
        engine, precision = decision.choice.name, decision.choice.precision
    return load(path, engine=engine, precision=precision, threads=threads, streams=streams)


def _chunks(
    options: Options, entries: "list[Entry]", total: int | None, workers: int, classifier: "Classifier | None"
) -> "Chunks":
    if classifier is None:
        return _wrong(entries)
    if not workers:
        chunks = _one_by_one(options, entries, classifier)
    else:
        from litevision.cli._inputs import pictures
        from litevision.runtime.pipeline import classify_chunks

        sources, chunk = pictures(entries, classifier.preprocess), _batch_size(options, total, workers)
        chunks = classify_chunks(classifier, sources, workers=workers, top=options.top, chunk=chunk)
    return _up_to_a_fault(chunks) if options.strict else chunks


def _batch_size(options: Options, total: int | None, workers: int) -> int:
    from litevision.runtime.pipeline import CHUNK

    if options.batch or not workers:
        return options.batch or 1
    # Small enough that every worker has its share of a few dozen pictures.
    return CHUNK if total is None else max(1, min(CHUNK, total // (2 * workers)))


def _wrong(entries: "list[Entry]") -> "Chunks":
    from litevision.runtime.answers import Answer, Prepared

    yield [Answer(entry, (), entry.error, entry.ms) for entry in entries if isinstance(entry, Prepared)]


def _one_by_one(options: Options, entries: "list[Entry]", classifier: "Classifier") -> "Chunks":
    from litevision.cli._inputs import pictures
    from litevision.runtime.answers import answer

    for picture in pictures(entries, classifier.preprocess):
        if picture is not None:
            yield answer(classifier, [picture], options.top)


def _up_to_a_fault(chunks: "Chunks") -> "Chunks":
    """The answers up to the first picture that could not be read, and that one."""
    with closing(chunks):
        for answers in chunks:
            bad = next((index for index, answer in enumerate(answers) if answer.error is not None), None)
            if bad is not None:
                yield answers[: bad + 1]
                return
            yield answers


def _writers(
    options: Options,
    entries: "list[Entry]",
    total: int | None,
    workers: int,
    classifier: "Classifier | None",
    stack: ExitStack,
) -> "list[Writer]":
    from litevision.cli import _results as results

    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to stop
        sys.stdout.reconfigure(errors="surrogateescape" if options.csv == "-" else "backslashreplace")
    writers: list[Writer] = []
    if options.csv is not None:
        writers.append(results.CsvRows(stack.enter_context(results.csv_stream(options.csv))))
    if options.json:
        writers.append(results.JsonDocument(sys.stdout, options.model))
    elif options.jsonl:
        writers.append(results.JsonLines(sys.stdout))
    elif options.csv is None:
        # Where a list is still growing, nobody knows how wide its paths will be.
        paths = [len(results.printable(entry)) for entry in entries if isinstance(entry, str)] if total else []
        labels = [len(results.printable(label)) for label in classifier.labels] if classifier else []
        widths = max([4, *paths]), min(_MAX_LABEL_WIDTH, max([5, *labels]))
        writers.append(results.Table(sys.stdout, widths if workers else None))
    return writers


def _write(
    chunks: "Chunks", writers: "Sequence[Writer]", report: "Report", signals: Signals
) -> Interrupted | BrokenPipeError | LitevisionError | None:
    """Writes all answers, and gives what ended that early, unless it was before the first one; then holds signals."""
    ended: Interrupted | BrokenPipeError | LitevisionError | None = None
    try:
        for answers in chunks:
            if report.total == 1 and answers[0].error:
                raise answers[0].error
            with signals.held():
                for writer in writers:
                    writer.write(answers)
        signals.hold()
    except (Interrupted, BrokenPipeError, LitevisionError) as error:
        signals.hold()
        if report.done == 0:
            raise
        ended = error
    return ended


def _conclude(options: Options, report: "Report", classifier: "Classifier | None", ended: BaseException | None) -> None:
    from litevision.cli._report import counted

    stopped = f"stopped by {_name(ended)}: " if isinstance(ended, Interrupted) else ""
    engine = f", {classifier.bundle.engine.choice.title}" if classifier else ""
    if report.done != 1 or stopped:
        print(f"{stopped}{report.conclusion()}{engine}", file=sys.stderr)
    if options.csv not in (None, "-"):
        rest = ", as far as it came" if ended else ""
        print(f"wrote {options.csv}: {counted(report.done - report.errors)}{rest}", file=sys.stderr)


def _name(stop: Interrupted) -> str:
    return signal.Signals(stop.signum).name
