"""Frames: which, when, which way up; and what is no video."""

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
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

    monkeypatch.setattr(video, "_timed", odd)
    (frame,) = frames(write_clip(tmp_path / "a.mp4", [RED_AND_BLUE]))
    assert "a.mp4: cannot be read (unexpected IndexError: list index out of range)" in str(frame.error)
