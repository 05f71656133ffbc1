"""Check the classes: how many images and boxes each has, and names that differ in case alone."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from litevision.data.dataset import SPLITS, LabelledBoxes, LabelledImages, Split
from litevision.data.issues import Issue
from litevision.data.listing import Listing

_MIN_IN_TRAIN = 10
_MAX_RATIO = 10


def class_issues(data: LabelledImages | LabelledBoxes, listing: Listing) -> Iterator[Issue]:
    """Classes without images or with too few, and classes of very different size."""
    # Boxes are counted in images here, as an image is what a person can add, and one crowded image teaches less than
    # many.
    images = {split: data.image_counts(split) for split in SPLITS}
    yield from _presence_issues(data, images, listing.class_folders)
    yield from _imbalance_issues(data.classes, data.counts("train"))
    yield from data.notes()


def _presence_issues(
    data: LabelledImages | LabelledBoxes,
    counts: Mapping[Split, Sequence[int]],
    folders: Mapping[tuple[Split | None, str], Path],
) -> Iterator[Issue]:
    """Classes without images, or with too few; ``folders`` holds the folder of a class in a split, if it has one."""
    for label, name in enumerate(data.classes):
        in_train, *others = (counts[split][label] for split in SPLITS)
        own_folders = [path for (_, of), path in folders.items() if of == name]
        folder = own_folders[0] if own_folders else None
        if not in_train and not any(others):
            yield Issue.of(data.absent_rule, folder, f"class {name!r}")
            continue
        if not in_train:
            have = " and ".join(split for split in SPLITS if counts[split][label])
            yield Issue.of(data.untrained_rule, folder, f"class {name!r}: only in {have}")
            continue
        for split in SPLITS:
            here = counts[split][label]
            too_few = 0 < here < _MIN_IN_TRAIN if split == "train" else not here and any(counts[split])
            if too_few:
                yield Issue.of(
                    "too-few-images", folders.get((split, name), folder), f"class {name!r}: {here} in {split}"
                )


def _imbalance_issues(classes: Sequence[str], in_train: Sequence[int]) -> Iterator[Issue]:
    """An issue where the largest class is many times the smallest."""
    filled = [(count, name) for count, name in zip(in_train, classes, strict=True) if count]
    if filled and max(filled)[0] > _MAX_RATIO * min(filled)[0]:
        (most, large), (least, small) = max(filled), min(filled)
        detail = f"{large!r} has {most:,}, {small!r} has {least:,}: {most / least:.0f} times"
        yield Issue.of("imbalance", None, detail)


def name_issues(listing: Listing) -> Iterator[Issue]:
    """Each class, and each file of a folder, that has another's name in another case."""
    for name, first in _collisions(listing.classes):
        folder = next((path for (_, label), path in listing.class_folders.items() if label == name), None)
        yield Issue.of("name-case-collision", folder, f"class {name!r}, beside class {first!r}")
    by_folder: dict[Path, set[str]] = defaultdict(set)
    for image in listing.images:
        by_folder[image.path.parent].add(image.path.name)
    for path, names in by_folder.items():
        for name, first in _collisions(sorted(names)):
            yield Issue.of("name-case-collision", path / name, f"beside {first}")


def _collisions(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each name that looks like one before it, and that other."""
    first: dict[str, str] = {}
    for name in names:
        alike = " ".join(unicodedata.normalize("NFC", name).casefold().split())
        if first.setdefault(alike, name) != name:
            yield name, first[alike]
