"""What the arguments of a command stand for: images, and readers of what holds or lists images."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from litevision.errors import FileMissingError, LitevisionError, MissingExtraError
from litevision.image import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES, FoundImages, PassedOver
from litevision.image.found import Unlisted
from litevision.image.magic import kind_of_file
from litevision.runtime.results import PreprocessedImage

if TYPE_CHECKING:
    from litevision.cli.fields import PredictOptions
    from litevision.runtime.video import Preprocessor

STDIN = "-"
_WEBCAM = "webcam:"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LISTED = 10_000  # so many inputs are listed before the first is read; of more, the count and the widths stay unknown
_FEW = 4  # fewer images are computed one by one, each with all threads: workers would not have started by then
_RAW_VIDEOS = (".mjpeg", ".mjpg")  # begin as the JPEG that their first frame is

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
        videos: also take the videos in folders.
        passed_over: counts what lies in folders and is not taken.
    """

    recursive: bool = False
    frames: bool = False
    every_s: float = 1.0
    videos: bool = False
    passed_over: PassedOver = field(default_factory=PassedOver)

    def find(self, argument: str) -> Iterator[Entry]:
        """What ``argument`` stands for: a path, a pattern, ``webcam:0``, or ``-`` for what standard input holds."""
        if argument == STDIN:
            yield self._listed
        elif argument.startswith(_WEBCAM) and not os.path.lexists(argument):
            yield self._webcam(argument)
        else:
            yield from self._at(argument)

    def _at(self, path: str, *, is_listed: bool = False) -> Iterator[Entry]:
        """What lies at a path, or at those that a pattern fits; in a list of paths, nothing is a pattern."""
        is_folder = os.path.isdir(path)  # noqa: PTH112
        suffixes = IMAGE_SUFFIXES + (VIDEO_SUFFIXES if self.videos else ())
        found = FoundImages(
            path,
            recursive=self.recursive,
            suffixes=suffixes,
            passed_over=self.passed_over,
            patterns=not is_listed,
        )
        if (error := _no_path(path)) and not os.path.lexists(path):
            yield PreprocessedImage(path, error)
            return
        for image in found.walk():
            if isinstance(image, Unlisted):
                yield PreprocessedImage(image.path, image.error)
            else:
                yield self._reader_or_path(image, is_named=not is_folder)

    def _reader_or_path(self, path: str, *, is_named: bool) -> Entry:
        """What reads a path: of a file in a folder, the suffix says; of one that is named, the content if it can."""
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122  # a Path costs more than all the rest here
        kind = "video" if suffix in VIDEO_SUFFIXES else None
        if is_named and suffix not in (*IMAGE_SUFFIXES, *_RAW_VIDEOS):
            kind = kind_of_file(path) or kind
        if kind == "video":
            try:
                _require_av(path)
            except LitevisionError as error:
                return PreprocessedImage(path, error)
            from litevision.runtime.video import video_frames

            return partial(video_frames, path, every_s=self.every_s)
        if self.frames and suffix in ANIMATION_SUFFIXES:
            from litevision.runtime.video import animation_frames

            return partial(animation_frames, path)
        return path

    def _webcam(self, name: str) -> Entry:
        from litevision.runtime.video import webcam_device, webcam_frames

        try:
            webcam_device(name)
            _require_av(name)
        except LitevisionError as error:
            return PreprocessedImage(name, error)
        return partial(webcam_frames, name, every_s=self.every_s)

    def _listed(self, preprocess: "Preprocessor") -> Iterator[ImageInput]:
        """The images whose paths stand on standard input, as they come, or the image that it holds."""
        from litevision.cli.stdin import read_stdin

        for it in read_stdin(preprocess):
            if isinstance(it, str):
                yield from images(self._at(it, is_listed=True), preprocess)
            else:
                yield it


class Inputs(NamedTuple):
    """The command's arguments, looked up.

    Attributes:
        entries: what they stand for, the first of them.
        rest: those behind, which are found as they are asked for; empty where ``entries`` are all.
        passed_over: counts what lies in folders and is not taken.
        total: how many images there are, None where nobody knows.
        workers: how many of them are processed at once; 0 where there are so few that each has all threads.
    """

    entries: list[Entry]
    rest: Iterator[Entry]
    passed_over: PassedOver
    total: int | None
    workers: int

    @property
    def is_listed(self) -> bool:
        """Whether ``entries`` say how long the paths are: of a list that grows, nobody knows."""
        return bool(self.total) or len(self.entries) == _LISTED

    @property
    def is_complete(self) -> bool:
        """Whether ``entries`` are all."""
        return len(self.entries) < _LISTED

    def batch_size(self, asked: int | None) -> int:
        """How many images the network sees at once."""
        from litevision.runtime.predictor import BATCH_SIZE

        if asked or not self.workers:
            return asked or 1
        # Small enough that every worker has its share of a few dozen images.
        return BATCH_SIZE if self.total is None else max(1, min(BATCH_SIZE, self.total // (2 * self.workers)))


def find_inputs(options: "PredictOptions") -> Inputs:
    """Look up a command's arguments."""
    from litevision.runtime.cpus import available_cpus

    finder = Finder(options.recursive, options.frames, options.every, options.videos)
    found = chain.from_iterable(map(finder.find, options.inputs))
    entries = list(islice(found, _LISTED))
    total = None if any(map(callable, entries)) or len(entries) == _LISTED else len(entries)
    is_few = total is not None and total < _FEW
    workers = 0 if is_few else options.workers or available_cpus()
    return Inputs(entries, found, finder.passed_over, total, workers)


def _no_path(path: str) -> LitevisionError | None:
    """The error for an address, or for a list of paths as other programs take it; None for whatever may be a path."""
    if path.startswith("@") and os.path.isfile(path[1:]):  # noqa: PTH113
        return FileMissingError(f"{path}: no such file. A list of paths is read from standard input: - < {path[1:]}")
    scheme = _ADDRESS.match(path)
    if scheme and scheme[0].lower() == "file://":
        return FileMissingError(f"{path}: an address, not a path. Give {path[scheme.end() :]} instead.")
    return FileMissingError(f"{path}: an address, not a file. Download it first.") if scheme else None


def _require_av(name: str) -> None:
    from importlib.util import find_spec

    if find_spec("av") is None:
        raise MissingExtraError.of(f"{name}: reading videos", "video")
