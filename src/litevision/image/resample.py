"""Resizing a part of an image to the very pixels that resizing the whole and cutting the part out would give."""

from PIL import Image

from litevision.image.orientation import BoxXyxy

_MAX_WHOLE_PIXELS = 2**20  # 16 times a usual input, and 3 MB


def resize_part(
    image: Image.Image, box_xyxy: BoxXyxy, size_wh: tuple[int, int], filter_: Image.Resampling, *, rows_first: bool
) -> Image.Image:
    """The part of ``image`` inside ``box_xyxy``, resized to ``size_wh``; pixels around the box take part at its edges.

    Args:
        image: in RGB.
        box_xyxy: px, continuous edges.
        size_wh: px.
        filter_: bilinear or bicubic; antialiased.
        rows_first: which of the two passes comes first.
    """
    x1, y1, x2, y2 = box_xyxy
    width, height = size_wh
    scale_x, scale_y = (x2 - x1) / width, (y2 - y1) / height
    whole_wh = round(image.width / scale_x), round(image.height / scale_y)
    if max(scale_x, scale_y) >= 1.5 or whole_wh[0] * whole_wh[1] > _MAX_WHOLE_PIXELS:
        return _resize_box(image, box_xyxy, size_wh, filter_, rows_first=rows_first)
    # Pillow keeps box edges in float32. In noise that hardly shrinks or grows, single pixels then differ by 2 of 255;
    # from 1.5 on by 1 at most. An image that small is resized whole at little cost.
    whole = _resize_box(image, (0, 0, *image.size), whole_wh, filter_, rows_first=rows_first)
    left, top = round(x1 / scale_x), round(y1 / scale_y)
    return whole.crop((left, top, left + width, top + height))


def _resize_box(
    image: Image.Image, box_xyxy: BoxXyxy, size_wh: tuple[int, int], filter_: Image.Resampling, *, rows_first: bool
) -> Image.Image:
    """``image.resize(size_wh, filter_, box_xyxy)`` with the order of its two passes fixed.

    The order shows: each pass rounds and clips to 8 bits, and bicubic overshoots. Pillow up to 12 resized every row
    first, which is what published scores were measured with; Pillow 13 chooses by size.
    """
    x1, y1, x2, y2 = box_xyxy
    width, height = size_wh
    reach_x, reach_y = (2 * max(1.0, extent / out) + 1 for extent, out in ((x2 - x1, width), (y2 - y1, height)))
    if rows_first:
        top, bottom = max(0, int(y1 - reach_y)), min(image.height, int(y2 + reach_y) + 1)
        half = image.resize((width, bottom - top), filter_, (x1, top, x2, bottom))
        return half.resize(size_wh, filter_, (0, y1 - top, width, y2 - top))
    left, right = max(0, int(x1 - reach_x)), min(image.width, int(x2 + reach_x) + 1)
    half = image.resize((right - left, height), filter_, (left, y1, right, y2))
    return half.resize(size_wh, filter_, (x1 - left, 0, x2 - left, height))
