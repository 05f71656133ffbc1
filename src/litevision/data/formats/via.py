"""Read the VGG Image Annotator: its JSON of files and regions, as a project or alone, and its CSV."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import list_named, split_of_labels
from litevision.data.formats.label_files import (
    MAX_BYTES_OF_A_SET,
    brief,
    head_of,
    indispensable,
    json_files,
    number,
    read_json,
)
from litevision.data.formats.table_files import TABLE_SUFFIXES, read_table, titles_of
from litevision.data.listing import ListedBox, ListedImage, Listing
from litevision.errors import DataError

_EXPECTED = "expected the VGG Image Annotator's files and regions"
_REGION = re.compile(rb'"shape_attributes"|"_via_img_metadata"')
_NAMES = ("class", "label", "name", "type", "category", "object")  # of the attribute that says what a region shows
_UNNAMED = "object"


def is_labels_file(path: Path) -> bool:
    """Whether it is a JSON or a CSV file of regions with attributes of their shape."""
    if path.suffix.lower() in TABLE_SUFFIXES:
        return "region_shape_attributes" in titles_of(path)
    return path.suffix.lower() == ".json" and _REGION.search(head_of(path)) is not None


def find_labels(folder: Folder) -> Iterator[Path]:
    """The files of a folder that hold such regions."""
    if folder.by_content:
        tables = [folder.path / name for name in folder.names if name.lower().endswith(TABLE_SUFFIXES)]
        yield from filter(is_labels_file, [*json_files(folder.path, folder.names), *tables])


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that ``files`` list; a file's name or folder may say its split.

    A region's class is its attribute class, label, name or type, else its only attribute; without any, all are one
    class.

    Raises:
        DataError: a file that cannot be read.
    """
    return list_named(root, files, _images)


def _images(file: Path, listing: Listing) -> Iterable[ListedImage]:
    split = split_of_labels(file)
    by_name: dict[str, ListedImage] = {}
    outlines = 0
    for name, regions in _entries(file, listing):
        image = by_name.setdefault(name, ListedImage(Path(name), name, split, labels_file=file))
        outlines += sum(_add(region, image, file, listing) for region in regions)
    if outlines:
        listing.report("polygon-labels", file, f"{outlines} of {sum(len(it.boxes) for it in by_name.values())} boxes")
    return by_name.values()


def _entries(file: Path, listing: Listing) -> Iterator[tuple[str, Iterable[Any]]]:
    """Each image's name with its regions, of which a table has one a line."""
    with indispensable(file, _EXPECTED):
        if file.suffix.lower() in TABLE_SUFFIXES:
            wanted = ("filename", "region_shape_attributes", "region_attributes")
            for line, row in read_table(file).dicts({title: (title,) for title in wanted}):
                if not row.get("filename"):
                    listing.report("missing-image", file, "a line without an image's name", line)
                    continue
                shape, attributes = (_parsed(row.get(title, "")) for title in wanted[1:])
                yield row["filename"], [{"shape_attributes": shape, "region_attributes": attributes}] if shape else []
            return
        plain = read_json(file, MAX_BYTES_OF_A_SET)
    plain = plain.get("_via_img_metadata", plain) if isinstance(plain, dict) else plain
    entries = plain.values() if isinstance(plain, dict) else plain
    if not isinstance(plain, (dict, list)):
        raise DataError(f"{file}: no list; {_EXPECTED}.")
    for entry in entries:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            listing.report("missing-image", file, f"{brief(entry)}: no image's name")
            continue
        regions = entry.get("regions", [])
        yield name, regions.values() if isinstance(regions, dict) else regions if isinstance(regions, list) else []


def _parsed(cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell and {"": cell}


def _add(region: Any, image: ListedImage, file: Path, listing: Listing) -> bool:
    """Adds the box of one region, and says whether it is around another form."""
    region = region if isinstance(region, dict) else {}
    shape, attributes = region.get("shape_attributes"), region.get("region_attributes")
    label = _label(attributes if isinstance(attributes, dict) else {})
    text = f"{image.name}: {label or 'no class'} {brief(shape)}"
    if not label:
        listing.refuse(image, "unknown-class", file, f"{text}; several attributes, and none called {', '.join(_NAMES)}")
        return False
    try:
        xs, ys = _points(shape)
        corners = (min(xs), min(ys), max(xs), max(ys))
    except (KeyError, TypeError, ValueError, AttributeError):
        listing.refuse(image, "unreadable-box", file, f"{text}; expected a rectangle or an outline")
        return False
    image.boxes.append(ListedBox(label, corners, text, file))
    return "width" not in shape


def _label(attributes: dict[str, Any]) -> str:
    """The class of a region; empty where it cannot be told."""
    by_name = {str(name).strip().lower(): value for name, value in attributes.items()}
    texts = {}
    for name, value in by_name.items():
        if isinstance(value, dict):  # a checkbox: the one that is ticked
            value = next((option for option, ticked in value.items() if ticked), "")
        if isinstance(value, (str, int)) and str(value).strip():
            texts[name] = str(value).strip()
    named = next((texts[name] for name in _NAMES if name in texts), "")
    if named or not texts:
        return named or (_UNNAMED if not attributes else "")
    return next(iter(texts.values())) if len(texts) == 1 else ""


def _points(shape: Any) -> tuple[list[float], list[float]]:
    """Points that a shape lies between, px."""
    if "all_points_x" in shape:
        xs, ys = ([number(value) for value in shape[f"all_points_{axis}"]] for axis in "xy")
        return xs, ys
    if "cx" in shape:
        x, y = number(shape["cx"]), number(shape["cy"])
        half_width = number(shape.get("rx", shape.get("r")))
        half_height = number(shape.get("ry", shape.get("r")))
        return [x - half_width, x + half_width], [y - half_height, y + half_height]
    x, y = number(shape["x"]), number(shape["y"])
    return [x, x + number(shape["width"])], [y, y + number(shape["height"])]
