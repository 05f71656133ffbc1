"""litevision choose: which network fits a budget of time or size on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from litevision import console
from litevision.cli.fields import (
    csv_option,
    engine_option,
    json_flag,
    plot_option,
    precision_option,
    threads_option,
)
from litevision.cli.parser import flag, option

if TYPE_CHECKING:
    from litevision.lab.latency import LatencyModel
    from litevision.runtime.engines import EngineChoice


@dataclass(frozen=True, kw_only=True)
class ChooseOptions:
    """List the published networks that are Pareto-optimal in score, time and size on this machine.

    Nothing is downloaded, and no candidate is run: its milliseconds are predicted from its layers, by rates that this
    machine is measured for once. A network is listed if no other one scores as much in as little time and as few bytes.
    """

    examples: ClassVar = ("litevision choose --budget 5ms", "litevision choose --budget 6MB --classes 10")
    budget: tuple[str, ...] = option(
        (), metavar="5ms|6MB", help="Milliseconds that an image may take, or size of the bundle; may be given for both."
    )
    classes: int = option(1000, help="Number of classes that the network shall tell apart.")
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    all: bool = flag(help="Also show what is not Pareto-optimal or beyond the budget.")
    calibrate: bool = flag(help="Measure this machine again.")
    csv: Path | None = csv_option("Write all candidates into this file.", columns="name,weights,")
    plot: Path | None = plot_option()
    json: bool = json_flag("Print one JSON document, with all candidates.")


def run(options: ChooseOptions) -> int:
    """Predict, choose, print and write."""
    from litevision.cli.checks import require_torch

    require_torch("litevision choose")
    import functools
    import json
    from contextlib import ExitStack

    from litevision.cli.progress import progress_bar
    from litevision.cli.tables import print_report, write_records
    from litevision.lab.choose import choose

    with ExitStack() as bars:
        # Opened when the first network is counted: the bar of the calibration, before it, must be gone by then.
        bar = functools.cache(lambda: bars.enter_context(progress_bar("predict")))

        def counted(done: int, total: int) -> None:
            bar()(done, total)

        found = choose(
            options.budget,
            classes=options.classes,
            engine=options.engine,
            precision=options.precision,
            threads=options.threads,
            recalibrate=options.calibrate,
            calibrate=_calibrate,
            on_network=counted,
        )
    if options.csv:
        write_records(options.csv, found.records())
    if options.plot:
        found.plot(options.plot)
        console.note(f"wrote {options.plot}")
    if options.json:
        print(json.dumps(found.to_dict()))
    else:
        print_report(found.sections(every=options.all))
    return int(not found.fitting)


def _calibrate(choice: "EngineChoice") -> "LatencyModel":
    from litevision.cli.progress import progress_bar
    from litevision.lab import latency

    console.note(f"measuring this machine in {choice.title}, once; about a minute")
    with progress_bar("calibrate") as on_network:
        return latency.calibrate(choice, on_network=on_network)
