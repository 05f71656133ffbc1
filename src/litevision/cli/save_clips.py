"""Frames with boxes drawn, put together again: a video for a video or camera, an animation for an animation."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from PIL import Image, PngImagePlugin

from litevision.cli.output_names import OutputNames
from litevision.cli.save_images import is_frame, make_folder
from litevision.files import atomic_write
from litevision.runtime import Detections, PreprocessedImage, Result

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_ENCODERS = ("libx264", "h264", "mpeg4")  # the first that this build of FFmpeg has
_TICKS_A_SECOND = 10_000  # MPEG-4 counts up to 65,535 of them
_USUAL_RATE = 25.0
_ANIMATIONS = {".gif": "GIF", ".png": "PNG", ".apng": "PNG", ".webp": "WEBP"}
_USUAL_FRAME_S = 0.1


class Clip(Protocol):
    """A file of frames that is being written."""

    def add(self, image: Image.Image, source: PreprocessedImage[Any]) -> None:
        """Write one more frame."""

    def finish(self) -> None:
        """Write what is left."""


class ClipWriter:
    """Writes the drawn frames of each video and animation into one file; a `litevision.cli.tables.Writer`.

    Args:
        names: of the files.
        every_s: seconds between frames of a video; 0 for every one.
    """

    def __init__(self, names: OutputNames, every_s: float) -> None:
        self._names = names
        self._every_s = every_s
        self._clip: Clip | None = None
        self._last: PreprocessedImage[Any] | None = None
        self._files = ExitStack()

    def write(self, results: Sequence[Result[Detections]]) -> None:
        for result in results:
            source = result.source
            if not isinstance(source, PreprocessedImage) or not is_frame(source):
                self.finish()
            elif result.error is None:
                if self._clip is None or not _follows(source, self._last):
                    self.finish()
                    self._clip = self._begin(source)
                image = result.predictions.image
                assert isinstance(image, Image.Image)
                self._clip.add(image, source)
                self._last = source

    def finish(self) -> None:
        if self._clip is not None:
            self._clip.finish()
        self._clip = None
        self._files.close()

    def abandon(self, *error: Any) -> None:
        """Leave nothing behind of a file that is not finished; for `contextlib.ExitStack.push`."""
        self._clip = None
        with suppress(_AbandonedError):
            self._files.__exit__(_AbandonedError, _AbandonedError(), None)

    def _begin(self, source: PreprocessedImage[Any]) -> Clip:
        path = self._names.relative(source.file)
        path = path.with_name(path.name.replace(":", "-"))  # of webcam:0
        kind = None if source.frame is None else _ANIMATIONS.get(path.suffix.lower(), "PNG")
        if kind is None and path.suffix.lower() != ".mp4":
            path = path.with_name(f"{path.name}.mp4")
        elif kind == "PNG" and path.suffix.lower() not in _ANIMATIONS:
            path = path.with_name(f"{path.name}.png")
        self._names.reserve(source.file, path)
        target = self._names.take(source.file)
        make_folder(target.parent)
        self._files.callback(self._names.written, target)
        partial = self._files.enter_context(atomic_write(target))
        if kind is None:
            return _Video(self._files, partial, self._names.mark.decode(), self._every_s)
        return _Animation(self._files, partial, kind, self._names.mark)


class _AbandonedError(Exception):
    pass


def _follows(source: PreprocessedImage[Any], last: PreprocessedImage[Any] | None) -> bool:
    """Whether it is a later frame of the file of ``last``, which may be given twice."""
    if last is None or source.file != last.file:
        return False
    if source.time_s is not None and last.time_s is not None:
        return source.time_s > last.time_s
    return source.frame is not None and last.frame is not None and source.frame > last.frame


class _Video:
    """H.264, or MPEG-4 where there is no encoder for it, in an MP4; each frame is shown from its time on."""

    def __init__(self, files: ExitStack, partial: Path, mark: str, every_s: float) -> None:
        import av

        self._container: OutputContainer = files.enter_context(av.open(str(partial), "w", format="mp4"))
        self._container.metadata["comment"] = mark
        self._every_s = every_s
        self._stream: VideoStream | None = None
        self._first: tuple[Image.Image, float] | None = None
        self._last_tick = -1

    def add(self, image: Image.Image, source: PreprocessedImage[Any]) -> None:
        time_s = source.time_s or 0.0
        if self._stream is None and self._first is None:
            self._first = image, time_s  # the rate is known with the second one
            return
        if self._first is not None:
            self._begin(time_s - self._first[1])
        self._encode(image, time_s)

    def finish(self) -> None:
        if self._first is not None:
            self._begin(self._every_s)
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _begin(self, between_s: float) -> None:
        assert self._first is not None
        (image, time_s), self._first = self._first, None
        rate = Fraction(1 / between_s if between_s > 0 else _USUAL_RATE).limit_denominator(1000)
        stream = cast("VideoStream", self._container.add_stream(_encoder(), rate=rate or Fraction(1, 1000)))
        self._stream = stream
        stream.width, stream.height = image.width + image.width % 2, image.height + image.height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS_A_SECOND)
        if stream.codec_context.name == "mpeg4":
            stream.codec_context.bit_rate = 4 * stream.width * stream.height
        else:
            stream.options = {"crf": "20", "preset": "veryfast"}
        self._encode(image, time_s)

    def _encode(self, image: Image.Image, time_s: float) -> None:
        from av.video.frame import VideoFrame

        assert self._stream is not None
        size_wh = self._stream.width, self._stream.height
        if (image.width + image.width % 2, image.height + image.height % 2) != size_wh:
            image = image.resize(size_wh)  # a stream may change its size; a file of ours does not
        elif image.size != size_wh:
            image = image.crop((0, 0, *size_wh))  # H.264 has colours for every second pixel alone
        frame = VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
        self._last_tick = max(self._last_tick + 1, round(time_s * _TICKS_A_SECOND))
        frame.pts, frame.time_base = self._last_tick, Fraction(1, _TICKS_A_SECOND)
        self._container.mux(self._stream.encode(frame))


class _Animation:
    """GIF, PNG or WebP; frames wait as files, of which Pillow reads one after another."""

    def __init__(self, files: ExitStack, path: Path, kind: str, mark: bytes) -> None:
        self._folder = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="litevision-")))
        self._path = path
        self._kind = kind
        self._mark = mark
        self._durations_ms: list[int] = []

    def add(self, image: Image.Image, source: PreprocessedImage[Any]) -> None:
        image.save(self._folder / f"{len(self._durations_ms)}.png", compress_level=1)
        self._durations_ms.append(round(1e3 * (source.duration_s or _USUAL_FRAME_S)))

    def finish(self) -> None:
        count = len(self._durations_ms)
        first = next(iter(_Frames(self._folder, range(1))))
        options: dict[str, Any] = {"comment": self._mark}
        if self._kind == "PNG":
            options = {"pnginfo": (info := PngImagePlugin.PngInfo())}
            info.add_text("Software", self._mark.decode())
        elif self._kind == "WEBP":
            options = {"xmp": self._mark, "quality": 92}
        durations = self._durations_ms if count > 1 else self._durations_ms[0]
        first.save(
            self._path,
            self._kind,
            save_all=True,
            append_images=_Frames(self._folder, range(1, count)),
            duration=durations,
            loop=0,
            **options,
        )


class _Frames:
    """Frames that are read whenever they are gone through: of a PNG, Pillow does so twice."""

    def __init__(self, folder: Path, numbers: range) -> None:
        self._folder = folder
        self._numbers = numbers

    def __iter__(self) -> Iterator[Image.Image]:
        for number in self._numbers:
            with Image.open(self._folder / f"{number}.png") as image:
                yield image.copy()


def _encoder() -> str:
    from av.codec import Codec

    for name in _ENCODERS[:-1]:
        with suppress(Exception):
            Codec(name, "w")
            return name
    return _ENCODERS[-1]
