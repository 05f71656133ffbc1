"""The check of labelled boxes: every fault of a data set."""

import os
from collections.abc import Callable, Iterator

from litevision.data.check.classes import imbalance_faults, presence_faults
from litevision.data.check.duplicates import duplicate_faults
from litevision.data.check.looks import Looks, look_at_all
from litevision.data.check.names import name_faults
from litevision.data.check.report import DataReport
from litevision.data.detection.find import list_boxes
from litevision.data.detection.listing import BoxListing
from litevision.data.detection.read import place_boxes
from litevision.data.detection.records import LabelledBoxes
from litevision.data.issues import Issue
from litevision.data.listing import Entry, Listing
from litevision.data.records import SPLITS, LabelledImages, Sample
from litevision.data.splits import Fractions


def check_boxes(
    path: str | os.PathLike[str],
    *,
    seed: int,
    fractions: Fractions,
    quick: bool,
    workers: int | None,
    on_progress: Callable[[int, int], None],
) -> DataReport:
    """Every fault of the labelled boxes at ``path``; arguments and errors as for `litevision.data.check_data`."""
    listing = list_boxes(path)
    paths = [image.path for image in listing.images]
    looks = look_at_all(paths, quick=quick, workers=workers, on_progress=on_progress)
    data = place_boxes(listing, looks.sizes_hw, seed=seed, fractions=fractions)
    faults = [*data.faults, *_of_images(listing, looks), *_of_names(listing), *_of_classes(data)]
    faults += _copies(listing, looks, data, workers)
    return DataReport(data, quick, tuple(sorted(faults, key=lambda fault: fault.order)))


def _of_images(listing: BoxListing, looks: Looks) -> Iterator[Issue]:
    told = set()  # an image that is listed twice has the same faults twice
    for image, found in zip(listing.images, looks.found, strict=True):
        for rule, detail in found:
            if (image.path, rule) not in told:
                told.add((image.path, rule))
                yield Issue.of("missing-image" if rule == "missing-file" else rule, image.path, detail)


def _of_names(listing: BoxListing) -> Iterator[Issue]:
    entries = tuple(Entry(image.path, image.name, "", image.split) for image in listing.images)
    yield from name_faults(Listing(listing.root, tuple(listing.classes), entries))


def _of_classes(data: LabelledBoxes) -> Iterator[Issue]:
    boxes = {split: data.counts(split) for split in SPLITS}
    labelled = [label for label, _ in enumerate(data.classes) if any(boxes[split][label] for split in SPLITS)]
    names = [data.classes[label] for label in labelled]
    for name in data.classes:
        if name not in names:
            yield Issue.of("class-without-boxes", None, f"class {name!r}")
    images = {split: [data.image_counts(split)[label] for label in labelled] for split in SPLITS}
    yield from presence_faults(names, images, {})
    yield from imbalance_faults(data.classes, boxes["train"])
    ignored = sum(int(sample.ignored.sum()) for sample in data.samples)
    if ignored:
        yield Issue.of(
            "ignored-boxes", None, f"{ignored:,} of {sum(len(sample.labels) for sample in data.samples):,} boxes"
        )
    empty = sum(not len(sample.labels) for sample in data.samples)
    if empty:
        yield Issue.of("images-without-boxes", None, f"{empty:,} of {len(data.samples):,} images")


def _copies(listing: BoxListing, looks: Looks, data: LabelledBoxes, workers: int | None) -> Iterator[Issue]:
    """Images that copy others, whatever their boxes."""
    images = LabelledImages(
        data.root, ("",), tuple(Sample(sample.path, 0, sample.split) for sample in data.samples), data.made_splits
    )
    place = {image.path: index for index, image in enumerate(listing.images)}
    order = [place[sample.path] for sample in data.samples]
    thumbs = None if looks.thumbs_u8 is None else looks.thumbs_u8[order]
    yield from duplicate_faults(images, [sample.size_hw for sample in data.samples], thumbs, workers=workers)
