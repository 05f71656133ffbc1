"""What the commands over many images share: the order of events, from the read command line to the exit code."""

import io
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from litevision.cli._images.command import Command, Job, Options
from litevision.cli._shared.signals import Interrupted, Signals
from litevision.cli._shared.stdout import silence_stdout
from litevision.errors import LitevisionError, UsageError

if TYPE_CHECKING:
    from litevision.cli._images.inputs import Entry
    from litevision.cli._images.report import Report
    from litevision.cli._images.results import Writer
    from litevision.runtime import Bundle
    from litevision.runtime.results import Result

    Chunks = Generator[list[Result[Any]]]

_FEW = 4  # fewer images are answered one by one, each with all threads: workers would not have started by then
_MAX_LABEL_WIDTH = 30


def run(command: Command[Any]) -> int:
    """Answers the images; gives the exit code.

    Raises:
        LitevisionError: nothing can be answered, or the only image cannot be read.
    """
    options = command.options
    if options.json + options.jsonl + (options.csv == "-") > 1:
        raise UsageError("--json, --jsonl and --csv - each need standard output for themselves. Give one of them.")
    if sys.stdout is None and _rows_shown(options):
        raise UsageError("standard output is closed. Give --csv a file.")
    with Signals() as signals:
        try:
            return _answer(command, signals)
        except Interrupted as stop:
            print(f"stopped by {_name(stop)} before the first answer", file=sys.stderr)
            return 128 + stop.signum
        except (LitevisionError, BrokenPipeError):
            raise
        except OSError as error:  # of a full disk, for example
            silence_stdout()
            raise UsageError(f"the answers cannot be written ({error.strerror}). Write them somewhere else.") from error


def _answer(command: Command[Any], signals: Signals) -> int:
    from litevision.cli._images.inputs import Finder
    from litevision.cli._images.report import Report
    from litevision.runtime.cpus import available_cpus
    from litevision.runtime.results import PreprocessedImage

    options = command.options
    finder = Finder(options.recursive, options.frames, options.every)
    entries = [entry for argument in options.inputs for entry in finder.find(argument)]
    total = None if any(map(callable, entries)) else len(entries)
    workers = 0 if total is not None and total < _FEW else options.workers or available_cpus()
    # A wrong path should not cost the download of a model.
    wrong = all(isinstance(entry, PreprocessedImage) for entry in entries)
    job = None if wrong else command.job(_open(options, entries, total, workers))

    report = Report(total, sys.stdout if _rows_shown(options) else None, command.verb)
    with ExitStack() as stack:
        writers = [*_writers(command, entries, total, workers, job, stack), report]
        chunks = stack.enter_context(closing(_chunks(options, entries, total, workers, job)))
        ended = _write(chunks, writers, report, signals)
        if isinstance(ended, BrokenPipeError):
            silence_stdout()
        for writer in writers:
            writer.finish()
    if isinstance(ended, BrokenPipeError):
        return 1
    _conclude(command, report, job, ended)
    if isinstance(ended, Interrupted):
        return 128 + ended.signum
    if ended:
        raise ended
    return int(report.errors > 0)


def _rows_shown(options: Options) -> bool:
    """Whether the answers go to standard output."""
    return options.json or options.jsonl or options.csv in (None, "-")


def _open(options: Options, entries: "list[Entry]", total: int | None, workers: int) -> "Bundle":
    from litevision.cli._shared.bundle import bundle_path
    from litevision.runtime import Bundle
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

        images = [entry for entry in entries if isinstance(entry, str)]
        decision = choose(
            path,
            _batch_size(options, total, workers),
            precision=precision,
            threads=threads,
            streams=streams,
            images=total,
            sample=images,
        )
        print(f"engine auto: {decision.reason}", file=sys.stderr)
        engine, precision = decision.choice.name, decision.choice.precision
    return Bundle.open(path, engine=engine, precision=precision, threads=threads, streams=streams)


def _chunks(options: Options, entries: "list[Entry]", total: int | None, workers: int, job: Job | None) -> "Chunks":
    if job is None:
        return _wrong(entries)
    if not workers:
        chunks = _one_by_one(entries, job)
    else:
        from litevision.cli._images.inputs import images
        from litevision.runtime.pipeline import answer_chunks

        sources, chunk = images(entries, job.preparer), _batch_size(options, total, workers)
        chunks = answer_chunks(job.work, sources, workers=workers, chunk=chunk)
    return _up_to_a_fault(chunks) if options.strict else chunks


def _batch_size(options: Options, total: int | None, workers: int) -> int:
    from litevision.runtime.pipeline import BATCH_SIZE

    if options.batch or not workers:
        return options.batch or 1
    # Small enough that every worker has its share of a few dozen images.
    return BATCH_SIZE if total is None else max(1, min(BATCH_SIZE, total // (2 * workers)))


def _wrong(entries: "list[Entry]") -> "Chunks":
    from litevision.runtime.results import PreprocessedImage, Result

    yield [Result(entry, (), entry.error, entry.ms) for entry in entries if isinstance(entry, PreprocessedImage)]


def _one_by_one(entries: "list[Entry]", job: Job) -> "Chunks":
    from litevision.cli._images.inputs import images

    for image in images(entries, job.preparer):
        if image is not None:
            yield job.work([image])


def _up_to_a_fault(chunks: "Chunks") -> "Chunks":
    """The answers up to the first image that could not be read, and that one."""
    with closing(chunks):
        for answers in chunks:
            bad = next((index for index, answer in enumerate(answers) if answer.error is not None), None)
            if bad is not None:
                yield answers[: bad + 1]
                return
            yield answers


def _writers(
    command: Command[Any], entries: "list[Entry]", total: int | None, workers: int, job: Job | None, stack: ExitStack
) -> "list[Writer]":
    from litevision.cli._images import results

    options, form = command.options, command.form()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to stop
        sys.stdout.reconfigure(errors="surrogateescape" if options.csv == "-" else "backslashreplace")
    writers = command.writers(stack)
    if options.csv is not None:
        writers.append(results.CsvRows(stack.enter_context(results.output_stream(options.csv)), form))
    if options.json:
        writers.append(results.JsonDocument(sys.stdout, form, options.model))
    elif options.jsonl:
        writers.append(results.JsonLines(sys.stdout, form))
    elif options.csv is None:
        # Where a list is still growing, nobody knows how wide its paths will be.
        paths = [len(results.printable(entry)) for entry in entries if isinstance(entry, str)] if total else []
        labels = [len(results.printable(label)) for label in job.bundle.metadata.labels] if job else []
        widths = {"path": max([0, *paths]), "label": min(_MAX_LABEL_WIDTH, max([0, *labels]))}
        writers.append(results.Table(sys.stdout, form, widths if workers else None))
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


def _conclude(command: Command[Any], report: "Report", job: Job | None, ended: BaseException | None) -> None:
    from litevision.cli._images.report import counted

    stopped = f"stopped by {_name(ended)}: " if isinstance(ended, Interrupted) else ""
    engine = f", {job.bundle.engine.choice.title}" if job else ""
    if report.done != 1 or stopped:
        print(f"{stopped}{report.conclusion()}{engine}", file=sys.stderr)
    for target in command.targets():
        rest = ", as far as it came" if ended else ""
        print(f"wrote {target}: {counted(report.done - report.errors)}{rest}", file=sys.stderr)


def _name(stop: Interrupted) -> str:
    return signal.Signals(stop.signum).name
