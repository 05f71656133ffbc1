"""What comes of turns: halves that know nothing of each other, and what the profiler added."""

import pytest

from litevision.lab.profile.peaks import added_ms
from litevision.lab.profile.recorders import Recorded
from litevision.lab.profile.timings import Kernel, ProfilerCost, Recording


def recorded(whole_ms: tuple[float, ...], profiled_ms: tuple[float, ...], *, turns: int, kernels: int = 1) -> Recorded:
    found = tuple(Kernel(f"k{i}", "Conv", (), profiled_ms) for i in range(kernels))
    return Recorded(whole_ms, Recording(found, profiled_ms), turns)


def test_halves_are_every_other_turn() -> None:
    runs = tuple(float(run) for run in range(8))
    first, second = recorded(runs, runs, turns=4).halves()  # of two runs each
    assert (first.whole_ms, second.whole_ms) == ((0, 1, 4, 5), (2, 3, 6, 7))
    assert first.recording.whole_ms == first.recording.kernels[0].ms == (0, 1, 4, 5)
    assert (first.turns, second.turns) == (2, 2)
    assert second.by_turn(second.whole_ms) == [(2, 3), (6, 7)]


def test_what_the_profiler_adds_is_that_of_the_turn_in_the_middle_for_each_kernel() -> None:
    slow = recorded((1.0, 1.0, 9.0, 9.0, 2.0, 2.0), (1.4, 1.4, 9.6, 9.6, 8.0, 8.0), turns=3, kernels=2)
    assert added_ms(slow) == pytest.approx(0.3)


def test_a_cost_keeps_its_parts() -> None:
    assert ProfilerCost(1.0, 3.0).scaled_to(8.0) == ProfilerCost(2.0, 6.0)
    assert ProfilerCost().scaled_to(8.0) == ProfilerCost(4.0, 4.0)
