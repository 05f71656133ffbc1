"""Formats are told by content, opened by the one reader that is theirs, and what is not read is called by its name."""

import io
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from images import STORED_BY, encoded, noise, scene, stored_as
from litevision.errors import ImageError, ImageTooLargeError
from litevision.image import Limits, decode
from litevision.image.decode import open_image
from litevision.image.formats import _OTHERS as OTHERS
from litevision.image.formats import FORMATS, identify

EXACT = {
    "TIFF": {},
    "TIFF, LZW": {"compression": "tiff_lzw"},
    "TIFF, deflated": {"compression": "tiff_adobe_deflate"},
    "JPEG2000": {},
    "PPM": {},
    "TGA": {},
    "TGA, run lengths": {"compression": "tga_rle"},
    "SGI": {},
    "DDS": {},
    "PCX": {},
    "DIB": {},
    "QOI": {},
}


def pixels(source: object) -> np.ndarray:
    return np.asarray(decode(source))


@pytest.mark.parametrize("kind", EXACT)
def test_lossless_formats_are_read_to_the_pixel(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "misnamed.jpg"
    file.write_bytes(encoded(noise(21, 34), kind.split(",")[0], **EXACT[kind]))
    assert np.array_equal(pixels(file), noise(21, 34))


@pytest.mark.parametrize("kind", ["AVIF", "ICO", "MPO"])
def test_other_formats_show_the_image(kind: str) -> None:
    image = scene(64, 64)
    assert np.abs(pixels(encoded(image, kind)).astype(int) - image).mean() < 3


def test_a_heic_image_is_read_through_its_extra(shared: Path) -> None:
    pytest.importorskip("pi_heif", reason="needs the extra heic")
    assert identify(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").name == "HEIC"
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


def test_without_the_extra_a_heic_image_names_its_pip_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(ImageError, match=r"IMG_1\.HEIC: a HEIC image, .*pip install 'litevision\[heic\]'$"):
        decode(tmp_path / "IMG_1.HEIC")


@pytest.mark.parametrize("orientation", STORED_BY)
@pytest.mark.parametrize("kind", ["TIFF", "AVIF"])
def test_orientation_is_applied_once(orientation: int, kind: str) -> None:
    upright = scene(64, 96)
    image = open_image(stored_as(upright, orientation, kind))
    assert image.upright_hw == (64, 96)
    assert np.abs(np.asarray(image.upright_rgb()).astype(int) - upright).mean() < 3


def pages() -> list[Image.Image]:
    return [Image.fromarray(noise(height, 20, height)) for height in (10, 12, 14)]


def test_the_pages_of_a_tiff_are_its_frames() -> None:
    first, *others = pages()
    data = encoded(first, "TIFF", save_all=True, append_images=others)
    assert np.array_equal(pixels(data), np.asarray(first))
    shown = [np.asarray(page.upright_rgb()) for page in open_image(data).frames()]
    assert [page.upright_hw for page in open_image(data).frames()] == [(10, 20), (12, 20), (14, 20)]
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(shown, pages(), strict=True))


def test_reduced_copies_in_a_tiff_are_no_pages() -> None:
    full, copy = Image.fromarray(noise(40, 40)), Image.fromarray(noise(10, 10))
    stream = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(stream) as writer:
        for image, is_reduced in ((copy, 1), (full, 0), (copy, 1)):
            tags = TiffImagePlugin.ImageFileDirectory_v2()
            tags[254] = is_reduced
            image.save(writer, "TIFF", tiffinfo=tags)
            writer.newFrame()
    data = stream.getvalue()
    assert np.array_equal(pixels(data), np.asarray(full))
    assert len(list(open_image(data).frames())) == 1


def test_the_frames_of_an_avif_sequence() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    shown = [np.asarray(frame.upright_rgb()).mean(axis=(0, 1)).argmax() for frame in open_image(data).frames()]
    assert shown == [0, 2, 1]


def deep(values: np.ndarray, **tags: int) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in tags.items():
        info[int(number[1:])] = value
    return encoded(Image.fromarray(values), "TIFF", tiffinfo=info)


RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)


@pytest.mark.parametrize(
    "source",
    [
        deep(RAMP * 257),
        deep((RAMP * 257).astype(np.int32)),
        deep(RAMP.astype(np.int32)),
        deep((RAMP / 255).astype(np.float32)),
        deep(RAMP.astype(np.float32)),
        deep((255 - RAMP) * 257, t262=0),
        encoded(Image.fromarray((RAMP * 257).astype(np.int32)), "PPM"),
        Image.fromarray(RAMP.astype(np.uint8)).convert("I"),
        Image.fromarray(RAMP.astype(np.uint8)).convert("F"),
    ],
    ids=["16", "I, 16", "I, 8", "F, 0 to 1", "F, 0 to 255", "white is 0", "16-bit PGM", "Pillow's I", "Pillow's F"],
)
def test_grey_of_more_bits_becomes_8_bits_by_its_range(source: object) -> None:
    assert np.array_equal(pixels(source), np.repeat(RAMP.astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.float32([[-1, 0.5]]), r"floats from -1 to 0\.5; expected 0 to 1, or 0 to 255"),
        (np.float32([[0, 4096]]), r"floats from 0 to 4096; expected"),
        (np.float32([[0, np.nan]]), r"floats (that are NaN|from .*nan)"),
        (np.int32([[-5, 3]]), r"integers from -5 to 3; expected 0 to 255, or 0 to 65535"),
        (np.int32([[0, 70_000]]), r"integers from 0 to 70000; expected"),
    ],
)
def test_numbers_without_a_known_range_are_refused(values: np.ndarray, message: str, tmp_path: Path) -> None:
    file = tmp_path / "it.tif"
    file.write_bytes(encoded(Image.fromarray(values), "TIFF"))
    with pytest.raises(ImageError, match=rf"^.*it\.tif: {message}"):
        decode(file)


def test_a_transparent_grey_of_16_bits_is_white() -> None:
    image = Image.fromarray(np.array([[1000, 1001, 65535]], np.uint16))
    assert pixels(encoded(image, transparency=1000))[0, :, 0].tolist() == [255, 4, 255]


def bitfields(masks: tuple[int, ...], values: list[int], bits: int, compression: int) -> bytes:
    pixels = struct.pack(f"<{len(values)}{'H' if bits == 16 else 'I'}", *values)
    pixels += bytes(-len(pixels) % 4)
    header = struct.pack("<IiiHHIIiiII", 40, len(values), 1, 1, bits, compression, 0, 0, 0, 0, 0)
    header += struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(header)
    return struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) + header + pixels


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bitfields((0x3, 0xC, 0x70), [0b111_0001, 0b000_1111], 16, 3), [[85, 0, 255], [255, 255, 0]]),
        (bitfields((0xFF000000, 0xFF00, 0xFF), [0x11002233], 32, 3), [[0x11, 0x22, 0x33]]),
        (bitfields((0xFF0000, 0xFF00, 0xFF, 0xFF000000), [0x00112233, 0xFF112233], 32, 6), [[255] * 3, [17, 34, 51]]),
    ],
    ids=["16 bits", "32 bits", "with alpha"],
)
def test_bmp_colours_of_any_bits_are_read(data: bytes, expected: list[list[int]]) -> None:
    assert pixels(data)[0].tolist() == expected


def test_images_inside_a_bmp_are_read() -> None:
    inner = encoded(noise(6, 5))
    header = struct.pack("<IiiHHIIiiII", 40, 5, 6, 1, 0, 5, len(inner), 0, 0, 0, 0)
    data = struct.pack("<2sIHHI", b"BM", 54 + len(inner), 0, 0, 54) + header + inner
    assert np.array_equal(pixels(data), noise(6, 5))


# What is not read


def transport_stream() -> bytes:
    return b"".join(b"G" + bytes(187) for _ in range(4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "a video, not an image"),
        (b"RIFF\x24\0\0\0AVI LIST", "a video, not an image"),
        (transport_stream(), "a video, not an image"),
        (b"\x1aE\xdf\xa3" + bytes(40), "a video, not an image"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a sound file, not an image"),
        (b"%PDF-1.7", "a PDF file, which is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript file, which is not read"),
        (b"<?xml version='1.0'?>\n<!-- by hand -->\n<svg xmlns='x'>", "an SVG drawing, which is not read"),
        (b"<!DOCTYPE html><html>", "a web page, as failed downloads leave"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"\xff\x0a" + bytes(30), "a JPEG XL file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(30), "damaged|a camera's raw file"),
        (b"PK\3\4" + bytes(30), "an archive, not an image"),
        (b"\0\5\x16\7" + bytes(30), "what macOS keeps beside a file"),
        (b"RIFF\x24\0\0\0WEBQ", "damaged or cut short"),
        (b"BMW is a car", "damaged or cut short|not an image"),
        (b"P6 means nothing", "damaged or cut short"),
        (b"Pretty text", "not an image that can be read"),
        (b"/* XPM */\nstatic char *a[] = {", "not an image that can be read"),
        (b"#define a_width 8\n", "not an image that can be read"),
        (b"SIMPLE  =                    T", "a FITS file, which is not read"),
        (b"\xd7\xcd\xc6\x9a" + bytes(40), "a Windows metafile, which is not read"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "x.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=rf"x\.jpg: ({message})") as refusal:
        decode(file)
    assert "\n" not in str(refusal.value)


def test_a_kind_that_is_not_read_is_no_damage() -> None:
    data = bytearray(encoded(noise(4, 4), "BMP"))
    data[28:30] = struct.pack("<H", 2)
    with pytest.raises(
        ImageError, match=r": a BMP file of a kind that is not read \(.*\)\. Convert it to PNG first\.$"
    ):
        decode(bytes(data))


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG2000", "PPM", "TGA"])
def test_limits_hold_by_the_header_in_every_format(kind: str) -> None:
    data = encoded(noise(40, 50), kind)
    with pytest.raises(ImageTooLargeError, match="50 x 40 = 2000 pixels: more than the limit of 1999"):
        decode(data, limits=Limits(max_pixels=1999))


def test_a_page_over_the_limit_is_refused_when_its_turn_comes() -> None:
    first, *others = pages()
    data = encoded(first, "TIFF", save_all=True, append_images=others)
    read: Iterator[object] = open_image(data, limits=Limits(max_pixels=250)).frames()
    assert [next(read) and True for _ in range(2)] == [True, True]
    with pytest.raises(ImageTooLargeError, match="20 x 14"):
        next(read)


def test_only_the_five_common_readers_are_imported_at_first() -> None:
    program = """
import sys
from litevision.image import decode
from litevision.image.decode import open_image
loaded = {name.removeprefix("PIL.").removesuffix("ImagePlugin") for name in sys.modules if "ImagePlugin" in name}
print(sorted(loaded), "PIL.ImageCms" in sys.modules, "ctypes" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['Bmp', 'Gif', 'Jpeg', 'Png', 'WebP'] False")


def test_libtiff_and_pillow_print_nothing(tmp_path: Path) -> None:
    data = bytearray(encoded(noise(64, 64), "TIFF", compression="tiff_lzw"))
    data[400:2000] = bytes(1600)
    (tmp_path / "a.tif").write_bytes(data)
    program = (
        "import sys\nfrom litevision.image import decode\ntry: decode(sys.argv[1])\n"
        "except ValueError as error: print(str(error).partition(': ')[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.tif"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.startswith("damaged or cut short")


def test_the_table_names_every_format_once() -> None:
    assert len({format_.name for format_ in FORMATS}) == len({format_.key for format_ in FORMATS}) == len(FORMATS)
    for _, what, advice in OTHERS:
        assert "\n" not in what + advice
