"""What keeps a data set from being trained on: one rule book for `train` and `check_data`."""

from collections.abc import Iterator

from litevision.data.dataset import LabelledBoxes, LabelledImages, Split

_PURPOSES: dict[Split, str] = {"train": "to learn from", "validation": "to choose the best epoch by"}


def obstacles(data: LabelledImages | LabelledBoxes) -> Iterator[str]:
    """Why ``data`` cannot be trained on, one line each; nothing where it can."""
    if isinstance(data, LabelledBoxes):
        for split, purpose in _PURPOSES.items():
            images = data.of(split)
            if not sum(data.counts(split)):
                ignored = sum(len(sample.labels) for sample in images)
                why = "label some"
                if ignored:
                    marked = "marked as difficult or as a crowd (iscrowd), and are skipped"
                    why = f"all {ignored:,} are {marked}; unmark some"
                yield f"no boxes {purpose} in the {len(images):,} images of {split}; {why}"
        return
    empty = [name for name, count in zip(data.classes, data.counts("train"), strict=True) if not count]
    if empty:
        names = ", ".join(map(repr, empty[:3])) + (f" and {len(empty) - 3} more" if len(empty) > 3 else "")
        yield f"no training images of {names}; add some, or remove it"
    if not data.of("validation"):
        yield "no validation images; add some, or more images to split"
