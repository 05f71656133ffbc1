"""litevision guidelines: the ShuffleNetV2 paper's four experiments on this machine."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.fields import csv_option, engine_option, json_flag, plot_option, precision_option, threads_option
from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.lab.guidelines import Design, VariantTiming
    from litevision.runtime.machine import Machine


@dataclass(frozen=True, kw_only=True)
class GuidelinesOptions:
    """Repeat the four experiments behind ShuffleNetV2 on this machine: the same MACs, other times.

    G1 equal channel widths, G2 group convolution, G3 fragmentation, G4 element-wise operations. Calls of the networks
    that are compared are interleaved. "times" is how many times as long as the first network of its group one took: the
    median, the least and the most of the rounds, then what the paper's figures give for its ARM processor and its GPU.
    """

    examples: ClassVar = ("litevision guidelines", "litevision guidelines G1 G2 --csv guidelines.csv")
    names: tuple[str, ...] = argument(
        (), metavar="G1|G2|G3|G4", choices=("G1", "G2", "G3", "G4"), help="Experiments to run; all unless given."
    )
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    rounds: int = option(5, help="Number of rounds that measure everything; the spread is between them.")
    seconds: float = option(0.3, metavar="SECONDS", help="Seconds measured for each network, over all rounds.")
    aligned: bool = flag(help="Use powers of two for widths, instead of the paper's.")
    csv: Path | None = csv_option("Write the rows and the machine into this file.")
    plot: Path | None = plot_option()
    json: bool = json_flag()


def run(options: GuidelinesOptions) -> int:
    """Measure, print and write."""
    from litevision.cli.checks import check_plot, check_writable, require_torch

    require_torch("litevision guidelines")
    import json

    from litevision.lab.guidelines import find_designs, findings, measure
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    designs = find_designs(options.names, aligned=options.aligned)
    choice = engine_choice(options.engine, options.precision, threads=options.threads)
    if options.csv:
        check_writable(options.csv)
    if options.plot:
        check_plot(options.plot)
    machine = Machine.here()
    rows = measure(designs, choice, rounds=options.rounds, seconds=options.seconds, on_design=_show)
    found = findings(designs, rows)
    about = f"{choice.title}, {choice.threads} thread{'s' if choice.threads > 1 else ''}"
    if options.csv:
        _write(options.csv, about, machine, rows)
    if options.plot:
        from litevision.lab.guidelines.plot import plot

        plot(options.plot, found, rows, f"{about}; {machine.cpu}, {machine.usable_cpus} cores")
        console.note(f"wrote {options.plot}")
    if options.json:
        plain = {
            "engine": asdict(choice),
            "machine": asdict(machine),
            "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
            "findings": [{**asdict(each), "outcome": each.outcome, "lines": each.lines} for each in found],
        }
        print(json.dumps(plain))
        return 0
    for design in designs:
        source = f"{'after ' if options.aligned else ''}table {design.table} of arXiv:1807.11164"
        print(f"{design.name} {design.title} ({source})\n")
        _print([row for row in rows if row.guideline == design.name])
        print()
    print(f"{about}\n{machine}")
    for finding in found:
        print(*finding.lines, sep="\n")
    return 0


def _show(design: "Design", scale: int) -> None:
    if console.shows_progress():
        print(f"measuring {design.name} at x{scale}", file=sys.stderr)


def _print(rows: "list[VariantTiming]") -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import Align

    columns: dict[str, Align] = {"scale": "left", "network": "left"}
    columns |= dict.fromkeys(("widths", "MMACs", "ms", "times", "least", "most", "ARM", "GPU"), "right")
    columns |= {"verdict": "left", "kernels": "left"}
    print_table(
        columns,
        [
            (
                f"x{row.scale}",
                row.variant,
                ",".join(map(str, row.widths)),
                f"{row.macs / 1e6:.1f}",
                f"{row.median_ms:.3f}",
                *(f"{time:.2f}" for time in (row.time, min(row.times), max(row.times))),
                *("-" if paper is None else f"{paper:.2f}" for paper in (row.paper_cpu, row.paper_gpu)),
                row.verdict or "",
                _counts(row.kernels),
            )
            for row in rows
        ],
    )


def _counts(kernels: dict[str, int]) -> str:
    return ", ".join(f"{count} {op}" for op, count in sorted(kernels.items()))


def _write(file: Path, about: str, machine: "Machine", rows: "list[VariantTiming]") -> None:
    from litevision.cli.tables import write_records

    conditions = {"engine": about, "machine": str(machine)}
    records: list[dict[str, Any]] = [
        {
            "guideline": row.guideline,
            "variant": row.variant,
            "scale": row.scale,
            "widths": " ".join(map(str, row.widths)),
            "macs": row.macs,
            "median_ms": row.median_ms,
            "least_ms": min(row.rounds_ms),
            "most_ms": max(row.rounds_ms),
            "rounds": len(row.rounds_ms),
            "time": row.time,
            "least_time": min(row.times),
            "most_time": max(row.times),
            "paper_cpu": row.paper_cpu,
            "paper_gpu": row.paper_gpu,
            "verdict": row.verdict,
            "kernels": _counts(row.kernels),
            **conditions,
        }
        for row in rows
    ]
    write_records(file, records)
