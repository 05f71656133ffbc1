"""The report of a run: one HTML file that needs nothing else, on paper, on a phone, in the light and in the dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, PackageLoader, StrictUndefined

from litevision.evaluation import Evaluation, calibration, scores
from litevision.files import atomic_write
from litevision.training.report import facts, plots
from litevision.training.report.images import Overlay, mistakes, overlaid

NAME = "report.html"
MOST_IMAGES = 24  # of mistakes, and of overlays: what a person looks through, and the file stays small
_MOST_SKIPPED = 50
_MOST_CONFUSIONS = 10


def write_report(
    folder: Path,
    results: facts.Results,
    evaluations: Mapping[str, Evaluation],
    overlays: Sequence[Overlay],
) -> Path:
    """Writes ``report.html`` into ``folder``, whole or not at all, and gives its path.

    Args:
        folder: exists already.
        results: as ``results.json`` holds them; a number that is NaN or missing is shown as a dash or a gap.
        evaluations: by split; the calibration and the mistakes are those of the split that the run is judged by, and
            are left out where it is not here.
        overlays: the first ``MOST_IMAGES`` are shown.
    """
    split = facts.judged_split(results)
    return render(
        folder,
        "page.html",
        results,
        headline=facts.score_in_words(results),
        curves=plots.curves(results["epochs"], results["best_epoch"]) if results["epochs"] else [],
        judged=_judged(results, split, evaluations) if split else None,
        overlays=overlaid(overlays[:MOST_IMAGES]),
    )


def render(folder: Path, template: str, results: facts.Results, **parts: Any) -> Path:
    """Writes ``report.html`` from a template, whole or not at all, and gives its path; ``parts`` differ by task."""
    environment = Environment(
        loader=PackageLoader("litevision.training.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=facts.percent, share=facts.share, millions=facts.in_millions, flat=facts.flat)
    html = environment.get_template(template).render(
        run=results,
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


def _judged(results: facts.Results, split: str, evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """What the page shows of the split that the run is judged by."""
    found = results["scores"][split]
    judged: dict[str, Any] = {
        "scores": found,
        "matrix": plots.confusion_matrix(found["confusion"], [row["name"] for row in found["per_class"]]),
        "evaluation": evaluations.get(split),
        "confusions": (),
    }
    if split in evaluations:
        evaluation = evaluations[split]
        judged["confusions"] = scores(evaluation).confusions(_MOST_CONFUSIONS)
        judged["reliability"] = plots.reliability(calibration(evaluation))
        judged["mistakes"] = mistakes(evaluation, MOST_IMAGES)
    return judged
