"""The measured rows: what is compared with what, and what counts as slower."""

from typing import Any, ClassVar

import numpy as np
import pytest

from litevision.errors import UsageError
from litevision.lab.guidelines.designs import DESIGNS, Design
from litevision.lab.guidelines.measure import VariantTiming, Verdict, measure
from litevision.runtime.engines import EngineChoice

CHOICE = EngineChoice("onnxruntime", "fp32", 1)


class Quick:
    """An engine that takes no time, and notes what it is given."""

    shapes: ClassVar[set[tuple[int, ...]]] = set()

    def __init__(self, data: bytes, choice: EngineChoice, *, name: str) -> None:
        assert choice is CHOICE

    def run(self, batch: Any) -> dict[str, Any]:
        assert batch.dtype == np.float32
        self.shapes.add(batch.shape)
        return {}


def row(times: tuple[float, ...], share: float = 1.0, *, is_first: bool = False) -> VariantTiming:
    return VariantTiming("G1", "1:2", 1, (22, 44), 100, {}, {}, times, share, times, None, None, is_first)


@pytest.mark.parametrize(
    ("times", "share", "verdict"),
    [
        ((1.1, 1.3), 1.0, "slower"),
        ((0.99, 1.3), 1.0, "even"),
        ((0.8, 0.9), 1.0, "quicker"),
        ((0.8, 1.0), 1.0, "even"),
        ((0.95, 0.97), 0.95, "even"),
        ((0.80, 0.94), 0.95, "quicker"),
        ((1.01, 1.03), 1.03, "even"),
        ((1.01, 1.03), 0.95, "slower"),
    ],
)
def test_verdicts(times: tuple[float, ...], share: float, verdict: Verdict) -> None:
    assert row(times, share).verdict == verdict
    assert row(times, share, is_first=True).verdict is None


def test_rows_are_compared_with_the_first_of_their_scale() -> None:
    seen: list[tuple[str, int]] = []

    def note(design: Design, scale: int) -> None:
        seen.append((design.name, scale))

    Quick.shapes.clear()
    rows = measure(DESIGNS[2:3], CHOICE, scales=(1, 2), rounds=3, seconds=0.03, opened_by=Quick, on_design=note)
    assert seen == [("G3", 1), ("G3", 2)]
    assert [row.variant for row in rows] == [variant.title for variant in DESIGNS[2].variants] * 2
    assert [row.is_first for row in rows] == [True, False, False, False, False] * 2
    assert Quick.shapes == {(1, channels, 56, 56) for channels in (64, 45, 32, 128, 90)}
    for first, *others in (rows[:5], rows[5:]):
        assert first.times == (1.0, 1.0, 1.0)
        for row in others:
            ratios = [mine / its for mine, its in zip(row.rounds_ms, first.rounds_ms, strict=True)]
            assert row.times == pytest.approx(ratios)
            assert row.share == row.macs / first.macs
    assert rows[0].kernels == {"Conv": 10, "reorder": 2}


def test_the_papers_figures_stand_beside() -> None:
    rows = measure([DESIGNS[0]], CHOICE, scales=(1, 4), rounds=2, seconds=0.01, opened_by=Quick)
    assert [row.paper_cpu for row in rows[:4]] == pytest.approx([1, 76.2 / 72.9, 76.2 / 69.1, 76.2 / 57.6])
    assert [row.paper_gpu for row in rows[4:]] == pytest.approx([1, 232 / 206, 232 / 189, 232 / 163])


@pytest.mark.parametrize(
    ("rounds", "seconds", "message"),
    [
        (1, 0.1, r"1 rounds; expected 2 or more, for the spread is between rounds\."),
        (2, 0.0, r"0 seconds for each network; expected more than 0\."),
        (2, float("nan"), r"nan seconds for each network; expected more than 0\."),
    ],
)
def test_what_cannot_be_measured_is_refused(rounds: int, seconds: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure(DESIGNS, CHOICE, rounds=rounds, seconds=seconds, opened_by=Quick)
