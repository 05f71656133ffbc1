"""litevision lint: the layers of a network that go against a guideline, and what they cost here."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from litevision.lab.lint.measure import Complaint


def lint(
    model: Annotated[str, typer.Argument(metavar="FILE.onnx|NAME", help="Any ONNX file, or a model.")],
    size: Annotated[
        str | None, typer.Option(metavar="S|HxW", help="The images' size, for a file that leaves it open.")
    ] = None,
    engine: Annotated[str, typer.Option(help="onnxruntime or openvino.")] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="fp32, or bf16 where engine and processor have it.")] = "fp32",
    threads: Annotated[int | None, typer.Option(help="Threads that compute a layer; by default all there are.")] = None,
    ms_over: Annotated[float, typer.Option(help="Show the layers that take longer than this.")] = 0.1,
    seconds: Annotated[float, typer.Option(help="Measured time for each layer and for its alternative.")] = 0.2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with every layer.")] = False,
) -> None:
    """Name the layers that go against ShuffleNetV2's guidelines, and measure each beside a better one of equal MACs.

    G1: a pointwise convolution one side of which is more than twice as wide as the other; instead, equal widths.
    G2: groups, depthwise convolutions aside; instead, one group of fewer channels. G3: three or more convolutions of
    one map; instead, one. G4: an element-wise operation that the engine does not fuse. Layers are timed alone, which
    takes longer than within the network; "spread" lies between the quicker and the slower quarter of the calls.
    """
    from litevision.cli._shared.bundle import bundle_path
    from litevision.cli._shared.size import parse_size
    from litevision.cli._shared.torch import require_torch

    require_torch("litevision lint")
    import json
    from dataclasses import asdict

    from litevision.lab.lint.measure import lint as measure
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    choice = engine_choice(engine, precision, threads=threads)
    size_hw = parse_size(size) if size else None
    machine = Machine.here()
    found = measure(bundle_path(model), choice, size_hw=size_hw, seconds=seconds, on_suspect=_report)
    if sys.stderr.isatty():
        print(end="\033[K", file=sys.stderr)
    if as_json:
        about = {"model": model, "engine": asdict(choice), "machine": asdict(machine)}
        print(json.dumps({**about, "layers": [_as_plain(complaint) for complaint in found]}))
        return
    shown = [complaint for complaint in found if complaint.ms > ms_over]
    if shown:
        _print(shown)
        print()
    for line in _conclusion(found, shown, ms_over):
        print(line)
    print(f"{choice.title}, {choice.threads} thread{'s' if choice.threads > 1 else ''}; {machine}")


def _report(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"measuring {done + 1} of {total}", end="\r", file=sys.stderr)


def _print(complaints: "list[Complaint]") -> None:
    from litevision.cli._shared.table import Align, print_table

    columns: dict[str, Align] = {"": "left", "layer": "left", "what": "left"}
    columns |= {"ms": "right", "spread": "right", "instead": "left", "ms ": "right", "spread ": "right"}
    print_table(
        columns,
        [
            (
                complaint.suspect.guideline,
                complaint.suspect.layer,
                complaint.suspect.what,
                *(f"{ms:.3f}" for ms in (complaint.ms, complaint.iqr_ms)),
                complaint.suspect.instead,
                *(f"{ms:.3f}" for ms in (complaint.instead_ms, complaint.instead_iqr_ms)),
            )
            for complaint in complaints
        ],
    )


def _conclusion(found: "list[Complaint]", shown: "list[Complaint]", ms_over: float) -> list[str]:
    if not found:
        return ["no layer goes against a guideline"]
    lines = []
    for guideline in sorted({complaint.suspect.guideline for complaint in found}):
        ours = [complaint for complaint in found if complaint.suspect.guideline == guideline]
        total, instead = (sum(times) for times in zip(*((each.ms, each.instead_ms) for each in ours), strict=True))
        layers = f"{len(ours)} layer{'' if len(ours) == 1 else 's'}"
        lines.append(f"{guideline}: {layers}, {total:.2f} ms; instead {instead:.2f} ms, each timed alone")
    if len(found) > len(shown):
        lines.append(f"{len(found) - len(shown)} of them take up to {ms_over:g} ms each and are not shown (--ms-over)")
    return lines


def _as_plain(complaint: "Complaint") -> dict[str, Any]:
    suspect = complaint.suspect
    return {
        **{name: getattr(suspect, name) for name in ("guideline", "layer", "what", "macs", "instead", "instead_macs")},
        **{name: getattr(complaint, name) for name in ("ms", "iqr_ms", "instead_ms", "instead_iqr_ms")},
    }
