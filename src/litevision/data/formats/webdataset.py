"""Read tar shards (WebDataset): they are unpacked once into class folders in the cache folder, and read from there.

A sample is the members of one name up to its first dot: an image, and its class in ``.cls`` or ``.json``; without such,
the folder that the image lies in is its class, as in an archive of class folders.
"""

import json
import re
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from litevision.data.dataset import Split
from litevision.data.formats import folders
from litevision.data.formats.find import Folder
from litevision.data.formats.label_files import is_file, read_lines
from litevision.data.listing import Listing, is_image, scan, split_in, split_named
from litevision.errors import DataError, reason_of
from litevision.files import cache_folder, folder_beside
from litevision.image.files import SPECIAL, PassedOver, is_directory, is_left_behind
from litevision.image.tar import ARCHIVE_SUFFIXES, SafeTarInfo

_NAMES = ("classes.txt", "classnames.txt", "labels.txt")
_KEYS = ("label", "class", "cls", "class_name", "label_name", "class_id")  # of a sample's JSON
_MAX_LABEL_BYTES = 2**20
_MOST_DIGITS = 10  # of the number of a class
_SPARE_BYTES = 2**30  # that stay free on the disk
_RECORD = ".shards.json"
_EXPECTED = "expected an image and a .cls or .json of its class for each sample, or class folders"


def is_labels_file(path: Path) -> bool:
    """Whether it is a tar archive by its name."""
    return _is_archive(path.name)


def find_labels(folder: Folder) -> Sequence[Path]:
    """The shards of a folder that holds them and nothing else, or splits of them."""
    if folder.by_content or folder.path != folder.root or any(map(is_image, folder.names)):
        return ()
    places = [Path(item.path) for item in scan(folder.path) if is_directory(item)]
    if not all(split_named(place.name) and _holds_shards_alone(place) for place in places):
        return ()
    return [path for place in (folder.path, *places) for path in _shards_of(place)]


def list_labels(root: Path, files: Sequence[Path]) -> Listing:
    """The images of shards, unpacked into class folders.

    Splits are told by the names of shards (``train-000.tar``) or of their folders. A number in place of a class is
    looked up in ``classes.txt`` beside the shards, a line for each class, where there is one.

    Raises:
        DataError: a shard that cannot be read to its end, no labelled images, a class that can be no folder's name, or
            a disk without room.
    """
    place = root if root.is_dir() else root.parent
    names = next((read_lines(path) for name in _NAMES if is_file(path := place / name)), [])
    states = [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    digest = sha256(json.dumps([states, names]).encode()).hexdigest()[:16]
    folder = cache_folder() / "shards" / digest / (root.name if root.is_dir() else _stem(root))
    if not (folder / _RECORD).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_beside(folder) as partial:
            passed_over = PassedOver()
            splits = [_split_of(path, place) for path in files]
            rest: Split | None = "train" if any(splits) else None  # the others of a folder that has splits
            count = sum(
                _unpack(path, split or rest, partial, names, passed_over)
                for path, split in zip(files, splits, strict=True)
            )
            if not count:
                kinds = f" ({passed_over})" if passed_over else ""
                raise DataError(f"{root}: no labelled images{kinds}; {_EXPECTED}.")
            _refuse_splits_as_classes(root, partial, has_splits=rest is not None)
            (partial / _RECORD).write_text(json.dumps(passed_over.to_dict()), "utf-8")
            with suppress(OSError):  # another process was sooner, with the same
                partial.rename(folder)
    listing = folders.list_labels(folder, ())
    for kind, number in json.loads((folder / _RECORD).read_text("utf-8")).items():
        listing.passed_over.counts[kind] += number
    return listing


def _refuse_splits_as_classes(root: Path, folder: Path, *, has_splits: bool) -> None:
    """Raises `DataError` for a class that would be taken for a split, where no shard says its split."""
    classes = [path.name for path in folder.iterdir() if any(not item.is_dir() for item in path.iterdir())]
    called = next(filter(split_named, sorted(classes)), None)
    if called is not None and not has_splits:
        raise DataError(
            f"{root}: the class {called!r} has a split's name. Name the shards by their splits, such as train-000.tar."
        )


def _is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def _shards_of(folder: Path) -> list[Path]:
    return [path for item in scan(folder) if _is_archive(item.name) and is_file(path := Path(item.path))]


def _holds_shards_alone(folder: Path) -> bool:
    items = scan(folder)
    return bool(_shards_of(folder)) and not any(is_directory(item) or is_image(item.name) for item in items)


def _stem(shard: Path) -> str:
    return shard.name[: -len(next(it for it in ARCHIVE_SUFFIXES if shard.name.lower().endswith(it)))]


def _split_of(shard: Path, root: Path) -> Split | None:
    return split_in(_stem(shard)) or (split_named(shard.parent.name) if shard.parent != root else None)


def _unpack(shard: Path, split: Split | None, folder: Path, names: Sequence[str], passed_over: PassedOver) -> int:
    """Writes the labelled images of a shard into class folders, and gives how many they are."""
    stem = _stem(shard)
    images: dict[str, tuple[Path, str]] = {}  # those that wait for their class, by their sample
    labels: dict[str, str] = {}
    loose = folder / f".{stem}"
    loose.mkdir()
    number = 0
    with _whole(shard):
        for name, size, read in _members(shard, passed_over):
            sample, kind = _parts(name)
            if is_image(name):
                number += 1
                path = loose / f"{number:08d}{Path(name).suffix.lower()}"
                _write(read, path, size, shard)
                images[name] = (path, sample)
            elif kind in ("cls", "json") and size <= _MAX_LABEL_BYTES:
                label = _label(read.read().decode("utf-8", "replace"), kind, names)
                if label:
                    labels[sample] = label
                    continue
                passed_over.add_file(name)
            else:
                passed_over.add_file(name)
    count = 0
    for name, (path, sample) in images.items():
        found, own = _place(name, sample, labels, split)
        if found is None:
            passed_over.add_file(name)
            continue
        count += 1
        target = folder.joinpath(*([own] if own else []), found)
        if target.name != found or found.startswith("."):
            raise DataError(f"{shard}: the class {found!r} can be no folder's name; expected another one.")
        target.mkdir(parents=True, exist_ok=True)
        path.rename(target / f"{_plain(shard.name)}-{_plain(sample)}-{path.name}")
    shutil.rmtree(loose)
    return count


@contextmanager
def _whole(shard: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # damage raises OverflowError and others beside tarfile's own
        reason = error.strerror if isinstance(error, OSError) and error.strerror else reason_of(error)
        raise DataError(f"{shard}: cannot be read to its end ({reason}). Copy it again.") from None


def _members(shard: Path, passed_over: PassedOver) -> Iterator[tuple[str, int, IO[bytes]]]:
    """The files in a shard: name, bytes, and the open file, which is read before the next one is asked for."""
    with tarfile.open(shard, "r|*", tarinfo=SafeTarInfo) as archive:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # which would grow with the archive
            parts = [part for part in member.name.split("/") if part not in ("", ".", "..")]
            if member.isdir() or any(map(is_left_behind, parts)):
                continue
            if not member.isreg() or member.issparse():
                passed_over.add(SPECIAL)
                continue
            opened = archive.extractfile(member)
            if opened is not None:
                yield "/".join(parts), member.size, opened


def _parts(name: str) -> tuple[str, str]:
    """The sample that a member belongs to, and what follows the first dot of its name."""
    folder, slash, last = name.rpartition("/")
    stem, _, kind = last.partition(".")
    return f"{folder}{slash}{stem}", kind.lower()


def _write(source: IO[bytes], unfinished: Path, size: int, shard: Path) -> None:
    has_room = size + _SPARE_BYTES <= shutil.disk_usage(unfinished.parent).free
    while has_room and (block := source.read(2**20)):
        try:
            with unfinished.open("ab") as file:
                file.write(block)
        except OSError:
            has_room = False
    if not has_room:
        raise DataError(
            f"{shard}: no room to unpack it in {cache_folder()}; make some, or set LITEVISION_CACHE to another folder."
        )


def _label(text: str, kind: str, names: Sequence[str]) -> str:
    """The class that a sample's label names; empty where it names none."""
    value: Any = text.strip()
    if kind == "json":
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return ""
        found = content if isinstance(content, dict) else {}
        value = next((found[key] for key in _KEYS if isinstance(found.get(key), (str, int))), "")
    value = str(value).strip()
    if value.isdecimal() and len(value) < _MOST_DIGITS and int(value) < len(names):
        return names[int(value)].strip()
    return value if value.isprintable() and len(value) <= 200 else ""


def _place(name: str, sample: str, labels: dict[str, str], split: Split | None) -> tuple[str | None, Split | None]:
    """The class and the split of an image; no class where nothing says it."""
    parents = name.split("/")[:-1]
    inside = next((found for part in parents if (found := split_named(part))), None)
    if sample in labels:
        return labels[sample], split or inside
    if not parents or split_named(parents[-1]):
        return None, None
    return parents[-1], split or inside


def _plain(text: str) -> str:
    return re.sub(r"[^\w-]", "_", text)[-60:]
