"""Labelled boxes of any form as one data set."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from litevision.data.copies import exact_duplicates
from litevision.data.detection.check import usable_boxes
from litevision.data.detection.find import list_boxes
from litevision.data.detection.listing import BoxListing, WrittenImage
from litevision.data.detection.records import DetectionSample, LabelledBoxes
from litevision.data.issues import Issue
from litevision.data.look import open_header
from litevision.data.read import DEFAULT_FRACTIONS
from litevision.data.records import SPLITS, Split
from litevision.data.splits import Fractions, carve, check_fractions, divide
from litevision.data.threads import in_threads
from litevision.errors import DataError


def read_boxes(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    fractions: Fractions = DEFAULT_FRACTIONS,
    workers: int | None = None,
) -> LabelledBoxes:
    """The images with boxes at ``path``: Pascal VOC, COCO or YOLO.

    Of each image the header is read. What is wrong is left out, box by box or image by image, and stands in
    ``faults``. Splits are kept or made as `litevision.data.read_labelled` does, each image with those of its rarest
    class.

    Args:
        path: a folder of labels and images, a COCO file, or a YOLO data.yaml.
        seed: gives another split.
        fractions: the shares of train, validation and test where they are made here.
        workers: threads; by default one for each processor, up to 8.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labels of boxes there, labels of two forms, or no image that can be used.
        UsageError: fractions that cannot be.
    """
    check_fractions(fractions)
    listing = list_boxes(path)
    looks = list(in_threads(open_header, [image.path for image in listing.images], workers=workers))
    data = place_boxes(listing, [look.upright_hw for look in looks], seed=seed, fractions=fractions)
    unreadable = [
        Issue.of("missing-image" if rule == "missing-file" else rule, image.path, detail)
        for image, look in zip(listing.images, looks, strict=True)
        for rule, detail in look.found
    ]
    faults = tuple(sorted((*data.faults, *unreadable), key=lambda fault: fault.order))
    if not any(len(sample.labels) for sample in data.samples):
        first = next((fault for fault in faults if fault.severity == "error"), None)
        why = f"; first of {len(faults):,} faults: {first.path}: {first.detail}" if first else ""
        raise DataError(
            f"{data.root}: {len(data.samples):,} images that can be used, and no boxes{why}. "
            "Run 'litevision check-data' to see every fault."
        )
    return replace(data, faults=faults)


def place_boxes(
    listing: BoxListing, sizes_hw: Sequence[tuple[int, int] | None], *, seed: int, fractions: Fractions
) -> LabelledBoxes:
    """The listed images that can be used, each in a split.

    Args:
        listing: what was read.
        sizes_hw: the upright size of each image; None for one that cannot be read, which is left out.
        seed: gives another split.
        fractions: the shares of train, validation and test.
    """
    faults = list(listing.faults)
    found: list[tuple[WrittenImage, DetectionSample]] = []
    for index in _each_once(listing.images, faults):
        image, size_hw = listing.images[index], sizes_hw[index]
        usable = usable_boxes(image, listing, size_hw, faults) if size_hw else None
        if usable and size_hw:
            boxes, labels, ignored = usable.boxes_xyxy, usable.labels, usable.ignored
            sample = DetectionSample(image.path, boxes, labels, ignored, image.split or "train", size_hw, usable.areas)
            found.append((image, sample))
    splits, made = _splits(found, seed, fractions)
    placed = [
        (SPLITS.index(split), image.name, replace(sample, split=split))
        for (image, sample), split in zip(found, splits, strict=True)
    ]
    placed.sort(key=lambda one: one[:2])
    samples = tuple(sample for *_, sample in placed)
    return LabelledBoxes(listing.root, tuple(listing.classes), samples, made, tuple(faults), listing.kind)


def _each_once(images: Sequence[WrittenImage], faults: list[Issue]) -> list[int]:
    """The images, each once: of two splits, the one that is held out keeps it, so that no score is too good."""
    chosen: dict[str, int] = {}
    for index, image in enumerate(images):
        key = os.path.normcase(os.path.normpath(image.path))
        other = chosen.setdefault(key, index)
        if other != index:
            splits = " and ".join(str(images[place].split or "no split") for place in (other, index))
            faults.append(Issue.of("listed-twice", image.path, f"in {splits}"))
            if _place(image.split) > _place(images[other].split):
                chosen[key] = index
    return sorted(chosen.values())


def _place(split: Split | None) -> int:
    return SPLITS.index(split) if split else -1


def _splits(
    found: Sequence[tuple[WrittenImage, DetectionSample]], seed: int, fractions: Fractions
) -> tuple[list[Split], bool]:
    """The split of each image, and whether any was made here."""
    own = {image.split for image, _ in found}
    if None in own:
        pool = found
    elif "validation" not in own and fractions[1]:
        pool = [one for one in found if one[0].split == "train"]
        fractions = carve(fractions)
    else:
        return [sample.split for _, sample in found], False
    shown = Counter(label for _, sample in pool for label in set(sample.labels.tolist()))
    rarest = {
        image.name: str(min(set(sample.labels.tolist()), key=lambda label: (shown[label], label), default=-1))
        for image, sample in pool
    }
    copies = {pool[index][0].name for group in exact_duplicates([image.path for image, _ in pool]) for index in group}
    made = divide(rarest, seed=seed, fractions=fractions, keep_in_train=copies)
    return [made.get(image.name, sample.split) for image, sample in found], bool(made)
