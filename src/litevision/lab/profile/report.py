"""Profile a model by name, and a profile as text."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from litevision.console import note
from litevision.cost.graph import InputShapes
from litevision.cost.rows import Size, pair_of
from litevision.exporting.graph_file import graph_file, title_of
from litevision.lab.profile.measure import profile_file
from litevision.lab.profile.timings import LayerTime, Profile
from litevision.runtime.engines import engine_choice
from litevision.tables import Align, Table
from litevision.weights.any_model import BY_NAME, NetworkForm

if TYPE_CHECKING:
    from torch import nn

    from litevision.weights.trained import RunLike


def profile(
    model: "str | os.PathLike[str] | nn.Module | RunLike",
    *,
    form: NetworkForm = BY_NAME,
    engine: str = "onnxruntime",
    precision: str | None = None,
    threads: int | None = None,
    batch: int = 1,
    size: Size | None = None,
    shapes: InputShapes | None = None,
    repeats: int = 54,
) -> Profile:
    """Measure what each layer of a model takes on this machine, with the engine's own profiler.

    Args:
        model: any .onnx or weight file, a run or its folder, a network, or a name: of a bundle, a network, a weight set
            or ``centernet``; nothing is downloaded, for times do not depend on weights.
        form: how a network is built from its name.
        engine: onnxruntime or openvino.
        precision: fp32, or bf16 where engine and processor have it.
        threads: that compute a batch; by default all there are.
        batch: images in a batch.
        size: of the images in pixels, one side or (height, width), for a file that leaves it open.
        shapes: of inputs by name, for what else a file leaves open.
        repeats: runs with the profiler, and as many without it.

    Raises:
        LitevisionError: as for `litevision.lab.profile.measure.profile_file`, or no such model.
    """
    choice = engine_choice(engine, precision, threads=threads)
    notes: list[str] = []
    with graph_file(model, form=form, size_hw=pair_of(size), notes=notes) as path:
        for line in notes:
            note(f"note: {line}")
        return profile_file(
            path,
            choice,
            title=title_of(model),
            batch=batch,
            size_hw=pair_of(size),
            shapes=shapes,
            repeats=repeats,
        )


def sections(found: Profile, *, every: bool) -> Iterator[str | Table]:
    """Yield a profile as text: the table, the totals and the machine."""
    columns: dict[str, Align] = {"layer": "left", "operation": "left"}
    columns |= dict.fromkeys(("ms", "spread", "%", "GMAC/s", "GB/s"), "right")
    columns |= {"bound": "left"}
    rows = found.rows if every else [row for row in found.rows if row.kind in ("layer", "between")]
    cells = [_cells(row, found) for row in rows]
    if not every:
        cells[-1:-1] = _added(found)
    yield Table(columns, cells)
    yield ""
    yield Table(
        {"kind of operation": "left", "ms": "right", "%": "right", "layers": "right"},
        [(it.kind, f"{it.ms:.3f}", f"{100 * it.share:.1f}", str(it.layers)) for it in found.kinds],
    )
    yield from _totals(found)
    yield f"\n{found.machine}"


def _cells(row: LayerTime, found: Profile) -> tuple[str, ...]:
    near = f"{row.bound} {row.of_bound:.0%}" if row.bound and row.of_bound is not None else ""
    name = row.name if row.kind in ("layer", "between") else f"{row.kind} {row.name}"
    rates = ("" if rate is None else f"{rate:.1f}" for rate in (row.gmacs_per_s, row.gb_per_s))
    return name, row.operation, *_times(row.time.ms, row.time.iqr_ms, found), *rates, near


def _times(ms: float, iqr_ms: float | None, found: Profile) -> tuple[str, str, str]:
    return f"{ms:.3f}", "" if iqr_ms is None else f"{iqr_ms:.3f}", f"{100 * ms / found.sum_ms:.1f}"


def _added(found: Profile) -> list[tuple[str, ...]]:
    """A row for all changes of layout, and one for all else that the engine adds."""
    cells: list[tuple[str, ...]] = []
    for kind, name in (("reorder", "changes of layout"), ("engine", "added by the engine")):
        rows = [row for row in found.rows if row.kind == kind]
        if rows:
            kernels = f"{len(rows)} kernel{'s' if len(rows) > 1 else ''}"
            cells.append((name, kernels, *_times(sum(row.time.ms for row in rows), None, found), "", "", ""))
    return cells


def _totals(found: Profile) -> Iterator[str]:
    choice, peaks = found.choice, found.peaks
    threads = f"{choice.threads} thread{'s' if choice.threads > 1 else ''}"
    yield (
        f"\n{found.version} {choice.precision}, {threads}, {found.inputs}, "
        f"{found.runs} runs with the profiler and {found.runs} without, in turns"
    )
    yield f"sum of the rows    {found.sum_ms:.3f} ms"
    yield (
        f"whole run          {found.whole.ms:.3f} ms, spread {found.whole.iqr_ms:.3f}; the sum differs by "
        f"{found.difference:+.1%}"
    )
    yield (
        f"with the profiler  {found.profiled.ms:.3f} ms; its cost {'is left in' if found.is_raw else 'is taken off'}: "
        f"{1e3 * found.cost.inside_ms:.1f} us in each of {found.num_kernels} kernels, "
        f"{1e3 * found.cost.between_ms:.1f} us after it"
    )
    yield (
        f"peaks              {peaks.gmacs_per_s:.1f} GMAC/s; {peaks.gb_per_s:.1f} GB/s from memory, "
        f"{max(rate for _, rate in peaks.bandwidths):.1f} GB/s from cache"
    )
    if found.is_raw:
        yield (
            "These are raw times, with the profiler's cost in them: measured beside other work, it was above what the "
            "kernels take. Measure again when that is done."
        )
    elif found.is_noisy:
        yield "The sum is more than 5 % off: other work disturbs these figures. Measure again when it is done."
