"""Find near duplicates among thumbnails, in two steps: cheap candidates, then a closer comparison of each pair.

A candidate is found by the edges of its thumbnail: whether it gets lighter, darker or stays, from each pixel to its
right and lower neighbour, as in the perceptual hash dHash. Brightness, contrast, size and compression leave the signs
of edges as they are.
"""

import numpy as np
import numpy.typing as npt

_EDGE_LEVELS = 3  # of 255: smaller steps may come from compression alone
_MIN_EDGES = 24  # of 480: images of a nearly plain colour would all be alike
_MIN_COSINE = 0.80
_MAX_EACH = 8
_ROWS, _COLUMNS = 512, 4096  # 8 MB of float32, about what a cache holds

# Measured on 3,781 images of clothes, many of them alike on one background: what is not the same image reaches 0.60 at
# most; an image and itself at a quarter of its size, in JPEG quality 40, or 20 % brighter or darker 0.95 at least; with
# 1 % cut off all round or turned by 1 degree about 0.85.
_MIN_EDGE_COSINE = 0.75
_MAX_COLOUR_LEVELS = 16.0  # of 255; in the same images with 30 % less colour 13.7 at most in 99 of 100


def signatures(thumbs_u8: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """The edges of each thumbnail, -1, 0 or 1: ``int8[N, 2 * S * (S - 1)]`` of ``uint8[N, S, S, 3]``."""
    steps = _steps(thumbs_u8)
    return (np.sign(steps) * (np.abs(steps) >= _EDGE_LEVELS)).astype(np.int8)


def candidates(signs_i8: npt.NDArray[np.int8]) -> npt.NDArray[np.intp]:
    """Pairs (later, earlier) of images with much the same edges, ``[P, 2]``: the most similar first, up to 8 an image.

    All pairs are compared, in blocks: 100,000 images take 2.4e12 multiply-adds and the memory of one block.
    """
    # The cosine of signs, and not a Hamming distance of bits as dHash takes: a pixel without an edge counts as neither
    # same nor different, so that a shared white background makes no two images alike.
    norms = np.sqrt(np.count_nonzero(signs_i8, axis=1)).astype(np.float32)
    kept = np.flatnonzero(norms**2 >= _MIN_EDGES)
    signs, norms = signs_i8[kept], norms[kept]
    found = [_best(signs, norms, start) for start in range(0, len(kept), _ROWS)]
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.intp)
    return kept[pairs]


def _best(signs: npt.NDArray[np.int8], norms: npt.NDArray[np.float32], start: int) -> npt.NDArray[np.intp]:
    """The candidates of one block of rows."""
    rows, row_norms = signs[start : start + _ROWS].astype(np.float32), norms[start : start + _ROWS]
    later: npt.NDArray[np.intp] = np.empty(0, np.intp)
    earlier, score = later, np.empty(0, np.float32)
    for left in range(0, start + len(rows), _COLUMNS):
        column_norms = norms[left : left + _COLUMNS]
        # Sums of -1, 0 and 1 are exact in float32: neither the size of the blocks nor the order in which BLAS adds
        # changes what is found. One pass with the block's smallest norm leaves few pairs for the exact cosine.
        dots = rows @ signs[left : left + _COLUMNS].astype(np.float32).T
        row, column = np.nonzero(dots >= (_MIN_COSINE * column_norms.min()) * row_norms[:, None])
        cosines = dots[row, column] / (row_norms[row] * column_norms[column])
        hit = (cosines >= _MIN_COSINE) & (start + row > left + column)
        if not hit.any():
            continue
        row, column, cosines = row[hit], column[hit], cosines[hit]
        later = np.concatenate([later, start + row])
        earlier = np.concatenate([earlier, left + column])
        score = np.concatenate([score, cosines])
        order = np.lexsort((earlier, -score, later))
        later, earlier, score = later[order], earlier[order], score[order]
        # Sorted by row: an entry's place within its row is its index less the index at which the row begins.
        place = np.arange(len(later)) - np.searchsorted(later, later)
        best = place < _MAX_EACH
        later, earlier, score = later[best], earlier[best], score[best]
    return np.stack([later, earlier], axis=1)


def alike(first_u8: npt.NDArray[np.uint8], second_u8: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether two images are one but for size, compression and light, pair by pair; ``uint8[P, S, S, 3]``.

    Their edges must agree in place and strength, and their colours in what differs from grey.
    """
    # Edges alone would join a shirt that is sold in red and in blue; their colours tell them apart, and are compared
    # without brightness, which a copy may have changed.
    first, second = _steps(first_u8), _steps(second_u8)
    lengths = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    colours = np.abs(_colour(first_u8) - _colour(second_u8)).mean(axis=(1, 2, 3))
    alike_in_edges = (first * second).sum(axis=1) >= _MIN_EDGE_COSINE * np.maximum(lengths, 1.0)
    return np.asarray(alike_in_edges & (colours <= _MAX_COLOUR_LEVELS))


def _steps(images_u8: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The differences of each pixel to its right and lower neighbour in grey, ``[N, 2 * S * (S - 1)]``."""
    grey = images_u8.mean(axis=3, dtype=np.float32)
    count, side = grey.shape[:2]
    return np.concatenate([np.diff(grey, axis=axis).reshape(count, side * (side - 1)) for axis in (1, 2)], axis=1)


def _colour(images_u8: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The images less their grey values."""
    images = images_u8.astype(np.float32)
    grey: npt.NDArray[np.float32] = images.mean(axis=3, keepdims=True)
    return images - grey
