"""litevision average: one network from several runs, the mean of their weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision.cli.parser import argument, option


@dataclass(frozen=True, kw_only=True)
class AverageOptions:
    """Average the weights of runs that began with the same ones: often better than each, as small and fast as one.

    The score on the validation images tells whether it was worth it; the test images are scored as after training.
    """

    examples: ClassVar = ("litevision average runs/first runs/second --name both",)
    runs: tuple[Path, ...] = argument(metavar="RUN", help="Folders of finished runs that began with the same weights.")
    name: str = option(help="Name of the result's folder.")
    output: Path = option(Path("runs"), short="-o", metavar="FOLDER", help="Folder in which the result's is made.")


def run(options: AverageOptions) -> int:
    """Average the runs."""
    from litevision.cli.checks import require_torch

    require_torch("litevision average")
    from dataclasses import replace

    from litevision.training.average import average, read_runs
    from litevision.training.checkpoint import Progress, write_checkpoint
    from litevision.training.console import print_results
    from litevision.training.finish import finish
    from litevision.training.loop import BEST

    plans = read_runs(options.runs)
    folder = options.output / options.name
    plan = replace(plans[0], name=options.name)
    plan.write(folder)
    network = average(plans, options.runs)
    write_checkpoint(folder / BEST, Progress(), {"network": network.state_dict()})
    averaged = [(run.name, one.recipe) for run, one in zip(options.runs, plans, strict=True)]
    results = finish(plan, network, Progress(), folder, stopped_early=False, device="cpu", averaged=averaged)
    print_results(results, folder)
    return 0
