"""litevision average: one network from several runs, the mean of their weights."""

from pathlib import Path
from typing import Annotated

import typer


def average(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of finished runs from one start.")],
    name: Annotated[str, typer.Option(help="Of the result.")],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Where its folder is made.")] = Path("runs"),
) -> None:
    """Average runs that began with the same weights: often better than each of them, and as small and fast as one.

    The score on the validation images tells whether it was worth it; the test images are scored as after training.
    """
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision average")
    from dataclasses import replace

    from litevision.cli._training.report import print_results
    from litevision.training.average import average as mean_of
    from litevision.training.average import read_runs
    from litevision.training.checkpoint import Progress, write_checkpoint
    from litevision.training.finish import finish
    from litevision.training.loop import BEST

    plans = read_runs(runs)
    folder = output / name
    plan = replace(plans[0], name=name)
    plan.write(folder)
    network = mean_of(plans, runs)
    write_checkpoint(folder / BEST, Progress(), {"network": network.state_dict()})
    averaged = [(run.name, one.recipe) for run, one in zip(runs, plans, strict=True)]
    results = finish(plan, network, Progress(), folder, stopped_early=False, device="cpu", averaged=averaged)
    print_results(results, folder)
