"""The comparison as one image: what a candidate finds, over what it takes."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from litevision.lab.compare.candidates import CANDIDATES
from litevision.lab.compare.table import ComparisonRow
from litevision.plotting import BLUE, GREEN, INK, ORANGE, PINK, SKY, YELLOW, log_milliseconds, plot_style, save_figure

_COLOURS = dict(zip(CANDIDATES, (INK, PINK, ORANGE, SKY, BLUE, YELLOW, GREEN), strict=True))
_PT2_PER_PARAM = 60e-6


def write_plot(path: Path, rows: Sequence[ComparisonRow], title: str, ms_label: str) -> None:
    """Plot AP over milliseconds as PNG, each row a dot whose area is its parameters.

    Args:
        title: says which images and which budget.
        ms_label: says what the milliseconds are those of.
    """
    with plot_style():
        figure = Figure(figsize=(8.4, 4.8), layout="constrained")
        axes = figure.add_subplot()
        for row in sorted(rows, key=lambda it: -it.num_params):  # the small ones on top
            x, y, colour = row.median_ms, row.ap, _COLOURS[row.candidate]
            axes.plot([row.p25_ms, row.p75_ms], [y, y], color=colour, linewidth=1.5, zorder=3)
            area, is_plain = _PT2_PER_PARAM * row.num_params, row.regime == "plain"
            face, edge = ("none", 1.5) if is_plain else (colour, 0.0)
            axes.scatter(x, y, s=area, facecolors=face, edgecolors=colour, linewidths=edge, alpha=0.8, zorder=2)
        log_milliseconds(axes)
        axes.set_xlim(min(row.p25_ms for row in rows) / 1.6, max(row.p75_ms for row in rows) * 1.6)
        top = 1.15 * max(row.ap for row in rows) or 1.0
        axes.set_ylim(-0.05 * top, top)  # a dot at 0 is seen whole
        axes.set_xlabel(f"milliseconds an image, median, log scale\n{ms_label}")
        axes.set_ylabel("AP (IoU 0.50 to 0.95)")
        axes.set_title(title, fontsize=11, loc="left")
        axes.grid()
        for row in rows:
            figures = f"{row.num_params / 1e6:.1f} M params, {row.median_ms:.1f} ms, AP {row.ap:.3f}"
            label = f"{CANDIDATES[row.candidate].title}\n{figures}"
            axes.plot([], [], "o", color=_COLOURS[row.candidate], label=label)
        figure.legend(
            loc="outside right upper",
            title="area of a dot: params\nline: the middle half of the times",
            alignment="left",
            labelspacing=1,
        )
        save_figure(figure, path, dpi=150)
