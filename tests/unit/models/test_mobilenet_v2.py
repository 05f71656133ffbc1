"""MobileNetV2: the dialects' rules, and the tutorial's quirks."""

import math
from typing import Any

import pytest
from torch import nn

from litevision.errors import UsageError
from litevision.models import Network, build, configure
from litevision.models.blocks import ConvNormAct, InvertedResidual


def meta(**arguments: Any) -> Network:
    return build(configure("mobilenet_v2", **arguments), device="meta")


def blocks(network: Network) -> list[InvertedResidual]:
    return [part for part in network.features if isinstance(part, InvertedResidual)]


PAPER = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320]


@pytest.mark.parametrize("dialect", ["torchvision", "timm", "keras", "slim"])
def test_the_papers_form(dialect: str) -> None:
    network = meta(dialect=dialect)
    assert [end.channels for end in network.endpoints] == [32, *PAPER, 1280]
    found = blocks(network)
    # The sum, only at stride 1 with equal channels; it is of the input itself.
    assert [i for i, block in enumerate(found) if block.residual] == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
    assert all(isinstance(block.shortcut, nn.Identity) for block in found)
    assert isinstance(found[0].expand, nn.Identity)
    assert not any(isinstance(block.expand, nn.Identity) for block in found[1:])
    assert {type(block.project.act) for block in found} == {nn.Identity}
    assert all(part.bias is None for part in network.modules() if isinstance(part, nn.Conv2d))


def test_the_tutorials_form() -> None:
    network = meta(dialect="tutorial", num_classes=5)
    found = blocks(network)
    assert len(found) == 17 + 7  # one more in each stage
    for block in found:
        strides = block.depthwise.conv.stride == (2, 2)
        assert block.residual != strides
        assert isinstance(block.shortcut, ConvNormAct) == (not strides)
        assert isinstance(block.expand, ConvNormAct)
    assert all(part.bias is not None for part in network.modules() if isinstance(part, nn.Conv2d))
    assert [part.p for part in network.modules() if isinstance(part, nn.Dropout)] == [0.2]


@pytest.mark.parametrize(
    ("width_mult", "last"), [(0.35, 1280), (0.5, 1280), (1.0, 1280), (1.3, 1664), (1.4, 1792), (2.0, 2560)]
)
def test_the_last_convolution_only_ever_grows(width_mult: float, last: int) -> None:
    for dialect in ("torchvision", "timm", "keras", "slim"):
        assert meta(dialect=dialect, width_mult=width_mult).num_features == last


@pytest.mark.parametrize(
    ("name", "repeats", "ends"),
    [("mobilenetv2_110d", [1, 3, 4, 5, 4, 4, 1], (32, 1280)), ("mobilenetv2_120d", [1, 3, 5, 6, 5, 5, 1], (32, 1280))],
)
def test_timms_deeper_forms_keep_their_ends(name: str, repeats: list[int], ends: tuple[int, int]) -> None:
    network = build(configure(name), device="meta")
    assert len(blocks(network)) == sum(repeats)
    assert (network.endpoints[0].channels, network.endpoints[-1].channels) == ends


@pytest.mark.parametrize("depth_mult", [0, -1, math.nan, math.inf])
def test_a_depth_that_cannot_work(depth_mult: float) -> None:
    with pytest.raises(UsageError, match=f"depth_mult must be a number above 0, got {depth_mult}"):
        meta(depth_mult=depth_mult)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_a_block_that_strides_in_the_table_has_no_sum_even_when_dilated(output_stride: int) -> None:
    for dialect in ("torchvision", "tutorial"):
        sums = [block.residual for block in blocks(meta(dialect=dialect))]
        assert [block.residual for block in blocks(meta(dialect=dialect, output_stride=output_stride))] == sums


def keras_divisible(value: float) -> int:
    """Keras' ``_make_divisible(v, 8)``, retyped from its formula."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def test_keras_cuts_off_before_it_rounds_at_every_width() -> None:
    other = []
    for hundredth in range(10, 201):
        alpha = hundredth / 100
        expected = [
            keras_divisible(32 * alpha),
            *(keras_divisible(int(channels * alpha)) for channels in PAPER),
            keras_divisible(1280 * alpha) if alpha > 1 else 1280,
        ]
        if hundredth % 7 == 0 or alpha in KERAS_ALONE:
            ours = meta(dialect="keras", width_mult=alpha)
            assert [end.channels for end in ours.endpoints] == expected
        if expected[1:-1] != [keras_divisible(channels * alpha) for channels in PAPER]:
            other.append(alpha)
    assert other == KERAS_ALONE
    assert meta(dialect="torchvision", width_mult=0.56).endpoints[1].channels == 16
    assert meta(dialect="keras", width_mult=0.56).endpoints[1].channels == 8


KERAS_ALONE = [0.14, 0.28, 0.42, 0.56, 0.84, 1.12, 1.49, 1.67, 1.68]


def test_keras_own_counts() -> None:
    network = meta(dialect="keras", width_mult=0.56)
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if "num_batches" not in name)
    assert sum(it.numel() for it in network.parameters()) + statistics == 2_102_744
