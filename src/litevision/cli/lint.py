"""litevision lint: the layers of a network that go against a guideline, and what they cost here."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from litevision.cli.fields import engine_option, json_flag, model_names, precision_option, size_option, threads_option
from litevision.cli.parser import argument, option

if TYPE_CHECKING:
    from litevision.lab.lint.measure import TimedViolation


@dataclass(frozen=True, kw_only=True)
class LintOptions:
    """Name the layers that go against ShuffleNetV2's guidelines, and measure each beside a better one of equal MACs.

    G1: a pointwise convolution one side of which is more than twice as wide as the other; instead, equal widths. G2:
    groups, depthwise convolutions aside; instead, one group of fewer channels. G3: three or more convolutions of one
    map; instead, one. G4: an element-wise operation that the engine does not fuse.

    Layers are timed alone, which takes longer than within the network; "spread" is between the quartiles of the calls.
    """

    examples: ClassVar = ("litevision lint model.onnx", "litevision lint mobilenet_v2 --ms-over 0")
    model: str = argument(metavar="FILE.onnx|NAME", choices=model_names, help="Any .onnx file or a model's name.")
    size: str | None = size_option("Input side in pixels, or height and width, for a file that leaves it open.")
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    ms_over: float = option(0.1, metavar="MS", help="Show layers that take more milliseconds than this.")
    seconds: float = option(0.2, metavar="SECONDS", help="Seconds measured for each layer and for its alternative.")
    json: bool = json_flag("Print one JSON document, with every layer.")


def run(options: LintOptions) -> int:
    """Find the layers, measure and print."""
    from litevision.cli.checks import parse_size, require_torch
    from litevision.hub import find_bundle

    require_torch("litevision lint")
    import json

    from litevision.cli.progress import progress_bar
    from litevision.lab.lint.measure import lint
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    choice = engine_choice(options.engine, options.precision, threads=options.threads)
    size_hw = parse_size(options.size) if options.size else None
    machine = Machine.here()
    with progress_bar("measure") as on_progress:
        found = lint(
            find_bundle(options.model), choice, size_hw=size_hw, seconds=options.seconds, on_progress=on_progress
        )
    if options.json:
        about = {"model": options.model, "engine": asdict(choice), "machine": asdict(machine)}
        print(json.dumps({**about, "layers": [_as_plain(timed) for timed in found]}))
        return 0
    shown = [timed for timed in found if timed.ms > options.ms_over]
    if shown:
        _print(shown)
        print()
    for line in _conclusion(found, shown, options.ms_over):
        print(line)
    print(f"{choice.title}, {choice.threads} thread{'s' if choice.threads > 1 else ''}; {machine}")
    return 0


def _print(timed_violations: "list[TimedViolation]") -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import Align

    columns: dict[str, Align] = {"": "left", "layer": "left", "what": "left"}
    columns |= {"ms": "right", "spread": "right", "instead": "left", "ms ": "right", "spread ": "right"}
    print_table(
        columns,
        [
            (
                timed.violation.guideline,
                timed.violation.layer,
                timed.violation.what,
                *(f"{ms:.3f}" for ms in (timed.ms, timed.iqr_ms)),
                timed.violation.instead,
                *(f"{ms:.3f}" for ms in (timed.instead_ms, timed.instead_iqr_ms)),
            )
            for timed in timed_violations
        ],
    )


def _conclusion(found: "list[TimedViolation]", shown: "list[TimedViolation]", ms_over: float) -> list[str]:
    if not found:
        return ["no layer goes against a guideline"]
    lines = []
    for guideline in sorted({timed.violation.guideline for timed in found}):
        ours = [timed for timed in found if timed.violation.guideline == guideline]
        total, instead = (sum(times) for times in zip(*((each.ms, each.instead_ms) for each in ours), strict=True))
        layers = f"{len(ours)} layer{'' if len(ours) == 1 else 's'}"
        lines.append(f"{guideline}: {layers}, {total:.2f} ms; instead {instead:.2f} ms, each timed alone")
    if len(found) > len(shown):
        lines.append(f"{len(found) - len(shown)} of them take up to {ms_over:g} ms each and are not shown (--ms-over)")
    return lines


def _as_plain(timed: "TimedViolation") -> dict[str, Any]:
    names = ("guideline", "layer", "what", "macs", "instead", "instead_macs")
    return {
        **{name: getattr(timed.violation, name) for name in names},
        **{name: getattr(timed, name) for name in ("ms", "iqr_ms", "instead_ms", "instead_iqr_ms")},
    }
