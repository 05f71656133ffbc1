"""litevision bench: engines side by side on this machine."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.checks import parse_names, parse_shapes, parse_size
from litevision.cli.fields import (
    MODEL_HELP,
    NetworkOptions,
    all_engine_names,
    any_model_names,
    csv_option,
    device_option,
    json_flag,
    precision_names,
    shape_option,
    size_option,
)
from litevision.cli.parser import argument, option
from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.runtime.benchmark import Benchmark, BenchmarkRow
    from litevision.runtime.machine import Machine


@dataclass(frozen=True, kw_only=True)
class BenchOptions(NetworkOptions):
    """Measure a model in every engine, precision and batch size, side by side on this machine.

    Calls of the engines are interleaved, so that background load affects all of them equally, and warming up is not
    counted. Times are milliseconds a batch: the median, the 95th percentile, and the spread between the quartiles.
    """

    examples: ClassVar = (
        "litevision bench clothing",
        "litevision bench model.onnx --batch 1,8 --threads 1,4 --csv bench.csv",
    )
    model: str = argument(metavar="NAME|FILE|RUN", choices=any_model_names, help=MODEL_HELP)
    batch: str = option("1,8,32", metavar="N,N", help="Batch sizes, with commas between them.")
    threads: str | None = option(
        None, metavar="N,N", help="Numbers of threads that compute a batch; all CPUs unless given."
    )
    streams: int = option(1, min=1, help="Batches computed at once, each with its own threads.")
    engine: str | None = option(
        None, metavar="NAME,NAME", choices=all_engine_names, help="Engines; those that are installed unless given."
    )
    precision: str | None = option(
        None,
        metavar="NAME,NAME",
        choices=precision_names,
        help="Precisions; those that this processor has unless given.",
    )
    device: str = device_option("auto")
    size: str | None = size_option("Input side in pixels, or height and width, for a file that leaves it open.")
    shape: tuple[str, ...] = shape_option()
    seconds: float = option(1.0, metavar="SECONDS", help="Seconds measured for each row.")
    csv: Path | None = csv_option("Write the rows and the machine into this file.", columns="engine,precision,")
    json: bool = json_flag()


def run(options: BenchOptions) -> int:
    """Measure, print and write."""
    import json

    from litevision.exporting.graph_file import graph_file
    from litevision.runtime.benchmark import benchmark
    from litevision.runtime.machine import Machine

    batch_sizes = _numbers("--batch", options.batch)
    thread_counts: list[int | None] = [*_numbers("--threads", options.threads)] or [None]
    machine = Machine.here()
    size_hw = parse_size(options.size) if options.size else None
    made: list[str] = []
    with graph_file(options.model, form=options.form(), size_hw=size_hw, notes=made, to_run=True) as path:
        for line in made:
            console.note(f"note: {line}")
        found = benchmark(
            path,
            batch_sizes=batch_sizes,
            threads=thread_counts,
            streams=options.streams,
            engines=parse_names(options.engine),
            precisions=parse_names(options.precision),
            device=options.device,
            seconds=options.seconds,
            size_hw=size_hw,
            shapes=parse_shapes(options.shape),
            on_row=_show,
        )
    if options.csv:
        _write(options.csv, options.model, machine, found)
    if options.json:
        rows = [asdict(row) for row in found.rows]
        print(json.dumps({"model": options.model, "machine": asdict(machine), "rows": rows, "notes": found.notes}))
    else:
        _print(machine, found)
    return 0


def _numbers(option: str, text: str | None) -> list[int]:
    names = parse_names(text)
    if not all(name.isascii() and name.isdigit() and int(name) > 0 for name in names):
        raise UsageError(f"{option} {text}: expected whole numbers from 1 up with commas between them, such as 1,8,32.")
    return [int(name) for name in names]


def _show(row: "BenchmarkRow") -> None:
    if console.shows_progress():
        print(f"{row.title}, batch {row.batch_size}: {row.median_ms:.1f} ms", file=sys.stderr)


def _print(machine: "Machine", found: "Benchmark") -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import Align

    columns: dict[str, Align] = {"engine": "left", "precision": "left"}
    columns |= dict.fromkeys(("batch", "threads", "streams", "ms", "p95", "spread", "images/s", "calls"), "right")
    print_table(
        columns,
        [
            (
                row.engine,
                row.precision,
                *map(str, (row.batch_size, row.threads, row.streams)),
                *(f"{value:.2f}" for value in (row.median_ms, row.p95_ms, row.iqr_ms)),
                f"{row.images_per_s:.0f}",
                str(row.calls),
            )
            for row in found.rows
        ],
    )
    print(f"\n{machine}")
    for note in found.notes:
        print(note)


def _write(file: Path, model: str, machine: "Machine", found: "Benchmark") -> None:
    from litevision.cli.tables import write_records

    about: dict[str, Any] = {"model": model, **asdict(machine)}
    about |= {name: about["versions"][name] for name in ("litevision", "python")}  # the engines' are in the rows
    del about["versions"]
    write_records(file, [{**asdict(row), **about} for row in found.rows])
