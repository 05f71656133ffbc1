"""Split images into train, validation and test: the same for the same images and seed, in whatever order."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from litevision.data.dataset import Split
from litevision.data.exact_duplicates import exact_duplicates
from litevision.data.listing import ListedImage
from litevision.errors import UsageError

Fractions = tuple[float, float, float]
DEFAULT_FRACTIONS: Fractions = (0.8, 0.1, 0.1)


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


def assign_splits(
    images: Sequence[ListedImage], labels: Sequence[Collection[int]], *, seed: int, fractions: Fractions
) -> tuple[list[Split], bool]:
    """The split of each image, and whether any of them was made here.

    Splits that the images came with are kept. Where one came without, all are divided; where there is no validation
    split, it is taken out of train. Copies of an image all stay in train, and an image with several classes counts
    as one of its rarest.

    Args:
        images: as they are listed.
        labels: the classes that each shows.
        seed: gives another split.
        fractions: the shares of train, validation and test.
    """
    own = {image.split for image in images}
    if None in own:
        pool = list(range(len(images)))
    elif "validation" not in own and fractions[1]:
        pool = [index for index, image in enumerate(images) if image.split == "train"]
        fractions = _without_test(fractions)
    else:
        return [image.split or "train" for image in images], False
    # An image of many classes can be in one split alone. Its rarest class decides: of a common class enough images
    # fall into each split by chance, while the few of a rare one could all end up in train.
    shown = Counter(label for index in pool for label in set(labels[index]))
    rarest = {
        images[index].name: str(min(set(labels[index]), key=lambda label: (shown[label], label), default=-1))
        for index in pool
    }
    # A copy in train of a test image would make the score too good, whichever of the two is held out.
    groups = exact_duplicates([images[index].path for index in pool])
    copies = {images[pool[place]].name for group in groups for place in group}
    made = divide(rarest, seed=seed, fractions=fractions, keep_in_train=copies)
    in_pool = set(pool)
    splits = [made[image.name] if index in in_pool else image.split or "train" for index, image in enumerate(images)]
    return splits, bool(made)


def divide(
    labels: Mapping[str, str], *, seed: int, fractions: Fractions, keep_in_train: Collection[str] = frozenset()
) -> dict[str, Split]:
    """Divide each class on its own.

    A class gets its share of each split to within one image; where it has at least three, at least one of each split
    that has a share. Its images are ordered by a hash of the seed and their names: validation is taken from the
    beginning and test from the end.

    Args:
        labels: the class of each image by its name.
        seed: gives another order.
        fractions: the shares of train, validation and test.
        keep_in_train: images that may not be taken for validation or test.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for name, label in labels.items():
        by_class[label].append(name)
    found: dict[str, Split] = dict.fromkeys(labels, "train")
    for names in by_class.values():
        validation, test = _sizes(len(names), fractions)
        # By hash and not by a shuffle: the place of an image depends on its own name alone. So images of other classes
        # do not matter, and one more image moves at most one other across each of the two borders; a shuffle would
        # deal all splits anew, and scores of before and after could not be compared.
        ordered = sorted((name for name in names if name not in keep_in_train), key=lambda name: _hash(seed, name))
        for name in ordered[:validation]:
            found[name] = "validation"
        for name in ordered[max(validation, len(ordered) - test) :]:
            found[name] = "test"
    return found


def _sizes(count: int, fractions: Fractions) -> tuple[int, int]:
    """How many of ``count`` images are for validation and for test; at least one stays for train."""
    validation, test = (max(1, math.floor(count * share + 0.5)) if share else 0 for share in fractions[1:])
    while validation + test >= count and validation + test:
        if test >= validation:
            test -= 1
        else:
            validation -= 1
    return validation, test


def _hash(seed: int, name: str) -> tuple[bytes, str]:
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(errors="surrogateescape"), digest_size=8).digest()
    return digest, name


def _without_test(fractions: Fractions) -> Fractions:
    """The shares by which validation alone is taken out of a train split that came without one."""
    train, validation, _ = fractions
    return train / (train + validation), validation / (train + validation), 0.0
