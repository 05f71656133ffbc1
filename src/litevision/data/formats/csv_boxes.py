"""Read a CSV file with a line for each box, as TensorFlow's tutorials and many competitions have it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from litevision.data.dataset import Split
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import add_named, split_of_labels
from litevision.data.formats.label_files import indispensable, size_of
from litevision.data.formats.table_files import CLASS_TITLES, IMAGE_TITLES, SPLIT_TITLES, read_table, titles_of
from litevision.data.listing import ListedBox, ListedImage, Listing, split_named
from litevision.errors import DataError

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_COLUMNS = {
    "image": IMAGE_TITLES,
    "class": CLASS_TITLES,
    "xmin": ("xmin", "x_min", "x1", "x_1", "left"),
    "ymin": ("ymin", "y_min", "y1", "y_1", "top"),
    "xmax": ("xmax", "x_max", "x2", "x_2", "right"),
    "ymax": ("ymax", "y_max", "y2", "y_2", "bottom"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
    "split": SPLIT_TITLES,
}
_NEEDED = ("image", "class", *_EDGES)


def is_labels_file(path: Path) -> bool:
    """Whether the first line of a CSV file names the edges of boxes."""
    titles = set(titles_of(path))
    return bool(titles) and all(not titles.isdisjoint(_COLUMNS[name]) for name in _NEEDED)


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
        for number, row in _rows(file, listing):
            split = split_named(row.get("split", "")) or split_of_labels(file)
            _add(file, number, row, split, images, listing)
    boxes = [box for image in images.values() for box in image.boxes]
    if not images:
        raise DataError(f"{files[0]}: no boxes below the line of column names.")
    listing.relative = bool(boxes) and max(map(max, (box.xyxy for box in boxes))) <= 1
    add_named(list(images.values()), listing)
    return listing


def _rows(file: Path, listing: Listing) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line with its number and its cells by the columns' names."""
    with indispensable(file, "expected a CSV file of boxes"):
        table = read_table(file)
    if any(table.place(_COLUMNS[name]) is None for name in _NEEDED):
        raise DataError(f"{file}: expected a CSV file whose first line names filename,class,xmin,ymin,xmax,ymax.")
    if table.encoding == "cp1252":
        listing.report("other-encoding", file, "read as Windows-1252, as it is no UTF-8")
    yield from table.dicts(_COLUMNS)


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
        size_hw = size_of(row.get("height"), row.get("width"))
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
