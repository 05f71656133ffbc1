"""Decoding of video files with PyAV: frames with a time that grows, what is damaged between them, what way is up."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.errors import ImageTooLargeError
from litevision.image.magic import HEAD_BYTES, packet_size

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_FRAME_PIXELS = 8192 * 4320
"""The largest frame that is decoded, 8K: decoders keep several, and a stream of a few bytes can ask for any size."""

_THREADS = 4  # on any machine: what is read around a damaged spot depends on their number
_MOST_THREADED_PIXELS = 3840 * 2160  # each thread keeps a frame
_LEAP_S = 3600.0
_MOST_FAILURES = 10  # reads in a row that fail: there is no going on behind them
_MOST_BOXES = 100_000
_ONE = 65536  # in a display matrix, whose numbers have 16 bits behind the point


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a video that cannot be decoded.

    Attributes:
        start_s: the time of the last good frame before it; None where there is none.
        end_s: the time of the first good frame behind it; None where there is none.
        reason: what the decoder says.
    """

    start_s: float | None
    end_s: float | None
    reason: str


def read_frames(container: "InputContainer") -> "Iterator[tuple[float, VideoFrame] | Damage]":
    """Decode the frames of the first moving video stream, each with its seconds since the first one.

    The time grows from frame to frame: where the recording's clock jumps back, or leaps ahead by more than an hour, it
    goes on by the length of one frame. What cannot be decoded becomes a `Damage`, and decoding goes on behind it.

    Raises:
        ImageTooLargeError: frames of more than `MAX_FRAME_PIXELS`.
        av.FFmpegError: the file cannot be read on.
    """
    from av import FFmpegError

    stream = _moving(container)
    if stream is None:
        return
    _limit(stream)
    clock = _Clock(1 / float(stream.average_rate or 25))
    is_broadcast = container.format.name == "mpegts"  # recordings of one begin anywhere
    damage: Damage | None = None
    for packet in _packets(container, stream):
        try:
            frames = [] if isinstance(packet, Exception) else packet.decode()
            fault = packet if isinstance(packet, Exception) else None
        except FFmpegError as error:
            frames, fault = [], error
        if fault and not damage:
            damage = Damage(clock.now_s, None, getattr(fault, "strerror", None) or str(fault))
        for frame in frames:
            _check_size(frame.width, frame.height)
            start_s = clock.now_s
            for time_s, shown in clock.read(frame):
                if damage and (start_s is not None or not is_broadcast):
                    yield Damage(damage.start_s, time_s, damage.reason)
                damage = None
                yield time_s, shown
    yield from clock.rest()
    if damage:
        yield damage


def upright(frame: "VideoFrame") -> npt.NDArray[np.uint8]:
    """Convert a frame to ``uint8[H, W, 3]``, turned and mirrored as its display matrix says.

    A matrix of another angle than 0, 90, 180 and 270 degrees is ignored. Pixels that are not square stay so.
    """
    array = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    return array if matrix is None else _transformed(array, np.frombuffer(bytes(matrix), np.int32))


def ends_early(path: str) -> bool:
    """Whether a file is shorter than its own header says: MP4, Matroska, AVI, or cut within an MPEG packet."""
    try:
        size = os.path.getsize(path)  # noqa: PTH202
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(HEAD_BYTES)

            def read_at(place: int) -> bytes:
                file.seek(place)
                return file.read(16)

            if head.startswith(b"RIFF"):
                return 0 < int.from_bytes(head[4:8], "little") < 2**32 - 1 and _end_of_riff(head) > size + 1
            if head.startswith(b"\x1a\x45\xdf\xa3"):
                return _end_of_segment(head) > size
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _end_of_boxes(read_at, size) > size
            packet = packet_size(head)
            return packet is not None and size % packet > 0
    except OSError:
        return False


class _Clock:
    """Gives each frame a time that grows.

    A frame that lies behind the last one is kept until the next one comes: if that goes on behind it, the recording's
    clock has jumped; if not, the frame is late, as frames are behind a damaged part.

    Attributes:
        now_s: the time of the last frame; None before the first.
    """

    def __init__(self, step_s: float) -> None:
        self.now_s: float | None = None
        self._step_s = step_s
        self._zero_s = 0.0
        self._waiting: VideoFrame | None = None

    def read(self, frame: "VideoFrame") -> "Iterator[tuple[float, VideoFrame]]":
        """The frames whose times are known now."""
        is_back = self._is_back(frame)
        if self._waiting is not None:
            yield self._next(self._waiting, is_jump=is_back), self._waiting
            self._waiting = None
            is_back = self._is_back(frame)
        if is_back:
            self._waiting = frame
        else:
            yield self._next(frame, is_jump=self._ahead_s(frame) > _LEAP_S), frame

    def rest(self) -> "Iterator[tuple[float, VideoFrame]]":
        """The frame that waits for a next one."""
        if self._waiting is not None:
            yield self._next(self._waiting, is_jump=True), self._waiting

    def _ahead_s(self, frame: "VideoFrame") -> float:
        """How far a frame lies ahead of the last one; raw streams have no times."""
        if self.now_s is None or frame.pts is None:
            return self._step_s
        return frame.time - self._zero_s - self.now_s

    def _is_back(self, frame: "VideoFrame") -> bool:
        return self._ahead_s(frame) < -1.5 * self._step_s

    def _next(self, frame: "VideoFrame", *, is_jump: bool) -> float:
        ahead_s = self._step_s if is_jump else self._ahead_s(frame)
        if self.now_s is None:
            self._zero_s = 0.0 if frame.pts is None else frame.time
            self.now_s = 0.0
        else:
            # Two frames of one time, or in the wrong order: the next ones have their own times again.
            self.now_s += ahead_s if ahead_s > 0 else min(1e-3, self._step_s / 2)
            if is_jump and frame.pts is not None:
                self._zero_s = frame.time - self.now_s
        return self.now_s


def _moving(container: "InputContainer") -> "VideoStream | None":
    """The first stream that is no cover image of a song."""
    from av.stream import Disposition

    return next((it for it in container.streams.video if not it.disposition & Disposition.attached_pic), None)


def _limit(stream: "VideoStream") -> None:
    """Keep the decoder within bounds, also where frames are larger than the header says."""
    context = stream.codec_context
    _check_size(context.width, context.height)
    is_large = context.width * context.height > _MOST_THREADED_PIXELS
    context.thread_type = "AUTO"
    context.thread_count = 1 if is_large else _THREADS
    context.options = {**context.options, "max_pixels": str(MAX_FRAME_PIXELS)}


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise ImageTooLargeError(
            f"frames of {width} x {height} = {width * height} pixels: more than the limit of {MAX_FRAME_PIXELS}. "
            "Make the video smaller first."
        )


def _packets(container: "InputContainer", stream: "VideoStream") -> "Iterator[Packet[VideoStream] | Exception]":
    """The stream's packets, and an error where one cannot be read but others may be, behind it."""
    from av import FFmpegError

    failures = 0
    while True:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except FFmpegError as error:
            failures += 1
            if failures > _MOST_FAILURES:
                raise
            yield error
        except IndexError:  # of PyAV, for a packet of a stream that was not there when the file was opened
            yield ValueError("a stream that its header does not name")
            return


def _transformed(array: npt.NDArray[np.uint8], matrix: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Apply a display matrix: (x, y) of the frame is shown at (a x + c y, b x + d y)."""
    if matrix.size != 9:
        return array
    a, b, c, d = (float(matrix[place]) for place in (0, 1, 3, 4))
    near = 0.02 * max(abs(a), abs(b), abs(c), abs(d))  # about one degree
    if abs(b) <= near and abs(c) <= near and a and d:
        across, down = a, d
    elif abs(a) <= near and abs(d) <= near and b and c:
        array, across, down = array.swapaxes(0, 1), c, b
    else:
        return array
    return array[:: 1 if down > 0 else -1, :: 1 if across > 0 else -1]


def _end_of_riff(head: bytes) -> int:
    return 8 + int.from_bytes(head[4:8], "little")


def _end_of_segment(head: bytes) -> int:
    """Where Matroska's segment ends; 0 where it does not say, as in a live recording."""
    place = 0
    for element in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        if not head[place:].startswith(element):
            return 0
        place += 4
        first = head[place] if place < len(head) else 0
        length = 9 - first.bit_length()
        if not first or place + length > len(head):
            return 0
        size = int.from_bytes(head[place : place + length], "big") & ((1 << 7 * length) - 1)
        if size == (1 << 7 * length) - 1:
            return 0
        place += length + size
    return place


def _end_of_boxes(read_at: Callable[[int], bytes], file_size: int) -> int:
    """Where the last of an MP4's boxes ends, as far as they are boxes."""
    place = 0
    for _ in range(_MOST_BOXES):
        header = read_at(place)
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if len(header) < 8 or not header[4:8].isalnum() or size < 8:
            return 0
        place += size
        if place >= file_size:
            return place
    return 0
