"""Images under way share the process's memory, large ones in turn, and whoever holds some never waits for more."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from images import encoded, noise
from litevision.errors import ImageError, ImageTooLargeError
from litevision.image import Limits, Preprocess, budget, decode, pixels, transforms
from litevision.image.budget import MemoryBudget
from litevision.image.decode import open_image, opening

WAIT_S = 30


def held_by_others(them: MemoryBudget, *sizes: int) -> tuple[Callable[[], None], list[threading.Thread]]:
    """Other threads hold these amounts until the function is called."""
    release, ready = threading.Event(), threading.Barrier(len(sizes) + 1)

    def hold(size: int) -> None:
        with them.reserve(size):
            ready.wait(WAIT_S)
            release.wait(WAIT_S)

    threads = [threading.Thread(target=hold, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    ready.wait(WAIT_S)
    return release.set, threads


def in_thread(action: Callable[[], None]) -> tuple[threading.Thread, threading.Event]:
    done = threading.Event()

    def run() -> None:
        action()
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, done


def test_what_does_not_fit_waits_until_it_does() -> None:
    them = MemoryBudget(100, small_bytes=10)
    release, holders = held_by_others(them, 60)
    seen: list[int] = []

    def ask() -> None:
        with them.reserve(50):
            seen.append(them.held_bytes)

    thread, done = in_thread(ask)
    assert not done.wait(0.05)
    release()
    assert done.wait(WAIT_S)
    for one in (thread, *holders):
        one.join(WAIT_S)
    assert seen == [50]
    assert them.held_bytes == 0


def test_what_is_larger_than_the_budget_is_let_in_alone() -> None:
    them, most, lock = MemoryBudget(100, small_bytes=10), [0, 0], threading.Lock()

    def ask(size: int) -> None:
        with them.reserve(size):
            with lock:
                most[0] += size > 100
                most[1] = max(most)
            threading.Event().wait(0.001)
            with lock:
                most[0] -= size > 100

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, [300, 20, 5] * 20))
    assert most == [0, 1]
    assert them.held_bytes == 0


def test_a_thread_that_holds_some_never_waits() -> None:
    them = MemoryBudget(100, small_bytes=10)
    both = threading.Barrier(2)

    def ask() -> None:
        with them.reserve(50):
            both.wait(WAIT_S)  # each holds half, and wants more
            with them.reserve(80):
                both.wait(WAIT_S)

    threads = [in_thread(ask) for _ in range(2)]
    assert all(done.wait(WAIT_S) for _, done in threads)
    assert them.held_bytes == 0


def test_small_ones_go_past_a_large_one_that_waits() -> None:
    them = MemoryBudget(100, small_bytes=10)
    release, holders = held_by_others(them, 60)

    def ask(size: int) -> None:
        with them.reserve(size):
            pass

    large, large_done = in_thread(lambda: ask(90))
    small, small_done = in_thread(lambda: ask(10))
    assert small_done.wait(WAIT_S)
    assert not large_done.is_set()
    release()
    assert large_done.wait(WAIT_S)
    for one in (large, small, *holders):
        one.join(WAIT_S)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> MemoryBudget:
    ours = MemoryBudget(2**30)
    monkeypatch.setattr(budget, "PIXELS", ours)
    return ours


def test_whatever_happens_is_given_back(counted: MemoryBudget, tmp_path: Path) -> None:
    preprocess = Preprocess((8, 8), 8)
    good, bad = encoded(noise(40, 40)), encoded(noise(40, 40))[:2000]
    preprocess(good)
    decode(good)
    for action in (preprocess, decode):
        with pytest.raises(ImageError):
            action(bad)
    frames = open_image(
        encoded(Image.new("L", (9, 9)), "GIF", save_all=True, append_images=[Image.new("L", (9, 9), 9)])
    )
    walk = frames.frames()
    preprocess(next(walk))
    walk.close()
    kept = decode(good)
    assert kept.size == (40, 40)
    assert counted.held_bytes == budget.FILE_BYTES.held_bytes == 0


def test_an_image_is_held_while_its_pixels_are(counted: MemoryBudget, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(noise(50, 40)))
    with opening(tmp_path / "a.png") as image:
        assert budget.FILE_BYTES.held_bytes == (tmp_path / "a.png").stat().st_size
        assert counted.held_bytes == 0
        with image.upright():
            assert counted.held_bytes >= 50 * 40 * 4
    assert counted.held_bytes == budget.FILE_BYTES.held_bytes == 0


def test_what_one_image_may_take_is_limited() -> None:
    image = Image.new("RGB", (200, 100))
    limits = Limits(max_decoded_bytes=100_000)
    preprocess = Preprocess((8, 8), 8)
    assert preprocess(encoded(image), limits=limits).shape == (8, 8, 3)
    for kind in ("WEBP", "JPEG2000", "AVIF"):
        with pytest.raises(
            ImageTooLargeError, match=r"200 x 100 pixels need 0 MB of memory as .*, more than the limit"
        ):
            preprocess(encoded(image, kind), limits=limits)


def test_a_tiny_file_of_many_pixels_is_refused_by_its_memory(shared: Path) -> None:
    with pytest.raises(ImageTooLargeError, match=r"16383 x 10900 pixels need [23],\d{3} MB of memory as WebP"):
        decode(shared / "cases/security/webp_34_bytes_178_Mpx.webp")


def test_rows_cost_memory_too() -> None:
    with pytest.raises(ImageTooLargeError, match=r"1 x 170000000 pixels need .* of memory as PNG"):
        Preprocess((8, 8), 8)(png_of_one_column(170_000_000))


def png_of_one_column(height: int) -> bytes:
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 1, height, 8, 0, 0, 0, 0)
    whole = encoded(Image.new("L", (1, 1)))
    return whole[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


def test_a_progressive_jpeg_counts_its_coefficients(counted: MemoryBudget) -> None:
    seen = {}
    for name, options in {"baseline": {}, "progressive": {"progressive": True}}.items():
        image = open_image(encoded(noise(800, 800), "JPEG", subsampling=0, **options))
        with image.decoding(max_shrink=8):
            seen[name] = counted.held_bytes
    assert seen["progressive"] - seen["baseline"] == 800 * 800 * 3 * 2


MODES = ["L", "LA", "P", "RGBA", "I;16", "1", "CMYK", "transparent P", "transparent L"]


def in_mode(mode: str) -> Image.Image:
    image = Image.fromarray(noise(90, 70))
    if mode == "I;16":
        return Image.fromarray(noise(90, 70)[..., 0].astype(np.uint16) * 251)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(noise(90, 70, 3)[..., 0]))
        return image
    image = image.convert(mode.removeprefix("transparent "))
    if mode.startswith("transparent"):
        image.info["transparency"] = 7
    return image


@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("mode", MODES)
def test_strips_give_the_pixels_of_the_whole(mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = in_mode(mode)
    image.getexif()[0x0112] = orientation
    for recipe in (Preprocess((32, 32), 40), Preprocess((50, 60), 1, "letterbox", "bicubic"), Preprocess((9, 9), 9)):
        whole, upright = recipe(image), np.asarray(decode(image))
        with monkeypatch.context() as patch:
            patch.setattr(pixels, "STRIP_PIXELS", 500)
            patch.setattr(transforms, "STRIP_PIXELS", 500)
            assert np.array_equal(recipe(image), whole)
            assert np.array_equal(np.asarray(decode(image)), upright)
