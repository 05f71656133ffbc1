"""The check of labelled pictures: every fault of a data set."""

import os
from collections.abc import Callable

import numpy as np

from litevision.data.check.classes import class_faults
from litevision.data.check.duplicates import duplicate_faults
from litevision.data.check.names import name_faults
from litevision.data.check.report import DataReport
from litevision.data.faults import Fault
from litevision.data.look import THUMB_PX, look_at, open_header
from litevision.data.read import DEFAULT_FRACTIONS, list_labelled, split_up
from litevision.data.splits import Fractions, check_fractions
from litevision.data.threads import in_threads

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
    """Every fault of the labelled pictures at ``path``.

    Args:
        path: as for `litevision.data.read_labelled`, and so ``seed`` and ``fractions``, which matter where the data
            has no splits of its own.
        seed: gives another split.
        fractions: the shares of train, validation and test.
        quick: read headers alone: what only pixels show, near duplicates too, is not looked for.
        workers: threads; by default one for each processor, up to 8.
        on_progress: is told how many pictures of how many have been looked at.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labelled pictures there, or of one class alone.
        UsageError: fractions that cannot be.
    """
    check_fractions(fractions)
    listing = list_labelled(path)
    data = split_up(listing, seed=seed, fractions=fractions)
    faults = [*listing.faults, *name_faults(listing), *class_faults(data, listing.class_folders)]
    lines = {entry.path: entry.line for entry in listing.entries}

    thumbs = np.zeros((0 if quick else len(data.samples), THUMB_PX, THUMB_PX, 3), np.uint8)
    sizes: list[tuple[int, int] | None] = []
    looks = in_threads(lambda sample: (open_header if quick else look_at)(sample.path), data.samples, workers=workers)
    for index, (sample, look) in enumerate(zip(data.samples, looks, strict=True)):
        for rule, detail in look.found:
            line = f", line {lines[sample.path]}" if rule == "missing-file" and lines[sample.path] else ""
            faults.append(Fault.of(rule, sample.path, detail + line))
        sizes.append(look.upright_hw)
        if look.thumb is not None:
            thumbs[index] = look.thumb
        on_progress(index + 1, len(data.samples))
    faults += duplicate_faults(data, sizes, None if quick else thumbs, workers=workers)
    return DataReport(data, quick, tuple(sorted(faults, key=lambda fault: fault.order)))
