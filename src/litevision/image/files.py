"""What is listed as an image or video by its name, what is passed over, and the images in the package."""

import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from litevision.errors import FileMissingError

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".avif", ".avifs", ".heic", ".heif", ".hif"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm"),
)
ANIMATION_SUFFIXES = (".gif", ".webp", ".png", ".apng", ".tif", ".tiff", ".avif", ".avifs")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".f4v", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".divx", ".flv", ".ogv"),
    *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2t", ".m2ts", ".mxf", ".wmv", ".asf"),
    *(".mjpeg", ".mjpg", ".y4m", ".dav", ".dv", ".ivf"),
)

# Left in folders by systems and tools: no person put them there, so nobody misses them.
_LEFT_BEHIND = frozenset(
    ("thumbs.db", "desktop.ini", "icon\r", "@eadir", "lost+found", "$recycle.bin", "__macosx", "__pycache__")
)
SPECIAL, FOLDER = "pipe or device", "folder"
_NO_SUFFIX, _OTHER = "no suffix", "other"
MAX_LINE_BYTES = 65_536  # of a list of paths: 16 times the longest path of Linux
_MOST_KINDS = 100  # suffixes of a stranger's folder may all differ
_SHOWN_KINDS = 5
_SUFFIX = re.compile(r"\.[^\W_]{1,10}")


@dataclass(slots=True)
class PassedOver:
    """Count, by kind, what a listing passed over.

    Hidden files, and those that systems leave behind (``Thumbs.db``), are not counted.

    Attributes:
        counts: how many of each kind: a suffix in lower case (".txt"), "no suffix", "pipe or device", "other" for odd
            suffixes, and "folder" for folders that were not looked into.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def add_file(self, name: str) -> None:
        """Count a file by its suffix."""
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a Path costs more than all the rest
        kind = suffix if _SUFFIX.fullmatch(suffix) else _OTHER if suffix else _NO_SUFFIX
        self.add(kind if kind in self.counts or len(self.counts) < _MOST_KINDS else _OTHER)

    def add(self, kind: str) -> None:
        """Count one of a kind."""
        self.counts[kind] += 1

    @property
    def files(self) -> int:
        """How many files there are, folders aside."""
        return self.counts.total() - self.folders

    @property
    def folders(self) -> int:
        """How many folders were not looked into."""
        return self.counts[FOLDER]

    def __bool__(self) -> bool:
        return self.counts.total() > 0

    def to_dict(self) -> dict[str, int]:
        """Convert to plain values, the most frequent kind first: ``{".txt": 3, "folder": 1}``."""
        return {kind: count for kind, count in self.counts.most_common() if count}

    def __str__(self) -> str:
        """Say it in words: ``13 files passed over (4 .tif, 3 .heic and 6 others), 1 folder not looked into``."""
        parts = []
        if self.files:
            kinds = [(kind, count) for kind, count in self.counts.most_common() if count and kind != FOLDER]
            shown = kinds[: _SHOWN_KINDS + (len(kinds) == _SHOWN_KINDS + 1)]
            rest = self.files - sum(count for _, count in shown)
            listed = ", ".join(f"{count:,} {kind}" for kind, count in shown) + (f" and {rest:,} others" if rest else "")
            parts.append(f"{self.files:,} {'file' if self.files == 1 else 'files'} passed over ({listed})")
        if self.folders:
            parts.append(f"{self.folders:,} {'folder' if self.folders == 1 else 'folders'} not looked into")
        return ", ".join(parts)


def is_left_behind(name: str) -> bool:
    """Whether a file or folder is hidden, or put there by a system and not by a person."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def is_special(item: os.DirEntry[str] | Path) -> bool:
    """Whether it is a pipe, a socket or a device, which a reader could wait for without end."""
    try:
        return not item.is_file() and not stat.S_ISREG(item.stat().st_mode)
    except OSError:
        return False  # a link to nothing, or a file that may not be read: its reader says so


def mode_of(path: Path, what: str = "path") -> int:
    """Return the file mode of ``path``, for ``stat.S_ISDIR`` and so on; ``what`` is what a person should check.

    Raises:
        FileMissingError: nothing.
    """
    try:
        return path.stat().st_mode
    except OSError as error:
        raise FileMissingError(f"{path}: {error.strerror}. Check the {what}.") from None
    except ValueError as error:
        raise FileMissingError(f"{str(path)!r}: no path ({error}). Check it.") from None


def shipped_images() -> tuple[bytes, ...]:
    """Return the images that come with the package, to check models with; their licence stands beside them."""
    from importlib.resources import files  # here: zip files and what else it may read take longer than a small image

    folder = files("litevision.image") / "photos"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".jpg"))
    return tuple((folder / name).read_bytes() for name in names)


def line_end(start: bytes) -> bytes | None:
    """What ends the lines of a list of paths that begins with ``start``; None where no line has ended yet.

    A NUL, as ``find -print0`` writes it, unless it stands behind a line break and no file has that name.
    """
    first, nul, _ = start.partition(b"\0")
    if nul and (b"\n" not in first or os.path.lexists(first)):
        return b"\0"
    return b"\n" if b"\n" in start else None


def is_directory(item: os.DirEntry[str]) -> bool:
    """Whether it is a folder; a link that leads to itself is none."""
    try:
        return item.is_dir()
    except OSError:
        return False
