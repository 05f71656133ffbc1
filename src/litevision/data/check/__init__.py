"""The check of labelled images and boxes: every fault of a data set."""

import os
from collections.abc import Callable

from litevision.data.check.boxes import check_boxes
from litevision.data.check.classes import imbalance_faults, presence_faults
from litevision.data.check.duplicates import duplicate_faults
from litevision.data.check.looks import look_at_all
from litevision.data.check.names import name_faults
from litevision.data.check.report import DataReport
from litevision.data.detection.find import is_detection
from litevision.data.issues import Issue
from litevision.data.read import DEFAULT_FRACTIONS, list_labelled, split_up
from litevision.data.records import SPLITS
from litevision.data.splits import Fractions, check_fractions

__all__ = ["DataReport", "check_data"]


def check_data(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    fractions: Fractions = DEFAULT_FRACTIONS,
    quick: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> DataReport:
    """Every fault of the labelled images or boxes at ``path``.

    Args:
        path: as for `litevision.data.read_labelled` or `litevision.data.read_boxes`, and so ``seed`` and
            ``fractions``, which matter where the data has no splits of its own.
        seed: gives another split.
        fractions: the shares of train, validation and test.
        quick: read headers alone: what only pixels show, near duplicates too, is not looked for.
        workers: threads; by default one for each processor, up to 8.
        on_progress: is told how many images of how many have been looked at.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labelled images or boxes there, or images of one class alone.
        UsageError: fractions that cannot be.
    """
    check_fractions(fractions)
    if is_detection(path):
        return check_boxes(path, seed=seed, fractions=fractions, quick=quick, workers=workers, on_progress=on_progress)
    listing = list_labelled(path)
    data = split_up(listing, seed=seed, fractions=fractions)
    counts = {split: data.counts(split) for split in SPLITS}
    faults = [*listing.faults, *name_faults(listing), *presence_faults(data.classes, counts, listing.class_folders)]
    faults += imbalance_faults(data.classes, counts["train"])
    lines = {entry.path: entry.line for entry in listing.entries}
    looks = look_at_all([sample.path for sample in data.samples], quick=quick, workers=workers, on_progress=on_progress)
    for sample, found in zip(data.samples, looks.found, strict=True):
        for rule, detail in found:
            line = f", line {lines[sample.path]}" if rule == "missing-file" and lines[sample.path] else ""
            faults.append(Issue.of(rule, sample.path, detail + line))
    faults += duplicate_faults(data, looks.sizes_hw, looks.thumbs_u8, workers=workers)
    return DataReport(data, quick, tuple(sorted(faults, key=lambda fault: fault.order)))
