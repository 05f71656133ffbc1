"""Measure the four guidelines on this machine, and report what holds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litevision.lab.guidelines.designs import Design, find_designs
from litevision.lab.guidelines.findings import Finding, findings
from litevision.lab.guidelines.measure import VariantTiming, measure
from litevision.outputs import check_output, kind_named
from litevision.runtime.engines import EngineChoice, engine_choice
from litevision.runtime.machine import Machine
from litevision.runtime.schema import to_dict
from litevision.tables import Align, Report, Table


@dataclass(frozen=True)
class GuidelinesReport(Report):
    """Timings of the experiments' networks, and a finding for each guideline.

    Attributes:
        choice: the engine and how it computes.
        designs: the experiments.
        rows: a network at a scale each.
        findings: a guideline each.
        aligned: whether the widths are powers of two in place of the paper's.
    """

    choice: EngineChoice
    machine: Machine
    designs: tuple[Design, ...]
    rows: tuple[VariantTiming, ...]
    findings: tuple[Finding, ...]
    aligned: bool

    def sections(self) -> Iterator[str | Table]:
        """Yield a table for each guideline, the machine and the findings."""
        columns: dict[str, Align] = {"scale": "left", "network": "left"}
        columns |= dict.fromkeys(("widths", "MMACs", "ms", "times", "least", "most", "ARM", "GPU"), "right")
        columns |= {"verdict": "left", "kernels": "left"}
        for design in self.designs:
            source = f"{'after ' if self.aligned else ''}table {design.table} of arXiv:1807.11164"
            yield f"{design.name} {design.title} ({source})\n"
            yield Table(columns, [_cells(row) for row in self.rows if row.guideline == design.name])
            yield ""
        yield f"{self.choice}\n{self.machine}"
        yield from (line for finding in self.findings for line in finding.lines)

    def records(self) -> list[dict[str, Any]]:
        """Return the rows flat, each with the conditions of its measurement, as for a CSV file."""
        return [
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
                "engine": str(self.choice),
                "machine": str(self.machine),
            }
            for row in self.rows
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return rows and findings as JSON values."""
        return {
            "engine": to_dict(self.choice),
            "machine": to_dict(self.machine),
            "rows": [{**to_dict(row), "verdict": row.verdict} for row in self.rows],
            "findings": [{**to_dict(each), "outcome": each.outcome, "lines": each.lines} for each in self.findings],
        }

    def plot(self, path: str | Path) -> None:
        """Write a panel for each guideline into a .png or .svg file.

        Raises:
            UsageError: another ending, or a file there that is no plot of litevision.
        """
        check_output(path, kind_named("plot", path))
        from litevision.lab.guidelines.plot import plot

        title = f"{self.choice}; {self.machine.cpu}, {self.machine.usable_cpus} cores"
        plot(Path(path), self.findings, self.rows, title)


def guidelines(
    names: Sequence[str] = (),
    *,
    engine: str = "onnxruntime",
    precision: str | None = None,
    threads: int | None = None,
    rounds: int = 5,
    seconds: float = 0.3,
    aligned: bool = False,
    on_design: Callable[[Design, int], object] = lambda design, scale: None,
) -> GuidelinesReport:
    """Repeat the four experiments behind ShuffleNetV2 on this machine: the same MACs, other times.

    Args:
        names: of G1, G2, G3 and G4; all by default.
        engine: onnxruntime or openvino.
        precision: fp32, or bf16 where engine and processor have it.
        threads: that compute a call; by default all there are.
        rounds: how often everything is measured; the spread is between rounds.
        seconds: measured time for each network, all rounds together.
        aligned: powers of two for widths, in place of the paper's.
        on_design: is told which experiment is measured next, and at which scale.

    Raises:
        LitevisionError: no such guideline, an engine that is not installed, too few rounds or no time.
    """
    designs = find_designs(names, aligned=aligned)
    choice = engine_choice(engine, precision, threads=threads)
    machine = Machine.here()
    rows = measure(designs, choice, rounds=rounds, seconds=seconds, on_design=on_design)
    return GuidelinesReport(choice, machine, designs, tuple(rows), tuple(findings(designs, rows)), aligned)


def _cells(row: VariantTiming) -> tuple[str, ...]:
    return (
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


def _counts(kernels: dict[str, int]) -> str:
    return ", ".join(f"{count} {op}" for op, count in sorted(kernels.items()))
