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
    output: Path = option(
        Path("runs"), short="-o", metavar="FOLDER", help="Folder in which the result's is made.", writes="folder"
    )


def run(options: AverageOptions) -> int:
    """Average the runs."""
    from litevision.cli.checks import require_torch

    require_torch("litevision average")
    from litevision.training.average import average
    from litevision.training.console import print_averaged, print_results, print_warnings

    done = average(options.runs, name=options.name, output=options.output)
    print_averaged(done.results)
    print_warnings(done.results)
    print_results(done.results, done.folder)
    return 0
