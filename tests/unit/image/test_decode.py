import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from images import STORED_BY, encoded, exif, noise, scene, stored_as
from litevision.errors import FileMissingError, ImageError, ImageTooLargeError, InputShapeError, UsageError
from litevision.image import Limits, budget, decode
from litevision.image.decode import open_image
from litevision.image.sources import is_single_image

LOSSLESS = {"PNG": {}, "BMP": {}, "WEBP": {"lossless": True}}


def pixels(source: object) -> np.ndarray:
    return np.asarray(decode(source))


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    image = noise(31, 17)
    assert np.array_equal(pixels(encoded(image, kind, **LOSSLESS[kind])), image)


def test_jpeg_is_read_as_pillow_reads_it() -> None:
    data = encoded(scene(40, 60), "JPEG", quality=95)
    assert np.array_equal(pixels(data), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_every_kind_of_source_gives_the_same_image(tmp_path: Path) -> None:
    image = noise(9, 11)
    file = tmp_path / "image.png"
    file.write_bytes(encoded(image))
    for source in (file, str(file), file.read_bytes(), Image.fromarray(image), image):
        assert np.array_equal(pixels(source), image)


def test_content_decides_not_the_suffix(tmp_path: Path) -> None:
    file = tmp_path / "really_a_png.jpg"
    file.write_bytes(encoded(noise(5, 5)))
    assert np.array_equal(pixels(file), noise(5, 5))


@pytest.mark.parametrize("orientation", STORED_BY)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = noise(7, 12)
    assert np.array_equal(pixels(stored_as(upright, orientation, kind, **LOSSLESS[kind])), upright)


@pytest.mark.parametrize("orientation", STORED_BY)
def test_orientation_of_a_pillow_image_is_applied(orientation: int) -> None:
    opened = Image.open(io.BytesIO(stored_as(noise(7, 12), orientation)))
    assert np.array_equal(pixels(opened), noise(7, 12))


@pytest.mark.parametrize("value", [0, 9, 255])
def test_invalid_orientation_is_upright(value: int) -> None:
    assert np.array_equal(pixels(encoded(noise(4, 6), exif=exif(value))), noise(4, 6))


def test_orientation_behind_the_pixels_of_a_png_is_applied() -> None:
    stored = encoded(Image.fromarray(noise(4, 6)).transpose(Image.Transpose.ROTATE_90))
    body = b"eXIf" + exif(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert np.array_equal(pixels(stored[:-12] + chunk + stored[-12:]), noise(4, 6))


def test_damaged_exif_is_upright_and_silent() -> None:
    damaged = exif(6).tobytes()[:-20] + b"\xff" * 9
    data = encoded(scene(16, 32), "JPEG", exif=damaged)
    assert decode(data).size == (32, 16)


def test_a_decoded_image_is_not_turned_again() -> None:
    once = decode(stored_as(noise(7, 12), 6))
    assert np.array_equal(pixels(once), noise(7, 12))


@pytest.mark.parametrize("series", ["Landscape", "Portrait"])
def test_real_photos_of_all_orientations_show_one_scene(shared: Path, series: str) -> None:
    photos = [decode(shared / "data/photos/exif" / f"{series}_{value}.jpg") for value in range(9)]
    assert {photo.size for photo in photos} == {photos[1].size}
    reference = np.asarray(photos[1], np.float32)
    differences = [np.abs(np.asarray(photo) - reference).mean() for photo in photos]
    assert max(differences) < 4


MODES = {
    "1": (Image.new("1", (2, 2), 1), (255, 255, 255)),
    "L": (Image.new("L", (2, 2), 77), (77, 77, 77)),
    "P": (Image.new("RGB", (2, 2), (10, 200, 30)).quantize(4), (10, 200, 30)),
    "LA": (Image.new("LA", (2, 2), (0, 51)), (204, 204, 204)),
    "RGBA": (Image.new("RGBA", (2, 2), (255, 0, 0, 51)), (255, 204, 204)),
    "RGBA, clear": (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), (255, 255, 255)),
    "RGBA, opaque": (Image.new("RGBA", (2, 2), (255, 0, 0, 255)), (255, 0, 0)),
    "I;16, white": (Image.fromarray(np.full((2, 2), 65535, np.uint16)), (255, 255, 255)),
    "I;16, 100": (Image.fromarray(np.full((2, 2), 100 * 257, np.uint16)), (100, 100, 100)),
    "I;16, just below 100": (Image.fromarray(np.full((2, 2), 100 * 257 - 129, np.uint16)), (99, 99, 99)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image, expected = MODES[mode]
    assert np.array_equal(pixels(encoded(image)), np.full((2, 2, 3), expected, np.uint8))


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image, transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_a_transparent_colour_is_white() -> None:
    assert pixels(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), transparency=(9, 8, 7))).tolist() == [[[255] * 3]]


def test_cmyk_jpeg() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(pixels(encoded(image, "JPEG", quality=100)).astype(int) - (255, 0, 0)).max() <= 2


def test_ycck_jpeg() -> None:
    # Adobe's YCCK holds the inks, here 55, 215 and 165, as if they were RGB, in YCbCr. Pillow writes CMYK, inverted and
    # marked as transform 0; the same numbers marked as transform 2 are YCCK.
    luma, blue, red = Image.new("RGB", (16, 16), (55, 215, 165)).convert("YCbCr").getpixel((0, 0))
    data = encoded(Image.new("CMYK", (16, 16), (255 - luma, 255 - blue, 255 - red, 0)), "JPEG", quality=100)
    adobe = data.index(b"Adobe")
    data = data[: adobe + 11] + b"\x02" + data[adobe + 12 :]
    image = decode(data)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert np.abs(np.asarray(image).astype(int) - (200, 40, 90)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, lossless=True)
    assert np.array_equal(pixels(data), np.asarray(frames[0]))


def test_first_image_of_a_phone_mpo() -> None:
    first, second = Image.fromarray(scene(16, 24)), Image.new("RGB", (16, 8))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert decode(data).size == (24, 16)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM"])
@pytest.mark.parametrize("keep", [0.01, 0.2, 0.6, 0.95])
def test_cut_images_are_refused(tmp_path: Path, kind: str, keep: float) -> None:
    data = encoded(noise(64, 64), kind)
    file = tmp_path / "cut.bin"
    file.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(
        ImageError, match=r"cut\.bin: damaged or cut short \(.*\)\. Copy or download it again"
    ) as refusal:
        decode(file)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"x\.jpg: the file is empty \(0 bytes\); expected JPEG, PNG, WebP, TIFF, AVIF or another image format"),
        (
            b"hello, I am a text",
            r"x\.jpg: not an image that can be read; expected JPEG, PNG, WebP, TIFF, AVIF or another image format",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=message):
        decode(file)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.jpg: no such file"):
        decode(tmp_path / "none.jpg")
    with pytest.raises(ImageError, match=r"a folder, not an image; litevision.find_images"):
        decode(tmp_path)
    with pytest.raises(FileMissingError, match=r"^'a\\x00b': no path \(embedded null byte\)"):
        decode("a\0b")


def animation(kind: str, **options: Any) -> bytes:
    """A file of three frames of noise."""
    first, *others = (Image.fromarray(noise(40, 30, seed)) for seed in range(3))
    return encoded(first, kind, save_all=True, append_images=others, duration=100, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("GIF", {"disposal": 2}), ("WEBP", {"lossless": True}), ("PNG", {})],
    ids=["GIF", "GIF of whole frames", "WEBP", "PNG"],
)
def test_the_frames_of_an_animation(kind: str, options: dict[str, Any]) -> None:
    data = animation(kind, **options)
    reader = Image.open(io.BytesIO(data))
    drawn = []
    for index in range(3):
        reader.seek(index)
        drawn.append(np.asarray(reader.convert("RGB")))
    assert len({frame.tobytes() for frame in drawn}) == 3
    image = open_image(data)
    assert np.array_equal([np.asarray(frame.upright_rgb()) for frame in image.frames()], drawn)
    assert np.array_equal(pixels(data), drawn[0])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_a_still_image_is_its_only_frame(kind: str) -> None:
    assert len(list(open_image(encoded(scene(8, 9), kind)).frames())) == 1


def test_the_second_image_in_a_jpeg_is_no_frame() -> None:
    first, second = (Image.fromarray(noise(16, 16, seed)) for seed in range(2))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
    assert len(list(open_image(data).frames())) == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
@pytest.mark.parametrize(("keep", "good"), [(0.4, 1), (0.5, 1), (0.7, 2), (0.98, 2)])
def test_a_cut_animation_gives_its_good_frames_and_an_error(kind: str, keep: float, good: int) -> None:
    data = animation(kind)
    whole = [np.asarray(frame.upright_rgb()) for frame in open_image(data).frames()]
    image = open_image(data[: int(len(data) * keep)])
    shown = []
    with pytest.raises(ImageError, match="damaged or cut short"):
        shown.extend(np.asarray(frame.upright_rgb()) for frame in image.frames())
    assert np.array_equal(shown, whole[:good])


# What is no file


def test_grey_and_transparent_arrays() -> None:
    rgb = noise(6, 9)
    grey = rgb[..., 0]
    for array in (grey, grey[..., None]):
        assert np.array_equal(pixels(array), np.repeat(grey[..., None], 3, axis=2))
    solid, clear = (np.dstack([rgb, np.full(rgb.shape[:2], alpha, np.uint8)]) for alpha in (255, 0))
    assert np.array_equal(pixels(solid), rgb)
    assert (pixels(clear) == 255).all()  # on white, as the transparent pixels of a file
    assert np.array_equal(pixels(solid), pixels(encoded(Image.fromarray(solid))))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((0, 4, 3), np.uint8),
            r"^an array of uint8 \(0, 4, 3\); expected uint8 of H x W, .* or H x W x 4 \(RGBA\)\.$",
        ),
        (np.zeros(4, np.uint8), r"^an array of uint8 \(4,\)"),
        (np.zeros((4, 4, 2), np.uint8), r"^an array of uint8 \(4, 4, 2\)"),
        (np.zeros((3, 8, 8), np.uint8), r" array\.transpose\(1, 2, 0\) puts the channels last\.$"),
        (np.zeros((2, 8, 8, 3), np.uint8), r" Give the images of a batch one by one\.$"),
        (
            np.zeros((4, 4, 3), np.float32),
            r"^an array of float32 .* Values in \[0, 1\] become uint8 by \(255 \* array\)",
        ),
        (np.zeros((4, 4), bool), r"^an array of bool \(4, 4\); expected uint8"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(InputShapeError, match=message):
        decode(array)


def test_a_file_object_is_read_from_where_it_stands(tmp_path: Path) -> None:
    image = noise(5, 7)
    (tmp_path / "it.png").write_bytes(b"before" + encoded(image))
    with (tmp_path / "it.png").open("rb") as file:
        file.seek(len(b"before"))
        assert np.array_equal(pixels(file), image)
        with pytest.raises(ImageError, match=r"it\.png: the file is empty \(0 bytes\)"):
            decode(file)
    with pytest.raises(ImageError, match=r"it\.png: cannot be read \(read of closed file\)\.$"):
        decode(file)
    with pytest.raises(ImageTooLargeError, match=r"^file object: 11 bytes, more than the limit of 10"):
        decode(io.BytesIO(bytes(99)), limits=Limits(max_bytes=10))


def test_a_file_opened_as_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "it.txt").write_text("text")
    with (
        (tmp_path / "it.txt").open() as file,
        pytest.raises(UsageError, match=r"it\.txt: a file that gives str; expected bytes\. Open it with mode 'rb'\.$"),
    ):
        decode(file)


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_bytes(kind: Any) -> None:
    assert np.array_equal(pixels(kind(encoded(noise(5, 7)))), noise(5, 7))


def test_an_address_is_no_file() -> None:
    with pytest.raises(
        FileMissingError, match=r"^https://example\.org/a\.jpg: an address, not a file\. Download it first\.$"
    ):
        decode("https://example.org/a.jpg")


def test_tensors_are_images_too() -> None:
    rgb = noise(5, 7)
    last = torch.from_numpy(rgb)
    first = last.permute(2, 0, 1)
    for tensor in (last, first, first / 255, (first / 255).double().requires_grad_(), (first / 255).flip(1).flip(1)):
        assert np.array_equal(pixels(tensor), rgb)
    assert np.array_equal(pixels((first / 255).to(torch.float16)), rgb)
    grey = np.repeat(rgb[..., :1], 3, axis=2)
    for tensor in (last[..., 0], first[:1], first[:1] / 255):
        assert np.array_equal(pixels(tensor), grey)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            torch.full((3, 4, 4), 1.5),
            r"^a tensor of floats from 1\.5 to 1\.5; expected \[0, 1\], before",
        ),
        (torch.full((3, 4, 4), -0.5), r"^a tensor of floats from -0\.5 to -0\.5"),
        (torch.full((3, 4, 4), float("nan")), r"^a tensor of floats from nan to nan"),
        (torch.zeros(5, 5, 3), r"^a tensor of floats \(5, 5, 3\); expected \[3, H, W\] in \[0, 1\], or uint8\.$"),
        (torch.zeros(2, 3, 4, 4), r"^a tensor of floats \(2, 3, 4, 4\)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), r"^a tensor of uint8 .* Give the images of a batch one by one\.$"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), r"^a tensor of int64 \(4, 4, 3\); expected uint8"),
    ],
)
def test_other_tensors_are_refused(tensor: torch.Tensor, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decode(tensor)


def test_other_types_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^an image of type int; expected a path, bytes, .* or a torch tensor\.$"):
        decode(3)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    ("value", "single"),
    [
        *((it, True) for it in ("a.jpg", Path("a.jpg"), b"", io.BytesIO(), Image.new("L", (1, 1)), noise(2, 2))),
        *((it, True) for it in (torch.zeros(3, 2, 2), noise(2, 2)[..., 0])),
        *((it, False) for it in (["a.jpg"], (), np.zeros((2, 4, 4, 3), np.uint8), torch.zeros(2, 3, 4, 4), None)),
    ],
)
def test_one_image_or_several(value: object, single: bool) -> None:
    assert is_single_image(value) is single


def with_size(jpeg: bytes, height: int, width: int) -> bytes:
    """The JPEG with another size in its header, and the pixels it had."""
    start = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:start] + struct.pack(">HH", height, width) + jpeg[start + 4 :]


def test_too_many_pixels_by_default() -> None:
    bomb = with_size(encoded(scene(8, 8), "JPEG"), 13378, 13378)
    for limits in (Limits(), Limits(max_pixels=10**9)):  # Pillow itself refuses more
        with pytest.raises(ImageTooLargeError, match="more than the limit of 178956970 pixels"):
            decode(bomb, limits=limits)


def test_a_big_image_within_the_limit_opens_without_a_warning() -> None:
    # 90 megapixels: Pillow warns from 89.5 on.
    image = open_image(with_size(encoded(scene(8, 8), "JPEG"), 10_000, 9_000) + bytes(200_000))  # as long as that takes
    assert image.upright_hw == (10_000, 9_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_own_limits_hold_before_decoding(tmp_path: Path, kind: str) -> None:
    data = encoded(noise(40, 50), kind)
    cut = data[: len(data) // 2]  # decoding it would say "cut short" instead
    with pytest.raises(ImageTooLargeError, match="50 x 40 = 2000 pixels: more than the limit of 1999"):
        decode(cut if kind != "WEBP" else data, limits=Limits(max_pixels=1999))
    file = tmp_path / "big"
    file.write_bytes(data)
    for source in (file, data):
        with pytest.raises(ImageTooLargeError, match=f"{len(data)} bytes, more than the limit of 100"):
            decode(source, limits=Limits(max_bytes=100))
    assert decode(file, limits=Limits(max_pixels=2000, max_bytes=len(data))).size == (50, 40)


def test_limits_hold_for_a_pillow_image() -> None:
    with pytest.raises(ImageTooLargeError, match="5 x 4 = 20 pixels"):
        decode(Image.new("RGB", (5, 4)), limits=Limits(max_pixels=19))


def test_a_callers_image_keeps_its_size() -> None:
    theirs = Image.open(io.BytesIO(encoded(scene(400, 600), "JPEG")))
    with open_image(theirs).decoding(max_shrink=8):
        pass
    assert theirs.size == (600, 400)


def test_threads_leave_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    data = stored_as(noise(20, 20), 6)
    with ThreadPoolExecutor(8) as pool:
        sizes = set(pool.map(lambda _: decode(data).size, range(200)))
    assert sizes == {(20, 20)}
    assert warnings.filters == before


def test_memory_that_runs_out_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encoded(np.zeros((9, 9, 3), np.uint8)))

    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", full)
    with pytest.raises(ImageTooLargeError, match=r"a\.png: not enough memory to decode it"):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("kind", "options", "missing"),
    [("PNG", {}, 0), ("BMP", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0), ("JPEG", {}, 0), ("JPEG", {}, 2)],
)
def test_pillow_does_not_warn_of_an_image_within_our_limits(
    monkeypatch: pytest.MonkeyPatch, kind: str, options: dict[str, Any], missing: int
) -> None:
    data = encoded(noise(40, 50), kind, **options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 50 - 1)  # half of what is refused
    monkeypatch.setattr(budget, "SMALL_BYTES", 0)  # each is opened anew, as large ones are
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(data[: len(data) - missing]).size == (50, 40)
