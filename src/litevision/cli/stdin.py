"""Standard input of `classify` and `detect`: a list of paths, as its lines come, or the bytes of one image."""

import codecs
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from litevision.errors import ImageError, UsageError
from litevision.image.files import MAX_LINE_BYTES, line_end
from litevision.runtime.results import PreprocessedImage

if TYPE_CHECKING:
    from litevision.runtime.video import Preprocessor

NAME = "-"
_BLOCK_BYTES = 65_536
_IDLE_MS = 5, 200  # how long a list that grows is waited for, at first and at most, before somebody else has a turn


def read_stdin(preprocess: "Preprocessor") -> Iterator[str | PreprocessedImage[Any] | None]:
    """Read paths, one a line or each with a NUL behind it (``find -print0``), or an image, which its bytes tell.

    None stands where there is nothing to read yet.
    """
    import sys

    if sys.stdin is None:
        yield PreprocessedImage(NAME, UsageError("standard input is closed; expected paths on it, one a line."))
        return
    # Not through sys.stdin: its buffer would hide from poll what is there already.
    descriptor = sys.stdin.fileno()
    yield from _idle(descriptor)
    start = os.read(descriptor, _BLOCK_BYTES)
    from litevision.image.magic import kind_of

    kind = kind_of(start)
    if kind == "image" and not _is_path(start):
        yield _image(descriptor, start, preprocess)
    elif kind == "video" and not _is_path(start):
        error = ImageError("standard input: a video; expected paths, or an image. Write it to a file and name that.")
        yield PreprocessedImage(NAME, error)
    else:
        yield from _lines(descriptor, start.removeprefix(codecs.BOM_UTF8))


def _is_path(start: bytes) -> bool:
    """Whether what is taken for an image is the name of a file, such as ``GIF89a.jpg`` or ``P5 front.png``."""
    name = start.split(b"\n")[0].removesuffix(b"\r")
    return b"\0" not in name and os.path.lexists(name)


def _image(descriptor: int, start: bytes, preprocess: "Preprocessor") -> PreprocessedImage[Any]:
    from dataclasses import replace

    from litevision.image.decode import DEFAULT_LIMITS
    from litevision.runtime.predictor import preprocess_image

    data = bytearray(start)
    while len(data) <= DEFAULT_LIMITS.max_bytes and (block := os.read(descriptor, 1 << 20)):
        data += block
    return replace(preprocess_image(preprocess, bytes(data), NAME), name=NAME)


def _lines(descriptor: int, start: bytes) -> Iterator[str | PreprocessedImage[Any] | None]:
    """The lines of a list that begins with ``start``, without their ends; None while there is none to read."""
    block, rest, end = start, b"", None
    while True:
        rest += block
        end = end or line_end(rest)
        *lines, rest = rest.split(end) if end else [rest]
        if not block:
            lines = [*lines, rest]
        if end != b"\0":
            lines = [line.removesuffix(b"\r") for line in lines]
        yield from (os.fsdecode(line) for line in lines if line)
        if not block:
            return
        if len(rest) > MAX_LINE_BYTES:
            error = UsageError(f"standard input: a line of over {MAX_LINE_BYTES} bytes; expected paths, one a line.")
            yield PreprocessedImage(NAME, error)
            return
        yield from _idle(descriptor)
        block = os.read(descriptor, _BLOCK_BYTES)


def _idle(descriptor: int) -> Iterator[None]:
    """None again and again until there is something to read, or the end."""
    import select

    if not hasattr(select, "poll"):  # Windows, where a read is waited for
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    wait_ms, longest_ms = _IDLE_MS
    if poll.poll(0):
        return
    yield None
    while not poll.poll(wait_ms):
        wait_ms = min(2 * wait_ms, longest_ms)
        yield None
