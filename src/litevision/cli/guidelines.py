"""litevision guidelines: the ShuffleNetV2 paper's four experiments on this machine."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from litevision import console
from litevision.cli.fields import csv_option, engine_option, json_flag, plot_option, precision_option, threads_option
from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.lab.guidelines import Design


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
    csv: Path | None = csv_option("Write the rows and the machine into this file.", columns="guideline,variant,")
    plot: Path | None = plot_option()
    json: bool = json_flag()


def run(options: GuidelinesOptions) -> int:
    """Measure, print and write."""
    from litevision.cli.checks import require_torch

    require_torch("litevision guidelines")
    import json

    from litevision.cli.tables import print_report, write_records
    from litevision.lab.guidelines import guidelines

    found = guidelines(
        options.names,
        engine=options.engine,
        precision=options.precision,
        threads=options.threads,
        rounds=options.rounds,
        seconds=options.seconds,
        aligned=options.aligned,
        on_design=_show,
    )
    if options.csv:
        write_records(options.csv, found.records())
    if options.plot:
        found.plot(options.plot)
        console.note(f"wrote {options.plot}")
    if options.json:
        print(json.dumps(found.to_dict()))
    else:
        print_report(found.sections())
    return 0


def _show(design: "Design", scale: int) -> None:
    if console.shows_progress():
        print(f"measuring {design.name} at x{scale}", file=sys.stderr)
