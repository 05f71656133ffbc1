"""Read a CSV file with a line for each box, as TensorFlow's tutorials and many competitions have it."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from litevision.data.dataset import Split
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import add_named
from litevision.data.formats.label_files import UnreadableLabels, read_lines
from litevision.data.listing import ListedBox, ListedImage, Listing, split_in, split_named
from litevision.errors import DataError

_HEAD_BYTES = 4096
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_COLUMNS = {
    "image": r"(image|img)?_?(file)?_?(name|path|id)|file|image|img",
    "class": r"class_?(name|id)?|label_?(name)?|category|object",
    "xmin": r"x_?min|xmin|x_?1|left",
    "ymin": r"y_?min|ymin|y_?1|top",
    "xmax": r"x_?max|xmax|x_?2|right",
    "ymax": r"y_?max|ymax|y_?2|bottom",
    "width": "(image_?)?width",
    "height": "(image_?)?height",
    "split": "split|set|subset",
}


def is_labels_file(path: Path) -> bool:
    """Whether the first line of a CSV file names the edges of boxes."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return False
    return {"image", "class", *_EDGES} <= set(_columns(head.partition("\n")[0]))


def find_labels(folder: Folder) -> Iterator[Path]:
    """The CSV files whose first line names the edges of boxes."""
    if folder.by_content:
        yield from filter(is_labels_file, (folder.path / name for name in folder.names))


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that ``files`` list; a file's name or folder may say its split.

    Edges that are all in [0, 1] are fractions of the image's size.

    Raises:
        DataError: a file that cannot be read, or no box in it.
    """
    listing = Listing(root)
    images: dict[tuple[Path, str], ListedImage] = {}
    for file in files:
        for number, row in _rows(file):
            split = split_named(row.get("split", "")) or split_in(file.stem) or split_named(file.parent.name)
            _add(file, number, row, split, images, listing)
    boxes = [box for image in images.values() for box in image.boxes]
    if not images:
        raise DataError(f"{files[0]}: no boxes below the line of column names.")
    listing.relative = bool(boxes) and max(map(max, (box.xyxy for box in boxes))) <= 1
    listing.classes = sorted({box.label for box in boxes})
    add_named(list(images.values()), listing)
    return listing


def _columns(line: str) -> dict[str, int]:
    """The place of each column that is known by its title."""
    titles = [title.strip().strip('"').lower() for title in line.strip().split(_separator(line))]
    found: dict[str, int] = {}
    for place, title in enumerate(titles):
        for name, spelled in _COLUMNS.items():
            if name not in found and title and re.fullmatch(spelled, title):
                found[name] = place
                break
    return found


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line with its number and its cells by the columns' names."""
    try:
        lines = read_lines(file)
    except UnreadableLabels as error:
        raise DataError(f"{file}: {error.detail}; expected a CSV file of boxes.") from None
    columns = _columns(lines[0]) if lines else {}
    if not {"image", "class", *_EDGES} <= set(columns):
        raise DataError(f"{file}: expected a CSV file whose first line names filename,class,xmin,ymin,xmax,ymax.")
    for number, line in enumerate(lines[1:], 2):
        if line:
            cells = next(csv.reader([line], delimiter=_separator(lines[0])))
            yield number, {name: cells[place].strip() if place < len(cells) else "" for name, place in columns.items()}


def _add(
    file: Path,
    number: int,
    row: Mapping[str, str],
    split: Split | None,
    images: dict[tuple[Path, str], ListedImage],
    listing: Listing,
) -> None:
    name = row["image"]
    if not name:
        listing.report("missing-image", file, "a line without an image's name", number)
        return
    image = images.get((file, name))
    if image is None:
        sides = [row.get(side, "") for side in ("height", "width")]
        size_hw = (int(sides[0]), int(sides[1])) if all(side.isdecimal() and int(side) for side in sides) else None
        image = images[file, name] = ListedImage(Path(name), name, split, labels_file=file, size_hw=size_hw)
    edges = [row[edge] for edge in _EDGES]
    if not any(edges) and not row["class"]:  # an image without a box
        return
    text = f"{row['class']} {' '.join(edge or 'nothing' for edge in edges)}"
    try:
        x1, y1, x2, y2 = map(float, edges)
    except ValueError:
        listing.refuse(image, "unreadable-box", file, f"{text}; expected {' '.join(_EDGES)}", number)
        return
    if not row["class"]:
        listing.refuse(image, "unknown-class", file, f"{text}; no class", number)
        return
    if x2 < x1 or y2 < y1:
        listing.report("swapped-corners", file, text, number)
        x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    image.boxes.append(ListedBox(row["class"], (x1, y1, x2, y2), text, file, number))
