"""Drawing of labelled boxes and scores on images."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from litevision.image.decode import decode
from litevision.image.sources import ImageLike
from litevision.image.text import Colour, Lettering

# Okabe and Ito 2008, "Color universal design", https://jfly.uni-koeln.de/color/: told apart with any colour vision.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
)
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)

_TEXT_SHARE = 0.022  # of the image's side, were it square: 12 px at 640 x 480, 76 px at 12 megapixels
_LEAST_TEXT_PX, _SMALLEST_TEXT_PX = 11, 6  # what can be read, and what can be made out
_PANEL_PX, _BAR_PX = 480, 28


def draw_boxes(
    image: Image.Image,
    boxes_xyxy: Iterable[Sequence[float]] | npt.NDArray[np.floating[Any]],
    texts: Sequence[str] | None = None,
    colours: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    lettering: Lettering | None = None,
) -> Image.Image:
    """Draw boxes and their texts on a copy of an image; the first box lies on top of the others.

    A text stands on a plate in the box's colour, above the box or, where there is no room, in it; before it would leave
    the image, it is made smaller and then cut short.

    Args:
        image: in RGB.
        boxes_xyxy: ``[N, 4]``, px of the image, continuous edges.
        texts: what stands at each box, nothing where it is empty; None for no texts.
        colours: index into `PALETTE` of each box, counted round, for example the index of its class; None for the
            first colour.
        lettering: what draws the texts; by default one that begins with the package's own font.

    Returns:
        The drawn image, RGB, of the same size.
    """
    boxes = [_pixels(it, image.size) for it in boxes_xyxy]
    texts = [""] * len(boxes) if texts is None else texts
    inks = [PALETTE[int(it) % len(PALETTE)] for it in ([0] * len(boxes) if colours is None else colours)]
    drawn = image.copy()
    draw = ImageDraw.Draw(drawn)
    text_px = max(_LEAST_TEXT_PX, round(_TEXT_SHARE * (image.width * image.height) ** 0.5))
    line_px = max(1, round(text_px / 4))
    lettering = lettering or Lettering()
    rows = list(zip(boxes, texts, inks, strict=True))
    for box, _, ink in reversed(rows):
        _draw_box(draw, box, ink, line_px)
    for box, text, ink in reversed(rows):  # after all boxes, whose lines would cross the texts
        if text:
            _draw_text(draw, text, box, ink, lettering, text_px)
    return drawn


def draw_scores(
    source: ImageLike | None, labels: Sequence[str], scores: Sequence[float], lettering: Lettering | None = None
) -> Image.Image:
    """Draw the classes of an image as bars below it.

    Args:
        source: the image, shown at most 480 px wide and high; None for the bars alone.
        labels: the names of the classes, best first.
        scores: the probability of each, in [0, 1].
        lettering: as for `draw_boxes`.

    Returns:
        An RGB image.
    """
    shown = Image.new("RGB", (_PANEL_PX, 0)) if source is None else decode(source)
    shown.thumbnail((_PANEL_PX, _PANEL_PX))
    drawn = Image.new("RGB", (_PANEL_PX, shown.height + _BAR_PX * len(labels)), _WHITE)
    drawn.paste(shown, ((_PANEL_PX - shown.width) // 2, 0))
    draw = ImageDraw.Draw(drawn)
    lettering, text_px, inset_px = lettering or Lettering(), _BAR_PX // 2, _BAR_PX // 4
    label_x = 2 * inset_px + math.ceil(lettering.line("0.000", text_px).width)
    for row, (label, score) in enumerate(zip(labels, scores, strict=True)):
        top = shown.height + row * _BAR_PX
        draw.rectangle((0, top + 2, max(1, round(score * _PANEL_PX)), top + _BAR_PX - 3), fill=PALETTE[1])
        for x, text in ((inset_px, f"{score:.3f}"), (label_x, label)):  # apart: a label may run from right to left
            line = lettering.fitting_line(text, text_px, _PANEL_PX - inset_px - x, _LEAST_TEXT_PX)
            if line is not None:
                line.draw(draw, (x, top + (_BAR_PX - line.top - line.bottom) / 2), _BLACK)
    return drawn


def _pixels(
    box_xyxy: Sequence[float] | npt.NDArray[np.floating[Any]], size_wh: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Find the first and last pixel that the box touches, in x and in y; at least one, within the image."""
    (x1, y1, x2, y2), (width, height) = map(float, box_xyxy), size_wh
    left, top = (min(max(0, int(edge)), length - 1) for edge, length in ((x1, width), (y1, height)))
    right, bottom = (min(-int(-edge // 1), length) - 1 for edge, length in ((x2, width), (y2, height)))
    return left, top, max(left, right), max(top, bottom)


def _draw_box(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: Colour, line_px: int) -> None:
    """Draw the outline, inside the box, between dark lines that set it off from bright and coloured things."""
    dark_px = max(1, line_px // 3)
    left, top, right, bottom = box
    if left == right or top == bottom:  # whose outline Pillow draws too large
        draw.rectangle(box, fill=colour)
        return
    if min(right - left, bottom - top) < 4 * (line_px + 2 * dark_px):  # the lines would hide what is in a small box
        draw.rectangle(box, outline=colour, width=dark_px)
        return
    for inset_px, width_px, ink in ((0, line_px + 2 * dark_px, _BLACK), (dark_px, line_px, colour)):
        inner = (left + inset_px, top + inset_px, right - inset_px, bottom - inset_px)
        draw.rectangle(inner, outline=ink, width=width_px)


def _draw_text(
    draw: ImageDraw.ImageDraw,
    text: str,
    box: tuple[int, int, int, int],
    ground: Colour,
    lettering: Lettering,
    text_px: int,
) -> None:
    width, height = draw.im.size
    pad_px = max(1, text_px // 6)
    line = lettering.fitting_line(text, text_px, width - 2 * pad_px, _SMALLEST_TEXT_PX)
    if line is None:
        return
    plate_wh = round(line.width) + 2 * pad_px, round(line.bottom - line.top) + 2 * pad_px
    if plate_wh[0] > width or plate_wh[1] > height:
        return
    left, top, _, _ = box
    x = min(left, width - plate_wh[0])
    y = top - plate_wh[1] if top >= plate_wh[1] else min(top, height - plate_wh[1])
    draw.rectangle((x, y, x + plate_wh[0] - 1, y + plate_wh[1] - 1), fill=ground)
    line.draw(draw, (x + pad_px, y + pad_px - line.top), _ink_on(ground))


def _ink_on(ground: Colour) -> Colour:
    """Choose black or white, whichever has more contrast.

    Source: WCAG 2.2, relative luminance; above 0.179 black has the higher contrast.
    """
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in (part / 255 for part in ground)]
    luminance = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return _BLACK if luminance > 0.179 else _WHITE
