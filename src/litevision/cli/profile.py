"""litevision profile: what each layer takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from litevision import console
from litevision.cli.fields import (
    MODEL_HELP,
    NetworkOptions,
    any_model_names,
    engine_option,
    json_flag,
    precision_option,
    shape_option,
    size_option,
    threads_option,
)
from litevision.cli.parser import argument, flag, option


@dataclass(frozen=True, kw_only=True)
class ProfileOptions(NetworkOptions):
    """Show what each layer of a model takes on this machine, from the engine's own profiler.

    ms is the median of the runs, spread is between the quartiles. bound is what limits the layer, multiply-adds or
    memory traffic, with the share of this machine's peak that it reaches. The rows add up to the whole run, which is
    measured without the profiler.
    """

    examples: ClassVar = (
        "litevision profile clothing",
        "litevision profile model.onnx --threads 1 --html profile.html",
    )
    model: str = argument(metavar="NAME|FILE|RUN", choices=any_model_names, help=MODEL_HELP)
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    batch: int = option(1, help="Batch size.")
    size: str | None = size_option("Input side in pixels, or height and width, for a file that leaves it open.")
    shape: tuple[str, ...] = shape_option()
    repeats: int = option(54, help="Number of runs with the engine's profiler, and as many without it.")
    all: bool = flag(help="Show what the engine adds row by row.")
    json: bool = json_flag("Print one JSON document, with every row.")
    html: Path | None = option(
        None, metavar="FILE.html", help="Write a page with plots into this file.", writes="profile"
    )


def run(options: ProfileOptions) -> int:
    """Profile, print and write."""
    from litevision.cli.checks import parse_shapes, parse_size, require_onnx

    require_onnx("litevision profile")
    import json

    from litevision.cli.tables import print_report
    from litevision.lab.profile import profile

    found = profile(
        options.model,
        form=options.form(),
        engine=options.engine,
        precision=options.precision,
        threads=options.threads,
        batch=options.batch,
        size=parse_size(options.size) if options.size else None,
        shapes=parse_shapes(options.shape),
        repeats=options.repeats,
    )
    if options.html:
        found.write_page(options.html)
        console.note(f"wrote {options.html}")
    if options.json:
        print(json.dumps(found.to_dict()))
    else:
        print_report(found.sections(every=options.all))
    return 0
