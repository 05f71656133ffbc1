"""The report's images, each as a data URI."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from litevision.data.outside import DataFolder
from litevision.errors import LitevisionError
from litevision.image import Preprocess
from litevision.image.decode import open_image

if TYPE_CHECKING:
    from litevision.training.plan import Plan

THUMBNAIL_PX = 192
_FIT = Preprocess((THUMBNAIL_PX, THUMBNAIL_PX), THUMBNAIL_PX, "letterbox")
_JPEG_QUALITY = 80


def shown_images(plan: "Plan[Any, Any]") -> Callable[[Path], bool]:
    """Which images a report shows: it is sent on, so that those outside the data's folder stay out of it."""
    if plan.recipe.run.show_outside:
        return lambda path: True
    folder = DataFolder(plan.data.root)
    return lambda path: folder.place_outside(path) is None


def thumbnail(path: Path) -> tuple[str, ...]:
    """The image of a file, reduced; nothing where it cannot be read any more."""
    try:
        image = open_image(path)
        x1, y1, x2, y2 = _FIT.geometry(image.upright_hw).target_xyxy
        return (pixels_uri(_FIT(image)[y1:y2, x1:x2]),)
    except LitevisionError:  # it was there when it was scored
        return ()


def pixels_uri(image_u8_hwc: npt.NDArray[np.uint8]) -> str:
    """Pixels, ``uint8[H, W, 3]``, reduced."""
    image = Image.fromarray(np.ascontiguousarray(image_u8_hwc))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return data_uri(image)


def data_uri(image: Image.Image) -> str:
    """The image as a JPEG file inside a URI."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
