"""Frames: which, when, which way up; and what is no video."""

import itertools
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from clips import RED_AND_BLUE, write_clip
from images import encoded, noise
from litevision.errors import FileMissingError, ImageError, MissingExtraError, UsageError
from litevision.image import Preprocess
from litevision.runtime import video
from litevision.runtime.results import PreprocessedImage, Result
from litevision.runtime.video import animation_frames, video_frames, webcam_device, webcam_frames

PREPROCESS = Preprocess((8, 8), 8, "stretch")


def frames(path: Path, every_s: float = 1.0) -> list[PreprocessedImage]:
    return [frame for frame in video_frames(str(path), PREPROCESS, every_s) if frame is not None]


def times(path: Path, every_s: float) -> list[str]:
    found = frames(path, every_s)
    assert all(frame.error is None for frame in found)
    return [frame.name.removeprefix(f"{path}#t=") for frame in found]


def image(frame: PreprocessedImage) -> npt.NDArray[np.uint8]:
    assert isinstance(frame.outcome, np.ndarray)
    return frame.outcome


@pytest.mark.parametrize(
    ("every_s", "expected"),
    [
        (1.0, ["0.000", "1.000", "2.000"]),
        (0.25, ["0.000", "0.300", "0.500", "0.800", "1.000", "1.300", "1.500", "1.800", "2.000", "2.300"]),
        (0.1, [f"{tenth / 10:.3f}" for tenth in range(24)]),
        (0.0, [f"{tenth / 10:.3f}" for tenth in range(24)]),
        (5.0, ["0.000"]),
    ],
)
def test_a_frame_every_so_often(tmp_path: Path, every_s: float, expected: list[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE] * 24, rate=10)
    assert times(clip, every_s) == expected


def test_the_frames_are_those_of_their_times(tmp_path: Path) -> None:
    greys = [np.full((48, 64, 3), 10 * index, np.uint8) for index in range(25)]
    clip = write_clip(tmp_path / "clip.mkv", greys, rate=10)
    shown = [int(image(frame).mean()) for frame in frames(clip, 0.5)]
    assert shown == pytest.approx([0, 50, 100, 150, 200], abs=4)


def test_a_frame_says_its_file_and_time_as_a_number(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE] * 24, rate=10)
    results = [Result(frame, None, frame.ms) for frame in frames(clip, 0.5)]
    assert [(it.file, it.frame) for it in results] == [(str(clip), None)] * 5
    assert [it.time_s for it in results] == pytest.approx([0, 0.5, 1, 1.5, 2])


def test_a_film_of_29_97_frames_keeps_step_with_the_seconds(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE] * 130, rate="30000/1001")
    assert times(clip, 1.0) == ["0.000", "1.001", "2.002", "3.003", "4.004"]


@pytest.mark.parametrize(
    ("rotation", "turns"),
    [(0, 0), (90, 1), (180, 2), (-90, 3)],
)
def test_what_a_camera_held_sideways_filmed_is_turned_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE], rate=10, rotation=rotation)
    expected = PREPROCESS(np.rot90(RED_AND_BLUE, turns))
    assert np.abs(image(frames(clip)[0]).astype(int) - expected).max() < 60  # the colour edge is soft in H.264
    assert np.abs(image(frames(clip)[0])[::7, ::7].astype(int) - expected[::7, ::7]).max() < 8


def test_a_phone_held_upright_is_turned_clockwise(tmp_path: Path) -> None:
    """The matrix that phones write, in its own bytes: what PyAV writes and reads might be wrong twice."""
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE], rate=10)
    upright = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    phone = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data = clip.read_bytes()
    track = data.index(b"tkhd")
    clip.write_bytes(data[:track] + data[track:].replace(upright, phone, 1))
    top_left, bottom_left = image(frames(clip)[0])[[0, -1], 0]
    assert (top_left[0] > 200, bottom_left[2] > 200) == (True, True)


def test_a_waiting_place_follows_each_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE] * 4, rate=2)
    assert [frame is not None for frame in video_frames(str(clip), PREPROCESS)] == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    assert [frame is not None for frame in video_frames(str(clip), PREPROCESS, 0)] == [True] * 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no video", r"clip\.mp4: cannot be read as a video \(Invalid data found.*\)\. Convert it to MP4"),
        (b"", r"clip\.mp4: cannot be read as a video"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://localhost:1/a.ts\n", r"clip\.mp4: cannot be read as a video"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content: bytes, message: str) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(content)
    (fault,) = frames(clip)
    assert fault.name == str(clip)
    with pytest.raises(ImageError, match=message):
        raise fault.error or AssertionError


def test_a_name_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (fault,) = frames(Path("http://localhost:1/clip.mp4"))
    assert isinstance(fault.error, FileMissingError)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mkv"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        silence.sample_rate = 8000
        out.mux(stream.encode(silence))
    (fault,) = frames(tmp_path / "sound.mkv")
    with pytest.raises(ImageError, match="holds no moving image"):
        raise fault.error or AssertionError


def test_a_cut_video_gives_its_good_frames(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", [noise(48, 64, seed) for seed in range(40)], rate=10)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    good = [frame for frame in frames(clip, 0.5) if frame.error is None]
    assert 2 <= len(good) < 8
    assert [frame.name[-5:] for frame in good] == [f"{index / 2:.3f}" for index in range(len(good))]


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (fault,) = frames(tmp_path / "clip.mp4")
    with pytest.raises(
        MissingExtraError, match=r"clip\.mp4: reading videos needs .* pip install 'litevision\[video\]'"
    ):
        raise fault.error or AssertionError


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("webcam:x", UsageError, "webcam:x: no camera's name; expected webcam:0 for the first one"),
        ("webcam:", UsageError, "no camera's name"),
        ("webcam:7", FileMissingError, r"webcam:7: no camera at .*/video7\. Cameras here: webcam:0, webcam:2\.$"),
    ],
)
def test_cameras_that_are_not_there(tmp_path: Path, name: str, kind: type[Exception], message: str) -> None:
    for device in ("video0", "video2", "video"):
        (tmp_path / device).touch()
    assert webcam_device("webcam:2", tmp_path) == tmp_path / "video2"
    with pytest.raises(kind, match=message):
        webcam_device(name, tmp_path)
    if name == "webcam:7":
        with pytest.raises(kind, match="Cameras here: none"):
            webcam_device(name, tmp_path / "video")


def test_a_camera(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A camera's frames come as a file's do; here from FFmpeg's test image."""
    real_open = av.open

    def test_image(file: str, format: str | None, **options: Any) -> Any:
        assert (file, format) == (str(tmp_path / "video0"), "v4l2")
        return real_open("testsrc=size=64x48:rate=4:duration=2", format="lavfi", **options)

    monkeypatch.setattr(av, "open", test_image)
    monkeypatch.setattr("litevision.runtime.video.webcam_device", lambda name: tmp_path / "video0")
    shown: Iterator[PreprocessedImage | None] = webcam_frames("webcam:0", PREPROCESS, 0.5)
    assert [frame.name if frame else None for frame in shown] == [
        name for half in range(4) for name in (f"webcam:0#t={half / 2:.3f}", None, None)
    ]


def test_animations(tmp_path: Path) -> None:
    path = str(tmp_path / "anim.gif")
    first, *others = (Image.fromarray(noise(20, 20, seed)) for seed in range(3))
    Path(path).write_bytes(encoded(first, "GIF", save_all=True, append_images=others))
    shown = list(animation_frames(path, PREPROCESS))
    assert [frame.name for frame in shown] == [f"{path}#frame={index}" for index in range(3)]
    results = [Result(frame, None, frame.ms) for frame in shown]
    assert [(it.file, it.time_s, it.frame) for it in results] == [(path, None, index) for index in range(3)]
    assert np.array_equal(image(shown[0]), PREPROCESS(path))
    assert len({image(frame).tobytes() for frame in shown}) == 3


def test_a_still_image_keeps_its_name(tmp_path: Path) -> None:
    path = str(tmp_path / "still.png")
    Path(path).write_bytes(encoded(noise(20, 20)))
    (frame,) = animation_frames(path, PREPROCESS)
    assert frame.name == path
    assert np.array_equal(image(frame), PREPROCESS(path))


def test_a_cut_animation_ends_with_its_error(tmp_path: Path) -> None:
    path = str(tmp_path / "anim.png")
    first, *others = (Image.fromarray(noise(40, 40, seed)) for seed in range(3))
    data = encoded(first, "PNG", save_all=True, append_images=others)
    Path(path).write_bytes(data[: int(len(data) * 0.6)])
    good, bad = animation_frames(path, PREPROCESS)
    assert (good.name, good.error) == (f"{path}#frame=0", None)
    assert bad.name == f"{path}#frame=1"
    assert "damaged or cut short" in str(bad.error)
    (missing,) = animation_frames("none.gif", PREPROCESS)
    assert (missing.name, str(missing.error)) == ("none.gif", "none.gif: no such file. Check the path.")


def test_a_title_in_an_old_encoding_is_no_reason_to_stop(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", [RED_AND_BLUE] * 3)
    with av.open(str(clip)) as source, av.open(str(tmp_path / "titled.avi"), "w") as out:
        out.metadata["title"] = "caf*"
        copied = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
    data = (tmp_path / "titled.avi").read_bytes()
    assert b"caf*" in data
    (tmp_path / "titled.avi").write_bytes(data.replace(b"caf*", b"caf\xe9"))
    assert [frame.error for frame in frames(tmp_path / "titled.avi")] == [None]


def test_whatever_a_decoder_raises_is_its_videos_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(video, "read_frames", odd)
    (frame,) = frames(write_clip(tmp_path / "a.mp4", [RED_AND_BLUE]))
    assert "a.mp4: cannot be read (unexpected IndexError: list index out of range)" in str(frame.error)


# What a recording's own clock, damage and display matrix do.


def numbers(path: Path, every_s: float) -> list[float]:
    """The times of the frames, which must grow, as their names must."""
    found = frames(path, every_s)
    assert [frame.error for frame in found] == [None] * len(found)
    seconds = [frame.time_s for frame in found if frame.time_s is not None]
    assert len({frame.name for frame in found}) == len(seconds) == len(found)
    assert seconds == sorted(set(seconds))
    return seconds


def test_a_clock_that_jumps_back_goes_on(tmp_path: Path) -> None:
    """Parts of a recording appended, as cameras and downloads leave them."""
    part = write_clip(tmp_path / "part.ts", [RED_AND_BLUE] * 30, rate=10).read_bytes()
    (tmp_path / "clip.ts").write_bytes(part * 3)
    assert numbers(tmp_path / "clip.ts", 0.0) == pytest.approx([index / 10 for index in range(90)], abs=2e-3)
    assert numbers(tmp_path / "clip.ts", 1.0) == pytest.approx(list(range(9)), abs=2e-3)


def write_at(path: Path, seconds: list[float]) -> Path:
    """A clip with frames at these times."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10_000)
        for time in seconds:
            frame = av.VideoFrame.from_ndarray(RED_AND_BLUE, format="rgb24")
            frame.pts, frame.time_base = round(10_000 * time), Fraction(1, 10_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def test_late_frames_behind_a_damaged_part_are_no_jump(shared: Path) -> None:
    clip = shared / "cases/pictures/damaged_middle.mp4"
    if not clip.is_file():
        pytest.skip("needs ../shared/cases, which is not here")
    found = frames(clip, 0.0)
    seconds = [frame.time_s for frame in found if frame.time_s is not None and not frame.error]
    assert (len(found), len(seconds)) == (194, 193)
    assert seconds == sorted(set(seconds))
    assert seconds[-1] == pytest.approx(19.9)


def test_a_clock_that_leaps_by_hours_goes_on(tmp_path: Path) -> None:
    times = [index / 10 for index in range(5)]
    clip = write_at(tmp_path / "clip.mkv", [*times, *(5 * 3600 + time for time in times)])
    assert numbers(clip, 0.0)[-1] < 3
    assert len(numbers(clip, 0.0)) == 10


def test_a_pause_of_minutes_is_kept(tmp_path: Path) -> None:
    clip = write_at(tmp_path / "clip.mkv", [0, 0.1, 600, 600.1])
    assert numbers(clip, 0.0) == pytest.approx([0, 0.1, 600, 600.1], abs=1e-3)


def test_frames_of_less_than_a_millisecond_have_names_of_their_own(tmp_path: Path) -> None:
    clip = write_at(tmp_path / "clip.mp4", [index / 5000 for index in range(12)])
    assert numbers(clip, 0.0) == pytest.approx([index / 5000 for index in range(12)], abs=1e-4)


# A display matrix's a, b, c, d, and the filters that ffmpeg applies for it before it shows or converts a video.
ORIENTATIONS = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): ("hflip",),
    (-1, 0, 0, -1): ("hflip", "vflip"),
    (1, 0, 0, -1): ("vflip",),
    (0, 1, 1, 0): ("transpose=cclock_flip",),
    (0, 1, -1, 0): ("transpose=clock",),
    (0, -1, -1, 0): ("transpose=clock_flip",),
    (0, -1, 1, 0): ("transpose=cclock",),
    (0.7071, 0.7071, -0.7071, 0.7071): (),  # 45 degrees are ignored
}


def filtered(array: npt.NDArray[np.uint8], filters: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    graph = av.filter.Graph()
    height, width = array.shape[:2]
    nodes = [graph.add_buffer(width=width, height=height, format="rgb24", time_base=Fraction(1, 10))]
    nodes += [graph.add(*name.split("=")) for name in filters]
    nodes += [graph.add("buffersink")]
    for before, after in itertools.pairwise(nodes):
        before.link_to(after)
    graph.configure()
    graph.push(av.VideoFrame.from_ndarray(array, format="rgb24"))
    return graph.pull().to_ndarray(format="rgb24")


@pytest.mark.parametrize("matrix", ORIENTATIONS)
def test_every_display_matrix_is_applied_as_ffmpeg_does(tmp_path: Path, matrix: tuple[float, ...]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [noise(48, 64, 1)])
    whole: list[npt.NDArray[np.uint8]] = []

    def keep(array: Any) -> Any:
        whole.append(np.ascontiguousarray(array))
        return array

    list(video_frames(str(clip), keep))
    a, b, c, d = (round(0x10000 * value) for value in matrix)
    stored = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    data = clip.read_bytes()
    track = data.index(b"tkhd")
    turned = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    clip.write_bytes(data[:track] + data[track:].replace(stored, turned, 1))
    list(video_frames(str(clip), keep))
    first, second = whole
    assert np.array_equal(second, filtered(first, ORIENTATIONS[matrix]))


def test_a_damaged_part_is_said_and_what_follows_is_read(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [noise(48, 64, seed) for seed in range(60)], rate=10)
    data = bytearray(clip.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 12_000] = bytes(12_000)
    clip.write_bytes(data)
    found = frames(clip, 0.1)
    errors = [frame for frame in found if frame.error]
    assert len(errors) == 1
    assert re.search(
        r"clip\.mp4: damaged from \d\.\d{3} to \d\.\d{3} s \(.*\); what follows is read", str(errors[0].error)
    )
    good = [frame.time_s for frame in found if not frame.error and frame.time_s is not None]
    assert good == sorted(set(good))
    assert good[-1] == pytest.approx(5.9)
    assert 40 < len(good) < 60


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mkv", {}), ("a.webm", {}), ("a.avi", {}), ("a.ts", {}), ("a.mp4", {"movflags": "faststart"})],
)
def test_a_video_cut_at_two_thirds_is_said_to_be(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    clip = tmp_path / name
    codec = {"a.webm": "libvpx", "a.avi": "mpeg4"}.get(name, "libx264")
    with av.open(str(clip), "w", options=options) as out:
        stream = out.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for seed in range(40):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise(48, 64, seed), format="rgb24")))
        out.mux(stream.encode())
    assert [frame for frame in frames(clip, 1.0) if frame.error] == []
    size = clip.stat().st_size * 2 // 3
    clip.write_bytes(clip.read_bytes()[: size + (size % 188 == 0)])
    *good, last = frames(clip, 0.0)
    assert len(good) > 10
    assert [frame.error for frame in good] == [None] * len(good)
    assert re.search(r"damaged or cut short after \d\.\d{3} s \(", str(last.error))


def test_frames_over_the_limit_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [RED_AND_BLUE] * 3)
    monkeypatch.setattr("litevision.runtime.video_decoder.MAX_FRAME_PIXELS", 3071)
    (fault,) = frames(clip)
    assert str(fault.error) == (
        f"{clip}: frames of 64 x 48 = 3072 pixels: more than the limit of 3071. Make the video smaller first."
    )


def test_a_few_bytes_never_take_much_memory(shared: Path) -> None:
    """A header of 32 x 32 pixels, and frames that ask for more."""
    clip = shared / "cases/security/fuzz/video-HANG25s-24554_a.webm"
    if not clip.is_file() or not Path("/proc/self/status").is_file():
        pytest.skip("needs ../shared/cases and Linux' /proc, which are not here")
    program = (
        "import sys; from pathlib import Path; from litevision.runtime.video import video_frames; "
        "print(len(list(video_frames(sys.argv[1], lambda array: None, 0)))); "
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"  # ru_maxrss begins at the parent's
    )
    done = subprocess.run([sys.executable, "-c", program, str(clip)], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 500_000


def test_the_cover_of_a_song_is_no_video(shared: Path) -> None:
    song = shared / "cases/pictures/cover.m4v"
    if not song.is_file():
        pytest.skip("needs ../shared/cases, which is not here")
    (fault,) = frames(song)
    assert "holds no moving image" in str(fault.error)
