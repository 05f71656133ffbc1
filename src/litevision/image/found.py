"""Images of a folder or a pattern, found by a walk that keeps no list and ends in spite of loops of links."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from litevision.errors import FileMissingError, ImageError, LitevisionError, UsageError
from litevision.image.files import (
    FOLDER,
    IMAGE_SUFFIXES,
    SPECIAL,
    PassedOver,
    is_directory,
    is_left_behind,
    is_special,
    mode_of,
)
from litevision.image.sorted_names import SortedNames


class Unlisted(NamedTuple):
    """What could not be listed: its path, and why."""

    path: str
    error: LitevisionError


class FoundImages(Iterable[Path]):
    """Images of a folder or a pattern, found while they are iterated over: no list of them is kept.

    Args:
        path: as for `find_images`.
        recursive: as for `find_images`.
        suffixes: of the files of a folder that are taken, in lower case.
        passed_over: counts what is not; one of its own unless given.
        patterns: whether ``path`` may be a pattern.

    Attributes:
        path: the folder, the pattern, or one image.
        recursive: whether folders in folders are looked into.
        passed_over: what was passed over so far; complete once the iteration has ended.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        recursive: bool = False,
        suffixes: Sequence[str] = IMAGE_SUFFIXES,
        passed_over: PassedOver | None = None,
        patterns: bool = True,
    ) -> None:
        self.path = os.fspath(path)
        self.recursive = recursive
        self.passed_over = PassedOver() if passed_over is None else passed_over
        self._suffixes = suffixes
        self._is_pattern = patterns and is_pattern(self.path)

    def __iter__(self) -> Iterator[Path]:
        """Iterate over the images' paths.

        Raises:
            LitevisionError: as `find_images` says; at its turn, for a folder in the folder.
        """
        self.passed_over.counts.clear()
        for found in self.walk():
            if isinstance(found, Unlisted):
                raise found.error
            yield Path(found)

    def walk(self) -> Iterator[str | Unlisted]:
        """Iterate over the images' paths; in the place of what cannot be listed stands its error."""
        if not self.path:
            yield Unlisted("", UsageError("an empty path; expected an image or a folder."))
        elif self._is_pattern and not os.path.lexists(self.path):
            yield from self._matching()
        else:
            try:
                is_folder = stat.S_ISDIR(mode_of(Path(self.path)))
            except FileMissingError as error:
                yield Unlisted(self.path, error)
                return
            yield from self._in_folder() if is_folder else [str(Path(self.path))]

    def _in_folder(self) -> Iterator[str | Unlisted]:
        folder, wanted, own = str(Path(self.path)), frozenset(self._suffixes), PassedOver()
        walk = _Walk(folder, own, lambda path: _suffix(path) in wanted, recursive=self.recursive)
        is_empty = True
        try:
            for found in walk.files():
                is_empty = False
                yield found
        finally:
            self.passed_over.counts.update(own.counts)
        if is_empty:
            deeper = " Images in folders need --recursive (recursive=True)." if own.folders else ""
            passed = f"; {own}" if own else ""
            looked_for = " ".join(self._suffixes)
            message = f"{folder}: no images in this folder; looked for {looked_for}{passed}.{deeper}"
            yield Unlisted(folder, UsageError(message))

    def _matching(self) -> Iterator[str | Unlisted]:
        parts, own = Path(self.path).parts, PassedOver()
        first = next(place for place, part in enumerate(parts) if is_pattern(part))
        is_empty = True
        try:
            for found in _matches(str(Path(*parts[:first])), parts[first:], own):
                is_empty = False
                yield found
        finally:
            self.passed_over.counts.update(own.counts)
        if is_empty:
            brackets = " [[] stands for a bracket in a name." if "[" in self.path else ""
            passed = f" Only others: {own}." if own else ""
            message = (
                f"{self.path}: no file has such a name. Check the pattern; '**' stands for any folders."
                f"{brackets}{passed}"
            )
            yield Unlisted(self.path, FileMissingError(message))


def find_images(path: str | os.PathLike[str], *, recursive: bool = False) -> FoundImages:
    """Find the images in a folder, by suffix and in the order of their names, as the command line does.

    Hidden files and what systems leave behind are passed over: macOS leaves ``._photo.jpg`` files, which hold no
    image, on disks and in archives. So are pipes and devices, which a reader could wait for without end. A link to a
    folder is followed unless what it leads to is listed anyway.

    Args:
        path: a folder; a pattern such as ``shots/**/*.jpg``, of which every file is taken, whatever its suffix; or one
            image.
        recursive: look into folders in folders.

    Returns:
        The images' paths, to be iterated over and given to `litevision.classify`, ``stream`` and so on. Its
        ``passed_over`` counts what was not taken, by kind. A stream that keeps errors goes on behind a folder that
        cannot be read.

    Raises:
        FileMissingError: while they are iterated over, nothing at the path, or no file that the pattern fits.
        UsageError: likewise, a folder without images.
        ImageError: likewise, a folder that cannot be read.

    Example:
        >>> import litevision
        >>> found = litevision.find_images("examples")
        >>> [path.name for path in found], str(found.passed_over)
        (['blood.jpg', 'dress.jpg', 'elephant.jpg'], '1 file passed over (1 .md), 7 folders not looked into')
    """
    return FoundImages(path, recursive=recursive)


def is_pattern(text: str) -> bool:
    """Whether a text has a sign that stands for others, as in ``*.jpg``."""
    return any(sign in text for sign in "*?[")


class _Walk:
    """A walk through a folder, in the order of names; of one folder at a time a page of names is kept.

    Args:
        start: the folder.
        passed_over: counts what is not taken.
        takes: whether the file at a path below ``start`` is wanted.
        recursive: look into folders in folders.
        counts_others: whether files that are not wanted count as passed over.
    """

    def __init__(
        self,
        start: str,
        passed_over: PassedOver,
        takes: Callable[[str], bool],
        *,
        recursive: bool,
        counts_others: bool = True,
    ) -> None:
        self._start = start
        self._passed_over = passed_over
        self._takes = takes
        self._recursive = recursive
        self._counts_others = counts_others
        self._roots = [os.path.realpath(start)] if recursive else []

    def files(self, inner: str = "") -> Iterator[str | Unlisted]:
        """The wanted files, and an error for each folder that cannot be read."""
        folder = _join(self._start, inner) if inner else self._start
        names = SortedNames()
        try:
            with os.scandir(folder) as items:
                for item in items:
                    if not is_left_behind(item.name):
                        self._sort_in(item, inner, names)
        except OSError as error:
            yield _unreadable(folder, error)
            return
        for name in names:
            if not name.endswith("/"):
                yield _join(folder, name)
            elif self._enters(_join(folder, name[:-1])):
                yield from self.files(_join(inner, name[:-1]))

    def _sort_in(self, item: os.DirEntry[str], inner: str, names: SortedNames) -> None:
        if is_directory(item):
            if self._recursive:
                names.add(f"{item.name}/")
            else:
                self._passed_over.add(FOLDER)
        elif not self._takes(_join(inner, item.name)):
            if self._counts_others:
                self._passed_over.add_file(item.name)
        elif is_special(item):
            self._passed_over.add(SPECIAL)
        else:
            names.add(item.name)

    def _enters(self, folder: str) -> bool:
        """Whether a folder is to be walked through: not by a link, if it is walked through anyway or holds the link."""
        is_link = os.path.islink(folder)  # noqa: PTH114
        if not is_link and len(self._roots) == 1:
            return True
        real = os.path.realpath(folder)
        if not is_link:
            return real not in self._roots[1:]
        if any(_is_within(real, root) and not _is_hidden_below(real, root) for root in self._roots):
            return False
        if any(_is_within(root, real) for root in self._roots):
            self._passed_over.add(FOLDER)  # what lies in it beside this folder is not listed
            return False
        self._roots.append(real)
        return True


def _matches(folder: str, parts: tuple[str, ...], passed_over: PassedOver) -> Iterator[str | Unlisted]:
    """The files below ``folder`` that the parts of a pattern fit; each names a folder, and the last one a file."""
    part, rest = parts[0], parts[1:]
    if part == "**":
        deep = tuple(it for place, it in enumerate(parts) if it != "**" or parts[place - 1 : place] != ("**",))
        walk = _Walk(
            folder,
            passed_over,
            lambda path: _fits(Path(path).parts, deep),
            recursive=True,
            counts_others=False,
        )
        yield from walk.files()
        return
    try:
        names = sorted(_named(folder, part))
    except OSError as error:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            yield _unreadable(folder, error)
        return
    for name in names:
        path = _join(folder, name)
        if os.path.isdir(path):  # noqa: PTH112
            if rest:
                yield from _matches(path, rest, passed_over)
            else:
                passed_over.add(FOLDER)
        elif not rest:
            if is_special(Path(path)):
                passed_over.add(SPECIAL)
            elif os.path.lexists(path):
                yield path


def _named(folder: str, part: str) -> list[str]:
    """The names in a folder that a part of a pattern fits; ``..`` and so on need not be among those that it lists."""
    if not is_pattern(part):
        return [part]
    with os.scandir(folder) as items:
        return [item.name for item in items if _fits((item.name,), (part,))]


def _fits(names: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the parts of a pattern fit the names of a path; ``**`` fits any number of them, also none."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_fits(names[place:], parts[1:]) for place in range(len(names) + 1))
    if not names or (names[0].startswith(".") and not parts[0].startswith(".")):
        return False
    return fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:])


def _unreadable(folder: str, error: OSError) -> Unlisted:
    reason = error.strerror or error
    return Unlisted(folder, ImageError(f"{folder}: the folder cannot be read ({reason}). Check who may read it."))


def _join(folder: str, name: str) -> str:
    return name if folder in ("", ".") else os.path.join(folder, name)  # noqa: PTH118


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_hidden_below(path: str, folder: str) -> bool:
    return any(map(is_left_behind, Path(path).relative_to(folder).parts))
