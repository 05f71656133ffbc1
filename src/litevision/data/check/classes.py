"""How many images the classes have."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from litevision.data.issues import Issue
from litevision.data.records import SPLITS, Split

Counts = Mapping[Split, Sequence[int]]
"""How many of each class a split has, in the order of the classes."""

_MIN_IN_TRAIN = 10
_MAX_RATIO = 10


def presence_faults(
    classes: Sequence[str], counts: Counts, folders: Mapping[tuple[Split | None, str], Path]
) -> Iterator[Issue]:
    """Classes without images, or with too few; ``folders`` holds the folder of a class in a split, if it has one."""
    for label, name in enumerate(classes):
        in_train, *others = (counts[split][label] for split in SPLITS)
        own_folders = [path for (_, of), path in folders.items() if of == name]
        folder = own_folders[0] if own_folders else None
        if not in_train and not any(others):
            yield Issue.of("empty-class", folder, f"class {name!r}")
            continue
        if not in_train:
            have = " and ".join(split for split in SPLITS if counts[split][label])
            yield Issue.of("class-only-in-one-split", folder, f"class {name!r}: only in {have}")
            continue
        for split in SPLITS:
            here = counts[split][label]
            too_few = 0 < here < _MIN_IN_TRAIN if split == "train" else not here and any(counts[split])
            if too_few:
                yield Issue.of(
                    "too-few-images", folders.get((split, name), folder), f"class {name!r}: {here} in {split}"
                )


def imbalance_faults(classes: Sequence[str], in_train: Sequence[int]) -> Iterator[Issue]:
    """A fault where the largest class is many times the smallest."""
    filled = [(count, name) for count, name in zip(in_train, classes, strict=True) if count]
    if filled and max(filled)[0] > _MAX_RATIO * min(filled)[0]:
        (most, large), (least, small) = max(filled), min(filled)
        detail = f"{large!r} has {most:,}, {small!r} has {least:,}: {most / least:.0f} times"
        yield Issue.of("imbalance", None, detail)
