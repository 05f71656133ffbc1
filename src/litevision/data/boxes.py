"""Check boxes: which of one image can be used and what is wrong with the others; and what may be wrong with all.

Labels that are wrong as a whole, such as px where fractions are expected, have one cause, which is said once.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from litevision.data.formats.label_files import MAX_BOXES
from litevision.data.issues import Issue
from litevision.data.listing import ListedBox, ListedImage, Listing
from litevision.detections import box_iou
from litevision.errors import ImageError
from litevision.image.decode import open_image
from litevision.image.pixels import Orientation
from litevision.tables import pluralise

_LEAST_PX = 0.01  # YOLO's six digits move an edge of a 10,000 px image by half of this
_OVER_EDGE_PX = 1.0  # rounding to whole pixels, or counting them from 1, reaches out no further
_TINY_PX = 4.0  # one cell of CenterNet's map, where the image is not enlarged
_SAME_PX = 0.5
_ROWS = 512  # compared with all others at once
_MOST_NEAR = 100  # pairs of one image that are told
_NEARLY_SAME_IOU = 0.9  # LabelImg's copy of a box lies 2 px beside it: 0.93 for a side of 120 px
_LEAST_BOXES = 8  # boxes; fewer may break a rule by chance
_NEARLY_ALL = 0.9
_MOST_OVER = 0.5
_WORDS_WITH_CONFIDENCE = 6
OF_BOXES = frozenset(
    (
        *("unreadable-box", "inverted-box", "zero-area-box", "outside-box", "over-edge-box", "tiny-box", "wrong-size"),
        *("duplicate-box", "near-duplicate-box", "image-left-out", "swapped-corners"),
    )
)


@dataclass(frozen=True, slots=True)
class UsableBoxes:
    """The boxes of an image that can be used; the attributes are those of `DetectionSample`."""

    boxes_xyxy: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float32] | None


def usable_boxes(
    image: ListedImage, listing: Listing, upright_hw: tuple[int, int], issues: list[Issue]
) -> UsableBoxes | None:
    """The usable boxes of ``image`` in px of the upright image, cut at its edges.

    None where they were made for another size of it, or where one of them cannot be used: an object of unknown place
    or class would be taught as background, and finding it would count as a mistake. A box that is a point alone, as a
    slip of the mouse makes it, is no object where others are there.

    Args:
        image: as it is written.
        listing: what it stands in; its classes give the labels.
        upright_hw: its size in px, turned as EXIF says.
        issues: what is wrong is added to it.
    """
    height, width = upright_hw
    turned_by = None
    if image.size_hw not in (None, upright_hw):
        turned_by = _turn(image, upright_hw)
        if turned_by is None or not turned_by.swap:
            labelled_h, labelled_w = image.size_hw or upright_hw
            detail = f"{image.name} has {width} x {height} px, the labels say {labelled_w} x {labelled_h}"
            issues.append(Issue.of("wrong-size", image.labels_file, detail))
            return None
        issues.append(Issue.of("turned-boxes", image.labels_file, f"{image.name}: {len(image.boxes)} boxes"))
    if len(image.boxes) > MAX_BOXES:
        detail = f"{len(image.boxes):,} boxes of {image.name}, more than the limit of {MAX_BOXES:,}"
        issues.append(Issue.of("unreadable-labels", image.labels_file, detail))
        return None
    label_of = {name: label for label, name in enumerate(listing.classes)}
    scale = (width, height, width, height) if listing.relative else (1, 1, 1, 1)
    kept: list[ListedBox] = []
    is_incomplete, points = image.is_incomplete, 0
    rows: list[tuple[float, ...]] = []
    for box in image.boxes:
        corners = tuple(edge * side for edge, side in zip(box.xyxy, scale, strict=True))
        if turned_by is not None:
            corners = turned_by.upright_box(corners, upright_hw[::-1])
        inside = tuple(min(max(edge, 0.0), side) for edge, side in zip(corners, (width, height) * 2, strict=True))
        found = list(_broken_rules(box, corners, inside, upright_hw))
        issues += (Issue.of(rule, box.file, detail, box.line) for rule, detail, _ in found)
        if not any(is_left_out for *_, is_left_out in found):
            kept.append(box)
            rows.append(inside)
        elif max(corners[2] - corners[0], corners[3] - corners[1]) < _LEAST_PX and found[0][0] == "zero-area-box":
            points += 1
        else:
            is_incomplete = True
    if is_incomplete or (points and not kept):
        usable = f"{len(kept)} of {pluralise(len(image.boxes), 'readable box')} can be used"
        issues.append(Issue.of("image-left-out", image.path, usable))
        return None
    boxes_xyxy = np.array(rows, np.float32).reshape(-1, 4)
    labels = np.array([label_of[box.label] for box in kept], np.int64)
    single = _without_copies(kept, boxes_xyxy, labels, issues)
    kept = [kept[index] for index in single]
    areas = [box.area for box in kept]
    return UsableBoxes(
        boxes_xyxy[single],
        labels[single],
        np.array([box.ignored for box in kept], np.bool_),
        None if None in areas else np.array(areas, np.float32),
    )


def _broken_rules(
    box: ListedBox, corners: tuple[float, ...], inside: tuple[float, ...], upright_hw: tuple[int, int]
) -> Iterator[tuple[str, str, bool]]:
    """Rules that a box breaks, each with what was found and whether the box is left out for it."""
    if not all(map(math.isfinite, corners)):
        yield "unreadable-box", f"{box.text}; expected finite numbers", True
        return
    x1, y1, x2, y2 = corners
    if x2 < x1 or y2 < y1:
        yield "inverted-box", box.text, True
        return
    if min(x2 - x1, y2 - y1) < _LEAST_PX:
        yield "zero-area-box", box.text, True
        return
    height, width = upright_hw
    image = f"{width} x {height} px"
    seen_width, seen_height = inside[2] - inside[0], inside[3] - inside[1]
    if min(seen_width, seen_height) < _LEAST_PX:
        yield "outside-box", f"{box.text}; the image has {image}", True
        return
    over = max(-x1, -y1, x2 - width, y2 - height)
    if over > _OVER_EDGE_PX:
        yield "over-edge-box", f"{box.text}; {over:.1f} px out of {image}", False
    if min(seen_width, seen_height) < _TINY_PX:
        yield "tiny-box", f"{box.text}; {seen_width:.1f} x {seen_height:.1f} px", False


def _without_copies(
    kept: list[ListedBox], boxes_xyxy: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], issues: list[Issue]
) -> list[int]:
    """The indices of the boxes without those that copy one before them; ignored boxes may lie where they like."""
    copies: set[int] = set()
    near = 0
    for first, second, overlap in _near_pairs(kept, boxes_xyxy, labels, copies):
        if first in copies or second in copies:
            continue
        box, other = kept[second], kept[first]
        beside = f"{box.text}, beside line {other.line}" if other.line else f"{box.text}, beside {other.text}"
        if np.abs(boxes_xyxy[first] - boxes_xyxy[second]).max() <= _SAME_PX:
            copies.add(second)
            issues.append(Issue.of("duplicate-box", box.file, beside, box.line))
        else:
            near += 1
            if near > _MOST_NEAR:
                break
            issues.append(Issue.of("near-duplicate-box", box.file, f"{beside}: {overlap:.2f}", box.line))
    return [index for index in range(len(kept)) if index not in copies]


def _near_pairs(
    kept: list[ListedBox], boxes_xyxy: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], done: Collection[int]
) -> Iterator[tuple[int, int, float]]:
    """Pairs of real boxes of one class that nearly cover each other, with their IoU; none of a box that is ``done``."""
    real = np.array([not box.ignored for box in kept], np.bool_)
    for start in range(0, len(kept), _ROWS):
        rows = [row for row in range(start, min(start + _ROWS, len(kept))) if row not in done]
        overlaps = box_iou(boxes_xyxy[rows], boxes_xyxy)
        near = (overlaps >= _NEARLY_SAME_IOU) & (labels[rows][:, None] == labels) & real[rows][:, None] & real
        for place, row in enumerate(rows):
            if row not in done:
                yield from (
                    (row, int(at), float(overlaps[place, at])) for at in np.flatnonzero(near[place]) if at > row
                )


def _turn(image: ListedImage, upright_hw: tuple[int, int]) -> Orientation | None:
    """How the stored image is turned upright, where the labels state the stored one's size."""
    if image.size_hw != upright_hw[::-1]:
        return None
    try:
        return open_image(image.path).orientation
    except ImageError:
        return None


def likely_cause(
    listing: Listing, sizes_hw: Sequence[tuple[int, int] | None], issues: Sequence[Issue], kind: str
) -> str | None:
    """What is probably wrong with all labels of a data set, where nearly all break a rule in one way; else None.

    Args:
        listing: the labels, as they are written.
        sizes_hw: the upright size of each image; None for one that cannot be read.
        issues: what was found in single boxes.
        kind: the name of the label format.
    """
    read = [(image, size) for image, size in zip(listing.images, sizes_hw, strict=True) if size]
    stated = [(image.size_hw, size) for image, size in read if image.size_hw]
    turned = [one for one in stated if one[0] == one[1][::-1] != one[1]]
    if len(turned) >= _LEAST_BOXES and len(turned) > _NEARLY_ALL * len(stated) and _count(issues, "wrong-size"):
        return f"{len(turned):,} of {len(stated):,} images have the stated height as their width: they are exchanged"
    boxes = [(box.xyxy, size) for image, size in read for box in image.boxes]
    unread = [issue.detail.partition(";")[0].split() for issue in issues if issue.rule == "unreadable-box"]
    scored = sum(len(words) == _WORDS_WITH_CONFIDENCE for words in unread)
    if kind == "YOLO" and scored >= _LEAST_BOXES and scored > _NEARLY_ALL * (len(boxes) + len(unread)):
        return f"{scored:,} lines have a fifth number, as the confidence in predictions: labels have four"
    if len(boxes) < _LEAST_BOXES:
        return None
    corners = np.array([xyxy for xyxy, _ in boxes], np.float64)
    if not np.isfinite(corners).all():
        return None
    height, width = np.array([size for _, size in boxes], np.float64).T
    of_all = f"of {len(boxes):,} boxes"
    x1, y1, x2, y2 = corners.T
    if listing.relative:
        large = int((np.abs(corners).max(axis=1) > 2).sum())
        if large > _NEARLY_ALL * len(boxes):
            return f"{large:,} {of_all} are in px; expected fractions of the image's size"
        first, second = ((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1)
        width, height = np.ones_like(width), np.ones_like(height)
        named = "corners x1 y1 x2 y2; expected centre, width and height"
    else:
        small = int((corners.max(axis=1) <= 1).sum())
        if small > _NEARLY_ALL * len(boxes):
            return f"{small:,} {of_all} are fractions of the image's size; expected px"
        if kind != "COCO":
            return None
        first, second = (x1, y1), (x2 - x1, y2 - y1)
        named = "corners [x1, y1, x2, y2]; expected [x, y, width, height]"
    # As corners, all have to lie inside; as what was expected, most must not.
    fit = (second[0] > first[0]) & (second[1] > first[1]) & (second[0] <= width * 1.02) & (second[1] <= height * 1.02)
    over = (x2 > width * 1.02) | (y2 > height * 1.02) | (x1 < -0.02 * width) | (y1 < -0.02 * height)
    if fit.mean() > _NEARLY_ALL and over.mean() > _MOST_OVER:
        return f"{int(fit.sum()):,} {of_all} are probably {named}"
    return None


def _count(issues: Sequence[Issue], rule: str) -> int:
    return sum(issue.rule == rule for issue in issues)
