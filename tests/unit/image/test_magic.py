"""Images and videos by their first bytes, whatever their names say."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from images import encoded, noise
from litevision.image.magic import kind_of, kind_of_file

# A container as FFmpeg calls it, and a codec that it may hold.
CONTAINERS = [
    *(("mp4", "libx264"), ("mov", "libx264"), ("f4v", "libx264"), ("3gp", "mpeg4"), ("matroska", "libx264")),
    *(("webm", "libvpx"), ("avi", "mpeg4"), ("mpegts", "mpeg2video"), ("vob", "mpeg2video"), ("mpeg", "mpeg1video")),
    *(("asf", "mpeg4"), ("flv", "flv"), ("mxf", "mpeg2video"), ("yuv4mpegpipe", "rawvideo"), ("ogg", "libvpx")),
    *(("ivf", "libvpx"), ("mpeg2video", "mpeg2video"), ("h264", "libx264")),
]


@pytest.mark.parametrize(("container", "codec"), CONTAINERS)
def test_videos_of_every_container(tmp_path: Path, container: str, codec: str) -> None:
    path = tmp_path / "clip"
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 144, 176, "yuv420p"
        for seed in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noise(144, 176, seed), format="rgb24")))
        out.mux(stream.encode())
    assert kind_of_file(str(path)) == "video"


def test_a_transport_stream_with_times_before_its_packets() -> None:
    assert kind_of((b"\0\0\0\0\x47" + bytes(187)) * 6) == "video"
    assert kind_of((b"\x47" + bytes(187)) * 6) == "video"
    assert kind_of(b"G" + bytes(1000)) is None


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"])
def test_images(format_: str) -> None:
    assert kind_of(encoded(noise(16, 16), format_)) == "image"
    assert kind_of(encoded(Image.fromarray(np.zeros((2, 2), np.uint8)), format_)) == "image"


@pytest.mark.parametrize(
    "head", [b"", b"BM", b"hello, world", b"RIFF\0\0\0\0WAVEfmt ", b"PK\3\4", b"%PDF-1.7", b"GIFT.txt\n", b"P5.jpg\n"]
)
def test_neither(head: bytes) -> None:
    assert kind_of(head) is None


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nothing", "a\0b", "."):
        assert kind_of_file(str(tmp_path / name)) is None
