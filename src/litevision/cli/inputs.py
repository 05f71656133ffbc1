"""What the arguments of a command stand for: images, and readers of what holds or lists images."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litevision.errors import FileMissingError, LitevisionError, MissingExtraError, UsageError
from litevision.image import ANIMATION_SUFFIXES, VIDEO_SUFFIXES, list_images
from litevision.runtime.results import PreprocessedImage

if TYPE_CHECKING:
    from litevision.runtime.video import Preprocessor

STDIN = "-"
_WEBCAM = "webcam:"
_MAX_LINE_BYTES = 65_536  # 16 times the longest path of Linux
_IDLE_MS = 5, 200  # how long a list that grows is waited for, at first and at most, before somebody else has a turn

ImageInput = str | PreprocessedImage[Any] | None
"""An image's path, one that is prepared already, or None where the reader would have to wait."""
Reader = Callable[["Preprocessor"], Iterator[ImageInput]]
"""Reads a video, an animation, a camera or a list."""
Entry = str | PreprocessedImage[Any] | Reader
"""What an argument stands for; a `PreprocessedImage` is an error in the place of an image."""


def images(entries: Iterable[Entry], preprocess: "Preprocessor") -> Iterator[ImageInput]:
    """The entries, each reader replaced with what it reads; ``preprocess`` makes the model's input of a frame."""
    for entry in entries:
        if callable(entry):
            yield from entry(preprocess)
        else:
            yield entry


@dataclass(frozen=True)
class Finder:
    """Finds images.

    Attributes:
        recursive: look into folders in folders.
        frames: every frame of an animation, not the first alone.
        every_s: seconds between two frames of a video or camera; 0 for every frame.
    """

    recursive: bool = False
    frames: bool = False
    every_s: float = 1.0

    def find(self, argument: str) -> list[Entry]:
        """What ``argument`` stands for: a path, a pattern, ``webcam:0``, or ``-`` for the paths on standard input."""
        if argument == STDIN:
            return [self._listed]
        if os.path.lexists(argument):
            return self._at(argument)
        if argument.startswith(_WEBCAM):
            return self._webcam(argument)
        if any(sign in argument for sign in "*?["):
            return self._matching(argument)
        return self._at(argument)

    def _at(self, path: str) -> list[Entry]:
        try:
            found = [str(image) for image in list_images(path, recursive=self.recursive)]
            return [self._reader_or_path(image) for image in found]
        except LitevisionError as error:
            return [PreprocessedImage(path, error)]

    def _reader_or_path(self, path: str) -> Entry:
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # a Path costs more than all the rest here
        if suffix in VIDEO_SUFFIXES:
            _require_av(path)
            from litevision.runtime.video import video_frames

            return partial(video_frames, path, every_s=self.every_s)
        if self.frames and suffix in ANIMATION_SUFFIXES:
            from litevision.runtime.video import animation_frames

            return partial(animation_frames, path)
        return path

    def _webcam(self, name: str) -> list[Entry]:
        from litevision.runtime.video import webcam_device, webcam_frames

        try:
            webcam_device(name)
            _require_av(name)
        except LitevisionError as error:
            return [PreprocessedImage(name, error)]
        return [partial(webcam_frames, name, every_s=self.every_s)]

    def _matching(self, pattern: str) -> list[Entry]:
        from glob import glob

        found = sorted(path for path in glob(pattern, recursive=True) if Path(path).is_file())  # noqa: PTH207  # takes absolute patterns too
        if not found:
            error = FileMissingError(
                f"{pattern}: no file has such a name. Check the pattern; '**' stands for any folders."
            )
            return [PreprocessedImage(pattern, error)]
        return [entry for path in found for entry in self._at(path)]

    def _listed(self, preprocess: "Preprocessor") -> Iterator[ImageInput]:
        """The images whose paths stand on standard input, one a line, as the lines come."""
        for line in _lines():
            if isinstance(line, str):
                yield from images(self._at(line), preprocess)
            else:
                yield line


def _require_av(name: str) -> None:
    from importlib.util import find_spec

    if find_spec("av") is None:
        raise MissingExtraError.of(f"{name}: reading videos", "video")


def _lines() -> Iterator[str | PreprocessedImage[Any] | None]:
    """The lines of standard input without their ends; None while there is none to read."""
    import sys

    if sys.stdin is None:
        yield PreprocessedImage(STDIN, UsageError("standard input is closed; expected paths on it, one a line."))
        return
    # Not through sys.stdin: its buffer would hide from poll what is there already.
    descriptor = sys.stdin.fileno()
    rest = b""
    while True:
        yield from _idle(descriptor)
        block = os.read(descriptor, _MAX_LINE_BYTES)
        *lines, rest = (rest + block).split(b"\n")
        if not block:
            lines = [rest]
        yield from (os.fsdecode(line) for line in (line.removesuffix(b"\r") for line in lines) if line)
        if not block:
            return
        if len(rest) > _MAX_LINE_BYTES:
            error = UsageError(f"standard input: a line of over {_MAX_LINE_BYTES} bytes; expected paths, one a line.")
            yield PreprocessedImage(STDIN, error)
            return


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
