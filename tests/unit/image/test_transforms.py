from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from images import STORED_BY, encoded, noise, scene, stored_as
from litevision.errors import ImageError, UnknownNameError, UsageError
from litevision.image import Crop, Interpolation, Preprocess, decode
from litevision.image.decode import open_image

IMAGENET = Preprocess((224, 224), 256, "center", "bilinear")


def plain(image: Image.Image, recipe: Preprocess) -> npt.NDArray[np.uint8]:
    """Resize the whole, rows first, then pad and cut as torchvision does."""
    width, height = image.size
    short, long = min(image.size), max(image.size)
    resized_long = int(recipe.resize_px * long / short)
    new_width, new_height = (recipe.resize_px, resized_long) if width <= height else (resized_long, recipe.resize_px)
    filter_ = Image.Resampling[recipe.interpolation.upper()]
    resized = image.resize((new_width, height), filter_).resize((new_width, new_height), filter_)
    array = np.asarray(resized)
    pads, cuts = [], []
    for have, want in zip(array.shape[:2], recipe.size_hw, strict=True):
        lack = max(0, want - have)
        pads.append((lack // 2, (lack + 1) // 2))
        start = int(round((have + lack - want) / 2.0))  # noqa: RUF046 - as torchvision writes it
        cuts.append(slice(start, start + want))
    return np.pad(array, [*pads, (0, 0)])[cuts[0], cuts[1]]


def largest_difference(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


@given(
    short=st.integers(1, 300),
    ratio=st.floats(1, 2.5),
    portrait=st.booleans(),
    size_hw=st.tuples(st.integers(40, 110), st.integers(40, 110)),
    resize_px=st.integers(70, 120),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
)
@settings(max_examples=150)
def test_center_is_the_plain_recipe_in_noise(
    short: int, ratio: float, portrait: bool, size_hw: tuple[int, int], resize_px: int, interpolation: Interpolation
) -> None:
    long = int(short * ratio)
    image = noise(long, short) if portrait else noise(short, long)
    recipe = Preprocess(size_hw, resize_px, "center", interpolation)
    assert largest_difference(recipe(image), plain(Image.fromarray(image), recipe)) <= 1


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size_hw", [(1200, 900), (900, 1200), (2000, 500), (500, 2000), (1000, 1000), (257, 256)])
def test_center_of_large_images_is_the_plain_recipe(size_hw: tuple[int, int], interpolation: Interpolation) -> None:
    recipe = Preprocess((224, 224), 256, "center", interpolation)
    assert largest_difference(recipe(noise(*size_hw)), plain(Image.fromarray(noise(*size_hw)), recipe)) <= 1


@pytest.mark.parity
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_center_is_torchvision_on_real_photos(shared: Path, interpolation: Interpolation) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    recipe = Preprocess((224, 224), 232, "center", interpolation)
    mode = transforms.InterpolationMode(interpolation)
    original = transforms.Compose([transforms.Resize(232, mode, antialias=True), transforms.CenterCrop(224)])
    photos = sorted((shared / "data/photos").glob("*.[jb][pm][gp]"))
    assert len(photos) >= 10
    for photo in photos:
        whole = decode(photo)
        if max(whole.size) > 2 * min(whole.size):  # Pillow 13 resizes columns first there
            continue
        assert largest_difference(recipe(whole), np.asarray(original(whole))) <= 1, photo.name


def test_the_reference_elephant(shared: Path) -> None:
    expected = np.asarray(Image.open(shared / "weights/reference/elephant_224.png"))
    assert largest_difference(IMAGENET(shared / "data/photos/elephant.jpg"), expected) <= 1


def test_rounding_is_torchvisions() -> None:
    # int(256 * 500 / 375) = 341 columns; the crop starts at round(58.5) = 58, half to even, and at row 16.
    place = IMAGENET.geometry((375, 500))
    assert place.target_xyxy == (0, 0, 224, 224)
    assert place.source_xyxy == pytest.approx((58 * 500 / 341, 16 * 375 / 256, 282 * 500 / 341, 240 * 375 / 256))


def test_a_larger_crop_is_padded_with_black() -> None:
    recipe = Preprocess((12, 15), 8, "center", "bilinear")
    output = recipe(np.full((8, 8, 3), 200, np.uint8))
    inside = np.zeros((12, 15), bool)
    inside[2:10, 3:11] = True  # 7 columns are lacking: 3 before, 4 behind
    assert (output[inside] == 200).all()
    assert (output[~inside] == 0).all()


def test_stretch_takes_the_whole_image() -> None:
    image = noise(30, 50)
    output = Preprocess((20, 10), 1, "stretch", "bilinear")(image)
    expected = Image.fromarray(image).resize((10, 20), Image.Resampling.BILINEAR)
    assert largest_difference(output, np.asarray(expected)) <= 1
    assert Preprocess((20, 10), 1, "stretch").geometry((30, 50)).source_xyxy == (0, 0, 50, 30)


def test_letterbox_fits_inside_and_pads_with_grey() -> None:
    recipe = Preprocess((64, 64), 1, "letterbox", "bilinear")
    output = recipe(np.full((50, 100, 3), 200, np.uint8))
    assert recipe.geometry((50, 100)).target_xyxy == (0, 16, 64, 48)
    assert (output[16:48] == 200).all()
    assert (output[:16] == 114).all()
    assert (output[48:] == 114).all()


def test_letterbox_pads_with_the_grey_that_it_is_told() -> None:
    recipe = Preprocess((64, 64), 1, "letterbox", "bilinear", pad_value=0).with_resize(interpolation="bicubic")
    assert (recipe(np.full((50, 100, 3), 200, np.uint8))[:16] == 0).all()
    with pytest.raises(UsageError, match="pad_value is 256; expected a grey of 0 to 255"):
        Preprocess((64, 64), 1, "letterbox", pad_value=256)


@given(
    image_hw=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    size_hw=st.tuples(st.integers(1, 640), st.integers(1, 640)),
    resize_px=st.integers(1, 640),
    crop=st.sampled_from(["center", "stretch", "letterbox"]),
)
def test_placement_stays_inside_both_images(
    image_hw: tuple[int, int], size_hw: tuple[int, int], resize_px: int, crop: Crop
) -> None:
    place = Preprocess(size_hw, resize_px, crop).geometry(image_hw)
    for box, (height, width) in ((place.source_xyxy, image_hw), (place.target_xyxy, size_hw)):
        x1, y1, x2, y2 = box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


@pytest.mark.parametrize("orientation", STORED_BY)
@pytest.mark.parametrize("crop", ["center", "stretch", "letterbox"])
@pytest.mark.parametrize("upright_hw", [(63, 110), (211, 90)])
def test_orientation_comes_before_the_geometry(orientation: int, crop: Crop, upright_hw: tuple[int, int]) -> None:
    recipe = Preprocess((31, 44), 37, crop, "bicubic")  # 37 - 31 is even, the rest is odd: a wrong turn shows
    upright = noise(*upright_hw)
    assert largest_difference(recipe(stored_as(upright, orientation)), recipe(upright)) <= 1


@pytest.mark.parametrize("orientation", STORED_BY)
def test_reduced_jpegs_of_all_orientations(orientation: int) -> None:
    upright = scene(1201, 1603)
    recipe = Preprocess((96, 128), 110)
    output = recipe(stored_as(upright, orientation, "JPEG", quality=97))
    assert np.abs(output.astype(int) - recipe(upright)).mean() < 1
    assert largest_difference(output, recipe(upright)) <= 6


def test_real_photos_of_all_orientations_give_one_input(shared: Path) -> None:
    for series in ("Landscape", "Portrait"):
        folder = shared / "data/photos/exif"
        inputs = [IMAGENET(folder / f"{series}_{value}.jpg").astype(int) for value in range(9)]
        assert max(np.abs(each - inputs[1]).mean() for each in inputs) < 4


@pytest.mark.parametrize(
    ("max_shrink", "size_wh"), [(1.99, (801, 601)), (2, (401, 301)), (7.9, (201, 151)), (8, (101, 76)), (99, (101, 76))]
)
def test_jpegs_are_decoded_at_reduced_size(max_shrink: float, size_wh: tuple[int, int]) -> None:
    with open_image(encoded(scene(601, 801), "JPEG")).decoding(max_shrink=max_shrink) as (pixels, ratio_xy):
        stored = pixels.whole()
    assert stored.size == size_wh
    assert ratio_xy[0] == pytest.approx(ratio_xy[1])
    assert round(1 / ratio_xy[0]) == round(801 / size_wh[0])


def test_reduction_leaves_two_pixels_to_each_of_the_output() -> None:
    noisy = np.clip(scene(1199, 1600).astype(int) + noise(1199, 1600) // 8, 0, 255).astype(np.uint8)
    data = encoded(noisy, "JPEG", quality=95)
    reduced, whole = IMAGENET(data), IMAGENET(decode(data))
    assert largest_difference(reduced, whole) > 0  # 4.7 pixels to one: half size it is
    assert np.abs(reduced.astype(int) - whole).mean() < 0.5
    small = encoded(noisy[:1020, :1360], "JPEG", quality=95)  # 3.98 to one: no reduction
    assert np.array_equal(IMAGENET(small), IMAGENET(decode(small)))


def test_a_reduced_real_photo_changes_little(shared: Path) -> None:
    photo = shared / "data/photos/kite_and_cold.jpg"
    recipe = Preprocess((96, 96), 110)
    assert np.abs(recipe(photo).astype(int) - recipe(decode(photo))).mean() < 0.5


@pytest.mark.parametrize("size_hw", [(1, 30_000), (30_000, 1), (1, 1)])
def test_extreme_shapes_cost_no_more_than_their_crop(size_hw: tuple[int, int]) -> None:
    output = IMAGENET(np.full((*size_hw, 3), 90, np.uint8))
    assert (output == 90).all()


def test_output_may_be_written_to() -> None:
    output = IMAGENET(noise(300, 300))
    output[0, 0] = 1
    assert output.flags.c_contiguous


def test_batch_is_the_images_in_order() -> None:
    images = [noise(20, 30, seed) for seed in range(3)]
    recipe = Preprocess((8, 8), 9)
    assert np.array_equal(recipe.batch(images), np.stack([recipe(image) for image in images]))
    assert recipe.batch([]).shape == (0, 8, 8, 3)


def test_impossible_recipes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"size_hw is \(0, 4\)"):
        Preprocess((0, 4), 4)
    with pytest.raises(UsageError, match="resize_px is 0"):
        Preprocess((4, 4), 0)
    with pytest.raises(UnknownNameError, match=r"no crop 'centre'\. Did you mean 'center'"):
        Preprocess((4, 4), 4, "centre")
    with pytest.raises(UnknownNameError, match="no interpolation 'lanczos'"):
        Preprocess((4, 4), 4, "center", "lanczos")


def test_a_cut_jpeg_is_refused_at_reduced_size_too(tmp_path: Path) -> None:
    data = encoded(noise(900, 900), "JPEG")
    file = tmp_path / "cut.jpg"
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg: damaged or cut short"):
        Preprocess((32, 32), 36)(file)
