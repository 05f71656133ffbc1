"""litevision check-data: every issue of labelled images or boxes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litevision.data.formats import data_help

if TYPE_CHECKING:
    from litevision.data import DataReport


def check_data(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help=data_help(),
        ),
    ],
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write everything as JSON there; - prints it alone.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read headers alone: no damage in pixels, no near duplicates.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every file, not the first five of a rule.")] = False,
) -> None:
    """Find every issue of labelled images or boxes: what cannot be read, copies, odd classes, names, sizes and boxes.

    Exit code 1 says that there is an error; warnings and notes leave it 0. Nothing is changed.
    """
    import time

    from litevision.cli._shared.outputs import check_writable
    from litevision.data import check_data as check
    from litevision.runtime.cpus import available_cpus

    file = Path(json) if json and json != "-" else None
    if file:
        check_writable(file, "--json")
    start = time.monotonic()
    with _progress() as on_progress:
        report = check(data, quick=quick, workers=available_cpus(), on_progress=on_progress)
    print(f"checked in {time.monotonic() - start:.1f} s", file=sys.stderr)
    if file:
        _write(file, report)
    if json == "-":
        print(report.to_json())
    else:
        print(report.text(every=every))
    if not report.ok:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task("check", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _write(file: Path, report: "DataReport") -> None:
    from litevision.files import atomic_write

    with atomic_write(file) as partial:
        partial.write_text(report.to_json() + "\n")
    print(f"wrote {file}: {len(report.issues)} issues", file=sys.stderr)
