"""Find images by the names that labels have for them, which may be paths of the machine they were written on."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from litevision.data.dataset import Split
from litevision.data.formats.label_files import is_file
from litevision.data.listing import ListedImage, Listing, is_image, split_in, split_named, walk
from litevision.errors import DataError

_LABEL_STUDIO = re.compile(r"[0-9a-f]{8}-(?=.)")  # before the name of each file that was uploaded to it


def path_parts(name: str) -> tuple[str, ...]:
    """The parts of a path of any system, without drive, dots and what an address asks for."""
    name = name.rpartition("?d=")[2].partition("?")[0]  # Label Studio's /data/local-files/?d=photos/1.jpg
    parts = re.split(r"[\\/]+", name.strip())
    return tuple(part for part in parts if part not in ("", ".", "..") and not part.endswith(":"))


def resolve(
    names: Iterable[str],
    direct: Callable[[str], Path | None],
    root: Path,
    taken: Collection[Path] = (),
    suffixes: bool = True,
    split_of: Callable[[str], Split | None] = lambda name: None,
) -> dict[str, Path]:
    """The image of each name; without those that have none, or that could mean several.

    What ``direct`` finds comes first. For the other names, the images below ``root`` are asked whose path ends as the
    name does: the longest such end decides where one image alone has it. Letter case, Unicode form, the sort of
    slash and Label Studio's prefixes do not matter. An image that one name means is no other's.

    Args:
        names: as the labels write them.
        direct: the image at the place where a name belongs, if it is there.
        root: the folder of the data.
        taken: images that other names have already.
        split_of: the split of a name; an image in a folder of another split is never meant.
        suffixes: whether names end in an image's suffix; without, stems are compared.
    """
    found: dict[str, Path] = {}
    missing = []
    for name in dict.fromkeys(names):
        path = direct(name)
        if path is None and "\\" in name:
            path = direct(name.replace("\\", "/"))
        if path is None:
            missing.append(name)
        else:
            found[name] = plain_path(path)
    if not missing:
        return found
    taken = {*taken, *found.values()}
    by_name: dict[str, list[tuple[tuple[str, ...], Path]]] = defaultdict(list)
    for folder, files in _readable(root):
        inside = folder.relative_to(root).parts
        for file in filter(is_image, files):
            path = folder / file
            if path not in taken:
                parts = tuple(map(_key, (*inside, file if suffixes else path.stem)))
                by_name[parts[-1]].append((parts, path))
                plain = _LABEL_STUDIO.sub("", parts[-1], count=1)
                if plain != parts[-1]:
                    by_name[plain].append(((*parts[:-1], plain), path))
    claims: dict[Path, list[tuple[int, str]]] = defaultdict(list)
    for name in missing:
        for wanted in _spellings(name):
            split = split_of(name)
            candidates = [one for one in by_name.get(wanted[-1], ()) if split in (None, _split(one[0]) or split)]
            ranked = sorted(((_shared(wanted, parts), path) for parts, path in candidates), reverse=True)
            if ranked and (len(ranked) == 1 or ranked[0][0] > ranked[1][0]):
                claims[ranked[0][1]].append((ranked[0][0], name))
            if ranked:
                break
    for path, claimed in claims.items():
        claimed.sort(reverse=True)
        if len(claimed) == 1 or claimed[0][0] > claimed[1][0]:
            found[claimed[0][1]] = path
    return found


def plain_path(path: Path) -> Path:
    """The path without what leads up and down again, where it means the same file."""
    if ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    try:
        return plain if plain.samefile(path) else path
    except OSError:
        return path


def _readable(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders below ``root`` and their files, up to the first that cannot be read."""
    try:
        yield from walk(root)
    except DataError:
        return


def split_of_labels(file: Path) -> Split | None:
    """The split that a label file's name says, or its folder's."""
    return split_in(file.stem) or split_named(file.parent.name)


def list_named(
    root: Path, files: Sequence[Path], images_of: Callable[[Path, Listing], Iterable[ListedImage]]
) -> Listing:
    """The images that ``images_of`` gives for each of the label files, added as by `add_named`."""
    listing = Listing(root)
    add_named([image for file in files for image in images_of(file, listing)], listing)
    return listing


def add_named(images: Sequence[ListedImage], listing: Listing) -> None:
    """Adds ``images``, whose paths are only names as the labels write them, where each is, and the boxes' classes.

    Names start at the folder of the label file or of the data, or mean an image below that, as `resolve` says.
    """
    listing.classes = sorted({box.label for image in images for box in image.boxes})
    root = listing.root if listing.root.is_dir() else listing.root.parent
    folders = dict.fromkeys([*(image.labels_file.parent for image in images if image.labels_file), root])

    def direct(name: str) -> Path | None:
        places = (folder / inside / name for folder in folders for inside in ("", "images"))
        return next(filter(is_file, places), None)

    splits = {image.name: image.split for image in images}
    paths: dict[str, Path] = {}
    for suffixes in (True, False):  # Open Images has ids for names
        names = [name for name in splits if is_image(name) is suffixes]
        taken = set(paths.values())
        paths |= resolve(names, direct, root, taken, suffixes=suffixes, split_of=splits.get) if names else {}
    for image in images:
        path = paths.get(image.name)
        if path is None:
            listing.report("missing-image", image.labels_file, f"no image {image.name}", image.line)
            continue
        image.path, image.name, image.line = path, listing.name_of(path), None
        listing.images.append(image)


def _split(parts: Sequence[str]) -> Split | None:
    """The split whose folder a path lies in."""
    return next((split for part in reversed(parts[:-1]) if (split := split_named(part))), None)


def _spellings(name: str) -> list[tuple[str, ...]]:
    """The parts of a name as it stands, from an address, and without Label Studio's prefix."""
    found = []
    for text in dict.fromkeys((name, unquote(name))):
        parts = tuple(map(_key, path_parts(text)))
        if parts:
            found += [parts, (*parts[:-1], _LABEL_STUDIO.sub("", parts[-1], count=1))]
    return found


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many parts the ends of two paths share."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
