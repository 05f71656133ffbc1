"""Dividing images into train, validation and test: the same for the same images and seed, in whatever order."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from litevision.data.records import Split
from litevision.errors import UsageError

Fractions = tuple[float, float, float]


def check_fractions(fractions: Sequence[float]) -> None:
    """Refuses shares of train, validation and test that cannot be.

    Raises:
        UsageError: not three, not summing to 1, negative, or none for train.
    """
    given = ", ".join(f"{share:g}" for share in fractions)
    expected = "expected three shares, of train, validation and test, that sum to 1, such as 0.8, 0.1, 0.1"
    if len(fractions) != 3 or not all(math.isfinite(share) and 0 <= share <= 1 for share in fractions):
        raise UsageError(f"fractions {given}; {expected}.")
    if abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(f"fractions {given} sum to {sum(fractions):g}; {expected}.")
    if fractions[0] == 0:
        raise UsageError(f"fractions {given} leave nothing to train with; {expected}.")


def divide(
    labels: Mapping[str, str], *, seed: int, fractions: Fractions, keep_in_train: Collection[str] = frozenset()
) -> dict[str, Split]:
    """The split of each image.

    Every class is divided on its own, and gets its share of each split to within one image; where it has at least
    three, one at least of each split that has a share. Its images stand in a line by a hash of the seed and their
    names: validation is taken from its beginning and test from its end. So images of other classes do not matter,
    and one more image moves at most one other across each of the two borders.

    Args:
        labels: the class of each image by its name.
        seed: gives another line.
        fractions: the shares of train, validation and test.
        keep_in_train: images that may not be taken for validation or test.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for name, label in labels.items():
        by_class[label].append(name)
    found: dict[str, Split] = dict.fromkeys(labels, "train")
    for names in by_class.values():
        validation, test = _shares(len(names), fractions)
        line = sorted((name for name in names if name not in keep_in_train), key=lambda name: _place(seed, name))
        for name in line[:validation]:
            found[name] = "validation"
        for name in line[max(validation, len(line) - test) :]:
            found[name] = "test"
    return found


def _shares(count: int, fractions: Fractions) -> tuple[int, int]:
    """How many of ``count`` images are for validation and for test; at least one stays for train."""
    validation, test = (max(1, math.floor(count * share + 0.5)) if share else 0 for share in fractions[1:])
    while validation + test >= count and validation + test:
        if test >= validation:
            test -= 1
        else:
            validation -= 1
    return validation, test


def _place(seed: int, name: str) -> tuple[bytes, str]:
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(errors="surrogateescape"), digest_size=8).digest()
    return digest, name


def carve(fractions: Fractions) -> Fractions:
    """The shares by which validation alone is taken out of a train split that came without one."""
    train, validation, _ = fractions
    return train / (train + validation), validation / (train + validation), 0.0
