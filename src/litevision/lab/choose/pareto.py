"""Budgets, and the Pareto front of the candidates in score, latency and size."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from litevision.errors import UsageError
from litevision.lab.choose.candidates import Candidate

_MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_BYTES = {"kb": 1e3, "mb": 1e6, "gb": 1e9}


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper limit of milliseconds an image or of bytes of the bundle."""

    of: Literal["ms", "bytes"]
    most: float

    def __str__(self) -> str:
        return f"{self.most:g} ms" if self.of == "ms" else f"{self.most / 1e6:g} MB"

    def allows(self, candidate: Candidate) -> bool:
        """Whether ``candidate`` stays within it."""
        return (candidate.ms if self.of == "ms" else candidate.num_bytes) <= self.most


def parse_budget(text: str) -> Budget:
    """Parse the budget of ``5ms``, ``800us``, ``6MB`` or ``900 kB``.

    Raises:
        UsageError: anything else, or nothing to spend.
    """
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(\w+)", text.strip())
    number, unit = (float(found[1]), found[2].lower()) if found else (0.0, "")
    if number > 0 and unit in _MS:
        return Budget("ms", number * _MS[unit])
    if number > 0 and unit in _BYTES:
        return Budget("bytes", number * _BYTES[unit])
    raise UsageError(f"--budget {text!r}: expected a time or a size above 0 with its unit, such as 5ms, 800us or 6MB.")


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are Pareto-optimal in score, time and size, the quickest first.

    Of several that are alike in all three, the first.
    """
    # Sorted by time, whatever could dominate a candidate stands before it; so one pass is enough, and it compares with
    # the front alone: what a dominated candidate dominates, the one above it dominates, too.
    ordered = sorted(candidates, key=lambda it: (it.ms, it.num_bytes, -it.top1))
    kept: list[Candidate] = []
    for one in ordered:
        if not any(it.num_bytes <= one.num_bytes and it.top1 >= one.top1 for it in kept):
            kept.append(one)
    return kept
