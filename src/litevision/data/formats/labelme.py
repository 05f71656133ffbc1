"""Read LabelMe: a JSON file of shapes beside each image."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import add_named
from litevision.data.formats.label_files import UnreadableLabels, head_of, json_files, number, read_json, size_of
from litevision.data.listing import ListedBox, ListedImage, Listing, split_named, walk

_HEAD_BYTES = 1024 * 1024
_SHAPES = re.compile(rb'"shapes"\s*:\s*\[')


def is_labels_file(path: Path) -> bool:
    """Never: there is a file for each image, and the folder of them is named."""
    return False


def find_labels(folder: Folder) -> Iterator[Path]:
    """The first JSON file of a folder that holds shapes."""
    if folder.by_content:
        yield from list(filter(_has_shapes, json_files(folder.path, folder.names)))[:1]


def _has_shapes(path: Path) -> bool:
    return _SHAPES.search(head_of(path, _HEAD_BYTES)) is not None


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes of all files with shapes below ``root``, each in the split whose folder it lies in.

    Raises:
        DataError: a folder that cannot be read.
    """
    listing = Listing(root)
    images: list[ListedImage] = []
    for folder, names in walk(root):
        parts = folder.relative_to(root).parts
        split = next((split for part in reversed(parts) if (split := split_named(part))), None)
        for file in (folder / name for name in names if name.lower().endswith(".json")):
            try:
                plain = read_json(file)
            except UnreadableLabels as error:
                listing.report("unreadable-labels", file, error.detail, error.line)
                continue
            if isinstance(plain, dict) and isinstance(plain.get("shapes"), list):
                name = plain.get("imagePath")
                name = name if isinstance(name, str) and name else f"{file.stem}.jpg"
                size_hw = size_of(plain.get("imageHeight"), plain.get("imageWidth"))
                image = ListedImage(Path(name), name, split, labels_file=file, size_hw=size_hw)
                _add_shapes(plain["shapes"], image, file, listing)
                images.append(image)
    add_named(images, listing)
    return listing


def _add_shapes(shapes: Sequence[Any], image: ListedImage, file: Path, listing: Listing) -> None:
    outlines = 0
    for place, shape in enumerate(shapes):
        shape = shape if isinstance(shape, dict) else {}
        label, points, form = shape.get("label"), shape.get("points", ()), shape.get("shape_type")
        try:
            xs, ys = [number(point[0]) for point in points], [number(point[1]) for point in points]
        except (TypeError, ValueError, IndexError, KeyError):
            xs = ys = []
        if not isinstance(label, str) or not label.strip():
            listing.refuse(image, "unknown-class", file, f"shapes[{place}]: no label")
        elif len(xs) < 2:
            listing.refuse(image, "unreadable-box", file, f"shapes[{place}]: {label}; expected two points at least")
        else:
            if form == "circle":  # its centre, and a point on its edge
                radius = math.dist((xs[0], ys[0]), (xs[1], ys[1]))
                xs, ys = [xs[0] - radius, xs[0] + radius], [ys[0] - radius, ys[0] + radius]
            outlines += form not in ("rectangle", None)
            corners = (min(xs), min(ys), max(xs), max(ys))
            image.boxes.append(ListedBox(label.strip(), corners, f"shapes[{place}]: {label}", file))
    if outlines:
        listing.report("polygon-labels", file, f"{outlines} of {len(image.boxes)} boxes")
