"""Frames of animations, videos and cameras, as preprocessed images with a name and a time."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from litevision.errors import (
    FileMissingError,
    ImageError,
    LitevisionError,
    MissingExtraError,
    UsageError,
    unexpected_image_error,
)
from litevision.image import ImageLike
from litevision.image.decode import OpenedImage, open_image
from litevision.runtime.predictor import preprocess_image
from litevision.runtime.results import PreprocessedImage

if TYPE_CHECKING:
    from av import FFmpegError
    from av.container import InputContainer
    from av.video.frame import VideoFrame

WEBCAM = "webcam:"

Preprocessor = Callable[[ImageLike | OpenedImage], Any]
"""Makes the model's input of an image: a `litevision.image.Preprocess`, or an ``Inference.preprocess``."""


def animation_frames(path: str, preprocess: Preprocessor) -> Iterator[PreprocessedImage[Any]]:
    """Read every frame of the image at ``path``, named ``anim.gif#frame=3``; a still one keeps its path as its name.

    A file that cannot be read, or ends in the middle, becomes its error in place of the frame.
    """
    frames = _frames_of(path, preprocess)
    first, second = next(frames), next(frames, None)
    if second is None:
        yield replace(first, name=path)
        return
    for index, frame in enumerate(chain((first, second), frames)):
        yield replace(frame, name=f"{path}#frame={index}", file=path, frame=index)


def video_frames(path: str, preprocess: Preprocessor, every_s: float = 1.0) -> Iterator[PreprocessedImage[Any] | None]:
    """Read a frame of the video at ``path`` every so many seconds, named ``clip.mp4#t=1.000``, upright.

    The first frame is taken, then the first one at or after each multiple of ``every_s``. What cannot be read
    becomes its error. None stands between the frames, while the decoder goes on.

    Args:
        path: a video file in any format that PyAV reads.
        preprocess: what makes the model's input of a frame.
        every_s: seconds between the frames; 0 for every frame.
    """
    yield from _video_frames(path, f"file:{path}", None, preprocess, every_s)


def webcam_frames(name: str, preprocess: Preprocessor, every_s: float = 1.0) -> Iterator[PreprocessedImage[Any] | None]:
    """Read a frame of a camera every so many seconds, until somebody stops it; named as by `video_frames`.

    Args:
        name: ``webcam:0`` for ``/dev/video0``.
        preprocess: what makes the model's input of a frame.
        every_s: seconds between the frames; 0 for every frame.
    """
    try:
        device = webcam_device(name)
    except LitevisionError as error:
        yield PreprocessedImage(name, error)
        return
    yield from _video_frames(name, str(device), "v4l2", preprocess, every_s)


def webcam_device(name: str, devices: Path = Path("/dev")) -> Path:
    """Find the device of ``webcam:N``.

    Args:
        name: ``webcam:`` and a number.
        devices: the folder of devices.

    Raises:
        UsageError: no number, or a system without Video4Linux.
        FileMissingError: no such camera.
    """
    number = name.removeprefix(WEBCAM)
    if not number.isdecimal():
        raise UsageError(f"{name}: no camera's name; expected {WEBCAM}0 for the first one.")
    if not sys.platform.startswith("linux"):
        raise UsageError(f"{name}: cameras are read through Video4Linux, which this system does not have.")
    device = devices / f"video{int(number)}"
    if not device.exists():
        there = ", ".join(sorted(f"{WEBCAM}{found.name[5:]}" for found in devices.glob("video[0-9]*")))
        raise FileMissingError(f"{name}: no camera at {device}. Cameras here: {there or 'none'}.")
    return device


def _frames_of(path: str, preprocess: Preprocessor) -> Iterator[PreprocessedImage[Any]]:
    try:
        for image in open_image(path).frames():
            frame = preprocess_image(preprocess, image)
            yield frame
            if frame.error:
                return
    except LitevisionError as error:
        yield PreprocessedImage(path, error)
    except Exception as error:
        yield PreprocessedImage(path, unexpected_image_error(path, error))


def _video_frames(
    name: str, file: str, format_: str | None, preprocess: Preprocessor, every_s: float
) -> Iterator[PreprocessedImage[Any] | None]:
    try:
        import av
    except ImportError:
        yield PreprocessedImage(name, MissingExtraError.of(f"{name}: reading videos", "video"))
        return
    # "file:" and the list keep FFmpeg from taking a name, or a playlist inside the file, for an address on a network.
    options = {} if format_ else {"protocol_whitelist": "file"}
    due_s, time_s = 0.0, None
    try:
        # Titles are in whatever encoding a camera of their time wrote.
        with av.open(file, format=format_, options=options, metadata_errors="replace") as container:
            for time_s, frame in _timed(container):
                # Half a millisecond early is due: times are whole ticks of some clock, and 1 s may be stored as 0.9999.
                if time_s >= due_s - 5e-4:
                    due_s = (math.floor((time_s + 5e-4) / every_s) + 1) * every_s if every_s else 0.0
                    yield _preprocessed(frame, preprocess, name, time_s)
                if every_s or format_:
                    yield None
        if time_s is None:
            yield PreprocessedImage(name, ImageError(f"{name}: holds no moving image; expected a video."))
    except av.FFmpegError as error:
        yield PreprocessedImage(name, _fault(name, time_s, error))
    except Exception as error:
        yield PreprocessedImage(name, unexpected_image_error(name, error))


def _timed(container: "InputContainer") -> "Iterator[tuple[float, VideoFrame]]":
    """Decode the frames of the first video stream, with their seconds since the first one."""
    if not container.streams.video:
        return
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    rate = float(stream.average_rate or 25)
    first_s: float | None = None
    for index, frame in enumerate(container.decode(stream)):
        # Raw streams have no times.
        now_s = index / rate if frame.pts is None else frame.time
        first_s = now_s if first_s is None else first_s
        yield now_s - first_s, frame


def _preprocessed(frame: "VideoFrame", preprocess: Preprocessor, file: str, time_s: float) -> PreprocessedImage[Any]:
    name = f"{file}#t={time_s:.3f}"
    start = time.perf_counter()
    # The transformation that shows it upright turns it counterclockwise by these degrees.
    upright = np.rot90(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), round(frame.rotation / 90))
    turned_ms = 1e3 * (time.perf_counter() - start)
    prepared = preprocess_image(preprocess, upright, name)
    return PreprocessedImage(name, prepared.outcome, prepared.ms + turned_ms, file, time_s)


def _fault(name: str, time_s: float | None, error: "FFmpegError") -> LitevisionError:
    if isinstance(error, FileNotFoundError):
        return FileMissingError(f"{name}: no such file. Check the path.")
    reason = error.strerror or str(error)
    if time_s is None:
        return ImageError(f"{name}: cannot be read as a video ({reason}). Convert it to MP4, or copy it again.")
    return ImageError(f"{name}: damaged or cut short after {time_s:.3f} s ({reason}). Copy or download it again.")
