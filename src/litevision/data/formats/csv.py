"""Read a CSV file of paths and classes, with splits or without."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from litevision.data.dataset import SPLITS
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import resolve
from litevision.data.formats.label_files import indispensable, is_file
from litevision.data.formats.table_files import CLASS_TITLES, IMAGE_TITLES, SPLIT_TITLES, Table, read_table
from litevision.data.listing import EXPECTED_SPLITS, ListedImage, Listing, is_image, split_named
from litevision.errors import DataError

_COLUMNS = {"path": IMAGE_TITLES, "label": CLASS_TITLES, "split": SPLIT_TITLES}
_EXPECTED = "expected a CSV file whose first line names the columns path,label or path,label,split"


def is_labels_file(path: Path) -> bool:
    """Always: whatever no other format claims is read as CSV, so that the error says what was expected."""
    return True


def find_labels(folder: Folder) -> Sequence[Path]:
    """None: a CSV file is named itself."""
    return ()


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images that a CSV file names; an image need not be there.

    Columns may stand in any order and case, and others beside them; paths start at the file's folder.

    Raises:
        DataError: not such a file, no rows, or a row without a path, a label or a split that is known.
    """
    file = root
    with indispensable(file, f"{_EXPECTED}, or a folder of class folders"):
        table = read_table(file)
    listing = Listing(file)
    if table.encoding == "cp1252":
        listing.report("other-encoding", file, "read as Windows-1252, as it is no UTF-8")
    listing.images = list(_images(file, table))
    if not listing.images:
        raise DataError(f"{file}: no rows below the line of column names. Add a row for each image.")
    _find_elsewhere(listing.images, file.parent)
    listing.images.sort(key=lambda image: (SPLITS.index(image.split) if image.split else 0, image.name, image.label))
    listing.classes = sorted({image.label for image in listing.images})
    return listing


def _find_elsewhere(images: Sequence[ListedImage], folder: Path) -> None:
    """Finds the images whose paths are another machine's by the ends of these, and calls all as they lie in ``folder``.

    So a split depends on the images and not on how their paths are written.
    """
    missing = [image for image in images if not is_file(image.path)]
    for suffixes in (True, False):
        names = [image.name for image in missing if is_image(image.name) is suffixes]
        paths = resolve(names, lambda name: None, folder, suffixes=suffixes) if names else {}
        for image in missing:
            image.path = paths.get(image.name, image.path)
    absolute = folder.absolute()
    for image in images:
        inside = Path(os.path.normpath(absolute / image.path))
        if inside.is_relative_to(absolute):
            image.name = inside.relative_to(absolute).as_posix()
            if is_file(folder / image.name):
                image.path = folder / image.name


def _images(file: Path, table: Table) -> Iterator[ListedImage]:
    titles = ",".join(table.titles)
    if not titles:
        raise DataError(f"{file}: an empty file; {_EXPECTED}.")
    if any(table.place(_COLUMNS[name]) is None for name in ("path", "label")):
        if not titles.isprintable() or len(titles) > 80:
            raise DataError(f"{file}: no CSV file; {_EXPECTED}.")
        raise DataError(f"{file}: the first line is {titles!r}; {_EXPECTED}.")
    has_splits = table.place(_COLUMNS["split"]) is not None
    for number, row in table.dicts(_COLUMNS):
        name, label = row["path"], row["label"]
        if not name or not label:
            missing = "label" if name else "path"
            raise DataError(f"{file}, line {number}: no {missing}. Fill it in or remove the line.")
        split = split_named(row["split"]) if has_splits else None
        if has_splits and split is None:
            raise DataError(f"{file}, line {number}: split {row['split']!r}; {EXPECTED_SPLITS}.")
        yield ListedImage(file.parent / name, name, split, label, number)
