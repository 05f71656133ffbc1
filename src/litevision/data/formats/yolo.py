"""Read YOLO: a text file of boxes for each image, and the class names in data.yaml, classes.txt or obj.names."""

import math
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from litevision.data.dataset import Split
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import resolve
from litevision.data.formats.label_files import (
    MAX_BOXES,
    MAX_BYTES_OF_AN_IMAGE,
    UnreadableLabels,
    head_of,
    is_file,
    read_lines,
)
from litevision.data.formats.yolo_classes import (
    EXPECTED_NAMES,
    YAML_SUFFIXES,
    Description,
    class_names,
    describe,
    guessed_keypoints,
    lines_of,
    names_file_of,
)
from litevision.data.listing import SPLIT_NAMES, ListedBox, ListedImage, Listing, is_image, split_named, walk
from litevision.errors import DataError

_NO_LABELS = re.compile(r"classes|train|valid?|validation|test|notes|readme.*|requirements|license", re.IGNORECASE)
_NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?"
_LABEL_LINE = re.compile(rf"\d+(\.0*)?(\s+{_NUMBER}){{4,}}", re.IGNORECASE)
_LOOKED_AT = 20  # text files of a folder, and lines of a file
_HEAD_BYTES = 1024 * 1024
_HEAD_LINES = 1000
_MAX_NUMBERED = 1000


def is_labels_file(path: Path) -> bool:
    """Whether it is a YAML file, or Darknet's obj.names or obj.data."""
    return path.suffix.lower() in YAML_SUFFIXES or path.name in ("obj.names", "obj.data")


def find_labels(folder: Folder) -> Iterator[Path]:
    """The file that names the classes: a YAML file with splits, or a list of names where there are label files.

    By content, it is the first text file of boxes of a folder.
    """
    found = None if folder.by_content else names_file_of(folder.path, folder.names)
    if found and (found.suffix.lower() in YAML_SUFFIXES or _has_labels(folder.root)):
        yield found
    if folder.by_content:
        stems = {name.rpartition(".")[0] for name in folder.names if is_image(name)}
        texts = [name for name in folder.names if name.lower().endswith(".txt") and (not stems or name[:-4] in stems)]
        yield from [path for name in texts[:_LOOKED_AT] if holds_boxes(path := folder.path / name)][:1]


def holds_boxes(path: Path) -> bool:
    """Whether the first lines of a text file are boxes, outlines or keypoints of numbered classes."""
    text = head_of(path, _HEAD_BYTES).decode("utf-8-sig", "replace")
    lines = [line.strip() for line in text.splitlines()[:_HEAD_LINES] if line.strip()][:_LOOKED_AT]
    return bool(lines) and all(_LABEL_LINE.fullmatch(line) for line in lines)


def _has_labels(root: Path) -> bool:
    """Whether an image has a text file of its name, beside it or in a folder of labels."""
    if (root / "labels").is_dir():
        return True
    for parent, names in walk(root):
        stems = {name.rpartition(".")[0] for name in names if is_image(name)}
        if any(name.endswith(".txt") and name[:-4] in stems for name in names) or parent.name == "labels":
            return True
    return False


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that ``files`` describe, or that lie below ``root``.

    Labels of ``images/a.jpg`` are ``labels/a.txt``, else ``a.txt`` beside it, else the one ``a.txt`` of boxes below
    ``root``; an image without them shows nothing. Images are those of the splits that a data.yaml names, of the lists
    beside an obj.names, or all below ``root``, each in the split whose folder it lies in.

    Raises:
        DataError: no class names, or a file of them that cannot be used.
    """
    if not root.is_dir():
        root = root.parent
    files = [file.with_name("obj.names") if file.name == "obj.data" else file for file in files]
    named = [file for file in files if file.suffix.lower() != ".txt" or not holds_boxes(file)]
    if not named:
        below = (names_file_of(folder, names, with_splits=False) for folder, names in walk(root))
        named = list(filter(None, below))
    listing, images = Listing(root, relative=True), Listed()
    described = describe(named, listing) if named else Description(files[0])
    if described.places:
        images = [one for place, split in described.places for one in _at(place, split, listing)]
    else:
        images = _from_lists(described.file, listing) or _below(root)
    texts = _Texts(root, {_expected_text(path) for path, _ in images})
    labels = [(path, split, texts.of(path, split)) for path, split in images]
    if not named:
        described.names = _numbered(described.file, [text for *_, text in labels], listing)
    if not described.names:
        raise DataError(f"{described.file}: no class names; {EXPECTED_NAMES}.")
    listing.classes = class_names(described.names, described.file, listing)
    keypoints = described.keypoints or guessed_keypoints([text for *_, text in labels])
    reader = _Lines(described.names, listing, keypoints)
    folders: dict[Path, set[Path]] = defaultdict(set)
    for path, split, text in labels:
        folders[text.parent].add(path)
        image = reader.read(path, split, text)
        if image:
            listing.images.append(image)
    _report_without_images(folders, listing)
    return listing


Listed = list[tuple[Path, Split | None]]


def _at(place: Path, split: Split, listing: Listing) -> Iterator[tuple[Path, Split]]:
    """The images of one place of a split: a folder, or a list of images."""
    if is_file(place):
        yield from ((path, split) for path in _listed_in(place, listing))
    else:
        yield from ((folder / name, split) for folder, names in walk(place) for name in names if is_image(name))


def _from_lists(names_file: Path, listing: Listing) -> Listed:
    """The images of train.txt, valid.txt and the like beside the class names, as Darknet and CVAT write them."""
    found: Listed = []
    for file in sorted(names_file.parent.glob("*.txt")):
        split = SPLIT_NAMES.get(file.stem.lower())
        if split:
            found += ((path, split) for path in _listed_in(file, listing))
    return found


def _listed_in(file: Path, listing: Listing) -> Iterator[Path]:
    """The images that a list names: paths from its folder, from a folder of its own name, or of another machine."""

    def direct(line: str) -> Path | None:
        inside = line.removeprefix("data/").removeprefix("./")  # as CVAT writes them
        return next((path for path in (file.parent / line, file.parent / inside) if is_file(path)), None)

    lines = lines_of(file)
    paths = resolve(filter(None, lines), direct, listing.root)
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if line not in paths:
            listing.report("missing-image", file, f"no {line}", number)
        elif line in seen:
            listing.report("listed-twice", file, f"{line}: listed before", number)
        else:
            seen.add(line)
            yield paths[line]


def _below(root: Path) -> Listed:
    """Every image below ``root``, in the split whose folder it lies in."""
    found: Listed = []
    for folder, names in walk(root):
        parts = folder.relative_to(root).parts
        split = next((split for part in reversed(parts) if (split := split_named(part))), None)
        found += ((folder / name, split) for name in names if is_image(name))
    return found


def _expected_text(path: Path) -> Path:
    """Where the labels of an image belong: the last ``images`` of its path made ``labels``, else beside it."""
    beside = path.with_suffix(".txt")
    parts = list(path.parent.parts)
    for place in reversed(range(len(parts))):
        if parts[place].lower() == "images":
            parts[place] = "labels"
            mirrored = Path(*parts, f"{path.stem}.txt")
            return beside if is_file(beside) and not is_file(mirrored) else mirrored
    return beside


class _Texts:
    """The label files of images; ``taken`` are those that belong to one."""

    def __init__(self, root: Path, taken: Collection[Path]) -> None:
        self._root = root
        self._taken = taken
        self._by_stem: dict[str, list[Path]] | None = None

    def of(self, path: Path, split: Split | None) -> Path:
        """The labels of an image: those at their place, else the one text of boxes below the root of its stem."""
        expected = _expected_text(path)
        return expected if is_file(expected) else self._elsewhere(path, split) or expected

    def _elsewhere(self, path: Path, split: Split | None) -> Path | None:
        if self._by_stem is None:
            self._by_stem = defaultdict(list)
            for folder, names in walk(self._root):
                for name in names:
                    if name.lower().endswith(".txt"):
                        self._by_stem[name[:-4]].append(folder / name)
        near: dict[int, list[Path]] = defaultdict(list)
        for text in self._by_stem.get(path.stem, ()):
            named = {split_named(part) for part in text.relative_to(self._root).parts[:-1]} - {None}
            if text in self._taken or (split and named - {split}):  # another image's
                continue
            near[len(os.path.commonpath((path, text)))].append(text)
        nearest = near[max(near)] if near else []
        return nearest[0] if len(nearest) == 1 and holds_boxes(nearest[0]) else None


def _numbered(file: Path, texts: Sequence[Path], listing: Listing) -> dict[str, str]:
    """Names for the classes of labels without names: their ids."""
    ids = set()
    for text in filter(is_file, texts):
        try:
            lines = read_lines(text, MAX_BYTES_OF_AN_IMAGE)
            ids |= {line.split(maxsplit=1)[0].removesuffix(".0") for line in lines if line}
        except UnreadableLabels:
            continue
    known = [int(id_) for id_ in ids if id_.isdecimal() and len(id_) < 10]
    count = max(known, default=-1) + 1
    if count > _MAX_NUMBERED:
        raise DataError(f"{file}: the class id {count - 1:,}, and no class names; {EXPECTED_NAMES}.")
    listing.report("numbered-classes", file.parent, f"no class names; {count} classes are called by their ids")
    return {str(id_): str(id_) for id_ in range(count)}


class _Lines:
    """Reads the lines of label files."""

    def __init__(self, names: dict[str, str], listing: Listing, keypoints: tuple[int, int] | None) -> None:
        """Takes class names by their ids, and the number of keypoints behind each box and of the values of each."""
        self.names = names
        self.listing = listing
        self.keypoints = keypoints

    def read(self, path: Path, split: Split | None, labels: Path) -> ListedImage | None:
        """One image with the boxes of its label file."""
        image = ListedImage(path, self.listing.name_of(path), split, labels_file=labels)
        if not is_file(labels):
            self.listing.report("image-without-labels", path, f"no {self.listing.name_of(labels)}")
            image.labels_file = None
            return image
        try:
            lines = read_lines(labels, MAX_BYTES_OF_AN_IMAGE)
            if len(lines) > MAX_BOXES:
                raise UnreadableLabels(f"{len(lines):,} lines, more than the limit of {MAX_BOXES:,}")
        except UnreadableLabels as error:
            self.listing.report("unreadable-labels", labels, error.detail, error.line)
            return None
        longer = 0
        for number, line in enumerate(lines, 1):
            if line:
                box = self._box(line, number, labels, image)
                if box:
                    image.boxes.append(box)
                    longer += len(line.split()) > 5
        if longer:
            rule = "keypoint-labels" if self.keypoints else "polygon-labels"
            self.listing.report(rule, labels, f"{longer} of {len(image.boxes)} boxes")
        return image

    def _box(self, line: str, number: int, file: Path, image: ListedImage) -> ListedBox | None:
        """The box of one line, ``class cx cy width height``, or around the outline ``class x1 y1 x2 y2 x3 y3 ...``.

        Behind a box there may be keypoints.
        """
        id_, *words = line.split()
        text = line if len(line) <= 80 else line[:77] + "..."
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        expected = "expected a class and four numbers"
        if self.keypoints:
            count, values = self.keypoints
            expected += f", and {count} keypoints of {values}"
            if len(numbers) == 4 + count * values:
                numbers = numbers[:4]
        is_outline = self.keypoints is None and len(numbers) >= 6 and len(numbers) % 2 == 0
        if not all(map(math.isfinite, numbers)) or (len(numbers) != 4 and not is_outline):
            self.listing.refuse(image, "unreadable-box", file, f"{text}; {expected}", number)
            return None
        label = self.names.get(id_.removesuffix(".0"))
        if label is None:
            known = f"expected a class from 0 to {len(self.names) - 1}"
            self.listing.refuse(image, "unknown-class", file, f"{text}; {known}", number)
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
