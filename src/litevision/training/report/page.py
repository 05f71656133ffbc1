"""The report of a run: one HTML file that needs nothing else, on paper, on a phone, in the light and in the dark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from litevision.files import atomic_write
from litevision.tasks import DEFAULT, task_of
from litevision.training.report import facts, plots

NAME = "report.html"
_MOST_SKIPPED = 50


def write_report(folder: Path, results: facts.Results, parts: Mapping[str, Any]) -> Path:
    """Writes ``report.html`` into ``folder``, whole or not at all, and gives its path.

    Args:
        folder: exists already.
        results: as ``results.json`` holds them; a number that is NaN or missing is shown as a dash or a gap.
        parts: what the task's own template, ``page.html`` in its package, is filled with.
    """
    task, epochs = task_of(results.get("task", DEFAULT)), results["epochs"]
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("litevision.training.report", "."), PackageLoader("litevision.tasks", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=facts.percent, share=facts.share, millions=facts.in_millions, flat=facts.flat)
    html = environment.get_template(f"{task.name}/page.html").render(
        run=results,
        headline=facts.score_in_words(results),
        warnings=results.get("warnings") or (),
        curves=plots.curves(epochs, results["best_epoch"], task.score_curve) if epochs else [],
        split=facts.judged_split(results),
        start=facts.start_in_words(results),
        learned_from_validation=facts.learned_from_validation(results),
        counts=_counts(results["data"]),
        skipped=results["data"]["skipped"][:_MOST_SKIPPED],
        recipe=tomli_w.dumps(results["recipe"]),
        **parts,
    )
    path = folder / NAME
    with atomic_write(path) as partial:
        # A file name may hold bytes that are no text.
        partial.write_text(html, encoding="utf-8", errors="backslashreplace")
    return path


def _counts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The table of classes by splits, with the sums of its rows and columns."""
    splits = data["counts"]
    rows = list(zip(data["classes"], zip(*splits.values(), strict=True), strict=True))
    return {"splits": list(splits), "rows": rows, "sums": list(map(sum, splits.values()))}
