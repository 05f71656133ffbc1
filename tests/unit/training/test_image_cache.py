"""The bounded cache of decoded images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litevision.image import decode
from litevision.training.image_cache import ImageCache, read_reduced

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


class Reader:
    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> Pixels:
        self.read.append(path.name)
        return np.full((10, 10, 3), int(path.name), np.uint8)


def _store(folder: Path, reader: Reader, limit_bytes: int) -> ImageCache:
    return ImageCache(folder, [Path(str(number)) for number in range(4)], reader, limit_bytes)


def test_a_image_is_read_once(tmp_path: Path) -> None:
    reader = Reader()
    store = _store(tmp_path / "c", reader, 10_000)
    for _ in range(3):
        assert [int(store(index).mean()) for index in range(4)] == [0, 1, 2, 3]
    assert reader.read == ["0", "1", "2", "3"]


def test_what_passes_the_limit_is_read_anew(tmp_path: Path) -> None:
    reader = Reader()
    store = _store(tmp_path / "c", reader, 650)  # two images of 300 bytes
    for _ in range(2):
        assert [int(store(index).mean()) for index in range(4)] == [0, 1, 2, 3]
    assert reader.read == ["0", "1", "2", "3", "2", "3"]
    assert len(list((tmp_path / "c").iterdir())) == 2


def test_what_is_there_already_is_neither_read_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    with pytest.raises(FileExistsError):
        _store(tmp_path / "c", Reader(), 10_000)


def test_a_full_disk_costs_speed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    reader = Reader()
    store = _store(tmp_path / "c", reader, 10_000)
    assert [int(store(index).mean()) for index in (1, 1, 2)] == [1, 1, 2]
    assert list((tmp_path / "c").iterdir()) == []


def test_images_are_reduced_and_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 300))
    image.paste((255, 0, 0), (0, 0, 200, 300))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    found = read_reduced(tmp_path / "a.jpg", 150)
    assert found.shape == (200, 150, 3)
    whole = np.asarray(decode(tmp_path / "a.jpg").resize((150, 200), Image.Resampling.BILINEAR), int)
    assert np.abs(found.astype(int) - whole).mean() < 1


def test_a_small_image_stays_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_reduced(tmp_path / "a.png", 100), pixels)
