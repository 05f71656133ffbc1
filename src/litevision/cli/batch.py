"""litevision batch: classify images or find objects in them, however many there are, into parts in a folder."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from litevision import console
from litevision.cli.fields import BUNDLE_HELP, device_option, engine_names_with_auto, precision_names
from litevision.cli.parser import argument, flag, option
from litevision.errors import LitevisionError, UsageError
from litevision.tables import pluralise

if TYPE_CHECKING:
    from litevision.cli.progress import ImageProgress
    from litevision.cli.signals import Signals
    from litevision.image import PassedOver
    from litevision.jobs.cluster import Cluster
    from litevision.jobs.job import Job, Summary
    from litevision.jobs.manifest import Manifest

SOME_BAD = 3
"""The exit code where some images could not be read."""

_SHOWN_ERRORS = 10
_ERRORS = ("column", "stop")
_OF_A_MODEL = ("top", "score", "tiles")


def _formats() -> Sequence[str]:
    from litevision.jobs.parts import FORMATS

    return tuple(FORMATS)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class BatchOptions:
    """Classify images or find objects in them, however many there are, into parts in a folder.

    The same command goes on where it was stopped: parts that are there are not computed again. Several machines share
    the work by --shard 1/4 to --shard 4/4, into one folder or into one each; or a Ray cluster does it, by --ray.

    The exit code is 0 where all is well, 3 where some images could not be read, and 1 where the job could not be done
    or no image could be read.
    """

    examples: ClassVar = (
        "litevision batch shots/ --recursive --model clothing -o answers/",
        "litevision batch shards/{000..146}.tar --model clothing -o answers/",
        "litevision batch s3://bucket/shots/ --model clothing -o answers/",
        "litevision batch @list.txt --model runs/first -o answers/ --shard 3/16",
        "litevision batch @list.txt --model runs/first -o answers/ --ray",
    )
    inputs: tuple[str, ...] = argument(
        metavar="IMAGE|FOLDER|TAR|@LIST",
        help="Images, folders of images, tar archives, columns of tables (table.parquet::image), each on the disk or "
        "behind an address (s3://bucket/folder), quoted patterns such as 'shots/**/*.jpg', @list.txt for the paths in "
        "a file, or - for paths on standard input, one a line.",
    )
    model: str = option(metavar="BUNDLE|RUN|NAME", help=BUNDLE_HELP)
    output: str = option(
        short="-o", metavar="FOLDER", help="Folder for the parts: a new one, or that of the same job.", writes="folder"
    )
    format: str | None = option(
        None,
        choices=_formats,
        help="Form of the parts; unless given, parquet where pyarrow is installed, else jsonl.",
    )
    shard: str = option("1/1", metavar="I/N", help="Compute every N-th part, from the I-th on; I is 1 to N.")
    rows: int = option(1000, min=1, help="Images a part. What a stop costs is the parts under way.")
    errors: str = option(
        "column",
        choices=_ERRORS,
        help="What becomes of an image that cannot be read: its row says why, or the job stops there.",
    )
    recursive: bool = flag(help="Also look into folders in folders.")
    top: int | None = option(None, min=1, help="Of a classifier: how many classes a row names; 5 unless given.")
    score: float | None = option(
        None, min=0, max=1, help="Of a detector: least score of a box; the bundle's own, or else 0.3, unless given."
    )
    tiles: int | None = option(None, min=1, max=8, help="Of a detector: also search overlapping tiles, as in detect.")
    ms: bool = flag(help="Add a column with the milliseconds of each image, which differ from run to run.")
    json: bool = flag(help="Print the summary as one JSON document.", writes="stdout")
    engine: str = option(
        "auto",
        choices=engine_names_with_auto,
        help="Engine that computes the network; auto for the faster one, which all shards then use.",
    )
    precision: str | None = option(
        None, choices=precision_names, help="Precision; fp32 unless --engine auto finds another one faster."
    )
    device: str = device_option()
    workers: int | None = option(None, min=1, help="Images processed at once; all CPUs unless given.")
    batch: int | None = option(None, min=1, help="Batch size; 4 unless given, and 1 with tiles.")
    ray: str | None = option(
        None,
        bare="",
        metavar="[HOST:PORT]",
        help="Compute on the Ray cluster at an address; without one, on that of RAY_ADDRESS or of this machine, or on "
        "one that is started here for the job (local: in any case). --workers counts its processes.",
    )
    ray_cpus: float = option(1.0, min=0.01, help="CPUs of the cluster that each worker takes, such as 0.5.")


def run(options: BatchOptions) -> int:
    """Compute what is missing of a job."""
    from litevision.cli.signals import Interrupted, Signals, leave

    try:
        with Signals() as signals:
            return _run(options, signals)
    except Interrupted as stop:
        console.note(f"stopped: the parts in {options.output} are whole; the same command goes on behind them")
        return leave(128 + stop.signum)
    except LitevisionError:
        raise
    except OSError as error:  # of a full disk, for example
        name = error.filename or options.output
        raise UsageError(f"{name}: {error.strerror or error}. Make room, and give the same command again.") from error


def _run(options: BatchOptions, signals: "Signals") -> int:
    from litevision.cli.progress import ImageProgress
    from litevision.jobs.job import Job, Shard
    from litevision.jobs.listing import Listing
    from litevision.jobs.plan import Plan
    from litevision.runtime.cpus import available_cpus
    from litevision.runtime.pipeline import stream_batches

    shard = Shard.parse(options.shard)
    if options.errors not in _ERRORS:
        raise UsageError(f"--errors {options.errors}: expected {' or '.join(_ERRORS)}.")
    listing = Listing(options.inputs, options.recursive)
    given = {name: value for name in _OF_A_MODEL if (value := getattr(options, name)) is not None}
    workers = options.workers or available_cpus()
    plan = Plan(
        options.model,
        listing,
        options.format,
        options.rows,
        workers,
        given,
        options.engine,
        options.precision,
        options.device,
        options.batch,
        options.ms,
    )
    plan.check()
    folder = Path(options.output)
    with _cluster(options) as cluster:
        manifest, predictor = plan.begin(folder, console.note)
        job = Job(folder, manifest.format, options.rows, shard, predictor.row_types, options.ms)
        if cluster:
            engine = replace(manifest.engine, version=predictor.bundle.engine.version)
            compute = partial(cluster.compute, predictor.bundle.path, engine, given, manifest.batch)
        else:
            size = manifest.batch
            work = predictor.inference(**given).run
            compute = partial(stream_batches, work, workers=workers, batch_size=size, first_batch_size=size)
        progress = ImageProgress(None, None, "batch", shown_errors=_SHOWN_ERRORS)
        if listing.can_be_read_twice:
            threading.Thread(target=_count, args=(options, job, progress), daemon=True).start()
        try:
            with closing(job.run(compute, listing)) as batches:
                for results in batches:
                    bad = next((it.error for it in results if it.error), None)
                    if bad is not None and options.errors == "stop":
                        raise bad
                    progress.write(results)
            signals.hold()
        finally:
            progress.finish()
    _conclude(options, job.summary, listing.passed_over, progress, manifest)
    return _exit_code(job.summary)


@contextmanager
def _cluster(options: BatchOptions) -> Iterator["Cluster | None"]:
    """The Ray cluster that computes; None where this process does."""
    if options.ray is None:
        yield None
        return
    from litevision.jobs.cluster import Cluster, check_address

    if options.device != "cpu":
        raise UsageError(f"--device {options.device}: --ray computes on CPUs. Leave out one of them.")
    address = check_address(options.ray)
    with closing(Cluster(address, options.workers, options.ray_cpus, console.note)) as cluster:
        workers, machines = pluralise(cluster.workers, "worker"), pluralise(cluster.machines, "machine")
        console.note(f"ray: {workers} on {machines}, each with {options.ray_cpus:g} CPU")
        yield cluster


def _count(options: BatchOptions, job: "Job", progress: "ImageProgress") -> None:
    """Count the images that are still to be computed, for the time that is left."""
    from litevision.jobs.listing import Listing

    with suppress(LitevisionError, OSError):  # the job itself says so
        progress.total = job.count_missing(Listing(options.inputs, options.recursive))


def _exit_code(summary: "Summary") -> int:
    if summary.bad == 0:
        return 0
    return SOME_BAD if summary.bad < summary.images else 1


def _conclude(
    options: BatchOptions,
    summary: "Summary",
    passed_over: "PassedOver",
    progress: "ImageProgress",
    manifest: "Manifest",
) -> None:
    computed = f"{progress.conclusion()}, " if progress.done else ""
    engine = f"{manifest.engine.name} {manifest.engine.precision}"
    passed = f", {passed_over}" if passed_over else ""
    console.note(f"{computed}{engine}{passed}")
    shard = f"shard {options.shard}: " if options.shard != "1/1" else ""
    earlier = f", {summary.earlier:,} of them by earlier runs" if summary.earlier else ""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in summary.errors.most_common())
    errors = f"{summary.bad:,} could not be read ({kinds})" if summary.bad else "no errors"
    parts = pluralise(summary.parts, "part")
    console.note(f"{shard}{pluralise(summary.images)} in {parts} in {options.output}{earlier}, {errors}")
    if options.json:
        record = {
            "output": options.output,
            "shard": options.shard,
            "listed": summary.listed,
            "images": summary.images,
            "earlier": summary.earlier,
            "parts": summary.parts,
            "errors": dict(summary.errors.most_common()),
            "passed_over": passed_over.to_dict(),
            "engine": manifest.engine.name,
            "precision": manifest.engine.precision,
        }
        print(json.dumps(record))
