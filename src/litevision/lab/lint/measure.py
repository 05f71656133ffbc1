"""What the layers that go against a guideline cost here.

Every such layer is timed alone, as a graph of its own on random numbers, in turns with what could stand in its place at
equal MACs. Alone it also pays for the call, and for what the engine does to a map before its first kernel and after its
last: it takes longer than within the network. Both sides of a comparison pay alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from litevision.errors import UsageError
from litevision.lab.guidelines.measure import timed_call
from litevision.lab.lint.rules import Violation, find_violations
from litevision.runtime.engines import Engine, EngineChoice, open_engine
from litevision.runtime.engines.timing import interleaved


@dataclass(frozen=True, slots=True)
class TimedViolation:
    """A violation, timed: the median in milliseconds, and what lies between the quicker and the slower quarter."""

    violation: Violation
    ms: float
    iqr_ms: float
    instead_ms: float
    instead_iqr_ms: float


def lint(
    path: Path,
    choice: EngineChoice,
    *,
    size_hw: tuple[int, int] | None = None,
    seconds: float = 0.2,
    opened_by: Callable[..., Engine] = open_engine,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[TimedViolation]:
    """Every layer of the file at ``path`` that goes against a guideline, timed, in the order of the graph.

    Args:
        size_hw: of the images, for a file that leaves it open.
        seconds: measured time for each layer, and for what could stand in its place; layers alike are timed once.
        opened_by: opens the engines.
        on_progress: told how many layers are done, of how many.

    Raises:
        UsageError: no time.
        LitevisionError: as for `litevision.cost.graph.graph_ledger` and `litevision.runtime.engines.open_engine`.
    """
    if not seconds > 0:
        raise UsageError(f"{seconds:g} seconds for each layer; expected more than 0.")
    found = list(find_violations(path, choice, size_hw=size_hw, opened_by=opened_by))
    timed: dict[tuple[str, str], TimedViolation] = {}
    timed_violations = []
    for number, violation in enumerate(found):
        on_progress(number, len(found))
        alike = timed.get((violation.what, violation.instead))
        if alike is None:
            models = [violation.model, violation.instead_model]
            calls = [timed_call(model, choice, opened_by) for model in models if model]
            quarters = [1e3 * np.percentile(taken, (25, 50, 75)) for taken in interleaved(calls, seconds)]
            times = [(float(middle), float(high - low)) for low, middle, high in quarters]
            (ms, iqr_ms), (instead_ms, instead_iqr_ms) = (*times, (0.0, 0.0))[:2]
            alike = TimedViolation(violation, ms, iqr_ms, instead_ms, instead_iqr_ms)
            timed[violation.what, violation.instead] = alike
        timed_violations.append(replace(alike, violation=violation))
    return timed_violations
