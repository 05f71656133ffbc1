"""litevision profile: what each layer takes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from litevision import console
from litevision.cli.fields import engine_option, json_flag, model_names, precision_option, size_option, threads_option
from litevision.cli.parser import argument, flag, option

if TYPE_CHECKING:
    from litevision.lab.profile import LayerTime, Profile
    from litevision.runtime.machine import Machine


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """Show what each layer of a model takes on this machine, from the engine's own profiler.

    ms is the median of the runs, spread is between the quartiles. bound is what limits the layer, multiply-adds or
    memory traffic, with the share of this machine's peak that it reaches. The rows add up to the whole run, which is
    measured without the profiler.
    """

    examples: ClassVar = (
        "litevision profile clothing",
        "litevision profile model.onnx --threads 1 --html profile.html",
    )
    model: str = argument(metavar="FILE.onnx|NAME", choices=model_names, help="Any .onnx file or a model's name.")
    engine: str = engine_option()
    precision: str = precision_option()
    threads: int | None = threads_option()
    batch: int = option(1, help="Batch size.")
    size: str | None = size_option("Input side in pixels, or height and width, for a file that leaves it open.")
    repeats: int = option(54, help="Number of runs with the engine's profiler, and as many without it.")
    all: bool = flag(help="Show what the engine adds row by row.")
    json: bool = json_flag("Print one JSON document, with every row.")
    html: Path | None = option(None, metavar="FILE.html", help="Write a page with plots into this file.")


def run(options: ProfileOptions) -> int:
    """Profile, print and write."""
    from litevision.cli.checks import check_writable, parse_size, require_torch
    from litevision.hub import find_bundle

    require_torch("litevision profile")
    from litevision.lab.profile import profile
    from litevision.runtime.engines import engine_choice
    from litevision.runtime.machine import Machine

    size_hw = parse_size(options.size) if options.size else None
    choice = engine_choice(options.engine, options.precision, threads=options.threads)
    if options.html:
        check_writable(options.html, "--html")
    machine = Machine.here()
    found = profile(find_bundle(options.model), choice, batch=options.batch, size_hw=size_hw, repeats=options.repeats)
    if options.html:
        from litevision.lab.profile.page import write_page

        write_page(options.html, options.model, machine, found)
        console.note(f"wrote {options.html}")
    if options.json:
        import json

        print(json.dumps(_as_plain(options.model, machine, found)))
        return 0
    _print_rows(found, every=options.all)
    print(*_summary(found), sep="\n", end="\n\n")
    print(machine)
    return 0


def _print_rows(found: "Profile", *, every: bool) -> None:
    from litevision.cli.tables import print_table
    from litevision.tables import Align

    columns: dict[str, Align] = {"layer": "left", "operation": "left"}
    columns |= dict.fromkeys(("ms", "spread", "%", "GMAC/s", "GB/s"), "right")
    columns |= {"bound": "left"}
    rows = found.rows if every else [row for row in found.rows if row.kind in ("layer", "between")]
    cells = [_cells(row, found) for row in rows]
    if not every:
        cells[-1:-1] = _added(found)
    print_table(columns, cells)


def _cells(row: "LayerTime", found: "Profile") -> tuple[str, ...]:
    near = f"{row.bound} {row.of_bound:.0%}" if row.bound and row.of_bound is not None else ""
    name = row.name if row.kind in ("layer", "between") else f"{row.kind} {row.name}"
    rates = ("" if rate is None else f"{rate:.1f}" for rate in (row.gmacs_per_s, row.gb_per_s))
    return name, row.operation, *_times(row.time.ms, row.time.iqr_ms, found), *rates, near


def _times(ms: float, iqr_ms: float | None, found: "Profile") -> tuple[str, str, str]:
    return f"{ms:.3f}", "" if iqr_ms is None else f"{iqr_ms:.3f}", f"{100 * ms / found.sum_ms:.1f}"


def _added(found: "Profile") -> list[tuple[str, ...]]:
    """A row for all changes of layout, and one for all else that the engine adds."""
    cells: list[tuple[str, ...]] = []
    for kind, name in (("reorder", "changes of layout"), ("engine", "added by the engine")):
        rows = [row for row in found.rows if row.kind == kind]
        if rows:
            kernels = f"{len(rows)} kernel{'s' if len(rows) > 1 else ''}"
            cells.append((name, kernels, *_times(sum(row.time.ms for row in rows), None, found), "", "", ""))
    return cells


def _summary(found: "Profile") -> list[str]:
    choice, peaks = found.choice, found.peaks
    threads = f"{choice.threads} thread{'s' if choice.threads > 1 else ''}"
    lines = [
        f"\n{found.version} {choice.precision}, {threads}, input {'x'.join(map(str, found.input_shape))}, "
        f"{found.runs} runs with the profiler and {found.runs} without, in turns",
        f"sum of the rows    {found.sum_ms:.3f} ms",
        f"whole run          {found.whole.ms:.3f} ms, spread {found.whole.iqr_ms:.3f}; the sum differs by "
        f"{found.difference:+.1%}",
        f"with the profiler  {found.profiled.ms:.3f} ms; its cost is taken off: "
        f"{1e3 * found.cost.inside_ms:.1f} us in each of {found.num_kernels} kernels, "
        f"{1e3 * found.cost.between_ms:.1f} us after it",
        f"peaks              {peaks.gmacs_per_s:.1f} GMAC/s; {peaks.gb_per_s:.1f} GB/s from memory, "
        f"{max(rate for _, rate in peaks.bandwidths):.1f} GB/s from cache",
    ]
    if found.is_noisy:
        lines.append("The sum is more than 5 % off: other work disturbs these figures. Measure again when it is done.")
    return lines


def _as_plain(model: str, machine: "Machine", found: "Profile") -> dict[str, Any]:
    plain = asdict(found)
    plain["rows"] = [
        {**asdict(row), "share": row.time.ms / found.sum_ms, "gmacs_per_s": row.gmacs_per_s, "gb_per_s": row.gb_per_s}
        for row in found.rows
    ]
    totals = {"sum_ms": found.sum_ms, "difference": found.difference, "recording_ms": found.recording_ms}
    return {"model": model, "machine": asdict(machine), **plain, **totals}
