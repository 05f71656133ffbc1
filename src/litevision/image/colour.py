"""Any Pillow mode to 8-bit RGB."""

import numpy as np
from PIL import Image

from litevision.errors import ImageError


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB: 16 bits are scaled to 8 (65535 becomes 255), transparency is laid on white.

    Raises:
        ImageError: the mode holds floats, whose range nobody knows.
    """
    if image.mode == "F":
        raise ImageError("an image of floats (mode F) has no known range. Scale it to 8 bits first.")
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255, which makes nearly every 16-bit image white.
        grey_u16 = np.asarray(image).astype(np.uint32).clip(0, 65535)
        return Image.fromarray(((grey_u16 + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
