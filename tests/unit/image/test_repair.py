"""What stands around the pixels never costs them; pixels that are missing stay an error."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from images import encoded, exif, noise, scene
from litevision.errors import ImageError
from litevision.image import decode
from litevision.image.repair import is_too_short, tidy_png

IMAGE = noise(30, 40)
PNG = encoded(IMAGE)
BIG = bytes(1_500_000)


def pixels(source: object) -> np.ndarray:
    return np.asarray(decode(source))


def chunk(kind: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


ODD_CHUNKS = {
    "itxt": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(BIG)),
    "itxt, plain": chunk(b"iTXt", b"k\0\0\0\0\0" + BIG),
    "ztxt": chunk(b"zTXt", b"k\0\0" + zlib.compress(BIG)),
    "text": chunk(b"tEXt", b"k\0" + BIG),
    "many texts": b"".join(chunk(b"zTXt", b"k\0\0" + zlib.compress(BIG[:900_000])) for _ in range(80)),
    "profile": chunk(b"iCCP", b"k\0\0" + zlib.compress(BIG)),
    "profile, oddly compressed": chunk(b"iCCP", b"k\0\7" + zlib.compress(b"it")),
    "text, oddly compressed": chunk(b"zTXt", b"k\0\7it"),
    "checksum": chunk(b"tEXt", b"k\0v", checksum=1),
    "checksum of the time": chunk(b"tIME", bytes(7), checksum=1),
    "short gamma": chunk(b"gAMA", b"\0"),
    "short colours": chunk(b"cHRM", bytes(8)),
    "unknown": chunk(b"prVt", BIG),
    "frames": chunk(b"acTL", struct.pack(">II", 3, 0)) + chunk(b"fcTL", struct.pack(">I", 7) + bytes(22)),
}


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize("name", ODD_CHUNKS)
def test_optional_chunks_never_cost_the_pixels(name: str, place: str) -> None:
    cut = 33 if place == "before" else len(PNG) - 12
    assert np.array_equal(pixels(PNG[:cut] + ODD_CHUNKS[name] + PNG[cut:]), IMAGE)


def test_a_png_whose_last_chunk_is_cut_keeps_its_pixels() -> None:
    assert np.array_equal(pixels(PNG[:-12] + chunk(b"tEXt", b"k\0" + bytes(99))[:50]), IMAGE)
    assert np.array_equal(pixels(PNG[:-12]), IMAGE)


def test_an_orientation_among_odd_chunks_is_applied() -> None:
    stored = encoded(Image.fromarray(IMAGE).transpose(Image.Transpose.ROTATE_90))
    turned = chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0"))
    for cut in (33, len(stored) - 12):
        assert np.array_equal(pixels(stored[:cut] + ODD_CHUNKS["ztxt"] + turned + stored[cut:]), IMAGE)


def test_a_png_without_faults_is_not_touched() -> None:
    data = encoded(IMAGE, pnginfo=None, exif=exif(6))
    assert tidy_png(data)[0] is data


def test_damage_of_the_pixels_stays_an_error() -> None:
    for data in (
        PNG[:60] + bytes(500) + PNG[560:],
        PNG[: len(PNG) // 2],
        PNG[: len(PNG) // 2] + PNG[-12:],
        PNG[:-40] + ODD_CHUNKS["checksum"],
    ):
        with pytest.raises(ImageError, match="damaged or cut short"):
            decode(data)


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "4:4:4": {"subsampling": 0},
    "restarts": {"restart_marker_rows": 1},
    "best": {"quality": 100},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=list(JPEGS))
@pytest.mark.parametrize("image", [scene(50, 70), noise(50, 70), noise(50, 70)[..., 0]], ids=["scene", "noise", "grey"])
def test_a_jpeg_without_its_end_marker_keeps_its_pixels(image: np.ndarray, options: dict[str, int]) -> None:
    data = encoded(image, "JPEG", **options)
    for end in (b"", b"\xff"):
        assert np.array_equal(pixels(data[:-2] + end), pixels(data))


@pytest.mark.parametrize("options", JPEGS.values(), ids=list(JPEGS))
@pytest.mark.parametrize("image", [scene(50, 70), noise(50, 70)], ids=["scene", "noise"])
def test_a_jpeg_that_lacks_pixels_too_is_refused(image: np.ndarray, options: dict[str, int]) -> None:
    data = encoded(image, "JPEG", **options)
    for missing in (4, 6, 10, 30, 100, len(data) // 2):
        with pytest.raises(ImageError, match="damaged or cut short"):
            decode(data[:-missing])


def test_a_progressive_jpeg_that_lacks_a_scan_is_refused() -> None:
    data = encoded(scene(50, 70), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xc4")  # the tables of the last scan
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode(data[:last])


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_a_jpeg_too_short_for_its_size_is_refused_before_it_takes_memory(options: dict[str, Any]) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (2048, 1536), "teal").save(stream, "JPEG", quality=1, **options)
    data = stream.getvalue()
    assert decode(data).size == (2048, 1536)  # the flattest image there is passes
    frame = data.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0") + 5
    claimed = data[:frame] + struct.pack(">HH", 10000, 10000) + data[frame + 4 :]
    with pytest.raises(ImageError, match=r"cut short \(\d+ bytes cannot hold 10000 x 10000 pixels\)"):
        decode(claimed)
    remarked = claimed[:2] + b"\xff\xfe" + struct.pack(">H", 6) + b"\xff\xc9\xff\xca" + claimed[2:]
    assert is_too_short(remarked, (10000, 10000))
    coded = claimed[: frame - 4] + bytes((claimed[frame - 4] + 9,)) + claimed[frame - 3 :]  # arithmetically
    assert not is_too_short(coded, (10000, 10000))


@pytest.mark.parametrize("name", ["itxt_1_5MB.png", "icc_1_2MB.png", "jpeg_without_eoi.jpg", "bad_crc_ancillary.png"])
def test_metadata_of_found_files_does_not_cost_their_pixels(shared: Path, name: str) -> None:
    assert decode(shared / "cases/pictures" / name).height >= 240


def test_a_bmp_of_bit_fields_that_was_found_is_read(shared: Path) -> None:
    assert decode(shared / "cases/pictures/rgb32bf.bmp").size == (127, 64)


def test_transparency_of_16_bits_that_was_found_is_applied(shared: Path) -> None:
    rows = pixels(shared / "cases/pictures/gray16_trns.png")[..., 0]
    assert int((rows == 255).all(axis=1).sum()) >= 90


def test_pillows_own_switches_are_left_alone() -> None:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, Image.MAX_IMAGE_PIXELS
    decode(PNG[:33] + ODD_CHUNKS["itxt"] + PNG[33:])
    decode(encoded(scene(20, 20), "JPEG")[:-2])
    assert before == (ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK, Image.MAX_IMAGE_PIXELS)
