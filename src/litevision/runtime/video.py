"""Frames of animations, videos and cameras, as preprocessed images with a name and a time."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litevision.errors import (
    FileMissingError,
    ImageError,
    ImageTooLargeError,
    LitevisionError,
    MissingExtraError,
    UsageError,
    reason_of,
    unexpected_image_error,
)
from litevision.image import ImageLike
from litevision.image.decode import OpenedImage, open_image
from litevision.runtime.predictor import preprocess_image
from litevision.runtime.results import PreprocessedImage
from litevision.runtime.video_decoder import Damage, ends_early, read_frames, upright

if TYPE_CHECKING:
    from av import FFmpegError
    from av.video.frame import VideoFrame

WEBCAM = "webcam:"
_UNREADABLE = "{name}: cannot be read as a video ({reason}). Convert it to MP4, or copy it again."

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

    The first frame is taken, then the first one at or after each multiple of ``every_s``. Times grow, also where the
    recording's own clock jumps back. What cannot be read becomes its error, one for each damaged part, and the frames
    behind it are read. None stands between the frames, while the decoder goes on. Frames are turned and mirrored as
    the file says; pixels that are not square are not stretched, so that boxes are in px of the stored frame. A frame
    may have 35 million pixels (8K). How long a decoder takes is not limited.

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
            yield replace(frame, duration_s=_duration_s(image))
            if frame.error:
                return
    except LitevisionError as error:
        yield PreprocessedImage(path, error)
    except Exception as error:
        yield PreprocessedImage(path, unexpected_image_error(path, error))


def _duration_s(image: OpenedImage) -> float | None:
    """The time for which the present frame is shown, as GIF, PNG and WebP say it in milliseconds."""
    duration_ms = image.image.info.get("duration")
    return float(duration_ms) / 1e3 if isinstance(duration_ms, int | float) and duration_ms > 0 else None


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
    due_s, time_s, damage, shown = 0.0, None, None, ""
    try:
        # Titles are in whatever encoding a camera of their time wrote.
        with av.open(file, format=format_, options=options, metadata_errors="replace") as container:
            for found in read_frames(container):
                if isinstance(found, Damage):
                    damage = found
                    if found.start_s is not None or found.end_s is not None:
                        yield PreprocessedImage(name, _damage_error(name, found), file=name, time_s=found.start_s)
                    continue
                time_s, frame = found
                # Half a millisecond early is due: times are whole ticks of some clock, and 1 s may be stored as 0.9999.
                if time_s >= due_s - 5e-4:
                    due_s = (math.floor((time_s + 5e-4) / every_s) + 1) * every_s if every_s else 0.0
                    # Of cameras for slow motion, thousandths of a second do not tell frames apart.
                    before, shown = shown, f"{time_s:.3f}"
                    text = shown if shown != before else f"{time_s:.6f}"
                    yield _preprocessed(frame, preprocess, name, time_s, text)
                if every_s or format_:
                    yield None
        if time_s is None and damage:
            yield PreprocessedImage(name, ImageError(_UNREADABLE.format(name=name, reason=damage.reason)))
        elif time_s is None:
            yield PreprocessedImage(name, ImageError(f"{name}: holds no moving image; expected a video."))
        elif not format_ and (damage is None or damage.end_s is not None) and ends_early(name):
            early = Damage(time_s, None, "the file is shorter than its header says")
            yield PreprocessedImage(name, _damage_error(name, early), file=name, time_s=time_s)
    except ImageTooLargeError as error:
        yield PreprocessedImage(name, ImageTooLargeError(f"{name}: {error}"))
    except av.FFmpegError as error:
        yield PreprocessedImage(name, _fault(name, time_s, error))
    except Exception as error:
        yield PreprocessedImage(name, unexpected_image_error(name, error))


def _preprocessed(
    frame: "VideoFrame", preprocess: Preprocessor, file: str, time_s: float, shown: str
) -> PreprocessedImage[Any]:
    name = f"{file}#t={shown}"
    start = time.perf_counter()
    array = upright(frame)
    turned_ms = 1e3 * (time.perf_counter() - start)
    prepared = preprocess_image(preprocess, array, name)
    return PreprocessedImage(name, prepared.outcome, prepared.ms + turned_ms, file, time_s)


def _fault(name: str, time_s: float | None, error: "FFmpegError") -> LitevisionError:
    if isinstance(error, FileNotFoundError):
        return FileMissingError(f"{name}: no such file. Check the path.")
    reason = error.strerror or reason_of(error)
    if time_s is None:
        return ImageError(_UNREADABLE.format(name=name, reason=reason))
    return _damage_error(name, Damage(time_s, None, reason))


def _damage_error(name: str, damage: Damage) -> ImageError:
    reason = damage.reason
    if damage.start_s is None:
        return ImageError(f"{name}: damaged before its first frame ({reason}). Copy or download it again.")
    if damage.end_s is None:
        return ImageError(
            f"{name}: damaged or cut short after {damage.start_s:.3f} s ({reason}). Copy or download it again."
        )
    return ImageError(
        f"{name}: damaged from {damage.start_s:.3f} to {damage.end_s:.3f} s ({reason}); what follows is read. "
        "Copy or download it again."
    )
