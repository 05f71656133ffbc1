"""Colours of a profile become sRGB wherever pixels become RGB; without a profile, or with sRGB's, no bit changes."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageCms

from images import encoded, noise, scene
from litevision.image import Preprocess, colour, decode
from litevision.image.colour import to_srgb

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def table() -> ModuleType:
    import importlib.util

    path = Path(__file__).parents[3] / "tools/colour_table.py"
    spec = importlib.util.spec_from_file_location("colour_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def profiles(table: ModuleType) -> dict[str, bytes]:
    return {name: table.matrix_profile(*space) for name, space in table.SPACES.items()}


def in_space(image: Image.Image, profile: bytes) -> Image.Image:
    moved = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(profile)), outputMode="RGB"
    )
    assert moved is not None
    return moved


def off(source: object, image: np.ndarray) -> float:
    return float(np.abs(np.asarray(decode(source)).astype(int) - image).mean())


@pytest.mark.parametrize("name", ["Display P3", "Adobe RGB", "ProPhoto"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_colours_of_a_profile_become_srgb(profiles: dict[str, bytes], name: str, kind: str) -> None:
    soft = (0.25 * scene(60, 80) + 90).astype(np.uint8)  # in every gamut
    moved = in_space(Image.fromarray(soft), profiles[name])
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}, "AVIF": {"quality": 98}}
    data = encoded(moved, kind, icc_profile=profiles[name], **options.get(kind, {}))
    assert off(data, soft) < 1.5
    assert float(np.abs(np.asarray(moved).astype(int) - soft).mean()) > 2


def test_training_and_inference_see_the_same_colours(profiles: dict[str, bytes]) -> None:
    image = noise(50, 60)
    data = encoded(image, icc_profile=profiles["Adobe RGB"])
    recipe = Preprocess((32, 32), 40)
    assert np.array_equal(recipe(data), recipe(decode(data)))
    assert not np.array_equal(recipe(data), recipe(image))


@pytest.mark.parametrize(
    "profile",
    [SRGB, b"no profile", SRGB[:200], SRGB[:40] + bytes(len(SRGB) - 40), bytes(9_000_000)],
    ids=["sRGB", "text", "cut", "zeros", "huge"],
)
def test_srgb_and_damaged_profiles_change_no_bit(profile: bytes) -> None:
    image = noise(20, 30)
    assert np.array_equal(np.asarray(decode(encoded(image, "TIFF", icc_profile=profile))), image)
    assert to_srgb(profile) is None


def test_a_profile_that_does_not_fit_the_mode_is_ignored(profiles: dict[str, bytes]) -> None:
    ink = Image.fromarray(noise(20, 30)).convert("CMYK")
    plain = encoded(ink, "TIFF")
    assert np.array_equal(decode(encoded(ink, "TIFF", icc_profile=profiles["ProPhoto"])), decode(plain))


def test_transparency_and_palettes_keep_their_profile(profiles: dict[str, bytes]) -> None:
    profile = profiles["Display P3"]
    flat = Image.new("RGB", (4, 4), (200, 40, 60))
    expected = np.asarray(decode(encoded(flat, icc_profile=profile)))[0, 0]
    assert not np.array_equal(expected, (200, 40, 60))
    for image in (flat.convert("RGBA"), flat.quantize(2)):
        assert np.array_equal(np.asarray(decode(encoded(image, icc_profile=profile)))[0, 0], expected)
    clear = flat.convert("RGBA")
    clear.putalpha(0)
    assert np.asarray(decode(encoded(clear, icc_profile=profile))).min() == 255


def test_grey_takes_the_curve_of_its_profile(profiles: dict[str, bytes]) -> None:
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    shown = np.asarray(decode(encoded(grey, icc_profile=profiles["ProPhoto"])))
    assert shown[8, 0, 0] > 135  # gamma 1.8 is lighter
    assert np.abs(shown.astype(int) - shown[..., :1]).max() <= 1


def test_lab_becomes_srgb() -> None:
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (8, 8), (200, 40, 60)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    assert np.abs(np.asarray(decode(encoded(lab, "TIFF"))).astype(int) - (200, 40, 60)).max() <= 4


def test_threads_share_a_conversion(profiles: dict[str, bytes]) -> None:
    data = encoded(noise(120, 90), icc_profile=profiles["Adobe RGB"])
    expected = np.asarray(decode(data))
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda _: np.array_equal(np.asarray(decode(data)), expected), range(40)))
    assert all(shown)


def test_few_conversions_are_kept(table: ModuleType) -> None:
    *primaries, _ = table.SPACES["Adobe RGB"]
    for number in range(40):
        assert to_srgb(table.matrix_profile(*primaries, 1.5 + number / 100)) is not None
    assert len(colour._kept) <= 32


def test_an_image_without_a_profile_needs_no_colour_management(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(scene(9, 9), "JPEG"))
    program = (
        "import sys\nfrom litevision.image import decode\ndecode(sys.argv[1])\nprint('PIL.ImageCms' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.jpg"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_found_photo_shows_what_its_srgb_copy_shows(shared: Path) -> None:
    folder = shared / "cases/pictures"
    same = np.asarray(decode(folder / "adobergb_same_in_srgb.jpg"))
    assert off(folder / "adobergb.jpg", same) < 2
