"""Read CreateML: a JSON list of images, each with its boxes by their centres."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import list_named, split_of_labels
from litevision.data.formats.label_files import brief, is_json_list, json_files, number, read_json_list
from litevision.data.listing import ListedBox, ListedImage, Listing

_EXPECTED = "expected CreateML's JSON list of images with annotations"
_BOX = re.compile(rb'"coordinates"\s*:\s*\{')


def is_labels_file(path: Path) -> bool:
    """Whether it is a JSON list in which boxes have coordinates."""
    return is_json_list(path, _BOX)


def find_labels(folder: Folder) -> Iterator[Path]:
    """The JSON files of a folder that are such lists."""
    if folder.by_content:
        yield from filter(is_labels_file, json_files(folder.path, folder.names))


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that ``files`` list; a file's name or folder may say its split.

    Raises:
        DataError: a file that cannot be read.
    """
    return list_named(root, files, _images)


def _images(file: Path, listing: Listing) -> Iterator[ListedImage]:
    split = split_of_labels(file)
    for place, row in enumerate(read_json_list(file, _EXPECTED)):
        row = row if isinstance(row, dict) else {}
        name = next((row[key] for key in ("image", "imagefilename") if isinstance(row.get(key), str)), "")
        if not name:
            listing.report("missing-image", file, f"entry {place}: no image's name")
            continue
        image = ListedImage(Path(name), name, split, labels_file=file)
        boxes = row.get("annotations", row.get("annotation", []))
        for box in boxes if isinstance(boxes, list) else [boxes]:
            _add(box if isinstance(box, dict) else {}, image, file, listing)
        yield image


def _add(box: dict[str, Any], image: ListedImage, file: Path, listing: Listing) -> None:
    label, sides = box.get("label"), box.get("coordinates")
    text = f"{image.name}: {brief(label)} {brief(sides)}"
    if not isinstance(label, str) or not label.strip():
        listing.refuse(image, "unknown-class", file, f"{text}; no label")
        return
    try:
        x, y, width, height = (number(sides[key]) for key in ("x", "y", "width", "height"))  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        listing.refuse(image, "unreadable-box", file, f"{text}; expected x, y, width, height")
        return
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    image.boxes.append(ListedBox(label.strip(), corners, text, file))
