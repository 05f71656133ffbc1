"""litevision check-data: every fault of labelled images or boxes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from litevision.data import DataReport, Issue

_SHOWN_EACH = 5


def check_data(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder of class folders, a CSV file with path,label[,split], or boxes: Pascal VOC, COCO or YOLO.",
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
    """Find every fault of labelled images or boxes: what cannot be read, copies, odd classes, names, sizes and boxes.

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
        _print(report, every=every)
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
    print(f"wrote {file}: {len(report.faults)} faults", file=sys.stderr)


def _print(report: "DataReport", *, every: bool) -> None:
    from litevision.cli._images.results import printable

    _print_summary(report)
    if report.faults:
        print()
        _print_rules(report)
    for rule in report.counts:
        faults = [fault for fault in report.faults if fault.rule == rule]
        shown = faults if every else faults[:_SHOWN_EACH]
        print(f"\n{rule}")
        for fault in shown:
            print(f"  {printable(_line(report, fault))}")
        if len(shown) < len(faults):
            print(f"  and {len(faults) - len(shown):,} more; --all shows them")
    print(f"\n{_conclusion(report)}")


def _print_summary(report: "DataReport") -> None:
    from litevision.cli._images.report import counted
    from litevision.cli._images.results import printable
    from litevision.cli._shared.table import Align, print_table
    from litevision.data import SPLITS, LabelledBoxes

    data = report.data
    counts = {split: data.counts(split) for split in SPLITS}
    what = counted(len(data.samples), "image")
    if isinstance(data, LabelledBoxes):
        what += f" with {counted(sum(map(sum, counts.values())), 'box')}"
    kind = f" ({data.kind})" if isinstance(data, LabelledBoxes) else ""
    made = "; splits made here" if data.made_splits else ""
    print(f"{printable(str(data.root))}: {what} of {counted(len(data.classes), 'class')}{kind}{made}\n")
    columns: dict[str, Align] = {"class": "left"}
    columns |= dict.fromkeys((*SPLITS, "all"), "right")
    rows = [(printable(name), [counts[split][label] for split in SPLITS]) for label, name in enumerate(data.classes)]
    rows.append(("all", [sum(counts[split]) for split in SPLITS]))
    if isinstance(data, LabelledBoxes):
        rows.append(("images", [len(data.of(split)) for split in SPLITS]))
    print_table(columns, [(name, *(f"{count:,}" for count in (*each, sum(each)))) for name, each in rows])


def _print_rules(report: "DataReport") -> None:
    from litevision.cli._shared.table import print_table
    from litevision.data import RULES

    print_table(
        {"rule": "left", "severity": "left", "count": "right", "what to do": "left"},
        [
            (rule.name, rule.severity, f"{report.counts[rule.name]:,}", rule.advice)
            for rule in RULES
            if rule.name in report.counts
        ],
    )


def _line(report: "DataReport", fault: "Issue") -> str:
    from litevision.data.check.duplicates import shown

    if fault.path is None:
        return fault.detail
    line = f", line {fault.line}" if fault.line else ""
    return f"{shown(report.data.root, fault.path)}{line}: {fault.detail}"


def _conclusion(report: "DataReport") -> str:
    from litevision.cli._images.report import counted

    if not report.faults:
        return "no faults"
    return ", ".join(counted(report.severity(severity), severity) for severity in ("error", "warning", "note"))
