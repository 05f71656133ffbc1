import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance

from labelled import blobs
from litevision.data.check import similar
from litevision.data.check.similar import alike, candidates, signatures
from litevision.image import Preprocess

Images = npt.NDArray[np.uint8]


def small(images: list[Image.Image], side: int) -> Images:
    preprocess = Preprocess((side, side), side, "stretch", "bilinear")
    return np.stack([preprocess(image) for image in images])


def photo(seed: int) -> Image.Image:
    return Image.fromarray(blobs(seed, 300, 400))


def recoloured(image: Image.Image) -> Image.Image:
    """The same shapes and the same grey in another colour: a product that is sold in two."""
    hsv = np.array(image.convert("HSV"))
    hsv[..., 0] += 100
    return Image.fromarray(hsv, "HSV").convert("RGB")


CHANGES = {
    "smaller": lambda image: image.resize((133, 100)),
    "squeezed": lambda image: image.resize((300, 300)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "an edge of 1 % cut off": lambda image: image.crop((4, 3, 396, 297)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_is_its_near_copy(change: str) -> None:
    images = [photo(seed) for seed in range(20)]
    images += [CHANGES[change](image) for image in images]
    pairs = candidates(signatures(small(images, 16)))
    assert {(later, earlier) for later, earlier in pairs.tolist()} == {(i + 20, i) for i in range(20)}
    close = small(images, 64)
    assert alike(close[20:], close[:20]).all()


def test_other_images_are_not_alike() -> None:
    close = small([photo(seed) for seed in range(60)], 64)
    assert not alike(close[:-1], close[1:]).any()


def test_the_same_in_another_colour_is_not_alike() -> None:
    close = small([photo(1), recoloured(photo(1))], 64)
    assert not alike(close[:1], close[1:]).any()


def test_mirrored_and_turned_images_are_not_looked_for() -> None:
    images = [photo(1), photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    assert len(candidates(signatures(small(images, 16)))) == 0


def test_images_with_hardly_an_edge_are_like_none() -> None:
    flat = np.full((3, 16, 16, 3), 255, np.uint8)
    flat[:, 8, 8] = 0
    assert len(candidates(signatures(flat))) == 0
    assert len(candidates(signatures(flat[:0]))) == 0


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = signatures(small([photo(seed % 40) for seed in range(130)], 16))
    whole = candidates(signs)
    monkeypatch.setattr(similar, "_ROWS", 7)
    monkeypatch.setattr(similar, "_COLUMNS", 13)
    assert candidates(signs).tolist() == whole.tolist()
    assert {(later % 40, earlier % 40) for later, earlier in whole.tolist()} == {(i, i) for i in range(40)}
    assert len(whole) == 40 + 2 * 40 + 3 * 10  # all pairs of each photo


def test_one_image_has_eight_candidates_at_most_the_likest_first() -> None:
    rng = np.random.default_rng(0)
    base = small([photo(0)], 16)[0].astype(int)
    noisy = np.stack([np.clip(base + rng.integers(-level, level + 1, base.shape), 0, 255) for level in range(1, 13)])
    signs = signatures(np.concatenate([noisy, base[None]]).astype(np.uint8))
    mine = [earlier for later, earlier in candidates(signs).tolist() if later == 12]
    assert len(mine) == 8
    unit = signs / np.linalg.norm(signs, axis=1, keepdims=True)
    assert mine == np.argsort(-(unit[:12] @ unit[12]), kind="stable")[:8].tolist()
