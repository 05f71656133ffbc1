"""Colour profiles: pixels in the colours of a file's ICC profile become sRGB.

Networks have learnt from sRGB images, and so do screens show what is drawn. An image without a profile is taken as
sRGB, and so is one whose profile is damaged or does not fit its mode. ``gAMA``, ``cHRM`` and ``cICP`` of PNG and the
primaries that AVIF and HEIC state without a profile are not applied.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from PIL import Image

Convert = Callable[[Image.Image], Image.Image]
"""From the profile's mode (L, RGB, CMYK or LAB) to RGB."""

_SPACES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}
MOST_PROFILE_BYTES = 8_000_000  # printers' profiles have 2 MB
_MOST_KEPT = 32
_SAME_LEVELS = 2  # of 255: the many profiles of sRGB differ by this in rounding
_STEPS = (0, 32, 64, 96, 128, 160, 192, 224, 255)

_lock = threading.Lock()
_kept: "OrderedDict[bytes, tuple[str, Convert] | None]" = OrderedDict()


def profile_of(image: Image.Image) -> bytes | None:
    """Return the ICC profile that stands in the image's file."""
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile else None


def to_srgb(profile: bytes) -> tuple[str, Convert] | None:
    """Find how pixels of a profile become sRGB; None where they are to stay as they are.

    Returns:
        The mode of the pixels that it takes (L, RGB or CMYK), and the conversion, which threads may share.
    """
    from hashlib import sha256

    key = sha256(profile).digest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    try:
        found = _made(profile) if len(profile) <= MOST_PROFILE_BYTES else None
    except Exception:  # littlecms' own errors, and what Pillow makes of strange profiles: the pixels are fine
        found = None
    with _lock:
        _kept[key] = found
        if len(_kept) > _MOST_KEPT:
            _kept.popitem(last=False)
    return found


@functools.cache
def lab_to_srgb() -> Convert:
    """Return how CIE Lab pixels, as TIFF and PSD hold them, become sRGB."""
    from PIL import ImageCms

    return _transform(ImageCms.createProfile("LAB"), "LAB")


def _made(profile: bytes) -> tuple[str, Convert] | None:
    import io

    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = _SPACES.get(source.profile.xcolor_space.strip())
    if mode is None or source.profile.device_class.strip() in ("link", "abst", "nmcl"):
        return None
    convert = _transform(source, mode)
    if mode in ("L", "RGB"):
        probe = _probe(mode)
        pairs = zip(convert(probe).tobytes(), probe.convert("RGB").tobytes(), strict=True)
        if max(abs(a - b) for a, b in pairs) <= _SAME_LEVELS:
            return None
    return mode, convert


def _transform(source: Any, mode: str) -> Convert:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.PERCEPTUAL,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # a new image, since it was not to be changed in place
        return converted

    return convert


def _probe(mode: str) -> Image.Image:
    """An image of colours from everywhere in the mode's space."""
    if mode == "L":
        return Image.frombytes("L", (256, 1), bytes(range(256)))
    colours = bytes(value for red in _STEPS for green in _STEPS for blue in _STEPS for value in (red, green, blue))
    return Image.frombytes("RGB", (len(colours) // 3, 1), colours)
