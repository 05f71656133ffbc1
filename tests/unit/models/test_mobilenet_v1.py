"""MobileNetV1: slim's rules."""

from typing import Any

import pytest
import torch
from torch import nn

from litevision.models import Network, build, configure
from litevision.models.blocks import ConvNormAct


def meta(**arguments: Any) -> Network:
    return build(configure("mobilenet_v1", **arguments), device="meta")


def geometry(network: Network) -> list[tuple[int, int]]:
    """(stride, dilation) of the stem and of each row's depthwise convolution."""
    spatial = [
        part.conv for part in network.features if isinstance(part, ConvNormAct) and part.conv.kernel_size == (3, 3)
    ]
    return [(conv.stride[0], conv.dilation[0]) for conv in spatial]


START = [(2, 1), (1, 1), (2, 1), (1, 1), (2, 1), (1, 1)]  # the stem and rows 1 to 5, which reach stride 8


@pytest.mark.parametrize("dialect", ["timm", "keras", "slim"])
@pytest.mark.parametrize(
    ("output_stride", "rows_6_to_13"),
    [
        (32, [(2, 1), *5 * [(1, 1)], (2, 1), (1, 1)]),
        (16, [(2, 1), *5 * [(1, 1)], (1, 1), (1, 2)]),
        (8, [(1, 1), *5 * [(1, 2)], (1, 2), (1, 4)]),
    ],
)
def test_strides_become_dilation_by_slims_rule(
    dialect: str, output_stride: int, rows_6_to_13: list[tuple[int, int]]
) -> None:
    """A row that drops its stride has the dilation from before it. Source: slim's ``mobilenet_v1_base``."""
    assert geometry(meta(dialect=dialect, output_stride=output_stride)) == START + rows_6_to_13


def test_endpoints_have_slims_names_and_the_papers_channels() -> None:
    network = meta(dialect="slim")
    names = [f"Conv2d_{i}_{kind}" for i in range(1, 14) for kind in ("depthwise", "pointwise")]
    assert [end.name for end in network.endpoints] == ["Conv2d_0", *names]
    pointwise = [end for end in network.endpoints if "depthwise" not in end.name]
    channels = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    assert [end.channels for end in pointwise] == channels
    assert [end.stride for end in pointwise] == [2, 2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32]


@pytest.mark.parametrize(
    ("dialect", "width_mult", "channels"),
    [
        ("slim", 0.3, [9, 19, 38, 38]),  # truncated
        ("slim", 0.1, [8, 8, 12, 12]),  # never below 8
        ("keras", 0.3, [9, 19, 38, 38]),
        ("timm", 0.3, [16, 24, 40, 40]),  # to multiples of 8, never below 90 %
    ],
)
def test_widths_follow_the_dialects_rule(dialect: str, width_mult: float, channels: list[int]) -> None:
    ends = meta(dialect=dialect, width_mult=width_mult).endpoints
    assert [end.channels for end in ends if "depthwise" not in end.name][:4] == channels


@pytest.mark.parametrize(
    ("dialect", "eps", "momentum", "dropout"),
    [
        ("timm", 1e-5, 0.1, 0.0),
        ("keras", 1e-3, 0.01, 0.001),
        ("slim", 1e-3, 0.0003, 0.001),
    ],
)
def test_conventions(dialect: str, eps: float, momentum: float, dropout: float) -> None:
    parts = list(meta(dialect=dialect).modules())
    assert {(part.eps, part.momentum) for part in parts if isinstance(part, nn.BatchNorm2d)} == {(eps, momentum)}
    assert {type(part.act) for part in parts if isinstance(part, ConvNormAct)} == {nn.ReLU6}
    assert all(part.bias is None for part in parts if isinstance(part, nn.Conv2d))
    assert [part.p for part in parts if isinstance(part, nn.Dropout)] == [dropout]


def test_the_logits_keep_two_axes_where_that_is_asked_for() -> None:
    kept = meta(dialect="slim", spatial_squeeze=False, num_classes=1001)
    found = kept.eval().forward_endpoints(torch.empty(2, 3, 64, 64, device="meta"))
    assert found["logits"].shape == found["predictions"].shape == (2, 1, 1, 1001)
    assert found["global_pool"].shape == (2, 1024)


PAPER = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]


@pytest.mark.parametrize("alpha", [0.04, 0.1, 0.2, 0.33, 0.5, 0.81, 1.3])
def test_keras_has_no_least_width_and_slim_has_8(alpha: float) -> None:
    for dialect, least in (("keras", 1), ("slim", 8)):
        network = meta(dialect=dialect, width_mult=alpha)
        widths = [end.channels for end in network.endpoints if not end.name.endswith("depthwise")]
        assert widths == [max(int(channels * alpha), least) for channels in PAPER]


def test_keras_own_counts() -> None:
    network = meta(dialect="keras", width_mult=0.2)
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if "num_batches" not in name)
    assert sum(it.numel() for it in network.parameters()) + statistics == 347_259
