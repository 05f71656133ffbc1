"""Tell labels that are wrong as a whole, such as px where fractions are expected: one cause, said once."""

from collections.abc import Sequence

import numpy as np

from litevision.data.issues import Issue
from litevision.data.listing import Listing

_LEAST = 8  # boxes; fewer may break a rule by chance
_NEARLY_ALL = 0.9
_MOST = 0.5
_WORDS_WITH_CONFIDENCE = 6
OF_BOXES = frozenset(
    (
        *("unreadable-box", "inverted-box", "zero-area-box", "outside-box", "over-edge-box", "tiny-box", "wrong-size"),
        *("duplicate-box", "near-duplicate-box", "image-left-out", "swapped-corners"),
    )
)


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
    if len(turned) >= _LEAST and len(turned) > _NEARLY_ALL * len(stated) and _count(issues, "wrong-size"):
        return f"{len(turned):,} of {len(stated):,} images have the stated height as their width: they are exchanged"
    boxes = [(box.xyxy, size) for image, size in read for box in image.boxes]
    unread = [issue.detail.partition(";")[0].split() for issue in issues if issue.rule == "unreadable-box"]
    scored = sum(len(words) == _WORDS_WITH_CONFIDENCE for words in unread)
    if kind == "YOLO" and scored >= _LEAST and scored > _NEARLY_ALL * (len(boxes) + len(unread)):
        return f"{scored:,} lines have a fifth number, as the confidence in predictions: labels have four"
    if len(boxes) < _LEAST:
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
    if fit.mean() > _NEARLY_ALL and over.mean() > _MOST:
        return f"{int(fit.sum()):,} {of_all} are probably {named}"
    return None


def _count(issues: Sequence[Issue], rule: str) -> int:
    return sum(issue.rule == rule for issue in issues)
