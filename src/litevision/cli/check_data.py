"""litevision check-data: every issue of labelled images or boxes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from litevision import console
from litevision.cli.fields import data_formats
from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.data import DataReport


@dataclass(frozen=True, kw_only=True)
class CheckDataOptions:
    """Find issues of labelled images or boxes: unreadable files, duplicates, odd classes, names, sizes and boxes.

    Exit code 0 says that train can start with what can be used, and 1 that it would refuse the data; --strict makes it
    1 for every warning, too. Nothing is changed.
    """

    examples: ClassVar = (
        "litevision check-data clothes/",
        "litevision check-data boxes.json --quick --json report.json",
    )
    data: Path = argument(metavar="DATA", help=data_formats)
    json: str | None = option(
        None,
        metavar="FILE.json",
        help="Write all issues into this file as JSON; - prints it alone.",
        writes='json:{"path":',
    )
    quick: bool = flag(help="Read only headers: finds no damage in pixels and no near duplicates.")
    all: bool = flag(help="Show every file, not only the first five of a rule.")
    strict: bool = flag(help="Exit with 1 for a warning, too, such as an image that is left out.")


def run(options: CheckDataOptions) -> int:
    """Check the data, print and write the report."""
    import time

    from litevision.cli.progress import progress_bar
    from litevision.data import check_data
    from litevision.runtime.cpus import available_cpus

    file = Path(options.json) if options.json and options.json != "-" else None
    start = time.monotonic()
    with progress_bar("check") as on_progress:
        report = check_data(options.data, quick=options.quick, workers=available_cpus(), on_progress=on_progress)
    console.note(f"checked in {time.monotonic() - start:.1f} s")
    if file:
        _write(file, report)
    print(report.to_json() if options.json == "-" else report.text(every=options.all, hint="--all"))
    return 0 if report.ok and not (options.strict and report.severity("warning")) else 1


def _write(file: Path, report: "DataReport") -> None:
    from litevision.files import atomic_write
    from litevision.tables import pluralise

    with atomic_write(file) as partial:
        partial.write_text(report.to_json() + "\n", "utf-8")
    console.note(f"wrote {file}: {pluralise(len(report.issues), 'issue')}")
