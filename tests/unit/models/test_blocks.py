"""Padding, and the parts that the families share."""

import pytest
import torch
from torch.nn import functional as F

from litevision.models.blocks import ClassifierHead, ConvNormAct
from litevision.models.dialect import make_divisible


def same_padding(side: int, kernel_size: int) -> tuple[int, int]:
    """TensorFlow's SAME at stride 2: as much as the last window needs, the odd row behind."""
    total = max((-(-side // 2) - 1) * 2 + kernel_size - side, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("size_hw", [(8, 8), (9, 9), (8, 11), (1, 2), (7, 1)])
def test_same_is_tensorflows(kernel_size: int, size_hw: tuple[int, int]) -> None:
    layer = ConvNormAct(2, 3, kernel_size, stride=2, padding="same", norm=None, act="none").double()
    x = torch.randn(1, 2, *size_hw, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (top, bottom), (left, right) = (same_padding(side, kernel_size) for side in size_hw)
    expected = F.conv2d(F.pad(x, (left, right, top, bottom)), layer.conv.weight, stride=2)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel_size", "before", "behind"), [(1, 0, 0), (3, 0, 1), (5, 1, 2)])
@pytest.mark.parametrize("size_hw", [(8, 8), (9, 12)])
def test_bottom_right_pads_alike_at_every_size(
    kernel_size: int, before: int, behind: int, size_hw: tuple[int, int]
) -> None:
    layer = ConvNormAct(2, 3, kernel_size, stride=2, padding="bottom_right", norm=None, act="none").double()
    x = torch.randn(1, 2, *size_hw, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = F.conv2d(F.pad(x, (before, behind, before, behind)), layer.conv.weight, stride=2)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("padding", ["symmetric", "same", "bottom_right"])
@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_stride_1_keeps_the_size_in_each_padding(padding: str, dilation: int) -> None:
    layers = [ConvNormAct(1, 1, k, dilation=dilation, padding=padding, norm=None) for k in (1, 3, 5)]
    x = torch.randn(1, 1, 9, 12, generator=torch.Generator().manual_seed(0))
    for layer in layers:
        reach = dilation * (layer.conv.kernel_size[0] // 2)
        expected = F.conv2d(F.pad(x, (reach,) * 4), layer.conv.weight, dilation=dilation).relu()
        torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("channels", "divisor", "expected"),
    [
        (24.0, 8, 24),
        (26.0, 8, 24),
        (27.0, 8, 32),  # 24 would be less than 90 %
        (28.0, 8, 32),
        (35.0, 8, 32),
        (36.0, 8, 40),  # halfway goes up
        (8.4, 8, 8),
        (0.1, 8, 8),
        (11.9, 8, 16),
        (18.0, 1, 18),
    ],
)
def test_make_divisible(channels: float, divisor: int, expected: int) -> None:
    assert make_divisible(channels, divisor) == expected


def test_make_divisible_respects_a_minimum() -> None:
    assert make_divisible(3, 8, min_value=16) == 16


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 5), (7, 7), (12, 9)])
def test_the_head_is_slims_shrinking_pool(size_hw: tuple[int, int]) -> None:
    """slim pools 7 x 7 or the whole of a smaller map; of a larger one it is told to take the whole."""
    head = ClassifierHead(4, 6).eval()
    x = torch.randn(2, 4, *size_hw, generator=torch.Generator().manual_seed(0))
    pooled = F.avg_pool2d(x, size_hw)[:, :, 0, 0]
    torch.testing.assert_close(head.pool(x), pooled)
    torch.testing.assert_close(head(x), F.linear(pooled, head.classifier.weight, head.classifier.bias))


def test_the_head_drops_features_in_training_alone() -> None:
    head = ClassifierHead(512, 2, dropout=0.5)
    head.classifier = torch.nn.Identity()
    dropped = head(torch.ones(1, 512, 2, 2))
    assert set(dropped.flatten().tolist()) == {0.0, 2.0}
    assert 0.35 < (dropped == 0).float().mean() < 0.65
    assert torch.equal(head.eval()(torch.ones(1, 512, 2, 2)), torch.ones(1, 512))
