"""litevision lint: the layers of a network that go against a guideline, and what they cost here."""

from dataclasses import dataclass
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
from litevision.cli.parser import argument, option


@dataclass(frozen=True, kw_only=True)
class LintOptions(NetworkOptions):
    """Name the layers that go against ShuffleNetV2's guidelines, and measure each beside a better one of equal MACs.

    G1: a pointwise convolution one side of which is more than twice as wide as the other; instead, equal widths. G2:
    groups, depthwise convolutions aside; instead, one group of fewer channels. G3: three or more convolutions of one
    map; instead, one. G4: an element-wise operation that the engine does not fuse.

    What could not be judged is named: convolutions inside branches or loops, of integers, or of unknown shape. The exit
    code is 0 where everything could be judged, whatever was found, and 1 where something could not.

    Layers are timed alone, which takes longer than within the network; "spread" is between the quartiles of the calls.
    """

    examples: ClassVar = ("litevision lint model.onnx", "litevision lint mobilenet_v2 --ms-over 0")
    model: str = argument(metavar="NAME|FILE|RUN", choices=any_model_names, help=MODEL_HELP)
    size: str | None = size_option("Input side in pixels, or height and width, for a file that leaves it open.")
    shape: tuple[str, ...] = shape_option()
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    ms_over: float = option(0.1, metavar="MS", help="Show layers that take more milliseconds than this.")
    seconds: float = option(0.2, metavar="SECONDS", help="Seconds measured for each layer and for its alternative.")
    json: bool = json_flag("Print one JSON document, with every layer.")


def run(options: LintOptions) -> int:
    """Find the layers, measure and print."""
    from litevision.cli.checks import parse_shapes, parse_size, require_onnx

    require_onnx("litevision lint")
    import json

    from litevision.cli.progress import progress_bar
    from litevision.cli.tables import print_report
    from litevision.lab.lint import lint

    with progress_bar("measure") as on_progress:
        found = lint(
            options.model,
            form=options.form(),
            size=parse_size(options.size) if options.size else None,
            shapes=parse_shapes(options.shape),
            engine=options.engine,
            precision=options.precision,
            threads=options.threads,
            seconds=options.seconds,
            on_progress=on_progress,
        )
    if found.remark:
        console.note(f"note: {found.remark}")
    if options.json:
        print(json.dumps(found.to_dict()))
    else:
        print_report(found.sections(ms_over=options.ms_over))
    return 0 if found.is_complete else 1
