"""Listing of the images in a folder, and of those in the package."""

import os
import stat
from pathlib import Path

from litevision.errors import FileMissingError, UsageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
ANIMATION_SUFFIXES = (".gif", ".webp", ".png", ".apng")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv"),
)


def list_images(path: str | os.PathLike[str], *, recursive: bool = False) -> list[Path]:
    """List the images at ``path``: a folder's, by suffix and sorted, or the path itself where it is no folder.

    Hidden files and folders are passed over: macOS leaves ``._photo.jpg`` files, which hold no image, on disks and in
    archives. Links to folders are not followed.

    Raises:
        FileMissingError: nothing at the path.
        UsageError: a folder without images.
    """
    path = Path(path)
    if not stat.S_ISDIR(mode_of(path)):
        return [path]
    found = sorted(_walk(path, recursive=recursive))
    if not found:
        deeper = "" if recursive else " Images in folders below it need --recursive (recursive=True)."
        raise UsageError(f"{path}: no images in this folder; looked for {' '.join(IMAGE_SUFFIXES)}.{deeper}")
    return found


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


def _walk(folder: Path, *, recursive: bool) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        found += [
            path
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES)
            and not name.startswith(".")
            and not _is_special(path := Path(parent, name))
        ]
    return found


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, which a reader could wait for without end."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False  # a link to nothing, or a file that may not be read: its reader says so
