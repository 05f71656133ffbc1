"""The four experiments as one image: how much longer each network took, beside the paper's."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from litevision.lab.guidelines.findings import Finding
from litevision.lab.guidelines.measure import VariantTiming
from litevision.plotting import BLUE, GREEN, ORANGE, PINK, plot_style, save_figure

_COLOURS = (BLUE, ORANGE, GREEN, PINK)
_PANEL_INCHES = (6.4, 3.6)


def plot(file: Path, findings: Sequence[Finding], rows: Sequence[VariantTiming], title: str) -> None:
    """Plot a panel for each of ``findings``: medians as bars, all rounds as whiskers, the paper's ARM as diamonds.

    Args:
        file: ends in ``.png`` or ``.svg``.
    """
    columns = min(2, len(findings))
    lines = -(-len(findings) // columns)
    with plot_style():
        figure = Figure(figsize=(_PANEL_INCHES[0] * columns, _PANEL_INCHES[1] * lines + 0.4), layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False).flat
        for panel, finding in zip(panels, findings, strict=False):
            _draw(panel, finding, [row for row in rows if row.guideline == finding.guideline and not row.is_first])
        for panel in list(panels):
            panel.set_axis_off()
        figure.suptitle(title, fontsize=9)
        save_figure(figure, file, dpi=120)


def _draw(panel: Axes, finding: Finding, rows: Sequence[VariantTiming]) -> None:
    scales = sorted({row.scale for row in rows})
    variants = list(dict.fromkeys(row.variant for row in rows))
    width = 0.8 / len(variants)
    for number, variant in enumerate(variants):
        mine = [row for row in rows if row.variant == variant]
        places = [scales.index(row.scale) + (number - (len(variants) - 1) / 2) * width for row in mine]
        medians = [row.time for row in mine]
        spread = [[row.time - min(row.times) for row in mine], [max(row.times) - row.time for row in mine]]
        panel.bar(places, medians, 0.9 * width, yerr=spread, capsize=2, color=_COLOURS[number], label=variant)
        papers = [row.paper_cpu for row in mine if row.paper_cpu is not None]
        if papers:
            label = "paper, ARM" if variant == variants[-1] else None
            panel.plot(places, papers, "D", color="white", markeredgecolor="black", markersize=5, label=label)
    panel.axhline(1, color="black", linewidth=1)
    panel.set_xticks(range(len(scales)), [f"widths x{scale}" for scale in scales])
    panel.set_ylabel("times as long as the first")
    panel.set_title(f"{finding.guideline} {finding.title}: {finding.outcome}", fontsize=10)
    panel.legend(fontsize=7, ncols=2)
