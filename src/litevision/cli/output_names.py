"""Names of files in a folder of outputs: none is an input of the run, or a file that litevision did not make."""

import os
import re
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.cli.inputs import STDIN
from litevision.errors import UsageError
from litevision.outputs import MARK
from litevision.runtime.results import PreprocessedImage

if TYPE_CHECKING:
    from litevision.cli.inputs import Entry

_ENDS_BYTES = 65_536  # in which metadata stands: of an image at the beginning, of a video at the end
_DRAWING = MARK + b" output "
_MOST_NAME_BYTES = 240  # of 255, to leave room for a number
_TIME, _FRAME = re.compile(r"#t=(\d+)(\.\d+)$"), re.compile(r"#frame=(\d+)$")


class OutputNames:
    """Names the files of one run in one folder.

    A name that is taken by an input of this run, by another output of it, or by a file that litevision did not make
    gets a number: ``a-2.jpg``. An earlier run's output is replaced. Where paths come on standard input, a later one may
    be any file that is there, and so every existing file keeps its name.

    Args:
        folder: where to.
        option: that named the folder, for messages.
        arguments: the command's; files get the path that they have below what all of these share.
        entries: what the arguments stand for.
        is_complete: whether these are all.

    Attributes:
        mark: what an output has in its metadata, so that it is known later.
    """

    def __init__(
        self,
        folder: Path,
        option: str,
        arguments: Sequence[str],
        entries: "Iterable[Entry]" = (),
        *,
        is_complete: bool = True,
    ) -> None:
        self.folder = folder
        self.mark = _DRAWING + secrets.token_hex(8).encode()
        self._option = option
        self._root = _shared_folder(arguments)
        self._reserved: dict[str, deque[Path]] = defaultdict(deque)
        self._pending: set[str] = set()
        self._lock = threading.Lock()
        self._keeps_all = not is_complete
        self._inputs: set[tuple[int, int]] = set()
        for entry in entries:
            path = entry.args[0] if isinstance(entry, partial) else entry
            if isinstance(path, str):
                with suppress(OSError, ValueError):
                    found = os.stat(path)  # noqa: PTH116  # a Path costs more
                    self._inputs.add((found.st_dev, found.st_ino))
            elif callable(path):
                self._keeps_all = True

    def relative(self, path: str) -> Path:
        """The path of a file below what all arguments share, with a frame's time or number spelt so that files sort."""
        absolute = Path(os.path.abspath(path))  # noqa: PTH100  # links are to keep their names
        shared = absolute.is_relative_to(self._root)
        relative = absolute.relative_to(self._root if shared else absolute.anchor)
        return relative.with_name(_shortened(relative.name))

    def refuse_inputs(self, paths: Iterable[Path]) -> None:
        """Refuse outputs, relative to the folder, of which one would be an input.

        Raises:
            UsageError: one would.
        """
        if not self.folder.is_dir():
            return
        for path in paths:
            target = self.folder / path
            if (found := _identity(target)) and found in self._inputs:
                raise UsageError(
                    f"{self._option} {self.folder}: the input {target} would be overwritten. Give a folder without "
                    "inputs."
                )

    def reserve(self, key: str, path: Path) -> Path:
        """Choose the name of an output, which `take` gives to whoever writes it; called in the order of the inputs.

        Args:
            key: what to call the output.
            path: its wanted path below the folder.
        """
        with self._lock:
            target = self._free(self.folder / path)
            self._pending.add(_folded(target))
            self._reserved[key].append(target)
            return target

    def take(self, key: str) -> Path:
        """Return the name that was reserved for ``key``; the first one where the key was given several times."""
        with self._lock:
            target = self._reserved[key].popleft()
            if not self._reserved[key]:
                del self._reserved[key]
            return target

    def written(self, target: Path) -> None:
        """Forget a name whose file is there, so that memory stays bounded: its mark tells it from now on."""
        with self._lock:
            self._pending.discard(_folded(target))

    def _free(self, wanted: Path) -> Path:
        number, target = 1, wanted
        while not self._is_free(target):
            number += 1
            target = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        return target

    def _is_free(self, target: Path) -> bool:
        if _folded(target) in self._pending:
            return False
        if not os.path.lexists(target):
            return True
        found = _identity(target)
        if found is None or found in self._inputs or self._keeps_all or not target.is_file():
            return False
        mark = _mark_in(target)
        return mark is not None and mark != self.mark


def key_of(source: object) -> str:
    """What an image of a run is called where names are reserved for its files: its path, or a frame's name."""
    assert isinstance(source, (str, PreprocessedImage))
    return source if isinstance(source, str) else source.name


def frame_name(name: str, suffix: str) -> str:
    """A file's name for a frame, of which those of one video sort by time."""
    name = _TIME.sub(lambda found: f"-{int(found[1]):05}{found[2]}{suffix}", name)
    return _FRAME.sub(lambda found: f"-{int(found[1]):05}{suffix}", name)


def _mark_in(path: Path) -> bytes | None:
    """The mark of a file that a run of litevision made; None where there is none."""
    try:
        with path.open("rb") as file:
            ends = file.read(_ENDS_BYTES)
            file.seek(max(len(ends), os.fstat(file.fileno()).st_size - _ENDS_BYTES))
            ends += file.read()
    except OSError:
        return None
    found = re.search(re.escape(_DRAWING) + rb"[0-9a-f]{16}", ends)
    return found[0] if found else None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _folded(path: Path) -> str:
    return str(path).casefold()  # on some systems, letters of either case are one


def _shortened(name: str) -> str:
    data = os.fsencode(name)
    if len(data) <= _MOST_NAME_BYTES:
        return name
    stem, suffix = os.path.splitext(name)  # noqa: PTH122  # of a name alone
    kept = os.fsencode(stem)[: _MOST_NAME_BYTES - len(os.fsencode(suffix[:20]))]
    return kept.decode("utf-8", "ignore") + suffix[:20]


def _shared_folder(arguments: Sequence[str]) -> Path:
    folders = []
    for it in arguments:
        path = Path() if it == STDIN else Path(it)
        if not path.exists() and any(sign in it for sign in "*?["):
            folders.append(Path(*path.parts[: _first_pattern(path.parts)]))
        else:
            folders.append(path if path.is_dir() else path.parent)
    return Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))  # noqa: PTH100  # likewise


def _first_pattern(parts: Sequence[str]) -> int:
    return next(place for place, part in enumerate(parts) if any(sign in part for sign in "*?["))
