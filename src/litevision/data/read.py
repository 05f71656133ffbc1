"""Labelled images from a folder or a CSV file."""

import os
import stat
from pathlib import Path

from litevision.data.copies import exact_duplicates
from litevision.data.folder import list_folder
from litevision.data.listing import Listing
from litevision.data.records import SPLITS, LabelledImages, Sample, Split
from litevision.data.splits import Fractions, carve, check_fractions, divide
from litevision.data.table import list_table
from litevision.errors import DataError
from litevision.image.files import mode_of

DEFAULT_FRACTIONS: Fractions = (0.8, 0.1, 0.1)


def read_labelled(
    path: str | os.PathLike[str], *, seed: int = 0, fractions: Fractions = DEFAULT_FRACTIONS
) -> LabelledImages:
    """The labelled images at ``path``; no image is opened.

    Splits that the data came with are kept. Data without them is split by a rule that depends on ``seed`` and on the
    images' names alone, each class on its own; copies of an image all stay in train. Where there is a train split
    but none for validation, that is taken out of train by the same rule; a missing test split stays empty.

    Args:
        path: a folder with train, validation (val, valid) and test (testing) folders of class folders; a folder of
            class folders; or a CSV file with the columns path, label and perhaps split.
        seed: gives another split.
        fractions: the shares of train, validation and test where they are made here.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labelled images there, or of one class alone.
        UsageError: fractions that cannot be.
    """
    check_fractions(fractions)
    return split_up(list_labelled(path), seed=seed, fractions=fractions)


def list_labelled(path: str | os.PathLike[str]) -> Listing:
    """What is at ``path``, before it is split; arguments and errors as for `read_labelled`."""
    path = Path(path)
    mode = mode_of(path, "path of the data")
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise DataError(f"{path}: neither a folder nor a file. Give a folder of class folders or a CSV file.")
    listing = list_folder(path) if stat.S_ISDIR(mode) else list_table(path)
    if len(listing.classes) < 2:
        raise DataError(
            f"{path}: one class alone, {listing.classes[0]!r}; expected two at least. "
            "Add images that are something else."
        )
    return listing


def split_up(listing: Listing, *, seed: int, fractions: Fractions) -> LabelledImages:
    """The listed images, each in a split."""
    splits, made = _splits(listing, seed, fractions)
    label_of = {name: label for label, name in enumerate(listing.classes)}
    samples = [
        (SPLITS.index(split), entry.name, Sample(entry.path, label_of[entry.label], split))
        for entry, split in zip(listing.entries, splits, strict=True)
    ]
    samples.sort(key=lambda placed: (*placed[:2], placed[2].label))
    return LabelledImages(listing.root, listing.classes, tuple(sample for *_, sample in samples), made)


def _splits(listing: Listing, seed: int, fractions: Fractions) -> tuple[list[Split], bool]:
    """The split of each entry, and whether any was made here."""
    own = {entry.split for entry in listing.entries}
    if None in own:
        pool = listing.entries
    elif "validation" not in own and fractions[1]:
        pool = tuple(entry for entry in listing.entries if entry.split == "train")
        fractions = carve(fractions)
    else:
        return [entry.split or "train" for entry in listing.entries], False
    copies = {pool[index].name for group in exact_duplicates([entry.path for entry in pool]) for index in group}
    made = divide({entry.name: entry.label for entry in pool}, seed=seed, fractions=fractions, keep_in_train=copies)
    splits = [made[entry.name] if entry.split in (None, "train") else entry.split for entry in listing.entries]
    return splits, bool(made)
