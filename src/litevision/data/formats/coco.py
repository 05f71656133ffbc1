"""Read COCO: one JSON file of images, boxes and classes, or one for each split."""

import itertools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litevision.data.dataset import Split
from litevision.data.formats import create_ml, label_studio, via
from litevision.data.formats.find import Folder
from litevision.data.formats.image_paths import resolve
from litevision.data.formats.label_files import brief, indispensable, is_file, read_json
from litevision.data.listing import EXPECTED_SPLITS, ListedBox, ListedImage, Listing, is_image, split_in, split_named
from litevision.errors import DataError

_MAX_BYTES = 2 * 1024**3  # COCO's own train2017 has 450 MB
_OTHERS = (create_ml, label_studio, via)
_TABLES = ("images", "annotations", "categories")
_EXPECTED = f"expected COCO's JSON with the lists {', '.join(_TABLES)}"
_MAX_AREA = 1e12  # px²; no image is as large
_SHOWN = 8
_LOOKED_AT = 20  # JSON files of a folder of another name, which may have one beside each image
_ENDS_BYTES = 1024 * 1024


def is_labels_file(path: Path) -> bool:
    """Whether it is a JSON file of no other program's form."""
    return path.suffix.lower() == ".json" and not any(one.is_labels_file(path) for one in _OTHERS)


def find_labels(folder: Folder) -> Iterator[Path]:
    """The JSON files in which two at least of COCO's lists begin, in their first or their last megabyte."""
    paths = [path for path in (folder.path / name for name in folder.names) if path.suffix.lower() == ".json"]
    yield from filter(_begins_lists, paths[:_LOOKED_AT] if folder.by_content else paths)


def _begins_lists(path: Path) -> bool:
    with path.open("rb") as file:
        text = file.read(_ENDS_BYTES)
        file.seek(max(len(text), path.stat().st_size - _ENDS_BYTES))
        text += b"\n" + file.read()
    return sum(re.search(rb'"%s"\s*:\s*\[' % table.encode(), text) is not None for table in _TABLES) >= 2


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images and boxes that ``files`` list; where some are called instances, those alone.

    A file's split is the one that its name or its folder names. Images lie beside it, in a folder of its split, or in
    ``images``.

    Raises:
        DataError: not such files, or some of which the split is not known.
    """
    listing = Listing(root)
    # COCO's own folder also has captions and keypoints of the same images.
    chosen = [file for file in files if file.stem.startswith("instances")] or files
    tables = {file: _Table.read(file) for file in chosen}
    read = {file: table for file, table in tables.items() if not table.lacks}
    if not read:
        lacks = tables[chosen[0]].lacks
        why = ", as COCO's files of test images have none" if lacks == "annotations" else ""
        raise DataError(f"{chosen[0]}: no list {lacks!r}{why}; {_EXPECTED}.")
    for file in (file for file in files if file not in read):
        lacks = f"no list {tables[file].lacks!r}" if file in tables else "others are called instances"
        listing.report("unused-labels", file, lacks)
    splits = {file: _split_of(file, root) for file in read}
    unknown = [file for file, split in splits.items() if split is None]
    if unknown and len(read) > 1:
        raise DataError(
            f"{unknown[0]}: {len(read)} files of labels, and this one's name says no split; {EXPECTED_SPLITS}. "
            "Rename it or move it away."
        )
    _drop_roots(read, listing)
    listing.classes = _classes(read, listing)
    folders: set[Path] = set()
    for file, table in read.items():
        places = [place for place in _places(file, root, splits[file]) if place.is_dir()]
        images = _images(file, table, splits[file], places, listing)
        _boxes(file, table, images, listing)
        by_path = {image.path: image for image in images.values() if image}  # two ids may share one
        listing.images += by_path.values()
        folders |= {path.parent for path in by_path}
    _report_unlabelled(folders, listing)
    return listing


@dataclass(slots=True)
class _Table:
    """One file: its three tables, and the name of each class by its id; ``lacks`` is the table that is not there."""

    images: list[Any]
    annotations: list[Any]
    categories: list[Any]
    lacks: str = ""
    names: dict[Any, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> "_Table":
        with indispensable(file, _EXPECTED):
            plain = read_json(file, _MAX_BYTES)
        missing = [name for name in _TABLES if not isinstance(plain, dict) or not isinstance(plain.get(name), list)]
        if "images" in missing:
            raise DataError(f"{file}: no list 'images'; {_EXPECTED}.")
        tables: list[list[Any]] = [[] if name in missing else plain[name] for name in _TABLES]
        return cls(tables[0], tables[1], tables[2], next(iter(missing), ""))


def _split_of(file: Path, root: Path) -> Split | None:
    """What the file's name says, such as instances_train2017, or its folder's."""
    split = split_in(file.stem)
    if split:
        return split
    return split_named(file.parent.name) if file.parent != root else None


def _places(file: Path, root: Path, split: Split | None) -> Iterator[Path]:
    """Where the images of a file may lie, likeliest first."""
    base = _base(file, root)
    own = [file.stem.rpartition("_")[2], *(name for name in _names_of(base) if split and split_named(name) == split)]
    for name in own:
        yield from (base / name / "images", base / "images" / name, base / name)
    for name in _names_of(base / "images"):
        if split and split_named(name) == split:
            yield base / "images" / name
    yield from (file.parent / "images", file.parent, file.parent / "data", base / "images", base / "data", base)


def _base(file: Path, root: Path) -> Path:
    """The folder of the data: that which the user named, else that of a file."""
    return root if root.is_dir() else (file.parent.parent if file.parent.name == "annotations" else file.parent)


def _names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _drop_roots(tables: Mapping[Path, _Table], listing: Listing) -> None:
    """Drops each category that is only another's supercategory, as Roboflow writes one above all classes."""
    rows = [row for table in tables.values() for row in table.categories if isinstance(row, dict)]
    rows = [row for row in rows if isinstance(row.get("supercategory"), str)]
    above = {row["supercategory"] for row in rows}
    above -= {row["supercategory"] for row in rows if row["supercategory"] == row.get("name")}
    used = {_plain(row.get("category_id")) for t in tables.values() for row in t.annotations if isinstance(row, dict)}
    for file, table in tables.items():
        for row in [row for row in table.categories if isinstance(row, dict)]:
            name = row.get("name")
            if isinstance(name, str) and name in above and _plain(row.get("id")) not in used:
                table.categories.remove(row)
                if not any(issue.rule == "root-category" for issue in listing.issues):
                    listing.report("root-category", file, f"{name!r} stands above other classes, and has no box")


def _classes(tables: Mapping[Path, _Table], listing: Listing) -> list[str]:
    """The class names by their ids; what the files say of them is noted."""
    first: dict[Any, tuple[str, Path]] = {}
    ids: dict[str, Any] = {}
    for file, table in tables.items():
        for place, category in enumerate(table.categories):
            given, name = (category.get(key) if isinstance(category, dict) else None for key in ("id", "name"))
            id_ = _plain(given)
            if id_ is None or not isinstance(name, str) or not name.strip():
                listing.report("class-id-conflict", file, f"categories[{place}]: {brief(category)} has no id or name")
                continue
            name = name.strip()
            if id_ in table.names:
                listing.report("class-id-conflict", file, f"id {id_} is {table.names[id_]!r}, and again {name!r}")
                continue
            other, where = first.get(id_, (name, file))
            if other != name:
                beside = f"{other!r} in {listing.name_of(where)}"
                listing.report("class-id-conflict", file, f"id {id_} is {name!r}, and {beside}")
            elif ids.get(name, id_) != id_:
                listing.report("class-id-conflict", file, f"{name!r} has the ids {ids[name]} and {id_}")
            table.names[id_] = name
            first.setdefault(id_, (name, file))
            ids.setdefault(name, id_)
    if not ids:
        raise DataError(f"{listing.root}: no classes in 'categories'; expected an id and a name for each.")
    known = sorted(id_ for id_ in first if isinstance(id_, int))
    if len(known) < len(first):  # ids that are words have no order and no gaps
        return sorted(ids, key=lambda name: (str(ids[name]), name))
    lacking = known[-1] - known[0] + 1 - len(known)
    if lacking or known[0] > 1:
        some = list(itertools.islice((id_ for id_ in range(known[0], known[-1]) if id_ not in first), _SHOWN))
        without = f", without {', '.join(map(str, some))}" + (" and more" if lacking > _SHOWN else "") if some else ""
        detail = f"{len(ids)} classes with ids {known[0]} to {known[-1]}{without}; labels are 0 to {len(ids) - 1}"
        listing.report("class-id-gaps", next(iter(tables)), detail)
    return sorted(ids, key=lambda name: (ids[name], name))


def _images(
    file: Path, table: _Table, split: Split | None, places: list[Path], listing: Listing
) -> dict[Any, ListedImage | None]:
    """The images of a file by their ids; None for one that is left out."""
    found: dict[Any, ListedImage | None] = {}
    by_name: dict[str, tuple[Any, ListedImage]] = {}
    named = [row.get("file_name") for row in table.images if isinstance(row, dict)]
    names = [name for name in named if isinstance(name, str) and name]
    paths = resolve(names, lambda name: _find(name, places), _base(file, listing.root), split_of=lambda name: split)
    for place, row in enumerate(table.images):
        given, name = (row.get(key) if isinstance(row, dict) else None for key in ("id", "file_name"))
        id_ = _plain(given)
        if id_ is None or not isinstance(name, str) or not name:
            listing.report("missing-image", file, f"images[{place}]: {brief(row)} has no id or file_name")
            continue
        if id_ in found:
            listing.report("id-twice", file, f"images[{place}]: {name} has the id {id_} of {_name_of(found[id_])}")
            continue
        if name in by_name:
            first_id, found[id_] = by_name[name]
            listing.report("listed-twice", file, f"{name}: under the ids {first_id} and {id_}; their boxes are joined")
            continue
        path = paths.get(name)
        if path is None:
            looked = ", ".join(dict.fromkeys(listing.name_of(folder) or "." for folder in places[:4]))
            listing.report("missing-image", file, f"{name}: not in {looked}")
            found[id_] = None
            continue
        sides = [row.get(side) for side in ("height", "width")]
        size_hw = (sides[0], sides[1]) if all(type(side) is int and side > 0 for side in sides) else None
        found[id_] = image = ListedImage(path, listing.name_of(path), split, labels_file=file, size_hw=size_hw)
        by_name[name] = id_, image
    return found


def _name_of(image: ListedImage | None) -> str:
    return image.path.name if image else "another"


def _find(name: str, places: list[Path]) -> Path | None:
    """The image in the first of the folders that has it; that folder is asked first from then on."""
    for index, folder in enumerate(places):
        if is_file(folder / name):
            places.insert(0, places.pop(index))
            return folder / name
    return None


def _boxes(file: Path, table: _Table, images: dict[Any, ListedImage | None], listing: Listing) -> None:
    """Gives every image its boxes."""
    seen: set[Any] = set()
    outlines = 0
    for place, plain in enumerate(table.annotations):
        if not isinstance(plain, dict):
            listing.report("unreadable-box", file, f"annotations[{place}]: {brief(plain)}; expected an object")
            continue
        id_ = _plain(plain.get("id"))
        image_id = _plain(plain.get("image_id"))
        where = f"annotation {id_}" if id_ is not None else f"annotations[{place}]"
        if id_ is not None:
            if id_ in seen:
                listing.report("id-twice", file, f"annotations[{place}]: the id {id_} again; both are kept")
            seen.add(id_)
        if image_id not in images:
            listing.report("missing-image", file, f"{where}: image_id {brief(plain.get('image_id'))} is no image's")
            continue
        image = images[image_id]
        if image is None:  # reported already, once for all its boxes
            continue
        where = f"{where} of {image.name}"
        label = table.names.get(_plain(plain.get("category_id")))
        if label is None:
            listing.refuse(image, "unknown-class", file, f"{where}: category_id {brief(plain.get('category_id'))}")
            continue
        xywh = _numbers(plain.get("bbox"))
        text = f"{where}: {label} {brief(plain.get('bbox'))}"
        if not xywh and (xywh := _around(plain.get("segmentation"))):
            outlines += 1
        if len(xywh) != 4:
            listing.refuse(image, "unreadable-box", file, f"{text}; expected [x, y, width, height]")
            continue
        x, y, width, height = xywh
        area = plain.get("area")
        image.boxes.append(
            ListedBox(
                label,
                (x, y, x + width, y + height),
                text,
                file,
                ignored=_plain(plain.get("iscrowd")) == 1 or _plain(plain.get("ignore")) == 1,
                area=float(area) if isinstance(area, (int, float)) and 0 < area < _MAX_AREA else None,
            )
        )
    if outlines:
        listing.report("polygon-labels", file, f"{outlines} of {len(table.annotations)} boxes")


def _numbers(written: object) -> list[float]:
    """Four numbers, or four texts of numbers; empty for anything else."""
    if not isinstance(written, list) or len(written) != 4:
        return []
    if not all(type(side) in (int, float) for side in written) and not all(isinstance(side, str) for side in written):
        return []
    try:
        return [float(side) for side in written]
    except OverflowError:
        return [math.inf] * 4
    except ValueError:
        return []


def _around(outlines: object) -> list[float]:
    """The box [x, y, width, height] around the outlines of one object; empty where there are none."""
    if not isinstance(outlines, list):
        return []
    parts = outlines if all(isinstance(part, list) for part in outlines) else [outlines]
    flat = [value for part in parts for value in part]
    if len(flat) < 6 or len(flat) % 2 or not all(type(value) in (int, float) for value in flat):
        return []
    left, top = min(flat[::2]), min(flat[1::2])
    return [float(left), float(top), float(max(flat[::2]) - left), float(max(flat[1::2]) - top)]


def _plain(id_: object) -> int | str | None:
    """An id, whichever way it is written: the text 5 and the number 5.0 are 5; None for what is no id."""
    if isinstance(id_, str):
        text = id_.strip()
        return int(text) if text.isdecimal() and len(text) < 19 else text or None
    if isinstance(id_, float):
        return int(id_) if id_.is_integer() else None
    return int(id_) if isinstance(id_, int) else None


def _report_unlabelled(folders: set[Path], listing: Listing) -> None:
    """An issue for each image that no file lists, in the folders of those that are listed."""
    listed = {image.path for image in listing.images}
    inside = os.path.realpath(listing.root if listing.root.is_dir() else _base(listing.root, listing.root))
    for folder in sorted(folders):
        if not Path(os.path.realpath(folder)).is_relative_to(inside):  # what lies there besides is none of the data's
            continue
        for path in sorted(folder.iterdir()):
            if is_image(path.name) and not path.name.startswith(".") and path not in listed:
                listing.report("image-without-labels", path, "in no 'images' list")
