"""Check labelled images and boxes: every issue of a data set."""

import os
from collections.abc import Callable

from litevision.data.check.classes import class_issues, name_issues
from litevision.data.check.duplicates import duplicate_issues
from litevision.data.check.report import DataReport
from litevision.data.formats.find import list_labels
from litevision.data.image_stats import inspect_images
from litevision.data.issues import Issue
from litevision.data.outside import outside_issues
from litevision.data.reader import READERS, image_issues
from litevision.data.splits import DEFAULT_FRACTIONS, Fractions, check_fractions

__all__ = ["DataReport", "check_data"]

_DRAWING, _OTHERS_EACH = "placeholder", 20
_SAY_WHY = ("empty-class", "class-only-in-one-split", "misread-labels")  # why nothing can be trained


def check_data(
    path: str | os.PathLike[str],
    *,
    quick: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
    fractions: Fractions = DEFAULT_FRACTIONS,
) -> DataReport:
    """Check the labelled images or boxes at ``path``; nothing is changed.

    Args:
        path: a folder or a file in one of the formats of `litevision.data.FORMATS`.
        quick: read headers alone: what only pixels show, near duplicates too, is not looked for.
        workers: threads; by default one for each processor, up to 8.
        on_progress: called with the number of images inspected, and of all.
        seed: gives another split, where the data has no splits of its own.
        fractions: the shares of train, validation and test there.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labels there, labels in more than one format, or of one class alone.
        UsageError: fractions that cannot be.

    Example:
        ```python
        report = litevision.check_data("clothes/")
        print(report)
        assert report.ok
        ```
    """
    check_fractions(fractions)
    row, listing = list_labels(path)
    label = READERS[row.task].label(listing, kind=row.name, seed=seed, fractions=fractions)
    paths = [image.path for image in listing.images]
    stats = inspect_images(paths, quick=quick, workers=workers, on_progress=on_progress)
    data = label(stats)
    issues = list(data.issues)
    of_images = list(image_issues(listing, stats, data.missing_rule))
    drawings = sum(issue.rule == _DRAWING for issue in of_images)
    are_rare = drawings * _OTHERS_EACH <= len(paths)  # else the data is of drawings
    issues += (issue for issue in of_images if are_rare or issue.rule != _DRAWING)
    issues += outside_issues(listing.root, [path for path, size in zip(paths, stats.sizes_hw, strict=True) if size])
    issues += name_issues(listing)
    issues += class_issues(data, listing)
    if not any(issue.rule in _SAY_WHY for issue in issues):
        issues += (Issue.of("cannot-train", None, obstacle) for obstacle in data.obstacles())
    issues += duplicate_issues(data, paths, stats, workers=workers)
    return DataReport(data, quick, tuple(sorted(issues, key=lambda issue: issue.order)))
