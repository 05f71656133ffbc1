"""What the measured rows say of each guideline."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Literal

from litevision.lab.guidelines.designs import Design
from litevision.lab.guidelines.kernels import PLAIN_CONV
from litevision.lab.guidelines.measure import VariantTiming

ELEMENT_WISE = ("Relu", "Add")


@dataclass(frozen=True, slots=True)
class Finding:
    """A guideline, and whether it holds here.

    Attributes:
        guideline: G1 to G4.
        title: in a few words.
        others: what the networks after the first have that it has not.
        table: its number in the paper.
        times: how many times as long as the first network the others took in each round, their geometric mean.
        slower: how many of the other networks were slower than the first in every round.
        quicker: how many were quicker in every round.
        compared: how many there are, at all scales.
        paper_cpu: the geometric mean of the paper's CPU column, likewise; None where it has no such networks.
        paper_gpu: and of its GPU column.
        plain: how many networks, of all, onnxruntime computes in its plain layout at least in part.
        fused: nodes in no kernel of their own, by operator: how many of how many.
    """

    guideline: str
    title: str
    others: str
    table: int
    times: tuple[float, ...]
    slower: int
    quicker: int
    compared: int
    paper_cpu: float | None
    paper_gpu: float | None
    plain: tuple[int, int]
    fused: dict[str, tuple[int, int]]

    @property
    def time(self) -> float:
        """How many times as long as the first network the others took, the median of the rounds."""
        return median(self.times)

    @property
    def outcome(self) -> Literal["holds", "does not hold", "inside the spread"]:
        """Whether the others took longer, all together, in every round."""
        if min(self.times) > 1:
            return "holds"
        return "does not hold" if max(self.times) < 1 else "inside the spread"

    @property
    def lines(self) -> list[str]:
        """What there is to say, a line each: the outcome, what was fused, and what else was not alike."""
        paper = ""
        if self.paper_cpu and self.paper_gpu:
            paper = f"; the paper's table {self.table}: {self.paper_cpu:.2f} on ARM, {self.paper_gpu:.2f} on a GPU"
        said = [
            f"{self.guideline} {self.title}: {self.outcome} here. With {self.others} it takes {self.time:.2f} times as "
            f"long ({min(self.times):.2f} to {max(self.times):.2f} over {len(self.times)} rounds{paper}).",
            f"{self.guideline}: of {self.compared} rows {self.slower} are slower than the first, {self.quicker} are "
            f"quicker, {self.compared - self.slower - self.quicker} are inside the spread.",
        ]
        if self.fused:
            counts = " and ".join(f"{count} of {total} {op}" for op, (count, total) in self.fused.items())
            are_all = all(count == total for count, total in self.fused.values())
            rest = "none is a kernel of its own" if are_all else "the others are kernels of their own"
            is_away = self.guideline == "G4" and are_all and self.outcome != "holds"
            away = "; the effect is fused away" if is_away else ""
            said.append(f"{self.guideline}: the engine fuses {counts} into convolutions, {rest}{away}.")
        if 0 < self.plain[0] < self.plain[1]:
            said.append(
                f"{self.guideline}: onnxruntime computes {self.plain[0]} of these {self.plain[1]} networks in its "
                "plain layout, for their widths do not fill its vector unit; part of the difference is the layout's. "
                "--aligned compares widths that do."
            )
        return said


def findings(designs: Sequence[Design], rows: Sequence[VariantTiming]) -> list[Finding]:
    """Conclude from ``rows`` whether the guideline of each of ``designs`` holds."""
    return [_finding(design, [row for row in rows if row.guideline == design.name]) for design in designs]


def _finding(design: Design, rows: Sequence[VariantTiming]) -> Finding:
    others = [row for row in rows if not row.is_first]
    verdicts = Counter(row.verdict for row in others)
    fused = {op: sum(row.fused.get(op, 0) for row in rows) for op in ELEMENT_WISE}
    left = {op: sum(row.kernels.get(op, 0) for row in rows) for op in ELEMENT_WISE}
    return Finding(
        guideline=design.name,
        title=design.title,
        others=design.others,
        table=design.table,
        times=tuple(map(geometric_mean, zip(*(row.times for row in others), strict=True))),
        slower=verdicts["slower"],
        quicker=verdicts["quicker"],
        compared=len(others),
        paper_cpu=_mean([row.paper_cpu for row in others]),
        paper_gpu=_mean([row.paper_gpu for row in others]),
        plain=(sum(PLAIN_CONV in row.kernels for row in rows), len(rows)),
        fused={op: (fused[op], fused[op] + left[op]) for op in ELEMENT_WISE if fused[op] + left[op]},
    )


def _mean(times: Sequence[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return geometric_mean(known) if known else None
