"""Boxes on images: where the ink goes, and where it does not."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from images import noise
from litevision.image.draw import PALETTE, draw_boxes

GREY = 128


def grey(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (GREY,) * 3)


def inked(image: Image.Image) -> np.ndarray:
    """``bool[H, W]``: the pixels that were drawn on."""
    return (np.asarray(image) != GREY).any(axis=2)


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def test_the_image_itself_stays_as_it_was() -> None:
    given = Image.fromarray(noise(60, 80))
    before = given.tobytes()
    drawn = draw_boxes(given, [(10, 10, 50, 50)], ["a"], [0])
    assert given.tobytes() == before
    assert drawn.tobytes() != before
    assert draw_boxes(given, []).tobytes() == before


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((100, 150, 300, 250), (100, 150, 300, 250)),
        ((100.4, 150.6, 299.5, 249.01), (100, 150, 300, 250)),
        ((0, 0, 400, 300), (0, 0, 400, 300)),
        ((-50, 20, 900, 280), (0, 20, 400, 280)),
        ((200, 100, 206, 107), (200, 100, 206, 107)),
        ((200, 100, 200, 100), (200, 100, 201, 101)),
        ((399.9, 299.9, 400, 300), (399, 299, 400, 300)),
    ],
)
def test_the_outline_ends_where_the_box_ends(box: tuple[float, ...], expected: tuple[int, ...]) -> None:
    drawn = inked(draw_boxes(grey(400, 300), [box], [""], [4]))
    assert extent(drawn) == expected
    x1, y1, x2, y2 = expected
    assert not drawn[y1 + 20 : y2 - 20, x1 + 20 : x2 - 20].any()


def test_small_boxes_show_what_is_in_them() -> None:
    drawn = inked(draw_boxes(grey(640, 480), [(100, 100, 110, 110)]))
    assert not drawn[101:109, 101:109].any()


@pytest.mark.parametrize("scale", [1, 4])
def test_texts_and_lines_grow_with_the_image(scale: int) -> None:
    width, height = 640 * scale, 480 * scale
    box = (100 * scale, 200 * scale, 300 * scale, 400 * scale)
    drawn = inked(draw_boxes(grey(width, height), [box], ["RBC 0.98"]))
    _, top, _, _ = extent(drawn)
    assert 14 <= (200 * scale - top) / scale <= 22
    line = int(drawn[300 * scale, 100 * scale : 200 * scale].sum())
    assert 3 <= line / scale <= 6


@pytest.mark.parametrize("box", [(100, 100, 200, 200), (0, 0, 50, 50), (380, 0, 400, 300), (395, 295, 400, 300)])
def test_the_text_stands_at_the_box_within_the_image(box: tuple[int, int, int, int]) -> None:
    text_alone = inked(draw_boxes(grey(400, 300), [box], ["Platelets 0.42"])) & ~inked(
        draw_boxes(grey(400, 300), [box])
    )
    x1, y1, x2, y2 = extent(text_alone)
    assert 60 <= x2 - x1 <= 120
    assert 0 <= x1 <= box[0] + 8  # where the box's own line is
    assert y2 <= max(box[1], y2 - y1 + 1)
    assert y2 >= box[1]


sizes = st.integers(1, 60)


@settings(max_examples=60)
@given(
    size=st.tuples(sizes, sizes),
    box=st.tuples(*[st.floats(-100, 200)] * 4),
    text=st.sampled_from(["", "a", "Red blood cell 0.98", "中文 0.50", "a\nb", "x" * 500]),
)
def test_any_box_and_text_can_be_drawn(
    size: tuple[int, int], box: tuple[float, float, float, float], text: str
) -> None:
    assert draw_boxes(grey(*size), np.array([box]), [text], np.array([9])).size == size


def test_a_long_text_is_cut_short() -> None:
    short, long = (inked(draw_boxes(grey(120, 90), [(10, 40, 50, 80)], ["x" * count])) for count in (3, 60))
    assert extent(short)[2] < 60
    assert 110 <= extent(long)[2] <= 120


def test_the_first_lies_on_top() -> None:
    boxes = [(20, 20, 120, 120), (60, 60, 160, 160)]
    drawn = [draw_boxes(grey(200, 200), [boxes[i] for i in order], colours=order) for order in ((0, 1), (1, 0))]
    at = 119 - 1, 61 + 1  # where the right line of the one crosses the upper line of the other
    for image, first in zip(drawn, (0, 1), strict=True):
        assert image.getpixel(at) == PALETTE[first]


def test_colours_go_round() -> None:
    first, again = (draw_boxes(grey(99, 99), [(9, 30, 90, 90)], ["a"], [i]) for i in (0, len(PALETTE)))
    assert first.tobytes() == again.tobytes()


def luminance(colour: tuple[int, ...]) -> float:
    linear = [it / 12.92 if it <= 0.04045 else ((it + 0.055) / 1.055) ** 2.4 for it in (it / 255 for it in colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_texts_can_be_read_on_their_plates() -> None:
    for index, ground in enumerate(PALETTE):
        drawn = np.asarray(draw_boxes(grey(200, 200), [(0, 100, 5, 105)], ["MMM"], [index]))
        ink = {tuple(pixel) for pixel in drawn.reshape(-1, 3).tolist()} & {(0, 0, 0), (255, 255, 255)}
        (found,) = ink
        light, dark = sorted((luminance(ground), luminance(found)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, index


# Machado et al. 2009, https://doi.org/10.1109/TVCG.2009.113: what people without red, green or blue cones see, in
# linear RGB.
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("kind", BLINDNESS)
def test_colours_are_told_apart_with_any_colour_vision(kind: str) -> None:
    linear = (np.array(PALETTE) / 255) ** 2.2
    seen = 255 * np.clip(linear @ np.array(BLINDNESS[kind]).T, 0, 1) ** (1 / 2.2)
    nearest = min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(seen, 2))
    assert nearest > 25
