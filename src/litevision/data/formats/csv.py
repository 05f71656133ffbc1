"""Read a CSV file of paths and classes, with splits or without."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from litevision.data.dataset import SPLITS
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import resolve
from litevision.data.formats.label_files import is_file
from litevision.data.listing import EXPECTED_SPLITS, ListedImage, Listing, relative_name, split_named
from litevision.errors import DataError

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
    try:
        with file.open(encoding="utf-8-sig", errors="strict", newline="") as lines:
            images = list(_images(file, csv.reader(lines)))
    except UnicodeDecodeError:
        raise DataError(f"{file}: no text in UTF-8; {_EXPECTED}, or a folder of class folders.") from None
    except csv.Error as error:
        raise DataError(f"{file}: no CSV file ({error}); {_EXPECTED}.") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error}). Check who may read it.") from None
    if not images:
        raise DataError(f"{file}: no rows below the line of column names. Add a row for each image.")
    _find_elsewhere(images, file.parent)
    images.sort(key=lambda image: (SPLITS.index(image.split) if image.split else 0, image.name, image.label))
    return Listing(file, sorted({image.label for image in images}), images)


def _find_elsewhere(images: Sequence[ListedImage], folder: Path) -> None:
    """Finds the images whose paths are another machine's by the ends of these."""
    missing = [image for image in images if not is_file(image.path)]
    names = (image.name for image in images)
    paths = resolve(names, lambda name: folder / name if is_file(folder / name) else None, folder) if missing else {}
    for image in missing:
        path = paths.get(image.name)
        if path:
            image.path, image.name = path, relative_name(folder, path)


def _images(file: Path, rows: Iterator[list[str]]) -> Iterator[ListedImage]:
    header = [title.strip().lower() for title in next(rows, [])]
    if not header:
        raise DataError(f"{file}: an empty file; {_EXPECTED}.")
    if not {"path", "label"} <= set(header):
        titles = ",".join(header)
        if not titles.isprintable() or len(titles) > 80:
            raise DataError(f"{file}: no CSV file; {_EXPECTED}.")
        raise DataError(f"{file}: the first line is {titles!r}; {_EXPECTED}.")
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        name, label = cells.get("path", ""), cells.get("label", "")
        if not name or not label:
            missing = "label" if name else "path"
            raise DataError(f"{file}, line {number}: no {missing}. Fill it in or remove the line.")
        split = split_named(cells.get("split", "")) if "split" in header else None
        if "split" in header and split is None:
            raise DataError(f"{file}, line {number}: split {cells.get('split', '')!r}; {EXPECTED_SPLITS}.")
        yield ListedImage(file.parent / name, name, split, label, number)
