"""litevision guidelines: the ShuffleNetV2 paper's four experiments on this machine."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from litevision.lab.guidelines import Design, Row
    from litevision.runtime.machine import Machine


def guidelines(
    names: Annotated[list[str] | None, typer.Argument(metavar="[G1 G2 G3 G4]", help="Only these.")] = None,
    engine: Annotated[str, typer.Option(help="onnxruntime or openvino.")] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 where engine and processor have it.")] = "fp32",
    threads: Annotated[int | None, typer.Option(help="Threads that compute a call; by default all there are.")] = None,
    rounds: Annotated[int, typer.Option(help="How often everything is measured anew; the spread lies between.")] = 5,
    seconds: Annotated[float, typer.Option(help="Measured time for each network, all rounds together.")] = 0.3,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Powers of two for widths, in place of the paper's.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows and the machine there.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png|svg", help="Draw them there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Repeat the four experiments behind ShuffleNetV2 on this machine: the same MACs, other times.

    G1 equal channel widths, G2 group convolution, G3 fragmentation, G4 element-wise operations. Networks that are
    compared take turns. "times" is how many times as long as the first network of its group one took: the median, the
    least and the most of the rounds, then what the paper's figures give for its ARM processor and its GPU.
    """
    from litevision.cli._shared.outputs import check_plot, check_writable
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision guidelines")
    import json
    from dataclasses import asdict

    from litevision.lab.guidelines import find_designs, findings, measure
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    designs = find_designs(names or (), aligned=aligned)
    choice = engine_choice(engine, precision, threads=threads)
    if csv:
        check_writable(csv)
    if plot:
        check_plot(plot)
    machine = Machine.here()
    rows = measure(designs, choice, rounds=rounds, seconds=seconds, on_design=_report)
    found = findings(designs, rows)
    about = f"{choice.title}, {choice.threads} thread{'s' if choice.threads > 1 else ''}"
    if csv:
        _write(csv, about, machine, rows)
    if plot:
        from litevision.lab.guidelines.plot import plot as draw

        draw(plot, found, rows, f"{about}; {machine.cpu}, {machine.usable_cpus} cores")
        print(f"wrote {plot}", file=sys.stderr)
    if as_json:
        plain = {
            "engine": asdict(choice),
            "machine": asdict(machine),
            "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
            "findings": [{**asdict(each), "outcome": each.outcome, "lines": each.lines} for each in found],
        }
        print(json.dumps(plain))
        return
    for design in designs:
        source = f"{'after ' if aligned else ''}table {design.table} of arXiv:1807.11164"
        print(f"{design.name} {design.title} ({source})\n")
        _print([row for row in rows if row.guideline == design.name])
        print()
    print(f"{about}\n{machine}")
    for finding in found:
        print(*finding.lines, sep="\n")


def _report(design: "Design", scale: int) -> None:
    if sys.stderr.isatty():
        print(f"measuring {design.name} at x{scale}", file=sys.stderr)


def _print(rows: "list[Row]") -> None:
    from litevision.cli._shared.table import Align, print_table

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


def _write(file: Path, about: str, machine: "Machine", rows: "list[Row]") -> None:
    from litevision.cli._shared.outputs import write_csv

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
    write_csv(file, list(records[0]), [list(record.values()) for record in records])
    print(f"wrote {file}: {len(records)} rows", file=sys.stderr)
