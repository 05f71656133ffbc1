"""Suppression in numpy keeps what others keep."""

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms

from litevision.runtime.suppression import suppress


@pytest.mark.parametrize(("cells", "classes"), [(0, 3), (1, 1), (40, 3), (700, 1), (900, 4)])
@pytest.mark.parametrize("most", [20, 10_000])
def test_suppression_keeps_what_torchvision_keeps(cells: int, classes: int, most: int) -> None:
    draw = np.random.default_rng(cells)
    corner, side = draw.uniform(0, 100, (cells, 2)), draw.uniform(5, 60, (cells, 2))
    boxes = np.concatenate([corner, corner + side], 1).astype(np.float32)
    scores = draw.uniform(0, 1, (cells, classes)).astype(np.float32)
    found = suppress(boxes, scores, 0.5, 0.3, most)
    rows, labels = np.nonzero(scores > 0.3)
    candidates = [torch.from_numpy(it) for it in (boxes[rows], scores[rows, labels], labels)]
    kept = batched_nms(*candidates, 0.5)[:most].numpy()
    for ours, theirs in zip(found, (boxes[rows], scores[rows, labels], labels), strict=True):
        np.testing.assert_array_equal(ours, theirs[kept])
