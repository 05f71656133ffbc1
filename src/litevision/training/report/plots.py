"""The report's plots: Matplotlib figures as SVG that stands inside the page and takes its colours and its font."""

import io
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from litevision.evaluation import CalibrationBin, wilson_interval
from litevision.plotting import BLUE, ORANGE, plot_style
from litevision.training.report.facts import finite

if TYPE_CHECKING:
    from litevision.tasks.report import ScoreCurve

_CURVE_INCHES = (4.6, 2.7)
_MOST_NUMBERS = 2500  # in a confusion matrix; with more, the colours alone must do
_MOST_NAMES = 120
_WHITE_TEXT_FROM = 0.6  # of a cell's full colour
_LONGEST_NAME = 28

# Stand for the page's own colours, which need another lightness on a dark ground.
INK, FAINT = "#010203", "#040506"
_IN_PAGE = {INK: "currentColor", FAINT: "var(--rule)", BLUE: "var(--blue)", ORANGE: "var(--orange)"}


def curves(
    epochs: Sequence[Mapping[str, Any]], best_epoch: int | None, score: "ScoreCurve"
) -> list[tuple[Markup, str]]:
    """How training went, epoch by epoch: the plots, each with a sentence on how to read it."""
    with drawing():
        return [
            (
                _curve(epochs, best_epoch, "loss", {"train_loss": "training", "validation_loss": "validation"}),
                "Loss, lower is better: where validation (solid) rises while training (dashed) still falls, the "
                "network learns its images by heart; with augmentation, training may well lie above.",
            ),
            (_curve(epochs, best_epoch, score.ylabel, score.lines), score.caption),
            (
                _curve(epochs, None, "learning rate", {"lr": ""}),
                "How large the steps were at the end of each epoch: up while warming up, then down to settle.",
            ),
            (
                _speed(epochs),
                "Images trained per second, and the share of time spent waiting for data: a high wait means that "
                "decoding, not the network, sets the pace.",
            ),
        ]


def _curve(
    epochs: Sequence[Mapping[str, Any]], best_epoch: int | None, ylabel: str, lines: Mapping[str, str]
) -> Markup:
    """One plot over epochs; ``lines`` are keys of the epochs with their names in the legend, the main one last."""
    figure = Figure(figsize=_CURVE_INCHES)
    axes = figure.add_subplot()
    x = [epoch["epoch"] for epoch in epochs]
    looks = [(ORANGE, "--"), (BLUE, "-")][-len(lines) :]
    for (key, label), (colour, style) in zip(lines.items(), looks, strict=True):
        y = [finite(epoch.get(key)) for epoch in epochs]
        axes.plot(x, y, label=label, marker="o", markersize=3, color=colour, linestyle=style)
        if key == list(lines)[-1] and best_epoch in x:
            at = x.index(best_epoch)
            axes.plot([x[at]], [y[at]], "o", markersize=10, markerfacecolor="none", color=BLUE)
    if len(lines) > 1:
        axes.legend()
    axes.set_ylabel(ylabel)
    _finish(axes, epochs, [finite(epoch.get(key)) for key in lines for epoch in epochs])
    return svg(figure, ylabel.split()[0].rstrip(",") + "-curve", f"{ylabel} by epoch")


def _speed(epochs: Sequence[Mapping[str, Any]]) -> Markup:
    figure = Figure(figsize=_CURVE_INCHES)
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    x = [epoch["epoch"] for epoch in epochs]
    speeds = [finite(epoch.get("images_per_s")) for epoch in epochs]
    waits = [100 * finite(epoch.get("data_wait_share")) for epoch in epochs]
    upper.plot(x, speeds, color=BLUE, marker="o", markersize=3)
    upper.set_ylim(0, 1.15 * max([1e-3, *(speed for speed in speeds if speed == speed)]))
    upper.set_ylabel("images/s")
    lower.bar(x, waits, color=ORANGE, width=0.6)
    lower.set_ylim(0, max([10.0, *(1.15 * wait for wait in waits if wait == wait)]))
    lower.set_ylabel("wait, %")
    _finish(upper, epochs, speeds)
    _finish(lower, epochs, waits)
    upper.set_xlabel("")
    figure.align_ylabels()
    return svg(figure, "speed", "images per second and share of time waiting for data by epoch")


def _finish(axes: Axes, epochs: Sequence[Mapping[str, Any]], values: Sequence[float]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    switch = next((epoch["epoch"] for epoch in epochs if epoch.get("phase") == "all"), None)
    if switch is not None and switch > epochs[0]["epoch"]:
        axes.axvline(switch - 0.5, color=INK, linewidth=0.8, linestyle=":")
    if np.isnan(values).all():
        axes.text(0.5, 0.5, "no numbers", transform=axes.transAxes, ha="center", va="center")


def confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Markup:
    """Counts by truth (rows) and answer (columns), each cell coloured by its share of the row."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    count = len(classes)
    cell_inches = float(np.clip(6 / count, min(0.15, 18 / count), 0.5))
    cell_pt = 72 * cell_inches
    with drawing():
        figure = Figure(figsize=(cell_inches * count, cell_inches * count))
        axes = figure.add_axes((0, 0, 1, 1))
        # Colour lies over the page as a film, thicker for more, so that it reads on light and dark ground alike.
        rgba = np.empty((count, count, 4))
        rgba[..., :3] = to_rgb(ORANGE)
        rgba[np.eye(count, dtype=bool), :3] = to_rgb(BLUE)
        rgba[..., 3] = np.where(counts > 0, 0.12 + 0.88 * shares, 0)
        axes.imshow(rgba, interpolation="none", aspect="auto")
        _numbers(axes, counts, shares, cell_pt)
        ticks = range(count) if count <= _MOST_NAMES else ()
        names = [short_name(classes[at]) for at in ticks]
        size = min(10.0, 0.75 * cell_pt)
        axes.set_xticks(ticks, names, rotation=90, fontsize=size)
        axes.set_yticks(ticks, names, fontsize=size)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.set_xlabel("answer")
        axes.xaxis.set_label_position("top")
        axes.set_ylabel("truth")
        axes.spines[:].set_visible(True)
        if count <= _MOST_NAMES:  # a fine grid, to follow rows and columns
            axes.set_xticks(np.arange(count - 1) + 0.5, minor=True)
            axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
            axes.grid(which="minor", linewidth=0.5)
            axes.tick_params(which="minor", length=0)
        return svg(figure, "confusion", "confusion matrix: true classes by rows, answers by columns")


def _numbers(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], cell_pt: float) -> None:
    rows, columns = np.nonzero(counts)
    if len(rows) > _MOST_NUMBERS:
        return
    digits = len(str(counts.max(initial=0)))
    size = min(10.0, 0.7 * cell_pt, 1.4 * cell_pt / digits)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        colour = "white" if shares[row, column] >= _WHITE_TEXT_FROM else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=size, color=colour)


def reliability(bins: Sequence[CalibrationBin]) -> Markup:
    """How often the answers of each score were right, over how many there were; whiskers are 95 % Wilson intervals."""
    width = bins[0].high - bins[0].low
    filled = [(it, it.accuracy) for it in bins if it.accuracy is not None]
    centres = [(it.low + it.high) / 2 for it, _ in filled]
    right = [100 * accuracy for _, accuracy in filled]
    intervals = [wilson_interval(round(it.count * accuracy), it.count) for it, accuracy in filled]
    # The interval's ends are rounded: a whisker must not be negative.
    whiskers = [
        [max(0.0, height - low) for height, (low, _) in zip(right, intervals, strict=True)],
        [max(0.0, high - height) for height, (_, high) in zip(right, intervals, strict=True)],
    ]
    with drawing():
        figure = Figure(figsize=(4.6, 4.6))
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(4, 1))
        upper.bar(centres, right, width=0.9 * width, color=BLUE, alpha=0.6)
        upper.errorbar(centres, right, whiskers, color=INK, linestyle="", linewidth=1)
        upper.plot([0, 1], [0, 100], color=INK, linestyle="--", linewidth=1)
        upper.set_ylim(0, 100)
        upper.set_ylabel("right, %")
        lower.bar(centres, [it.count for it, _ in filled], width=0.9 * width, color=ORANGE)
        lower.set_ylabel("images")
        lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        lower.set_xlim(0, 1)
        lower.set_xlabel("score of the answer")
        figure.align_ylabels()
        return svg(figure, "reliability", "share of right answers by their score")


def precision_recall(name: str, precision: Sequence[float], recall: Sequence[float], chosen: int | None) -> Markup:
    """One class of a detector at every score, the highest first; ``chosen`` is the place of its threshold."""
    with drawing():
        figure = Figure(figsize=(3.0, 2.6))
        axes = figure.add_subplot()
        axes.plot([0, *recall[:1], *recall], [*precision[:1], *precision[:1], *precision], color=BLUE)
        if chosen is not None:
            axes.plot([recall[chosen]], [precision[chosen]], "o", color=ORANGE, markersize=7)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        axes.grid(linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_title(short_name(name), fontsize=10)
        return svg(
            figure,
            f"pr-{zlib.crc32(name.encode('utf-8', 'replace')):x}",
            f"precision against recall of {short_name(name)}",
        )


def drawing() -> AbstractContextManager[None]:
    """Give the figures that are made and rendered inside the page's look."""
    return plot_style(INK, FAINT)


def svg(figure: Figure, name: str, title: str) -> Markup:
    """``figure`` as an ``<svg>`` element.

    Args:
        name: sets its ids apart from those of the page's other drawings.
        title: what is read to those who cannot see it.
    """
    out = io.StringIO()
    none = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.05, metadata=none)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)  # HTML knows what <svg> is
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for colour, in_page in _IN_PAGE.items():
        text = text.replace(colour, in_page)
    return Markup(text.replace("<svg", Markup('<svg role="img" aria-label="{}"').format(title), 1))


def short_name(name: str) -> str:
    """A class name as a label: what cannot be drawn replaced, and cut where it is long."""
    name = "".join("\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
