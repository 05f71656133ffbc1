"""Read labelled images or boxes of any format as one data set."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from litevision.data.boxes import OF_BOXES, likely_cause, usable_boxes
from litevision.data.dataset import SPLITS, DetectionSample, LabelledBoxes, LabelledImages, Sample, Split
from litevision.data.formats import Task
from litevision.data.formats.find import list_labels, task_of
from litevision.data.image_stats import DatasetStats, inspect_images
from litevision.data.issues import Issue
from litevision.data.listing import ListedImage, Listing
from litevision.data.splits import DEFAULT_FRACTIONS, Fractions, assign_splits, check_fractions
from litevision.errors import DataError

Data: TypeAlias = LabelledImages | LabelledBoxes


def read(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    fractions: Fractions = DEFAULT_FRACTIONS,
    workers: int | None = None,
) -> LabelledImages | LabelledBoxes:
    """Read the labelled images or boxes at ``path``, whichever they are: `read_images` or `read_boxes`.

    Args:
        path: a folder or a file in one of the formats of `litevision.data.FORMATS`.
        seed: gives another split.
        fractions: the shares of train, validation and test where they are made here.
        workers: threads; by default one for each processor, up to 8.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labels there, labels in more than one format, of one class alone, or no usable image.
        UsageError: fractions that cannot be.
    """
    return READERS[task_of(path)].read(path, seed=seed, fractions=fractions, workers=workers)


def read_images(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    fractions: Fractions = DEFAULT_FRACTIONS,
    readable_only: bool = False,
    workers: int | None = None,
) -> LabelledImages:
    """Read the labelled images at ``path``; images are opened only as ``readable_only`` says.

    Splits that the data came with are kept. Data without them is split by a rule that depends on ``seed`` and on the
    images' names alone, each class on its own; copies of an image all stay in train. Where there is a train split but
    none for validation, that is taken out of train by the same rule; a missing test split stays empty.

    Args:
        path: a folder or a file, as for `read`.
        seed: gives another split.
        fractions: the shares of train, validation and test where they are made here.
        readable_only: leave out what `quick_scan` would, before a split is made, so that no damaged image takes the
            place of another; where the data came with splits, nothing is opened and nothing left out.
        workers: threads to open images with; by default one for each processor, up to 8.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labelled images there, or of one class alone.
        UsageError: fractions that cannot be.
    """
    check_fractions(fractions)
    _, listing = list_labels(path, "classification")
    data = label_images(listing, seed=seed, fractions=fractions)
    if not readable_only or not data.made_splits:
        return data
    stats = inspect_images([image.path for image in listing.images], quick=True, workers=workers)
    return readable_images(data, listing, stats, seed=seed, fractions=fractions)


def read_readable_images(
    path: str | os.PathLike[str], *, workers: int | None = None
) -> tuple[LabelledImages, tuple[Issue, ...]]:
    """Read the labelled images at ``path`` that can be opened, and an issue for each that cannot.

    The splits are made of those alone; otherwise as `read_images` and `quick_scan`.

    Args:
        path: a folder or a file, as for `read`.
        workers: threads; by default one for each processor, up to 8.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labelled images there, of one class alone, or a class of which train has none that can be opened.
    """
    _, listing = list_labels(path, "classification")
    data = label_images(listing, seed=0, fractions=DEFAULT_FRACTIONS)
    stats = inspect_images([image.path for image in listing.images], quick=True, workers=workers)
    data = readable_images(data, listing, stats, seed=0, fractions=DEFAULT_FRACTIONS)
    issues = sorted(image_issues(listing, stats, data.missing_rule), key=lambda issue: issue.order)
    _require_every_class(data, len(issues))
    return data, tuple(issues)


def read_boxes(
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    fractions: Fractions = DEFAULT_FRACTIONS,
    workers: int | None = None,
) -> LabelledBoxes:
    """Read the images with boxes at ``path``; of each image the header is read.

    What is wrong is left out, box by box or image by image, and stands in ``issues``. Splits are kept or made as
    `read_images` does, each image with those of its rarest class.

    Args:
        path: a folder of labels and images, or a label file.
        seed: gives another split.
        fractions: the shares of train, validation and test where they are made here.
        workers: threads; by default one for each processor, up to 8.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labels of boxes there, labels in more than one format, or no usable image.
        UsageError: fractions that cannot be.
    """
    check_fractions(fractions)
    row, listing = list_labels(path, "detection")
    stats = inspect_images([image.path for image in listing.images], quick=True, workers=workers)
    data = label_boxes(listing, stats.sizes_hw, kind=row.name, seed=seed, fractions=fractions)
    found = [*data.issues, *image_issues(listing, stats, data.missing_rule)]
    issues = tuple(sorted(found, key=lambda issue: issue.order))
    if not any(len(sample.labels) for sample in data.samples):
        first = next((issue for issue in issues if issue.severity == "error" or issue.is_left_out), None)
        why = f"; first of {len(issues):,} issues: {first.path}: {first.detail}" if first else ""
        raise DataError(
            f"{data.root}: {len(data.samples):,} images that can be used, and no boxes{why}. "
            "Run 'litevision check-data' to see every issue."
        )
    return replace(data, issues=issues)


def label_images(
    listing: Listing, sizes_hw: Sequence[tuple[int, int] | None] | None = None, *, seed: int, fractions: Fractions
) -> LabelledImages:
    """The listed images as a classification data set, each in a split.

    Args:
        listing: what was read.
        sizes_hw: the size of each image; None for one that cannot be read, which is left out. Without it, all are
            taken.
        seed: gives another split.
        fractions: the shares of train, validation and test.

    Raises:
        DataError: one class alone.
    """
    if len(listing.classes) < 2:
        raise DataError(
            f"{listing.root}: one class alone, {listing.classes[0]!r}; expected two at least. "
            "Add images that are something else."
        )
    label_of = {name: label for label, name in enumerate(listing.classes)}
    images = [image for place, image in enumerate(listing.images) if sizes_hw is None or sizes_hw[place]]
    labels = [label_of[image.label] for image in images]
    splits, made = assign_splits(images, [[label] for label in labels], seed=seed, fractions=fractions)
    placed = [
        (SPLITS.index(split), image.name, label, Sample(image.path, label, split))
        for image, label, split in zip(images, labels, splits, strict=True)
    ]
    placed.sort(key=lambda one: one[:3])
    samples = tuple(sample for *_, sample in placed)
    issues = tuple(sorted(listing.issues, key=lambda issue: issue.order))
    return LabelledImages(listing.root, tuple(listing.classes), samples, made, issues, listing.passed_over)


def readable_images(
    data: LabelledImages, listing: Listing, stats: DatasetStats, *, seed: int, fractions: Fractions
) -> LabelledImages:
    """The images of ``data`` that can be opened; where its splits were made here, they are made of those alone."""
    if data.made_splits:
        return label_images(listing, stats.sizes_hw, seed=seed, fractions=fractions)
    sizes_hw = {image.path: size_hw for image, size_hw in zip(listing.images, stats.sizes_hw, strict=True)}
    return replace(data, samples=tuple(sample for sample in data.samples if sizes_hw[sample.path]))


def label_boxes(
    listing: Listing, sizes_hw: Sequence[tuple[int, int] | None], *, kind: str, seed: int, fractions: Fractions
) -> LabelledBoxes:
    """The listed images that can be used as a detection data set, each in a split.

    Args:
        listing: what was read.
        sizes_hw: the upright size of each image; None for one that cannot be read, which is left out.
        kind: the name of the label format.
        seed: gives another split.
        fractions: the shares of train, validation and test.
    """
    issues = list(listing.issues)
    found: list[tuple[ListedImage, DetectionSample]] = []
    for index in _each_once(listing.images, issues):
        image, size_hw = listing.images[index], sizes_hw[index]
        usable = usable_boxes(image, listing, size_hw, issues) if size_hw else None
        if usable and size_hw:
            boxes, labels, ignored = usable.boxes_xyxy, usable.labels, usable.ignored
            sample = DetectionSample(image.path, boxes, labels, ignored, image.split or "train", size_hw, usable.areas)
            found.append((image, sample))
    cause = likely_cause(listing, sizes_hw, issues, kind)
    if cause:  # nothing may be learned from them
        issues = [issue for issue in issues if issue.rule not in OF_BOXES]
        issues.append(Issue.of("misread-labels", listing.images[0].labels_file, cause))
        found = []
    images, labels_of = [image for image, _ in found], [sample.labels.tolist() for _, sample in found]
    splits, made = assign_splits(images, labels_of, seed=seed, fractions=fractions)
    placed = [
        (SPLITS.index(split), image.name, replace(sample, split=split))
        for (image, sample), split in zip(found, splits, strict=True)
    ]
    placed.sort(key=lambda one: one[:2])
    samples = tuple(sample for *_, sample in placed)
    return LabelledBoxes(listing.root, tuple(listing.classes), samples, made, tuple(issues), listing.passed_over, kind)


def _each_once(images: Sequence[ListedImage], issues: list[Issue]) -> list[int]:
    """The images, each once: of two splits, the one that is held out keeps it, so that no score is too good."""
    chosen: dict[str, int] = {}
    for index, image in enumerate(images):
        key = os.path.normcase(os.path.normpath(image.path))
        other = chosen.setdefault(key, index)
        if other != index:
            splits = " and ".join(str(images[place].split or "no split") for place in (other, index))
            issues.append(Issue.of("listed-twice", image.path, f"in {splits}"))
            if _rank(image.split) > _rank(images[other].split):
                chosen[key] = index
    return sorted(chosen.values())


def _rank(split: Split | None) -> int:
    return SPLITS.index(split) if split else -1


def image_issues(listing: Listing, stats: DatasetStats, missing_rule: str) -> Iterator[Issue]:
    """Report what is wrong with the files of the listed images, once for each line that lists one.

    Args:
        listing: the images.
        stats: what their files gave.
        missing_rule: the rule that an image without a file breaks, as in `Labelled.missing_rule`.
    """
    reported = set()
    for image, found in zip(listing.images, stats.found, strict=True):
        for rule, detail in found:
            if (image.path, image.line, rule) in reported:
                continue
            reported.add((image.path, image.line, rule))
            if rule == "missing-file":
                rule = missing_rule
                detail += f", line {image.line}" if image.line else ""
            yield Issue.of(rule, image.path, detail)


def quick_scan(data: LabelledImages, *, workers: int | None = None) -> tuple[LabelledImages, tuple[Issue, ...]]:
    """The images of ``data`` that can be opened, and an issue for each that cannot.

    Headers and ends are read, and what lacks its end is decoded: an image that is damaged in its middle alone passes,
    and fails when it is decoded.

    Args:
        data: what was read.
        workers: threads; by default one for each processor, up to 8.

    Raises:
        DataError: a class of which train has no image that can be opened.
    """
    stats = inspect_images([sample.path for sample in data.samples], quick=True, workers=workers)
    good, issues = [], []
    for sample, size_hw, found in zip(data.samples, stats.sizes_hw, stats.found, strict=True):
        if size_hw is not None:
            good.append(sample)
        issues += [Issue.of(rule, sample.path, detail) for rule, detail in found]
    kept = replace(data, samples=tuple(good))
    _require_every_class(kept, len(issues))
    return kept, tuple(sorted(issues, key=lambda issue: issue.order))


def _require_every_class(data: LabelledImages, left_out: int) -> None:
    lacking = [name for name, count in zip(data.classes, data.counts("train"), strict=True) if not count]
    if lacking:
        names = ", ".join(map(repr, lacking[:3])) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        dropped = f" ({left_out:,} files cannot be read)" if left_out else ""
        raise DataError(
            f"{data.root}: no images of {names} to train with{dropped}; expected some of every class. "
            "Run 'litevision check-data' to see every issue."
        )


class _Label(Protocol):
    """Label what was listed, before its images are inspected and after: what is returned takes the inspection."""

    def __call__(
        self, listing: Listing, *, kind: str, seed: int, fractions: Fractions
    ) -> Callable[[DatasetStats], Data]: ...


@dataclass(frozen=True, slots=True)
class TaskReader:
    """How labels of one task become a data set.

    Attributes:
        read: reads those at a path, as `read` does.
        label: gives those that are listed as the data that can be used.
    """

    read: Callable[..., Data]
    label: _Label


def _label_images(listing: Listing, *, kind: str, seed: int, fractions: Fractions) -> Callable[[DatasetStats], Data]:
    images = label_images(listing, seed=seed, fractions=fractions)  # an error need not wait for every image
    return lambda stats: readable_images(images, listing, stats, seed=seed, fractions=fractions)


def _label_boxes(listing: Listing, *, kind: str, seed: int, fractions: Fractions) -> Callable[[DatasetStats], Data]:
    return lambda stats: label_boxes(listing, stats.sizes_hw, kind=kind, seed=seed, fractions=fractions)


READERS: dict[Task, TaskReader] = {
    LabelledImages.task: TaskReader(read_images, _label_images),
    LabelledBoxes.task: TaskReader(read_boxes, _label_boxes),
}
