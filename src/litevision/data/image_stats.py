"""Inspect image files: sizes, thumbnails and what is wrong with each, on several threads."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from litevision.errors import ImageError, ImageTooLargeError, reason_of
from litevision.image import Limits, Preprocess
from litevision.image.decode import DEFAULT_LIMITS, OpenedImage, open_image
from litevision.image.formats import format_of

THUMB_PX = 16
_thumb = Preprocess((THUMB_PX, THUMB_PX), THUMB_PX, "stretch", "bilinear")

_TINY_PX = 32
_EXTREME_ASPECT = 5
_DRAWN = 0.5  # of the pixels in one colour of a palette: natural images reduced to a palette reach 0.1 to 0.3
_UNIFORM_LEVELS = 2  # of 255; compression alone moves a level by one
_HEAD_BYTES = 256 * 1024  # all that stands before the pixels of nearly every JPEG: its thumbnail has 64 kB at most

_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL_BYTES = 4096  # some programs append a few bytes of their own

_CHUNK = 16  # images handed to a thread at once: enough that handing them out costs nothing beside reading them
_MAX_WORKERS = 8  # each may hold a decoded image

Finding = tuple[str, str]
"""The name of a rule, and what was found."""

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class ImageStats:
    """What inspecting one file gives.

    Attributes:
        found: the rules that it breaks.
        upright_hw: its size in px, turned as EXIF says; None where it cannot be read.
        thumb: ``uint8[16, 16, 3]``, the whole image; None where it was not decoded.
    """

    found: tuple[Finding, ...] = ()
    upright_hw: tuple[int, int] | None = None
    thumb: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class DatasetStats:
    """What inspecting N files gives.

    Attributes:
        found: the rules that each breaks.
        sizes_hw: the upright size of each, px; None for one that cannot be read.
        thumbs_u8: ``uint8[N, 16, 16, 3]``, black for one that cannot be read; None where no pixels were read.
    """

    found: list[tuple[Finding, ...]]
    sizes_hw: list[tuple[int, int] | None]
    thumbs_u8: npt.NDArray[np.uint8] | None


def inspect_images(
    paths: Sequence[Path],
    *,
    quick: bool,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> DatasetStats:
    """Inspect every image, or its header alone where it is to be ``quick``.

    Args:
        paths: the files.
        quick: call `inspect_header`, not `inspect_image`.
        workers: threads; by default one for each processor, up to 8.
        on_progress: called with the number of images done, and of all.
    """
    stats = DatasetStats([], [], None if quick else np.zeros((len(paths), THUMB_PX, THUMB_PX, 3), np.uint8))
    inspect = partial(_inspect, inspect_header if quick else inspect_image)
    for index, one in enumerate(in_threads(inspect, paths, workers=workers)):
        stats.found.append(one.found)
        stats.sizes_hw.append(one.upright_hw)
        if one.thumb is not None and stats.thumbs_u8 is not None:
            stats.thumbs_u8[index] = one.thumb
        if on_progress:
            on_progress(index + 1, len(paths))
    return stats


def _inspect(by: Callable[[Path], ImageStats], path: Path) -> ImageStats:
    """The boundary of the loop over files: whatever a reader raises is a finding about its image."""
    try:
        return by(path)
    except MemoryError:
        return ImageStats((("too-large", "not enough memory to read it"),))
    except Exception as error:
        return ImageStats((("unreadable", f"{type(error).__name__}: {reason_of(error)}"),))


def inspect_header(path: Path, limits: Limits = DEFAULT_LIMITS) -> ImageStats:
    """Inspect a file by its header; its pixels are decoded only where its end is missing.

    Of a large JPEG the beginning and the end are read.
    """
    image = _opened(path, limits, whole=False)
    if isinstance(image, tuple):
        return ImageStats((image,))
    if _lacks_end(path, image):
        stats = inspect_image(path, limits)
        if stats.upright_hw is None:
            return stats
    return ImageStats((), image.upright_hw)


def inspect_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> ImageStats:
    """Inspect a file all of which is decoded, a JPEG at reduced size."""
    image = _opened(path, limits, whole=True)
    if isinstance(image, tuple):
        return ImageStats((image,))
    try:
        thumb = _thumb(image)
    except ImageError as error:
        return ImageStats((_finding(error, path.read_bytes()),))
    found = [*_of_file(path, image), *_of_shape(*image.upright_hw)]
    low, high = thumb.min(axis=(0, 1)).astype(int), thumb.max(axis=(0, 1)).astype(int)
    if max(high - low) <= _UNIFORM_LEVELS:
        found.append(("uniform", f"RGB {' '.join(map(str, (low + high) // 2))}"))
    return ImageStats(tuple(found), image.upright_hw, thumb)


def in_threads(function: Callable[[_In], _Out], items: Sequence[_In], *, workers: int | None = None) -> Iterator[_Out]:
    """``function`` of each of ``items``, in their order, with few of them under way at a time.

    Args:
        function: waits for files, or releases the GIL as Pillow does.
        items: what it is called with.
        workers: threads; by default one for each processor, up to 8.
    """
    workers = workers or min(_MAX_WORKERS, os.cpu_count() or 1)
    executor = ThreadPoolExecutor(workers, thread_name_prefix="litevision")
    pending: deque[Future[list[_Out]]] = deque()
    try:
        for start in range(0, len(items), _CHUNK):
            part = items[start : start + _CHUNK]
            pending.append(executor.submit(lambda part: [function(item) for item in part], part))
            if len(pending) >= 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _opened(path: Path, limits: Limits, *, whole: bool) -> OpenedImage | Finding:
    """The image, or why there is none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "unreadable", "no file"
        if status.st_size > limits.max_bytes:
            return "too-large", f"{status.st_size:,} bytes, more than the limit of {limits.max_bytes:,}"
        with path.open("rb") as file:
            data = file.read(-1 if whole else _HEAD_BYTES)
            image = _image(data, limits)
            # The header's end, or what tells the orientation of a PNG, may stand behind what was read.
            is_half = isinstance(image, tuple) or image.image.format not in ("JPEG", "MPO")
            if is_half and len(data) < status.st_size:
                image = _image(data + file.read(), limits)
            return image
    except FileNotFoundError:
        return "missing-file", "no such file"
    except OSError as error:
        return "unreadable", error.strerror or reason_of(error)
    except ValueError as error:
        return "missing-file", f"no path ({error})"


def _image(data: bytes, limits: Limits) -> OpenedImage | Finding:
    if not data:
        return "empty-file", "0 bytes"
    try:
        return open_image(data, limits=limits)
    except ImageError as error:
        return _finding(error, data)


def _finding(error: ImageError, data: bytes) -> Finding:
    detail = str(error).partition(": ")[2].rstrip(".")  # it names unnamed bytes by their number; an issue has the path
    if isinstance(error, ImageTooLargeError):
        return "too-large", detail.removeprefix("the image: ").removesuffix(". Make the image smaller first")
    if "not enough memory" in detail:
        return "too-large", detail
    if "damaged" not in detail:
        return "not-an-image", detail
    cause = detail.partition("(")[2].rpartition(")")[0]
    return "truncated" if "truncated" in cause or _is_cut_short(data) else "unreadable", cause


def _is_cut_short(data: bytes) -> bool:
    """Whether a file ends before its format says so."""
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in data
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data[-1024:]
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0").endswith(b";")
    offset, extra = (4, 8) if data.startswith(b"RIFF") else (2, 0)  # WebP, BMP
    return int.from_bytes(data[offset : offset + 4], "little") + extra > len(data)


def _lacks_end(path: Path, image: OpenedImage) -> bool:
    """Whether the mark that ends a file is not in its last bytes: most such are cut short, some decode all the same."""
    mark = _END_MARKS.get(image.image.format or "")
    if mark is None:
        return False
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return mark not in file.read()


def _of_file(path: Path, image: OpenedImage) -> list[Finding]:
    pillow: Any = image.image
    found = []
    format_ = format_of(pillow)
    if format_ and path.suffix.lower() not in format_.suffixes.split():
        found.append(("wrong-extension", f"{format_.name} content, {path.suffix or 'no suffix'}"))
    if image.orientation.method is not None:
        found.append(("exif-rotated", f"to be turned by {image.orientation.method.name.lower().replace('_', ' ')}"))
    if pillow.mode not in ("RGB", "L") and pillow.format != "GIF":  # every GIF has a palette
        found.append(("odd-mode", f"mode {pillow.mode}"))
    if pillow.mode == "P":
        found += _of_palette(pillow)
    if format_ and format_.frames:
        found += _of_frames(pillow, "pages" if format_.frames == "pages" else "frames")
    return found


def _of_palette(pillow: Any) -> list[Finding]:
    """Whether a palette image is a drawing on one colour, as what servers send in place of a missing image."""
    try:
        counts = pillow.histogram()
    except Exception:  # its pixels were read before
        return []
    share = max(counts) / sum(counts)
    return [("placeholder", f"{share:.0%} of a {pillow.format} is one colour")] if share >= _DRAWN else []


def _of_frames(pillow: Any, what: str = "frames") -> list[Finding]:
    try:
        return [("animated", f"{pillow.n_frames} {what}")] if getattr(pillow, "is_animated", False) else []
    except Exception as error:  # frames are counted by reading them; the first one, which counts, was read before
        return [("animated", f"damaged behind its first frame ({type(error).__name__}: {reason_of(error)})")]


def _of_shape(height: int, width: int) -> list[Finding]:
    found = []
    if min(height, width) < _TINY_PX:
        found.append(("tiny", f"{width} x {height} px"))
    if max(height, width) > _EXTREME_ASPECT * min(height, width):
        found.append(("extreme-shape", f"{width} x {height} px"))
    return found
