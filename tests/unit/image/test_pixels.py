"""How stored images are turned upright, and boxes with them."""

import io

import pytest
from PIL import ExifTags, Image

from litevision.image.pixels import read_orientation


@pytest.mark.parametrize("value", range(1, 9))
def test_a_box_is_turned_with_its_image_and_back(value: int) -> None:
    stored = Image.new("L", (7, 5))
    box = (1, 0, 4, 2)  # of the stored image, x1 y1 x2 y2
    stored.paste(255, box)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    orientation = read_orientation(Image.open(file))
    upright = orientation.upright(stored)
    turned = orientation.upright_box(box, upright.size)
    assert turned == upright.getbbox()
    assert orientation.stored_box(upright.getbbox(), upright.size) == box
