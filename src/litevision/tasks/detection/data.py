"""The data of a detection run: read, checked, and as plain values that a resumed run reads."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from litevision.data import DetectionSample, LabelledBoxes, read_boxes
from litevision.data.backgrounds import read_backgrounds
from litevision.errors import DataError, UsageError
from litevision.tasks.base import TrainableData

_MOST_BACKGROUNDS = 0.5  # of the training images with boxes


def read_trainable(path: Path, exclude: Collection[str], most_images: int = 0, backgrounds: str = "") -> TrainableData:
    """The images with boxes at ``path``, the errors in them, and the images that were left out.

    Args:
        path: a folder or a file, as `litevision.data.read` takes it.
        exclude: names of images, with suffix or without, that are left out of train and validation.
        most_images: of those that remain, how many of each of train and validation are taken at most; 0 takes all.
        backgrounds: a folder of images that show none of the objects; they are learned from, at most half as many as
            training images with boxes, evenly chosen. None where it is empty.

    Raises:
        DataError: no boxes to learn from, none to choose the best epoch by, or a folder without backgrounds.
        UsageError: a background that is one of the data's images, or a name in ``exclude`` that no image of train and
            validation has.
    """
    data = read_boxes(path)
    wanted = set(exclude)
    left_out = [one for one in data.samples if one.split != "test" and {one.path.name, one.path.stem} & wanted]
    unknown = wanted - {name for one in left_out for name in (one.path.name, one.path.stem)}
    if unknown:
        raise UsageError(
            f"detection.exclude names {min(unknown)!r}, which no image of train and validation is called "
            f"({len(unknown)} such in all); expected names such as {data.samples[0].path.stem!r}"
        )
    for split in ("train", "validation") if most_images else ():
        of_split = [one for one in data.samples if one.split == split and one not in left_out]
        taken = {of_split[place * len(of_split) // most_images].path for place in range(most_images)}
        left_out += [one for one in of_split if len(of_split) > most_images and one.path not in taken]
    gone = {one.path for one in left_out}
    # What was left out of the labels is counted in the report; notes and warnings are check-data's.
    issues = tuple(issue for issue in data.issues if issue.is_left_out and issue.path is not None)
    data = replace(data, samples=tuple(one for one in data.samples if one.path not in gone), issues=())
    for obstacle in data.obstacles():
        raise DataError(f"{data.root}: {obstacle}. 'litevision check-data' tells what is there")
    found = TrainableData(data, issues, tuple(one.path for one in left_out))
    return _with_backgrounds(found, backgrounds) if backgrounds else found


def _with_backgrounds(found: TrainableData, folder: str) -> TrainableData:
    data: LabelledBoxes = found.data
    samples, issues, passed_over = read_backgrounds(folder)
    known = {one.path.resolve() for one in data.samples} | {path.resolve() for path in found.excluded}
    both = next((one.path for one in samples if one.path.resolve() in known), None)
    if both is not None:
        raise UsageError(
            f"{both}: one of the images of {data.root}; expected detection.backgrounds to hold others, which show none "
            "of the objects"
        )
    most = max(1, int(_MOST_BACKGROUNDS * sum(bool(len(one.labels)) for one in data.of("train"))))
    chosen = {place * len(samples) // most for place in range(most)} if len(samples) > most else range(len(samples))
    taken = tuple(one for place, one in enumerate(samples) if place in chosen)
    left_out = tuple(one.path for place, one in enumerate(samples) if place not in chosen)
    for kind, count in passed_over.counts.items():
        data.passed_over.counts[kind] += count
    return TrainableData(replace(data, samples=taken + data.samples), found.issues + issues, found.excluded + left_out)


def truth_of(sample: DetectionSample, classes: Sequence[str]) -> list[tuple[Any, ...]]:
    """Class and corners of each box of an image, and whether it is ignored, in their order."""
    names = [classes[label] for label in sample.labels]
    return list(zip(names, sample.boxes_xyxy.tolist(), sample.ignored.tolist(), strict=True))


def boxes_to_dict(data: LabelledBoxes) -> dict[str, Any]:
    """The data as plain JSON values."""
    return {
        "root": str(data.root),
        "classes": list(data.classes),
        "made_splits": data.made_splits,
        "kind": data.kind,
        "samples": [
            {
                "path": str(sample.path),
                "split": sample.split,
                "size_hw": list(sample.size_hw),
                "boxes_xyxy": sample.boxes_xyxy.tolist(),
                "labels": sample.labels.tolist(),
                "ignored": sample.ignored.tolist(),
                "areas": None if sample.areas is None else sample.areas.tolist(),
            }
            for sample in data.samples
        ],
    }


def boxes_from_dict(record: Mapping[str, Any]) -> LabelledBoxes:
    """The inverse of `boxes_to_dict`; raises KeyError, TypeError or ValueError for anything else."""
    samples = tuple(
        DetectionSample(
            Path(one["path"]),
            np.array(one["boxes_xyxy"], np.float32).reshape(-1, 4),
            np.array(one["labels"], np.int64),
            np.array(one["ignored"], np.bool_),
            one["split"],
            (int(one["size_hw"][0]), int(one["size_hw"][1])),
            None if one["areas"] is None else np.array(one["areas"], np.float32),
        )
        for one in record["samples"]
    )
    return LabelledBoxes(
        Path(record["root"]), tuple(record["classes"]), samples, record["made_splits"], kind=record["kind"]
    )
