"""litevision bench: engines side by side on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litevision.errors import UsageError

if TYPE_CHECKING:
    from litevision.runtime.benchmark import Benchmark, Row
    from litevision.runtime.machine import Machine


def bench(
    model: Annotated[str, typer.Argument(metavar="BUNDLE|NAME", help="The path of a bundle (.onnx), or a model.")],
    batch: Annotated[str, typer.Option(metavar="N,N", help="Images in a batch.")] = "1,8,32",
    threads: Annotated[
        str | None, typer.Option(metavar="N,N", help="Threads that compute a batch; by default all there are.")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="Batches at once, each with its own threads.")] = 1,
    engine: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="onnxruntime, openvino; by default what is installed.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="fp32, bf16; by default what this processor has.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Measured time for each row.")] = 1.0,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows and the machine there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure a model in every engine, precision and batch size, side by side on this machine.

    The engines take turns and warming up is not counted. Times are milliseconds a batch: the median, what 95 of 100
    calls kept to, and the spread between the quicker and the slower quarter.
    """
    import json
    from dataclasses import asdict

    from litevision.cli._shared.bundle import bundle_path
    from litevision.cli._shared.outputs import check_writable
    from litevision.runtime.benchmark import benchmark
    from litevision.runtime.machine import Machine

    batch_sizes = _numbers("--batch", batch)
    thread_counts: list[int | None] = [*_numbers("--threads", threads)] or [None]
    if csv:
        check_writable(csv)
    machine = Machine.here()
    found = benchmark(
        bundle_path(model),
        batch_sizes=batch_sizes,
        threads=thread_counts,
        streams=streams,
        engines=_names(engine),
        precisions=_names(precision),
        seconds=seconds,
        on_row=_report,
    )
    if csv:
        _write(csv, model, machine, found)
    if as_json:
        rows = [asdict(row) for row in found.rows]
        print(json.dumps({"model": model, "machine": asdict(machine), "rows": rows, "notes": found.notes}))
    else:
        _print(machine, found)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _numbers(option: str, text: str | None) -> list[int]:
    names = _names(text)
    if not all(name.isascii() and name.isdigit() and int(name) > 0 for name in names):
        raise UsageError(f"{option} {text}: expected whole numbers from 1 up with commas between them, such as 1,8,32.")
    return [int(name) for name in names]


def _report(row: "Row") -> None:
    if sys.stderr.isatty():
        print(f"{row.title}, batch {row.batch_size}: {row.median_ms:.1f} ms", file=sys.stderr)


def _print(machine: "Machine", found: "Benchmark") -> None:
    from litevision.cli._shared.table import Align, print_table

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
    from dataclasses import asdict

    from litevision.cli._shared.outputs import write_csv

    about: dict[str, Any] = {"model": model, **asdict(machine)}
    about |= {name: about["versions"][name] for name in ("litevision", "python")}  # the engines' are in the rows
    del about["versions"]
    rows = [{**asdict(row), **about} for row in found.rows]
    write_csv(file, list(rows[0]), [list(row.values()) for row in rows])
    print(f"wrote {file}: {len(rows)} rows", file=sys.stderr)
