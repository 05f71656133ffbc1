"""The candidates as one image: what they score over what they take."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from litevision.lab.choose.candidates import Candidate
from litevision.lab.choose.pareto import Budget
from litevision.plotting import BLUE, GREEN, GREY, INK, ORANGE, PINK, SKY, log_milliseconds, plot_style, save_figure
from litevision.registry import ALIASES

_COLOURS = {
    "mobilenet_v1": ("MobileNetV1", BLUE),
    "mobilenet_v2": ("MobileNetV2", ORANGE),
    "mobilenet_v3": ("MobileNetV3", GREEN),
    "mobilenet_v4": ("MobileNetV4", SKY),
    "shufflenet_v2": ("ShuffleNetV2", PINK),
}
_OTHER = ("others", GREY)
_PT2_PER_MB = 5.0
_LABEL_PT = 6.5
_LABEL_WIDTH_PT = 80.0


def plot(
    file: Path, candidates: Sequence[Candidate], best: Sequence[Candidate], budgets: Sequence[Budget], title: str
) -> None:
    """Plot top-1 over predicted milliseconds into ``file``: an area is a bundle's size, the line the Pareto front.

    Args:
        file: ends in ``.png`` or ``.svg``.
        best: those on the Pareto front, which are named.
        budgets: those of time are drawn as lines.
    """
    with plot_style():
        figure = Figure(figsize=(9.6, 6.0), layout="constrained")
        axes = figure.add_subplot()
        for family, (label, colour) in {**_COLOURS, "": _OTHER}.items():
            mine = [it for it in candidates if _family(it) == family]
            if not mine:
                continue
            axes.plot([], [], "o", color=colour, label=label)
            for kept, alpha in ((False, 0.3), (True, 0.9)):
                dots = [it for it in mine if (it in best) == kept]
                areas = [_PT2_PER_MB * it.num_bytes / 1e6 for it in dots]
                axes.scatter(
                    [it.ms for it in dots], [it.top1 for it in dots], s=areas, color=colour, alpha=alpha, linewidths=0
                )
        log_milliseconds(axes)
        figure.canvas.draw()  # from here on, the places of dots are known
        line = _quickest_first(best)
        axes.step([it.ms for it in line], [it.top1 for it in line], where="post", color=INK, linewidth=1, zorder=1)
        placed: list[tuple[float, float]] = []
        for it in line:
            words = f"{it.name.removeprefix('mobilenet_')} {it.width_mult:g} @{_size(it)}"
            xy_pt = axes.transData.transform((it.ms, it.top1)) * 72 / figure.dpi
            y_pt = _free_height(float(xy_pt[0]), float(xy_pt[1]) - 9, placed)
            offset = (4, y_pt - float(xy_pt[1]))
            axes.annotate(words, (it.ms, it.top1), offset, textcoords="offset points", fontsize=_LABEL_PT, zorder=4)
        for budget in budgets:
            if budget.of == "ms":
                axes.axvline(budget.most, color=ORANGE, linewidth=1, linestyle="--")
                axes.annotate(
                    f"{budget}",
                    (budget.most, 0.01),
                    (3, 0),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                )
        axes.set_xlabel("predicted milliseconds an image, log scale")
        axes.set_ylabel("published top-1 on ImageNet, %")
        axes.grid()
        axes.set_title(title, fontsize=9, loc="left")
        axes.legend(
            loc="lower right",
            title="area: the bundle's size\nline: the most exact for its time",
            frameon=True,
            facecolor="white",
            framealpha=1,
            edgecolor="none",
        )
        save_figure(figure, file)


def _free_height(x_pt: float, y_pt: float, placed: list[tuple[float, float]]) -> float:
    """Move a label down until no earlier one stands there; ``placed`` remembers it."""
    while any(abs(x_pt - x) < _LABEL_WIDTH_PT and abs(y_pt - y) < _LABEL_PT + 1 for x, y in placed):
        y_pt -= _LABEL_PT + 1
    placed.append((x_pt, y_pt))
    return y_pt


def _family(candidate: Candidate) -> str:
    name = ALIASES[candidate.name].architecture if candidate.name in ALIASES else candidate.name
    return next((family for family in _COLOURS if name.startswith(family)), "")


def _quickest_first(best: Sequence[Candidate]) -> list[Candidate]:
    """Keep those of the front that are the most exact for their time, whatever their size."""
    line: list[Candidate] = []
    for it in sorted(best, key=lambda each: (each.ms, -each.top1)):
        if not line or it.top1 > line[-1].top1:
            line.append(it)
    return line


def _size(candidate: Candidate) -> str:
    height, width = candidate.size_hw
    return str(height) if height == width else f"{height}x{width}"
