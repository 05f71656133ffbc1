"""Which form labels of boxes have, told by the files themselves."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litevision.data.detection.coco import TABLES, list_coco
from litevision.data.detection.listing import BoxListing, is_image
from litevision.data.detection.records import Kind
from litevision.data.detection.voc import list_voc
from litevision.data.detection.yolo import YAML_SUFFIXES, list_yolo, names_file_of
from litevision.data.listing import split_named
from litevision.errors import DataError
from litevision.image.files import mode_of

_EXPECTED = (
    "expected Pascal VOC (Annotations and JPEGImages), COCO (a JSON file with images, annotations and categories) or "
    "YOLO (data.yaml, or classes.txt beside images and labels)"
)
# Only folders of these names, and those of splits, are looked into: a folder of classes may hold a million files.
_FOLDERS = ("annotations", "labels", "images", "jpegimages", "obj_train_data", "data")
_VOC_YEAR = re.compile(r"voc(devkit|\d{4})", re.IGNORECASE)
_MAX_DEPTH = 3
_LOOKED_AT = 20  # XML files of a folder, some of which may be damaged
_HEAD_BYTES = 4096
_ENDS_BYTES = 1024 * 1024


def is_detection(path: str | os.PathLike[str]) -> bool:
    """Whether there are labels of boxes at ``path``, and not a folder or a list of classes. Reads little."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.suffix.lower() in (".json", *YAML_SUFFIXES) or path.name in ("obj.names", "obj.data")
        return stat.S_ISDIR(mode) and any(_evidence(path))
    except (OSError, ValueError):
        return False


def list_boxes(path: str | os.PathLike[str]) -> BoxListing:
    """The boxes at ``path`` as they are written.

    Raises:
        FileMissingError: nothing at the path.
        DataError: no labels of boxes there, of more than one form, or that cannot be read.
    """
    path = Path(path)
    if not stat.S_ISDIR(mode_of(path, "path of the data")):
        return _list_file(path)
    if _is_annotations(path):
        path = path.parent
    try:
        found = list(_evidence(path))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}). Check who may read it.") from None
    kinds = {one.kind: one for one in found}
    if len(kinds) > 1:
        files = " and ".join(f"{one.kind} ({one.file.relative_to(path)})" for one in kinds.values())
        raise DataError(f"{path}: labels as {files}; expected one form. Name its file, or move the other away.")
    if "COCO" in kinds:
        files_of_boxes = [one.file for one in found]
        # COCO's own folder also has captions and keypoints of the same images.
        instances = [file for file in files_of_boxes if file.stem.startswith("instances")]
        return list_coco(path, instances or files_of_boxes)
    if "YOLO" in kinds:
        return list_yolo(path, found[0].file)
    if "Pascal VOC" in kinds:
        return list_voc(path)
    raise DataError(f"{path}: no labels of boxes; {_EXPECTED}.")


def _list_file(path: Path) -> BoxListing:
    if path.suffix.lower() == ".json":
        return list_coco(path, [path])
    if path.suffix.lower() in YAML_SUFFIXES:
        return list_yolo(path.parent, path)
    names = path.with_name("obj.names")
    if path.name in ("obj.names", "obj.data") and names.is_file():
        return list_yolo(path.parent, names)
    raise DataError(f"{path}: no file of labels of boxes; {_EXPECTED}.")


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that shows which form the labels have."""

    kind: Kind
    file: Path


def _evidence(root: Path) -> Iterator[_Found]:
    """Files that show it, those of ``root`` itself first."""
    names_file: Path | None = None
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        with os.scandir(folder) as items:
            content = sorted(items, key=lambda item: item.name)
        names = [item.name for item in content if not item.name.startswith(".") and item.is_file()]
        yield from (_Found("COCO", folder / name) for name in names if _is_coco(folder / name))
        xmls = [folder / name for name in names if name.lower().endswith(".xml")][:_LOOKED_AT]
        yield from (_Found("Pascal VOC", xml) for xml in xmls[:1] if _is_annotations(folder) or any(map(_is_voc, xmls)))
        if names_file is None:
            names_file = names_file_of(folder, names)
            if names_file is not None and (names_file.suffix.lower() in YAML_SUFFIXES or _has_labels(root)):
                yield _Found("YOLO", names_file)
        if depth < _MAX_DEPTH:
            waiting += [(folder / item.name, depth + 1) for item in content if item.is_dir() and _is_known(item.name)]


def _is_annotations(folder: Path) -> bool:
    return folder.name.lower() == "annotations"


def _is_known(name: str) -> bool:
    return name.lower() in _FOLDERS or split_named(name) is not None or _VOC_YEAR.fullmatch(name) is not None


def _is_coco(path: Path) -> bool:
    """Whether two at least of COCO's lists begin in the first or the last megabyte of a JSON file."""
    if path.suffix.lower() != ".json":
        return False
    with path.open("rb") as file:
        text = file.read(_ENDS_BYTES)
        file.seek(max(len(text), path.stat().st_size - _ENDS_BYTES))
        text += b"\n" + file.read()
    return sum(re.search(rb'"%s"\s*:\s*\[' % table.encode(), text) is not None for table in TABLES) >= 2


def _is_voc(path: Path) -> bool:
    with path.open("rb") as file:
        return re.search(rb"<annotation[\s>]", file.read(_HEAD_BYTES)) is not None


def _has_labels(root: Path) -> bool:
    """Whether an image has a text file of its name, beside it or in a folder of labels."""
    folder = root / "labels"
    if folder.is_dir():
        return True
    for parent, _, names in os.walk(root):
        stems = {name.rpartition(".")[0] for name in names if is_image(name)}
        if any(name.endswith(".txt") and name[:-4] in stems for name in names) or Path(parent).name == "labels":
            return True
    return False
