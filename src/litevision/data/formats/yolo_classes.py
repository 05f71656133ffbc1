"""Read what describes YOLO's labels: the class names, and a data.yaml with them and the folders of the splits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litevision.data.dataset import Split
from litevision.data.formats.image_paths import path_parts
from litevision.data.formats.label_files import (
    MAX_BYTES_OF_AN_IMAGE,
    UnreadableLabels,
    head_of,
    indispensable,
    is_file,
    is_folder,
    mode_at,
    read_bytes,
    read_lines,
)
from litevision.data.listing import SPLIT_NAMES, Listing, split_in
from litevision.errors import DataError, reason_of

YAML_SUFFIXES = (".yaml", ".yml")
EXPECTED_NAMES = "expected class names in data.yaml (names:), classes.txt or obj.names"

_NAMES_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
_NAMES_SUFFIX = ".names"  # coco.names, as Darknet calls it
_MAX_YAML_BYTES = 4 * 1024 * 1024
_KEYPOINT_FILES, _KEYPOINT_LINES = 500, 200  # enough to tell
_LEAST_KEYPOINTS = 4  # fewer can lie inside by chance
_KEY_OF_NAMES = re.compile(rb"^(['\"]?)(names|nc)\1\s*:", re.MULTILINE)
_KEY_OF_A_SPLIT = re.compile(rb"^(['\"]?)(train|val|valid|validation|test)\1\s*:", re.MULTILINE)


@dataclass(slots=True)
class Description:
    """What a data.yaml or a list of class names says.

    Attributes:
        file: where it stands.
        names: the class names by their ids.
        places: the folder or the list of each split's images; empty where images are to be looked for.
        keypoints: the number of keypoints of each line, and of the values of each; None where it says none.
    """

    file: Path
    names: dict[str, str] = field(default_factory=dict)
    places: list[tuple[Path, Split]] = field(default_factory=list)
    keypoints: tuple[int, int] | None = None


def describe(files: Sequence[Path], listing: Listing) -> Description:
    """What the first data.yaml of ``files`` says or, without one, what their lists of class names do.

    Raises:
        DataError: a file that cannot be read, no names in it, or two files that name other classes.
    """
    described = next((file for file in files if file.suffix.lower() in YAML_SUFFIXES), None)
    if described:
        return read_yaml(described, listing)
    names: dict[str, str] = {}
    for file in files:
        found = {str(place): name for place, name in enumerate(lines_of(file)) if name}
        if names and found != names:
            raise DataError(
                f"{file}: other class names than in {listing.name_of(files[0])}; expected one list for all labels. "
                "Make the lists alike, and the class ids with them."
            )
        names = found
    return Description(files[0], names)


def names_file_of(folder: Path, names: Sequence[str], *, with_splits: bool = True) -> Path | None:
    """The file in a folder that names YOLO's classes, of the ``names`` of its files; None where none does.

    Args:
        with_splits: whether a YAML file has to name the images of a split, too.
    """
    for name in sorted(names, key=lambda name: (not name.lower().startswith("data"), name)):
        if name.lower().endswith(YAML_SUFFIXES):
            text = head_of(folder / name, _MAX_YAML_BYTES)
            if _KEY_OF_NAMES.search(text) and (not with_splits or _KEY_OF_A_SPLIT.search(text)):
                return folder / name
    known = [name for name in _NAMES_FILES if name in names]
    return next((folder / name for name in (*known, *names) if name in known or name.endswith(_NAMES_SUFFIX)), None)


def read_yaml(file: Path, listing: Listing) -> Description:
    """What a data.yaml says; a folder of another machine is looked for beside it by the end of its path.

    Raises:
        DataError: no YAML file, or no class names in it.
    """
    plain = load_yaml(file)
    names, count = plain.get("names"), plain.get("nc")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if names is None and isinstance(count, str) and count.isdecimal() and 0 < int(count) < 100_000:
        names = {id_: str(id_) for id_ in range(int(count))}
        listing.report("numbered-classes", file, f"no names; the {count} classes are called '0' to '{int(count) - 1}'")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{file}: 'names' is no list of class names; {EXPECTED_NAMES}.")
    found = Description(file, {_plain_id(str(id_)): name for id_, name in names.items()})
    if len(found.names) < len(names):
        raise DataError(f"{file}: a class id stands twice in 'names'; expected 0, 1, 2 and so on.")
    if isinstance(count, str) and count != str(len(names)):
        listing.report("wrong-class-count", file, f"nc is {count}, and names has {len(names)}")
    shape = plain.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2 and all(str(side).isdecimal() for side in shape):
        found.keypoints = int(shape[0]), int(shape[1])
    base = file.parent / str(plain.get("path") or ".")
    if not is_folder(base):
        base = file.parent  # "path" is the place on the machine of whoever wrote it
    entries: dict[Split, list[str]] = {}
    for key, value in plain.items():
        split = SPLIT_NAMES.get(key.strip().lower())
        if split:
            entries.setdefault(split, []).extend(map(str, value if isinstance(value, list) else [value or ""]))
    for split, places in entries.items():
        for entry in filter(None, places):
            place = _place(entry, base, file, is_only=len(entries) == 1)
            other = next((one for of, one in found.places if of == place and one != split), None)
            if place is None:
                listing.report("missing-split", file, f"{split}: no {entry}")
            elif other:
                listing.report("split-twice", file, f"{other} and {split} are both {entry}; it is {other}")
            else:
                found.places.append((place, split))
    return found


def _place(entry: str, base: Path, file: Path, *, is_only: bool) -> Path | None:
    """Where an entry of a split is: as it stands, or by the longest end of its path that there is.

    A last part alone, as ``images``, could be the folder of all splits: it counts where it is one split's name.
    """
    # Roboflow writes ../train/images for the folder train/images beside its data.yaml.
    parts = path_parts(entry)
    as_written = entry.replace("\\", "/")
    last = len(parts) - (0 if is_only or len(parts) == 1 or split_in(parts[-1]) else 1)
    ends = [folder.joinpath(*parts[start:]) for start in range(last) for folder in (base, file.parent)]
    return next((path for path in (base / as_written, file.parent / as_written, *ends) if mode_at(path)), None)


def _plain_id(id_: str) -> str:
    """The id as a label file writes it: 01 is 1."""
    return str(int(id_)) if id_.isdecimal() and len(id_) < 10 else id_


def class_names(names: dict[str, str], file: Path, listing: Listing) -> list[str]:
    """The class names in the order of their ids; gaps and conflicts are reported."""
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


def load_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file, every scalar as the text that stands there: a class may be called "no".

    Raises:
        DataError: no such file, or no mapping in it.
    """
    import yaml  # here: most data has no YAML file

    with indispensable(file, EXPECTED_NAMES):
        text = read_bytes(file, _MAX_YAML_BYTES)
    try:
        _refuse_shared(yaml.compose(text, Loader=yaml.BaseLoader))
        # BaseLoader makes text, lists and mappings alone.
        plain = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or reason_of(error)
        raise DataError(f"{file}{line}: no YAML ({reason}); {EXPECTED_NAMES}.") from None
    if not isinstance(plain, dict):
        raise DataError(f"{file}: no mapping; {EXPECTED_NAMES}.")
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


def lines_of(file: Path) -> list[str]:
    """The lines of a text file, without empty ones at its end.

    Raises:
        DataError: it cannot be read.
    """
    with indispensable(file, "expected text, one entry a line"):
        lines = read_lines(file)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def guessed_keypoints(texts: Sequence[Path]) -> tuple[int, int] | None:
    """The number of keypoints behind each box and of the values of each, where no data.yaml tells it.

    Long lines are taken for boxes with keypoints where, in all of them, the points lie inside the first four numbers.
    """
    found: list[list[float]] = []
    for text in [text for text in texts if is_file(text)][:_KEYPOINT_FILES]:
        try:
            lines = read_lines(text, MAX_BYTES_OF_AN_IMAGE)[:_KEYPOINT_LINES]
            found += [list(map(float, line.split()[1:])) for line in lines if line.count(" ") > 5]
        except (UnreadableLabels, ValueError):
            continue
    lengths = {len(numbers) for numbers in found}
    if len(lengths) != 1:
        return None
    values = lengths.pop() - 4
    widths = [width for width in (3, 2) if values > 0 and values % width == 0]
    return next(((values // width, width) for width in widths if _have_keypoints(found, width)), None)


def _have_keypoints(lines: Sequence[Sequence[float]], width: int) -> bool:
    """Whether each line is a box inside the image, with points of ``width`` values that lie in it."""
    seen, inside = 0, 0
    for numbers in lines:
        x, y, box_width, box_height = numbers[:4]
        values = numbers[4:]
        for centre, side in ((x, box_width), (y, box_height)):
            if side <= 0 or centre - side / 2 < -0.01 or centre + side / 2 > 1.01:
                return False
        points = [values[start : start + width] for start in range(0, len(values), width)]
        if width == 3 and not all(point[2] in (0, 1, 2) for point in points):
            return False
        for point in points:
            if point[0] or point[1]:  # 0 0 is a point that is not seen
                seen += 1
                is_in = abs(point[0] - x) <= 0.55 * box_width and abs(point[1] - y) <= 0.55 * box_height
                inside += int(is_in)
    return seen >= _LEAST_KEYPOINTS and inside >= 0.95 * seen
