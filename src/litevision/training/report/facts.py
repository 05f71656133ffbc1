"""What the page and the card both say of a run, read from its results."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from litevision.tasks import DEFAULT, task_of

Results = Mapping[str, Any]
"""``results.json`` as a dict."""

UNKNOWN = "–"


def judged_split(results: Results) -> str | None:
    """The split that the run is judged by: the test images, without them the validation ones, else None."""
    return next((split for split in ("test", "validation") if results["scores"].get(split)), None)


def learned_from_validation(results: Results) -> bool:
    """Whether the validation images were trained on, so that their scores judge nothing."""
    return "validation" in str(results["recipe"]["schedule"].get("train_on"))


def score_in_words(results: Results) -> str:
    """The score as sentences: how much was measured, the figure, and how far to trust it."""
    split = judged_split(results)
    if split is None:
        return "This run has no score: there were no images to measure it on."
    words = task_of(results.get("task", DEFAULT)).score_sentence(split, results["scores"][split])
    if split == "validation" and results["recipe"]["schedule"].get("keep") != "last":
        words += " There were no test images; these also chose the best epoch, so the score flatters."
    return words


def finite(value: float | None) -> float:
    """``value`` as a float; NaN where it is None or infinite, which plots pass over."""
    return value if value is not None and math.isfinite(value) else math.nan


def percent(value: float | None, digits: int = 1) -> str:
    """``93.5 %`` of a value that is in percent already; a dash where there is none."""
    return UNKNOWN if math.isnan(finite(value)) else f"{value:.{digits}f} %"


def share(value: float | None, digits: int = 3) -> str:
    """``0.935`` of a value in [0, 1]; a dash where there is none."""
    return UNKNOWN if math.isnan(finite(value)) else f"{value:.{digits}f}"


def in_millions(value: float) -> str:
    """``2.24 M``."""
    return f"{value / 1e6:,.2f} M"


def start_in_words(results: Results) -> str:
    """What the training started from, with its licence, as a sentence."""
    start = results["start_weights"]
    if not start:
        return "It was trained from scratch."
    return f"It started from the weights {start['name']} ({start['provenance']}; licence: {start['licence']})."


def flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The record's entries with readable names; inner records come out entry by entry, and None is left out."""
    for key, value in record.items():
        name = f"{above}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from flat(value, f"{name} ")
        elif value is not None:
            yield name, value
