"""Read YOLO: a text file of boxes for each image, and the class names in data.yaml, classes.txt or obj.names."""

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litevision.data.dataset import Split
from litevision.data.formats.find import Folder
from litevision.data.formats.label_files import UnreadableLabels, is_file, is_folder, mode_at, read_bytes, read_lines
from litevision.data.listing import ListedBox, ListedImage, Listing, is_image, split_named, walk
from litevision.errors import DataError

_YAML_SUFFIXES = (".yaml", ".yml")
_NAMES_FILES = ("classes.txt", "obj.names")

_EXPECTED = "expected class names in data.yaml (names:), classes.txt or obj.names"
_MAX_YAML_BYTES = 4 * 1024 * 1024
_KEY_OF_NAMES = re.compile(rb"^(['\"]?)names\1\s*:", re.MULTILINE)
_KEY_OF_A_SPLIT = re.compile(rb"^(['\"]?)(train|val|valid|validation|test)\1\s*:", re.MULTILINE)
_NO_LABELS = re.compile(r"classes|train|valid?|validation|test|notes|readme.*|requirements|license", re.IGNORECASE)


def is_labels_file(path: Path) -> bool:
    """Whether it is a YAML file, or Darknet's obj.names or obj.data."""
    return path.suffix.lower() in _YAML_SUFFIXES or path.name in ("obj.names", "obj.data")


def find_labels(folder: Folder) -> Iterator[Path]:
    """The file that names the classes: a YAML file with splits, or a list of names where there are label files."""
    found = _names_file_of(folder.path, folder.names)
    if found and (found.suffix.lower() in _YAML_SUFFIXES or _has_labels(folder.root)):
        yield found


def _has_labels(root: Path) -> bool:
    """Whether an image has a text file of its name, beside it or in a folder of labels."""
    if (root / "labels").is_dir():
        return True
    for parent, _, names in os.walk(root):
        stems = {name.rpartition(".")[0] for name in names if is_image(name)}
        if any(name.endswith(".txt") and name[:-4] in stems for name in names) or Path(parent).name == "labels":
            return True
    return False


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that the first of ``files`` describes, or that lie below ``root``.

    Labels of ``images/a.jpg`` are ``labels/a.txt``, else ``a.txt`` beside it; an image without them shows nothing.
    Images are those of the splits that a data.yaml names, of the lists beside an obj.names, or all below ``root``,
    each in the split whose folder it lies in.

    Raises:
        DataError: no class names, or a file of them that cannot be used.
    """
    names_file = files[0]
    if not root.is_dir():
        root = root.parent
    if names_file.name == "obj.data":
        names_file = names_file.with_name("obj.names")
    listing = Listing(root, relative=True)
    if names_file.suffix.lower() in _YAML_SUFFIXES:
        described = _read_yaml(names_file, listing)
        names, images = described.names, described.images
    else:
        names = {str(place): name for place, name in enumerate(_lines(names_file)) if name}
        images = _from_lists(names_file, listing) or _below(root)
    if not names:
        raise DataError(f"{names_file}: no class names; {_EXPECTED}.")
    listing.classes = _classes(names, names_file, listing)
    folders: dict[Path, set[Path]] = defaultdict(set)
    for path, split in images:
        labels = _labels_of(path)
        folders[labels.parent].add(path)
        image = _image(path, split, labels, names, listing)
        if image:
            listing.images.append(image)
    _report_without_images(folders, listing)
    return listing


Listed = list[tuple[Path, Split | None]]


@dataclass(slots=True)
class _Description:
    """What a data.yaml says."""

    names: dict[str, str] = field(default_factory=dict)
    images: Listed = field(default_factory=list)


def _read_yaml(file: Path, listing: Listing) -> _Description:
    plain = load_yaml(file)
    names = plain.get("names")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{file}: 'names' is no list of class names; {_EXPECTED}.")
    found = _Description({_plain_id(str(id_)): name for id_, name in names.items()})
    if len(found.names) < len(names):
        raise DataError(f"{file}: a class id stands twice in 'names'; expected 0, 1, 2 and so on.")
    count = plain.get("nc")
    if isinstance(count, str) and count != str(len(names)):
        listing.report("wrong-class-count", file, f"nc is {count}, and names has {len(names)}")
    base = file.parent / str(plain.get("path") or ".")
    if not is_folder(base):
        base = file.parent  # "path" is the place on the machine of whoever wrote it
    for key, entry in plain.items():
        split = split_named(key)
        if split:
            for place in entry if isinstance(entry, list) else [entry]:
                found.images += _of_entry(str(place or ""), base, split, file, listing)
    return found


def _plain_id(id_: str) -> str:
    """The id as a label file writes it: 01 is 1."""
    return str(int(id_)) if id_.isdecimal() and len(id_) < 10 else id_


def load_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file, every scalar as the text that stands there: a class may be called "no".

    Raises:
        DataError: no such file, or no mapping in it.
    """
    import yaml  # here: most data has no YAML file

    try:
        text = read_bytes(file, _MAX_YAML_BYTES)
        _refuse_shared(yaml.compose(text, Loader=yaml.BaseLoader))
        # BaseLoader makes text, lists and mappings alone.
        plain = yaml.load(text, Loader=yaml.BaseLoader)
    except UnreadableLabels as error:
        raise DataError(f"{file}: {error.detail}; {_EXPECTED}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise DataError(f"{file}{line}: no YAML ({reason}); {_EXPECTED}.") from None
    if not isinstance(plain, dict):
        raise DataError(f"{file}: no mapping; {_EXPECTED}.")
    return {key: value for key, value in plain.items() if isinstance(key, str)}


def _refuse_shared(node: Any) -> None:
    """Refuses lists and mappings that stand at several places: nine aliases of nine are a billion of entries."""
    import yaml

    seen: set[int] = set()
    pending = [node]
    while pending:
        node = pending.pop()
        if not isinstance(node, yaml.CollectionNode):
            continue
        if id(node) in seen:
            raise ValueError("an alias of a list or a mapping, which is not read")
        seen.add(id(node))
        pending += [part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,))]


def _of_entry(entry: str, base: Path, split: Split, file: Path, listing: Listing) -> Iterator[tuple[Path, Split]]:
    """The images of one entry of a split: a folder, or a list of images."""
    if not entry:
        return
    # Roboflow writes ../train/images for the folder train/images beside its data.yaml.
    inside = re.sub(r"^(\.\./)+", "", entry)
    place = next((path for path in (base / entry, file.parent / entry, file.parent / inside) if mode_at(path)), None)
    if place is None:
        listing.report("missing-split", file, f"{split}: no {entry}")
    elif is_file(place):
        yield from ((path, split) for path in _listed_in(place, listing))
    else:
        yield from ((folder / name, split) for folder, names in walk(place) for name in names if is_image(name))


def _from_lists(names_file: Path, listing: Listing) -> Listed:
    """The images of train.txt, valid.txt and the like beside the class names, as Darknet and CVAT write them."""
    found: Listed = []
    for file in sorted(names_file.parent.glob("*.txt")):
        split = split_named(file.stem)
        if split:
            found += ((path, split) for path in _listed_in(file, listing))
    return found


def _listed_in(file: Path, listing: Listing) -> Iterator[Path]:
    """The images that a list names: paths from its folder, or from a folder of its own name as CVAT writes them."""
    seen: set[str] = set()
    for number, line in enumerate(_lines(file), 1):
        if not line:
            continue
        inside = line.removeprefix("data/").removeprefix("./")
        path = next((path for path in (file.parent / line, file.parent / inside) if is_file(path)), None)
        if path is None:
            listing.report("missing-image", file, f"no {line}", number)
        elif line in seen:
            listing.report("listed-twice", file, f"{line}: listed before", number)
        else:
            seen.add(line)
            yield path


def _lines(file: Path) -> list[str]:
    try:
        lines = read_lines(file)
    except UnreadableLabels as error:
        raise DataError(f"{file}: {error.detail}; expected text, one entry a line.") from None
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _below(root: Path) -> Listed:
    """Every image below ``root``, in the split whose folder it lies in."""
    found: Listed = []
    for folder, names in walk(root):
        parts = folder.relative_to(root).parts
        split = next((split for part in reversed(parts) if (split := split_named(part))), None)
        found += ((folder / name, split) for name in names if is_image(name))
    return found


def _classes(names: dict[str, str], file: Path, listing: Listing) -> list[str]:
    ids = sorted(int(id_) for id_ in names if id_.isdecimal() and len(id_) < 10)
    if len(ids) < len(names):
        wrong = next(id_ for id_ in names if not id_.isdecimal() or len(id_) >= 10)
        raise DataError(f"{file}: the class id {wrong!r} in 'names'; expected 0, 1, 2 and so on.")
    if ids != list(range(len(ids))):
        listing.report("class-id-gaps", file, f"{len(ids)} classes with ids {ids[0]} to {ids[-1]}")
    classes: dict[str, int] = {}
    for id_ in ids:
        name = names[str(id_)]
        if classes.setdefault(name, id_) != id_:
            listing.report("class-id-conflict", file, f"{name!r} has the ids {classes[name]} and {id_}")
    return list(classes)


def _labels_of(path: Path) -> Path:
    """Where the labels of an image stand: the last ``images`` of its path made ``labels``, else beside it."""
    parts = list(path.parent.parts)
    for place in reversed(range(len(parts))):
        if parts[place].lower() == "images":
            parts[place] = "labels"
            mirrored = Path(*parts, f"{path.stem}.txt")
            beside = path.with_suffix(".txt")
            return beside if is_file(beside) and not is_file(mirrored) else mirrored
    return path.with_suffix(".txt")


def _image(
    path: Path, split: Split | None, labels: Path, names: dict[str, str], listing: Listing
) -> ListedImage | None:
    image = ListedImage(path, listing.name_of(path), split, labels_file=labels)
    if not is_file(labels):
        listing.report("image-without-labels", path, f"no {listing.name_of(labels)}")
        image.labels_file = None
        return image
    try:
        lines = read_lines(labels)
    except UnreadableLabels as error:
        listing.report("unreadable-labels", labels, error.detail, error.line)
        return None
    outlines = 0
    for number, line in enumerate(lines, 1):
        if line:
            box = _box(line, number, labels, names, listing)
            if box:
                image.boxes.append(box)
                outlines += len(line.split()) > 5
    if outlines:
        listing.report("polygon-labels", labels, f"{outlines} of {len(image.boxes)} boxes")
    return image


def _box(line: str, number: int, file: Path, names: dict[str, str], listing: Listing) -> ListedBox | None:
    """The box of one line, ``class cx cy width height``, or around the outline ``class x1 y1 x2 y2 x3 y3 ...``."""
    id_, *words = line.split()
    text = line if len(line) <= 80 else line[:77] + "..."
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if not all(map(math.isfinite, numbers)) or (len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2)):
        listing.report("unreadable-box", file, f"{text}; expected a class and four numbers", number)
        return None
    label = names.get(id_.removesuffix(".0"))
    if label is None:
        listing.report("unknown-class", file, f"{text}; expected a class from 0 to {len(names) - 1}", number)
        return None
    if len(numbers) > 4:
        xs, ys = numbers[::2], numbers[1::2]
        return ListedBox(label, (min(xs), min(ys), max(xs), max(ys)), text, file, number)
    x, y, width, height = numbers
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return ListedBox(label, corners, text, file, number)


def _report_without_images(folders: dict[Path, set[Path]], listing: Listing) -> None:
    """An issue for each label file whose image is not there or not listed; ``folders`` holds the images of each."""
    for folder in sorted(folder for folder in folders if folder.is_dir()):
        listed = {path.stem for path in folders[folder]}
        there = {
            path.stem
            for beside in {path.parent for path in folders[folder]}
            for path in beside.glob("*")
            if is_image(path.name)
        }
        for path in sorted(folder.glob("*.txt")):
            if path.stem in listed or _NO_LABELS.fullmatch(path.stem):
                continue
            if path.stem in there:
                listing.report("not-in-a-split", path, "its image is in no split")
            else:
                listing.report("missing-image", path, f"no image {path.stem}")


def _names_file_of(folder: Path, names: Sequence[str]) -> Path | None:
    """The file in a folder that names YOLO's classes, of the ``names`` of its files; None where none does."""
    for name in sorted(names, key=lambda name: (not name.lower().startswith("data"), name)):
        if name.lower().endswith(_YAML_SUFFIXES):
            text = _head(folder / name)
            if _KEY_OF_NAMES.search(text) and _KEY_OF_A_SPLIT.search(text):
                return folder / name
    return next((folder / name for name in _NAMES_FILES if name in names), None)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_YAML_BYTES)
    except OSError:
        return b""
