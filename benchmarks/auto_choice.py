"""Whether ``--engine auto`` chooses the fastest engine: its choice against every candidate, measured in the same run.

    python benchmarks/auto_choice.py

Four networks with random weights, batches of 1 and of 32, all threads on one batch. First litevision chooses, as it
does for a user, then every candidate is timed in a fresh process, one after the other, round by round. What counts is
the chosen engine's time over the best one's: 1 is perfect. Takes about 10 minutes.
"""

import statistics
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from _common import Row, conditions, interleaved, parser, python_child, ratios, report, row, workplace

from litevision.errors import LitevisionError
from litevision.runtime.engines import EngineChoice, candidates, open_engine

NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x1_0")
BATCH_SIZES = (1, 32)
SECONDS = 1.0  # of calls, each time that a candidate is measured
HERE = Path(__file__).parent


def main() -> None:
    """Measures, reports."""
    options = parser(__doc__, rounds=7, weights=False)
    arguments = options.parse_args()
    networks, batch_sizes, seconds = NETWORKS, BATCH_SIZES, SECONDS
    if arguments.quick:
        arguments.rounds, networks, batch_sizes, seconds = 1, NETWORKS[1:2], BATCH_SIZES[:1], 0.05
    found = conditions(arguments)
    from _models import make_random_bundle

    rows: list[Row] = []
    with workplace() as place:
        for network in networks:
            bundle = place / f"{network}.onnx"
            make_random_bundle(bundle, network)
            engines = list(openable(bundle))
            for batch_size in batch_sizes:
                end = (arguments.threads, batch_size)
                chosen = python_child(place, HERE / "_choose_engine.py", bundle, *end)
                print(f"{network}, batch {batch_size}: {chosen['reason']}", file=sys.stderr)
                script = HERE / "_time_engine.py"
                measures = {
                    it.title: partial(python_child, place, script, bundle, it.name, it.precision, *end, seconds)
                    for it in engines
                }
                rounds = interleaved(measures, arguments.rounds, warm_up=not arguments.quick)
                rows += cell(rounds, f"{network}, batch {batch_size}", chosen["title"])
    report(rows, found, arguments, "auto_choice")


def openable(bundle: Path) -> Iterator[EngineChoice]:
    """Every engine and precision that this machine has."""
    for choice in candidates():
        with suppress(LitevisionError):
            open_engine(bundle.read_bytes(), choice)
            yield choice


def cell(rounds: dict[str, list[dict[str, Any]]], condition: str, chosen: str) -> Iterator[Row]:
    """Each candidate's milliseconds a call, and the chosen one's over the best one's."""
    times = {title: [result["ms"] for result in results] for title, results in rounds.items()}
    for title, values in times.items():
        yield row("auto_choice", condition, title, "ms", values, engine=title)
    best = min(times, key=lambda title: statistics.median(times[title]))
    yield row("auto_choice", condition, "auto / best", "ratio", ratios(times[chosen], times[best]), engine=chosen)


if __name__ == "__main__":
    main()
