"""Which of many pictures look nearly the same: numbers alone, no files.

A picture is compared by the edges of its thumbnail: whether it gets lighter, darker or stays, from each pixel to its
right and lower neighbour. Brightness, contrast, size and compression leave these as they are; another picture on
the same white background shares next to none of them.
"""

import numpy as np
import numpy.typing as npt

_EDGE_LEVELS = 3  # of 255: what compression alone may change
_MIN_EDGES = 24  # of 480: fewer say nothing
_MIN_COSINE = 0.80
_MAX_EACH = 8
_ROWS, _COLUMNS = 2048, 8192  # 64 MB of float32

_MIN_CORRELATION = 0.98
_MAX_COLOUR_LEVELS = 8.0


def signatures(thumbs_u8: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """The edges of each thumbnail, -1, 0 or 1: ``int8[N, 2 * S * (S - 1)]`` of ``uint8[N, S, S, 3]``."""
    grey = thumbs_u8.mean(axis=3, dtype=np.float32)
    steps = np.concatenate([np.diff(grey, axis=axis).reshape(len(grey), -1) for axis in (1, 2)], axis=1)
    return (np.sign(steps) * (np.abs(steps) >= _EDGE_LEVELS)).astype(np.int8)


def candidates(signs_i8: npt.NDArray[np.int8]) -> npt.NDArray[np.intp]:
    """Pairs (later, earlier) of pictures with much the same edges, ``[P, 2]``: the likest first, up to 8 a picture.

    All pairs are compared, in blocks: 100,000 pictures take 1.2e12 multiply-adds and the memory of one block.
    """
    norms = np.sqrt(np.count_nonzero(signs_i8, axis=1)).astype(np.float32)
    kept = np.flatnonzero(norms**2 >= _MIN_EDGES)
    signs, norms = signs_i8[kept], norms[kept]
    found = [_best(signs, norms, start) for start in range(0, len(kept), _ROWS)]
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.intp)
    return kept[pairs]


def _best(signs: npt.NDArray[np.int8], norms: npt.NDArray[np.float32], start: int) -> npt.NDArray[np.intp]:
    """The candidates of one block of rows."""
    rows = signs[start : start + _ROWS].astype(np.float32) / norms[start : start + _ROWS, None]
    later, earlier, score = (np.empty(0, kind) for kind in (np.intp, np.intp, np.float32))
    for left in range(0, start + len(rows), _COLUMNS):
        columns = signs[left : left + _COLUMNS].astype(np.float32) / norms[left : left + _COLUMNS, None]
        cosines = rows @ columns.T
        row, column = np.nonzero(cosines >= _MIN_COSINE)
        before = start + row > left + column
        row, column = row[before], column[before]
        later = np.concatenate([later, start + row])
        earlier = np.concatenate([earlier, left + column])
        score = np.concatenate([score, cosines[row, column]])
        order = np.lexsort((earlier, -score, later))
        later, earlier, score = later[order], earlier[order], score[order]
        # Sorted by row: an entry's place within its row is its index less the index at which the row begins.
        place = np.arange(len(later)) - np.searchsorted(later, later)
        best = place < _MAX_EACH
        later, earlier, score = later[best], earlier[best], score[best]
    return np.stack([later, earlier], axis=1)


def alike(first_u8: npt.NDArray[np.uint8], second_u8: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether pictures are the same but for size, compression and a little light, pair by pair; ``uint8[P, S, S, 3]``.

    The first of them must agree pixel by pixel in grey, up to brightness and contrast, and in colour.
    """
    first, second = (pictures.astype(np.float32) for pictures in (first_u8, second_u8))
    colours = np.abs(_hue(first) - _hue(second)).mean(axis=(1, 2, 3))
    greys = [_standardised(pictures.mean(axis=3)) for pictures in (first, second)]
    correlation = (greys[0] * greys[1]).mean(axis=(1, 2))
    return (correlation >= _MIN_CORRELATION) & (colours <= _MAX_COLOUR_LEVELS)


def _hue(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return pictures - pictures.mean(axis=3, keepdims=True)


def _standardised(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(spread, 1e-3), np.float32)
