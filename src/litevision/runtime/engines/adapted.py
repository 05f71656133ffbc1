"""Graphs of another form than a bundle's, made to take and give what bundles do.

Phones and boards take float images and decode by themselves: `litevision export` writes such files, and runs them here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from litevision.runtime.engines.base import Engine, Outputs, TensorInfo
from litevision.runtime.metadata import GREY, BundleMetadata, Normalisation
from litevision.runtime.suppression import suppress_cells

MAPS = ("heatmap", "size", "offset")
"""The outputs of a CenterNet without its decoder: logits [N, C, h, w], width and height, and place in the cell, both
float [N, 2, h, w] in cells."""
CELLS = ("cell_boxes", "cell_scores")
"""The outputs of a detector without its suppression: the box of each cell, float [N, M, 4], (x1, y1, x2, y2) in px of
the input, and its score for each class, float [N, M, C]."""
TOP_K = 100
"""The boxes that are decoded for an image where the metadata names no number."""

_Float = npt.NDArray[np.float32]


def is_adaptable(engine: Engine, metadata: BundleMetadata) -> bool:
    """Whether the graph takes images of the bundle's size, as floats or bytes."""
    if len(engine.inputs) != 1 or engine.inputs[0].dtype not in ("float", "uint8"):
        return False
    shape, size_hw = engine.inputs[0].shape, metadata.preprocess.size_hw
    return shape[1:] in [(*size_hw, 3), (*size_hw, 1), (3, *size_hw), (1, *size_hw)]


class AdaptedEngine:
    """An engine in front of which images are normalised, and behind which maps are decoded, where it needs that.

    Attributes:
        inner: the engine itself, with the inputs and outputs that the file has.
    """

    def __init__(self, inner: Engine, metadata: BundleMetadata) -> None:
        self.inner, self._metadata = inner, metadata
        self.choice, self.version = inner.choice, inner.version
        [taken] = inner.inputs
        self._mean, self._norm = mean_and_norm(metadata.normalisation)
        self._takes_float = taken.dtype == "float"
        self._channels_last = taken.shape[-1] in (1, 3)
        self._is_grey = 1 in (taken.shape[-1], taken.shape[1])
        batch = taken.shape[0]
        self.inputs = (TensorInfo("images", "uint8", (batch, *metadata.preprocess.size_hw, 3)),)
        self.outputs = inner.outputs
        names = {it.name for it in inner.outputs}
        self._gives_maps, self._suppression = set(MAPS) <= names, metadata.suppression if set(CELLS) <= names else None
        if self._gives_maps or self._suppression is not None:
            self._top_k = metadata.top_k or TOP_K
            self.outputs = (
                TensorInfo("boxes", "float", (batch, self._top_k, 4)),
                TensorInfo("scores", "float", (batch, self._top_k)),
                TensorInfo("classes", "int64", (batch, self._top_k)),
            )

    def run(self, batch_u8_nhwc: npt.NDArray[np.uint8]) -> Outputs:
        """Run the graph on a batch, as `litevision.runtime.Engine` says."""
        values: Any = batch_u8_nhwc
        if self._takes_float:
            values = batch_u8_nhwc.astype(np.float32)
            if self._is_grey:
                values = (values * np.array(GREY, np.float32)).sum(-1, keepdims=True)
            channels = values.shape[-1]
            values = (values - self._mean[:channels]) * self._norm[:channels]
            if not self._channels_last:
                values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        answers = self.inner.run(values)
        if self._gives_maps:
            heatmap, size, offset = (answers[name] for name in MAPS)
            return decode_maps(heatmap, size, offset, self._top_k, self._metadata.preprocess.size_hw)
        if self._suppression is not None:
            boxes, scores = (answers[name] for name in CELLS)
            return suppress_cells(boxes, scores, self._suppression, self._top_k)
        return answers

    def run_named(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Outputs:
        """Run it as the file has it, without normalisation and decoding."""
        return self.inner.run_named(inputs)


def mean_and_norm(normalisation: Normalisation) -> tuple[_Float, _Float]:
    """What is taken from a pixel in 0 to 255, and what the rest is multiplied by, of each channel."""
    mean, std = (np.array(each, np.float64) for each in (normalisation.mean, normalisation.std))
    return (255 * mean).astype(np.float32), (1 / (255 * std)).astype(np.float32)


def decode_maps(heatmap: _Float, size: _Float, offset: _Float, top_k: int, size_hw: tuple[int, int]) -> Outputs:
    """Find the boxes in a CenterNet's maps: the cells that are highest among their neighbours, the best ``top_k``.

    Args:
        heatmap: logits, ``float32[N, C, h, w]``.
        size: width and height in cells, ``float32[N, 2, h, w]``.
        offset: what is added to a cell's column and row, ``float32[N, 2, h, w]``.
        top_k: how many.
        size_hw: of the network's input, px, in which the boxes are given.

    Returns:
        ``boxes`` float32 [N, K, 4], ``scores`` float32 [N, K], falling, and ``classes`` int64 [N, K].
    """
    count, _, height, width = heatmap.shape
    stride = size_hw[0] / height
    padded = np.pad(heatmap, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    rows = np.maximum(np.maximum(padded[..., :-2, :], padded[..., 1:-1, :]), padded[..., 2:, :])
    highest = np.maximum(np.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
    peaks = np.where(heatmap == highest, heatmap, -np.inf).reshape(count, -1)
    best = np.argsort(-peaks, axis=1, kind="stable")[:, :top_k]
    cells = best % (height * width)
    dx, dy = np.take_along_axis(offset.reshape(count, 2, -1), cells[:, None], axis=2).transpose(1, 0, 2)
    half = np.take_along_axis(size.reshape(count, 2, -1), cells[:, None], axis=2).clip(min=0) / 2
    x, y = cells % width + dx, cells // width + dy
    boxes = np.stack([x - half[:, 0], y - half[:, 1], x + half[:, 0], y + half[:, 1]], axis=2) * stride
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-np.take_along_axis(peaks, best, axis=1)))
    return {
        "boxes": boxes.astype(np.float32),
        "scores": scores.astype(np.float32),
        "classes": (best // (height * width)).astype(np.int64),
    }
