"""Photos for the benchmarks: parts of real ones, of any size, in files as large as a camera's."""

import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.image import decode, find_images
from litevision.runtime.cpus import available_cpus

ELEPHANT = Path(__file__).parents[1] / "examples/elephant.jpg"

_JPEG_QUALITY = 90
_MIN_BYTES_PER_PIXEL = 0.27  # a camera's 12 megapixels take 3 to 5 MB, a web photo of 500x375 40 to 60 kB
_SIGMAS = (0, 1, 2, 3, 4, 6, 8, 12)  # of the noise, of 255

Noise = npt.NDArray[np.float32]


def make_images(folder: Path, count: int, size_wh: tuple[int, int], sources: Sequence[Path]) -> str:
    """Writes ``count`` JPEG photos of one size, and says what they are: parts of ``sources``, each another one.

    An enlarged photo is smoother than a camera's, so it gets as much noise as gives its file a usual size.
    """
    folder.mkdir(parents=True)
    originals = [decode(path) for path in sources]
    noise = np.random.default_rng(0).standard_normal((size_wh[1] + 64, size_wh[0] + 64), np.float32)
    print(f"making {count} images of {size_wh[0]}x{size_wh[1]}", file=sys.stderr)

    def make(number: int) -> int:
        rng, which = np.random.default_rng(number), number % len(originals)
        path = folder / f"{number:05}.jpg"
        image = _noisy(_part(originals[which], size_wh, rng), sigmas[which], noise, rng)
        image.save(path, quality=_JPEG_QUALITY)
        return path.stat().st_size

    with ThreadPoolExecutor(available_cpus()) as pool:
        sigmas = list(pool.map(lambda original: _sigma(original, size_wh, noise), originals))
        mean_bytes = sum(pool.map(make, range(count))) / count
    size = f"{mean_bytes / 1e6:.1f} MB" if mean_bytes > 1e6 else f"{mean_bytes / 1e3:.0f} kB"
    return f"{count} JPEG photos of {size_wh[0]}x{size_wh[1]}, {size} each, from {len(sources)} originals"


def sources(folder: Path | None) -> list[Path]:
    """The photos that images are made of."""
    return [ELEPHANT, *(find_images(folder) if folder else [])]


def _part(original: Image.Image, size_wh: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A part of ``original``, 80 to 100 % of the largest of this shape, as large as asked for, maybe mirrored."""
    scale = min(original.width / size_wh[0], original.height / size_wh[1]) * rng.uniform(0.8, 1)
    width, height = size_wh[0] * scale, size_wh[1] * scale
    left, top = rng.uniform(0, original.width - width), rng.uniform(0, original.height - height)
    part = original.resize(size_wh, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def _noisy(image: Image.Image, sigma: float, noise: Noise, rng: np.random.Generator) -> Image.Image:
    x, y = rng.integers(0, 64, 2)
    grain = np.rint(sigma * noise[y : y + image.height, x : x + image.width]).astype(np.int16)
    return Image.fromarray(np.clip(np.asarray(image) + grain[..., None], 0, 255).astype(np.uint8))


def _sigma(original: Image.Image, size_wh: tuple[int, int], noise: Noise) -> float:
    """The least noise that gives a part of ``original`` the file size of a camera's image."""
    image = _part(original, size_wh, np.random.default_rng(0))
    for sigma in _SIGMAS:
        with tempfile.TemporaryFile() as stream:
            _noisy(image, sigma, noise, np.random.default_rng(0)).save(stream, "JPEG", quality=_JPEG_QUALITY)
            if stream.tell() >= _MIN_BYTES_PER_PIXEL * size_wh[0] * size_wh[1]:
                return sigma
    return _SIGMAS[-1]
