"""litevision compare: networks side by side, trained alike on your own images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from litevision.cli.fields import box_formats, json_flag, size_option
from litevision.cli.parser import argument, option


def _candidates() -> Sequence[str]:
    from litevision.lab.compare.candidates import CANDIDATES

    return tuple(CANDIDATES)


def _regimes() -> Sequence[str]:
    from litevision.lab.compare.candidates import REGIMES

    return tuple(REGIMES)


COMPARISONS = ("centernet",)


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Train DLASeg and small detectors under one recipe and budget, and put them into one table and one plot.

    All begin from scratch, and each trains on images as they are and once more on augmented ones. A budget in minutes
    becomes epochs by the time that one takes here, so that every schedule ends with it. Interrupted, the same command
    goes on; what is finished is not trained again.
    """

    examples: ClassVar = (
        "litevision compare centernet boxes/ --minutes 10",
        "litevision compare centernet boxes.json --candidates v2-light,v1-light --epochs 20",
    )
    what: str = argument(
        metavar="centernet", choices=COMPARISONS, help="What to compare: CenterNets, and NanoDet-Plus beside them."
    )
    data: Path = argument(metavar="DATA", help=box_formats)
    minutes: float | None = option(None, metavar="MINUTES", help="Minutes of training for each run; 30 unless given.")
    epochs: int | None = option(None, help="Number of epochs for each run, in place of minutes.")
    candidates: str | None = option(
        None,
        metavar="NAME,NAME",
        choices=_candidates,
        hidden=("--members",),
        help="Candidates to compare; all unless given.",
    )
    regimes: str | None = option(
        None,
        metavar="NAME,NAME",
        choices=_regimes,
        help="Whether images are changed at random in each epoch; each candidate is trained in both unless given.",
    )
    seeds: int = option(1, help="How often each is trained, with seeds from the recipe's own on.")
    images: int | None = option(
        None, help="Number of training images, and at most as many for validation; all unless given."
    )
    size: str | None = size_option()
    recipe: Path | None = option(
        None, metavar="FILE.toml", help="Recipe for all candidates; options that it lacks keep their defaults."
    )
    set: tuple[str, ...] = option(
        (), metavar="TABLE.KEY=VALUE", help="Set any option of a recipe; may be given more than once."
    )
    output: Path | None = option(
        None,
        short="-o",
        metavar="FOLDER",
        help="Folder of the results; runs/compare-DATA unless given.",
        writes="folder",
    )
    seconds: float = option(5.0, metavar="SECONDS", help="Seconds of inference measured for each candidate.")
    json: bool = json_flag()


def run(options: CompareOptions) -> int:
    """Train, measure, print and write."""
    from litevision.cli.checks import parse_names, require_torch

    require_torch("litevision compare")
    from json import dumps

    from litevision import console
    from litevision.cli.tables import print_report
    from litevision.cli.train import chosen_recipe
    from litevision.errors import UnknownNameError
    from litevision.lab.compare.report import DEFAULTS, compare
    from litevision.training.process import RunStopped

    if options.what not in COMPARISONS:
        raise UnknownNameError.of("comparison", options.what, COMPARISONS)
    given: dict[str, Any] = {} if options.size is None else {"model.size_hw": options.size}
    if options.recipe is None:
        given |= {f"{table}.{key}": value for table, keys in DEFAULTS.items() for key, value in keys.items()}
    try:
        found = compare(
            options.data,
            candidates=parse_names(options.candidates),
            regimes=parse_names(options.regimes),
            seeds=options.seeds,
            images=options.images,
            minutes=options.minutes,
            epochs=options.epochs,
            recipe=chosen_recipe(options.recipe, given, options.set, "detection").recipe,
            output=options.output,
            seconds=options.seconds,
        )
    except RunStopped as stopped:
        console.note(f"stopped at {stopped.where}; the same command goes on")
        return 128 + stopped.signum
    except KeyboardInterrupt:
        console.note("stopped; the same command goes on")
        return 130
    if options.json:
        print(dumps(found.to_dict()))
    else:
        print_report(found.sections())
    return 0
