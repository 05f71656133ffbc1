"""The shared driver of `classify` and `detect`: find images, open the model, run it, write results, exit code."""

import io
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from litevision import console
from litevision.cli.fields import PredictOptions
from litevision.cli.signals import Interrupted, Signals, leave, silence_stdout
from litevision.errors import LitevisionError, UsageError
from litevision.tables import display_width, escape, pluralise

if TYPE_CHECKING:
    from litevision.cli.inputs import Entry, ImageInput, Inputs
    from litevision.cli.progress import ImageProgress
    from litevision.cli.tables import OutputFormat, Writer
    from litevision.image import PassedOver
    from litevision.runtime import Bundle
    from litevision.runtime.pipeline import Work
    from litevision.runtime.results import PreprocessedImage, Result
    from litevision.runtime.video import Preprocessor

    Batches = Generator[list[Result[Any]]]

_MAX_LABEL_WIDTH = 30
_FEW_LABELS = 12


Options = TypeVar("Options", bound=PredictOptions)


class Job(NamedTuple):
    """A model at work.

    Attributes:
        bundle: the model.
        work: turns images into results.
        preprocess: makes the model's input of a frame of a video or an animation.
        on_source: told of each image when it is read, in their order.
    """

    bundle: "Bundle"
    work: "Work[Any]"
    preprocess: "Preprocessor"
    on_source: "Callable[[str | PreprocessedImage[Any]], object] | None" = None


class Predict(ABC, Generic[Options]):
    """A command over many images.

    Attributes:
        verb: its name.
        default_model: used where ``--model`` is not given, and ``published_model``, a weight set, cannot be had.
        options: its options.
    """

    verb: ClassVar[str]
    default_model: ClassVar[str]
    published_model: ClassVar[str | None] = None

    def __init__(self, options: Options) -> None:
        self.options = options

    @cached_property
    def model(self) -> str:
        """The model's name or path; without ``--model`` the published one, where it is to be had."""
        if self.options.model is None and self.published_model is not None:
            from litevision.exporting.cached import published_or

            return published_or(self.published_model, self.default_model)
        return self.options.model or self.default_model

    @abstractmethod
    def output_format(self) -> "OutputFormat":
        """How its results are written."""

    @abstractmethod
    def job(self, bundle: "Bundle") -> Job:
        """The model at work.

        Raises:
            BundleError: a bundle of another task.
        """

    def prepare(self, entries: "Sequence[Entry]", *, is_complete: bool) -> None:
        """Look at what the arguments stand for, before the model is opened; ``is_complete`` where that is all.

        Raises:
            UsageError: outputs that would destroy one of them.
        """

    def takes_stdout(self) -> bool:
        """Whether an output of its own goes to standard output, in place of the table."""
        return False

    def remarks(self) -> "Iterable[str]":
        """What there is to say at the end, of all results."""
        return ()

    def targets(self) -> Sequence[str]:
        """The files and folders that it writes."""
        return [self.options.csv] if self.options.csv not in (None, "-") else []

    def writers(self, stack: ExitStack) -> "list[Writer]":
        """Writers of its own, besides those of every command; what they open is closed by ``stack``."""
        return []


def predict(command: Predict[Any]) -> int:
    """Run a command over images and give the exit code.

    Raises:
        LitevisionError: nothing can be computed, or the only image cannot be read.
    """
    if sys.stdout is None and _rows_shown(command):
        raise UsageError("standard output is closed. Give --csv a file.")
    with Signals() as signals:
        try:
            return _run(command, signals)
        except Interrupted as stop:
            console.note(f"stopped by {_name(stop)} before the first result")
            return leave(128 + stop.signum)
        except (LitevisionError, BrokenPipeError):
            raise
        except OSError as error:  # of a full disk, for example
            silence_stdout()
            raise UsageError(f"the results cannot be written ({error.strerror}). Write them somewhere else.") from error


def _run(command: Predict[Any], signals: Signals) -> int:
    from litevision.cli.inputs import find_inputs
    from litevision.cli.progress import ImageProgress
    from litevision.runtime.results import PreprocessedImage

    options = command.options
    inputs = find_inputs(options)
    # A wrong path should not cost the download of a model.
    wrong = inputs.total is not None and all(isinstance(entry, PreprocessedImage) for entry in inputs.entries)
    command.prepare(inputs.entries, is_complete=inputs.is_complete)
    job = None if wrong else command.job(_open(command, inputs))

    progress = ImageProgress(inputs.total, sys.stdout if _rows_shown(command) else None, command.verb)
    with ExitStack() as stack:
        writers = [*_writers(command, inputs, job, stack), progress]
        batches = stack.enter_context(closing(_batches(options, inputs, job)))
        # A table of one image that cannot be read is its error alone; documents have a place for it.
        is_alone = inputs.total == 1 and not inputs.passed_over
        is_alone &= not (options.json or options.jsonl or options.csv is not None)
        ended = _write(batches, writers, progress, signals, is_alone=is_alone)
        if isinstance(ended, BrokenPipeError):
            silence_stdout()
        for writer in writers:
            writer.finish()
    if isinstance(ended, BrokenPipeError):
        return 1
    _conclude(command, inputs.passed_over, progress, job, ended)
    if isinstance(ended, Interrupted):
        return leave(128 + ended.signum)
    if ended:
        raise ended
    return int(progress.errors > 0)


def _rows_shown(command: Predict[Any]) -> bool:
    """Whether the results go to standard output."""
    options = command.options
    return command.takes_stdout() or options.json or options.jsonl or options.csv in (None, "-")


def _table_shown(command: Predict[Any]) -> bool:
    options = command.options
    return not (options.json or options.jsonl or options.csv is not None or command.takes_stdout())


def _open(command: Predict[Any], inputs: "Inputs") -> "Bundle":
    from litevision.hub import find_bundle
    from litevision.runtime.bundle import Bundle, kind_of
    from litevision.runtime.engines import AUTO, engine_choice, engines_for

    options, workers = command.options, inputs.workers
    engine, precision, device = options.engine, options.precision, options.device
    (threads, streams), only_cpu = (1, workers) if workers else (None, 1), precision != "bf16" and device == "cpu"
    able = engines_for(kind_of(command.model))
    if engine == AUTO and only_cpu and (not workers or len(able) == 1):
        engine = able[0]  # the quickest to start
    if engine != AUTO:
        engine_choice(engine, precision, device=device)  # refuses unknown names before anything is downloaded
    path = find_bundle(command.model)
    if engine == AUTO:
        from litevision.runtime.engines.auto import choose

        decision = choose(
            path,
            inputs.batch_size(options.batch),
            precision=precision,
            threads=threads,
            streams=streams,
            device=device,
            images=inputs.total,
            sample=[entry for entry in inputs.entries if isinstance(entry, str)],
        )
        console.note(f"engine auto: {decision.reason}")
        engine, precision, device = decision.choice.name, decision.choice.precision, decision.choice.device
    bundle = Bundle.open(path, engine=engine, precision=precision, threads=threads, streams=streams, device=device)
    console.debug(f"opened {path} in {bundle.engine.choice.title}, {streams} at once, {threads or 'all'} threads each")
    if options.model is None:
        about, came = bundle.metadata, command.model == command.default_model
        named = f": {', '.join(about.labels)}" if len(about.labels) <= _FEW_LABELS else ""
        what = f"{about.architecture.name}, {pluralise(len(about.labels), 'class')}{named}"
        origin = "it comes with litevision" if came else f"published by {about.weights.provenance}"
        console.note(f"model: {command.model} ({what}; {origin}); --model takes others")
    return bundle


def _batches(options: PredictOptions, inputs: "Inputs", job: Job | None) -> "Batches":
    """The results, as they come."""
    if job is None:
        return _wrong(inputs.entries)
    from litevision.cli.inputs import images

    sources = images(chain(inputs.entries, inputs.rest), job.preprocess)
    if job.on_source is not None:
        sources = _told(sources, job.on_source)
    if inputs.workers:
        from litevision.runtime.pipeline import stream_batches

        batch_size = inputs.batch_size(options.batch)
        batches = stream_batches(job.work, sources, workers=inputs.workers, batch_size=batch_size)
    else:
        batches = (job.work([image]) for image in sources if image is not None)
    return _up_to_a_fault(batches) if options.strict else batches


def _told(
    sources: "Iterator[ImageInput]", on_source: "Callable[[str | PreprocessedImage[Any]], object]"
) -> "Iterator[ImageInput]":
    for source in sources:
        if source is not None:
            on_source(source)
        yield source


def _wrong(entries: "list[Entry]") -> "Batches":
    from litevision.runtime.results import PreprocessedImage, Result

    wrong = [entry for entry in entries if isinstance(entry, PreprocessedImage)]
    yield [Result(entry, entry.outcome, entry.ms) for entry in wrong]


def _up_to_a_fault(batches: "Batches") -> "Batches":
    """The results up to the first image that could not be read, and that one."""
    with closing(batches):
        for results in batches:
            bad = next((index for index, result in enumerate(results) if result.error is not None), None)
            if bad is not None:
                yield results[: bad + 1]
                return
            yield results


def _writers(command: Predict[Any], inputs: "Inputs", job: Job | None, stack: ExitStack) -> "list[Writer]":
    from litevision.cli import tables
    from litevision.runtime.results import made_by

    options, form = command.options, command.output_format()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to stop
        encoding = "utf-8" if options.csv == "-" else None
        sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")
    writers = command.writers(stack)
    if options.csv is not None:
        writers.append(tables.CsvWriter(stack.enter_context(tables.output_stream(options.csv)), form))
    if options.json:
        writers.append(
            tables.JsonWriter(sys.stdout, form, command.model, made_by(job.bundle if job else None), inputs.passed_over)
        )
    elif options.jsonl:
        facts = {"model": command.model, **made_by(job.bundle if job else None)}
        writers.append(tables.JsonLinesWriter(sys.stdout, form, facts))
    elif _table_shown(command):
        # Where a list is still growing, nobody knows how wide its paths will be.
        paths = [entry for entry in inputs.entries if isinstance(entry, str)] if inputs.is_listed else []
        labels = job.bundle.metadata.labels if job else ()
        width, label_width = (max((display_width(escape(it)) for it in names), default=0) for names in (paths, labels))
        widths = {"path": width, "label": min(_MAX_LABEL_WIDTH, label_width)}
        writers.append(tables.TableWriter(sys.stdout, form, widths if inputs.workers else None))
    return writers


def _write(
    batches: "Batches",
    writers: "Sequence[Writer]",
    progress: "ImageProgress",
    signals: Signals,
    *,
    is_alone: bool,
) -> Interrupted | BrokenPipeError | LitevisionError | None:
    """Write all results, and give what ended that early, unless it was before the first one; then hold signals."""
    ended: Interrupted | BrokenPipeError | LitevisionError | None = None
    try:
        for results in batches:
            if is_alone and results[0].error:
                raise results[0].error
            with signals.held():
                for writer in writers:
                    writer.write(results)
        signals.hold()
    except (Interrupted, BrokenPipeError, LitevisionError) as error:
        signals.hold()
        if progress.done == 0:
            raise
        ended = error
    return ended


def _conclude(
    command: Predict[Any],
    passed_over: "PassedOver",
    progress: "ImageProgress",
    job: Job | None,
    ended: BaseException | None,
) -> None:
    stopped = f"stopped by {_name(ended)}: " if isinstance(ended, Interrupted) else ""
    engine = f", {job.bundle.engine.choice.title}" if job else ""
    passed = f", {passed_over}" if passed_over else ""
    if progress.done != 1 or stopped or passed:
        console.note(f"{stopped}{progress.conclusion()}{engine}{passed}{_hint(command.options, passed_over)}")
    for remark in command.remarks() if progress.done != 1 or not _table_shown(command) else ():
        console.note(remark)
    for target in command.targets():
        rest = ", as far as it came" if ended else ""
        console.note(f"wrote {target}: {pluralise(progress.done - progress.errors)}{rest}")


def _hint(options: PredictOptions, passed_over: "PassedOver") -> str:
    """The options that take what was passed over."""
    from litevision.image import VIDEO_SUFFIXES

    is_video = any(passed_over.counts[suffix] for suffix in VIDEO_SUFFIXES)
    wanted = ["--recursive"] * (passed_over.folders > 0 and not options.recursive) + ["--videos"] * is_video
    return f"; {' and '.join(wanted)} would take more" if wanted else ""


def _name(stop: Interrupted) -> str:
    return signal.Signals(stop.signum).name
