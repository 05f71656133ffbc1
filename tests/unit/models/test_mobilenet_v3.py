"""MobileNetV3: dialects, dilation, custom rows, and the names in other libraries' files."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from litevision.errors import UnknownNameError, UsageError
from litevision.models import FeaturePyramid, Network, build, configure
from litevision.models.blocks import InvertedResidual, SqueezeExcite
from litevision.models.dialect import make_divisible
from litevision.models.mobilenet_v3_tables import LARGE, SMALL, TABLES, Bneck
from litevision.weights.convert.apply import apply, extract
from litevision.weights.convert.keras import LAYOUT as KERAS
from litevision.weights.convert.layout import Layout, tensor_mappings, to_layout
from litevision.weights.convert.slim import LAYOUT as SLIM
from litevision.weights.convert.timm import LAYOUT as TIMM
from litevision.weights.convert.torchvision import LAYOUT as TORCHVISION

NAMES = tuple(TABLES)
CUSTOM_ROWS = (
    Bneck(3, 16, 16, False, "relu", 2),
    Bneck(5, 40, 24, True, "hardswish", 2),
    Bneck(3, 24, 24, True, "relu", 1),  # expands nothing
    Bneck(7, 100, 33, False, "relu6", 1),
    Bneck(3, 66, 40, True, "hardswish", 2),
)


def meta(name: str, **arguments: Any) -> Network:
    return build(configure(name, **arguments), device="meta")


def blocks(network: Network) -> list[InvertedResidual]:
    return [part for part in network.features if isinstance(part, InvertedResidual)]


def expansions(network: Network) -> list[int]:
    return [block.depthwise.get_submodule("conv").get_parameter("weight").shape[0] for block in blocks(network)]


def test_the_tutorials_form_has_its_quirks() -> None:
    network = meta("mobilenet_v3_large", dialect="tutorial")
    parts = list(network.modules())
    assert all(part.bias is not None for part in parts if isinstance(part, nn.Conv2d))
    assert not any(isinstance(part, nn.ReLU) for part in parts)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in network.head.modules())
    assert {type(part.gate) for part in parts if isinstance(part, SqueezeExcite)} == {nn.Hardswish}
    assert [part.reduce.out_channels for part in parts if isinstance(part, SqueezeExcite)][:3] == [18, 30, 30]
    assert network.get_parameter("features.block_0.expand.conv.weight").shape == (16, 16, 1, 1)
    norms = {(part.eps, part.momentum) for part in parts if isinstance(part, nn.BatchNorm2d)}
    assert norms == {(1e-3, 0.01)}


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_minimalistic_has_the_same_widths_and_none_of_the_costly_parts(name: str) -> None:
    plain, small = meta(name, dialect="timm"), meta(f"{name}_minimalistic", dialect="timm")
    assert expansions(small) == expansions(plain)
    assert [end.channels for end in small.endpoints] == [end.channels for end in plain.endpoints]
    assert not any(isinstance(part, SqueezeExcite | nn.Hardswish | nn.Hardsigmoid) for part in small.modules())
    assert {part.kernel_size for part in small.modules() if isinstance(part, nn.Conv2d)} == {(1, 1), (3, 3)}


def test_torchvision_scales_columns_and_the_others_scale_inputs() -> None:
    columns = expansions(meta("mobilenet_v3_large", width_mult=0.75))
    ratios = expansions(meta("mobilenet_v3_large", width_mult=0.75, dialect="keras"))
    assert columns == [make_divisible(0.75 * row.exp_channels) for row in LARGE]
    assert sum(a != b for a, b in zip(columns, ratios, strict=True)) == 12


def test_timms_rounded_ratio_gives_the_tables_channels() -> None:
    """timm writes 3.67 where the table has 88 / 24; that must never cross a multiple of 8."""
    for percent in range(25, 151):
        channels = make_divisible(24 * percent / 100)
        assert make_divisible(channels * 3.67) == make_divisible(channels * (88 / 24))


@pytest.mark.parametrize(
    ("dialect", "width_mult", "stem", "last", "hidden"),
    [
        ("torchvision", 0.35, 8, 192, 360),
        ("timm", 0.35, 16, 200, 1024),
        ("keras", 0.35, 16, 192, 1024),
        ("slim", 0.35, 8, 200, 1024),
        ("torchvision", 1.4, 24, 816, 1432),
        ("timm", 1.4, 24, 808, 1024),
        ("keras", 1.4, 16, 816, 1432),
        ("slim", 1.4, 24, 808, 1024),
    ],
)
def test_the_dialects_scale_the_ends_differently(
    dialect: str, width_mult: float, stem: int, last: int, hidden: int
) -> None:
    network = meta("mobilenet_v3_small", dialect=dialect, width_mult=width_mult)
    assert (network.endpoints[0].channels, network.endpoints[-1].channels, network.num_features) == (stem, last, hidden)


@pytest.mark.parametrize(
    ("name", "channels", "last_of_each_level"),
    [
        ("mobilenet_v3_large", (16, 24, 40, 112, 160), ("block_0", "block_2", "block_5", "block_11", "block_14")),
        ("mobilenet_v3_small", (16, 16, 24, 48, 96), ("stem", "block_0", "block_2", "block_7", "block_10")),
    ],
)
@pytest.mark.parametrize("dialect", ["torchvision", "keras"])
def test_pyramid(name: str, channels: tuple[int, ...], last_of_each_level: tuple[str, ...], dialect: str) -> None:
    pyramid = FeaturePyramid(build(configure(name, dialect=dialect)).eval())
    assert pyramid.channels == channels
    assert pyramid.strides == (2, 4, 8, 16, 32)
    assert tuple(end.name for end in pyramid.feature_info) == last_of_each_level
    with torch.inference_mode():
        maps = pyramid(torch.zeros(1, 3, 97, 131))
    sizes = [(49, 66), (25, 33), (13, 17), (7, 9), (4, 5)]
    assert [tuple(found.shape) for found in maps] == [(1, c, *hw) for c, hw in zip(channels, sizes, strict=True)]


@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilation_computes_the_same_between_the_old_places(output_stride: int) -> None:
    """Without squeeze-and-excite, every n-th place of the dilated map is the strided map."""
    name = "mobilenet_v3_small_minimalistic"
    strided = build(configure(name, dialect="timm")).double().eval()
    dilated = build(configure(name, dialect="timm", output_stride=output_stride)).double().eval()
    dilated.load_state_dict(strided.state_dict())
    assert dilated.endpoints[-1].stride == output_stride
    x = torch.randn(1, 3, 96, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = strided.forward_features(x), dilated.forward_features(x)
    n = 32 // output_stride
    assert got.shape[-2:] == (96 // output_stride, 64 // output_stride)
    assert expected.std() > 1e-6
    assert torch.allclose(got[..., ::n, ::n], expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
@pytest.mark.parametrize(("output_stride", "dilations"), [(32, {1}), (16, {1, 2}), (8, {1, 2, 4})])
def test_output_stride_becomes_dilation_of_later_rows(name: str, output_stride: int, dilations: set[int]) -> None:
    network = meta(name, output_stride=output_stride)
    depthwise = [part for part in network.modules() if isinstance(part, nn.Conv2d) and part.groups > 1]
    assert {part.dilation[0] for part in depthwise} == dilations
    for part in depthwise:
        assert part.stride == (2, 2) or part.padding[0] == part.dilation[0] * (part.kernel_size[0] // 2)
    assert [block.residual for block in blocks(network)] == [block.residual for block in blocks(meta(name))]


def test_a_row_that_strides_in_the_table_has_no_sum_even_when_dilated() -> None:
    rows = (*CUSTOM_ROWS, Bneck(3, 80, 40, False, "relu", 2), Bneck(3, 80, 40, False, "relu", 1))
    assert [block.residual for block in blocks(meta("mobilenet_v3_small", rows=rows, output_stride=8))][-2:] == [
        False,
        True,
    ]


def test_no_classes_gives_the_hidden_features() -> None:
    network = build(configure("mobilenet_v3_small", num_classes=0)).eval()
    without_hidden = build(configure("mobilenet_v3_small", num_classes=0, hidden_channels=0)).eval()
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert network(x).shape == (2, network.num_features) == (2, 1024)
        pooled = without_hidden(x)
        assert torch.allclose(pooled, without_hidden.forward_features(x).mean((2, 3)))
    assert pooled.shape == (2, 576)


@pytest.mark.parametrize(
    ("layout", "dialect"), [(TORCHVISION, "torchvision"), (TIMM, "timm"), (KERAS, "keras"), (SLIM, "slim")]
)
@pytest.mark.parametrize("arguments", [{}, {"hidden_channels": 64}, {"hidden_channels": 0}])
def test_custom_rows_survive_every_layout(layout: Layout, dialect: str, arguments: dict[str, int]) -> None:
    config = configure("mobilenet_v3_small", dialect=dialect, rows=CUSTOM_ROWS, width_mult=0.75, **arguments)
    network, other = build(config), build(config)
    stored = extract(network, layout)
    trained = [name for name in network.state_dict() if "num_batches_tracked" not in name]
    assert len(stored) == len(trained)
    apply(other, stored, layout, drop_background=False)
    for name in trained:
        assert torch.equal(network.state_dict()[name], other.state_dict()[name]), name


def test_custom_rows_open_a_stage_at_each_stride_and_width_in_timms_names() -> None:
    names = extract(build(configure("mobilenet_v3_small", dialect="timm", rows=CUSTOM_ROWS)), TIMM)
    depthwise = [name.removesuffix(".conv_dw.weight") for name in names if name.endswith("conv_dw.weight")]
    assert depthwise == ["blocks.0.0", "blocks.1.0", "blocks.1.1", "blocks.2.0", "blocks.3.0"]
    assert "blocks.4.0.conv.weight" in names


@pytest.mark.parametrize("name", NAMES)
def test_reads_the_layer_names_that_keras_had_before_version_3(name: str) -> None:
    network = build(configure(name, dialect="keras", width_mult=0.35))
    state = network.state_dict()
    # A leaf's newer names come first, then as many older ones.
    old = {
        leaf.theirs[len(leaf.theirs) // 2]: to_layout(state[leaf.ours], leaf.kind, KERAS)
        for leaf in tensor_mappings(network, KERAS)
    }
    assert {"Conv/kernel", "Conv/BatchNorm/moving_variance", "Conv_2/bias", "Logits/kernel"} <= old.keys()
    assert {"expanded_conv/depthwise/depthwise_kernel", "expanded_conv_1/expand/BatchNorm/gamma"} <= old.keys()
    assert ("expanded_conv_3/squeeze_excite/Conv_1/bias" in old) == ("minimalistic" not in name)
    other = build(network.config)
    apply(other, old, KERAS)
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in state.items())


def test_slims_names_and_shapes() -> None:
    stored = extract(build(configure("mobilenet_v3_small", dialect="slim", num_classes=1001)), SLIM)
    shapes = {name.removeprefix("MobilenetV3/"): tuple(tensor.shape) for name, tensor in stored.items()}
    expected = {
        "Conv/weights": (3, 3, 3, 16),
        "Conv/BatchNorm/moving_variance": (16,),
        "expanded_conv/depthwise/depthwise_weights": (3, 3, 16, 1),
        "expanded_conv/squeeze_excite/Conv/biases": (8,),
        "expanded_conv/project/BatchNorm/gamma": (16,),
        "expanded_conv_1/expand/weights": (1, 1, 16, 72),
        "expanded_conv_3/squeeze_excite/Conv_1/weights": (1, 1, 24, 96),
        "Conv_1/weights": (1, 1, 96, 576),
        "Conv_2/weights": (1, 1, 576, 1024),
        "Conv_2/biases": (1024,),
        "Logits/Conv2d_1c_1x1/weights": (1, 1, 1024, 1001),
    }
    assert {name: shapes.get(name) for name in expected} == expected
    assert not any("expanded_conv/expand" in name for name in shapes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 4}, r"kernel_size must be odd and above 0, got 4"),
        ({"kernel_size": -1}, r"kernel_size must be odd and above 0, got -1"),
        ({"exp_channels": 0}, r"exp_channels and out_channels must be 1 or more, got 0, 96"),
        ({"out_channels": -8}, r"must be 1 or more, got 576, -8"),
        ({"act": "swish"}, r"act must be one of relu, relu6, leaky_relu, hardswish, none, got 'swish'"),
    ],
)
def test_refuses_a_row_that_cannot_work(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL[-1], **change)


def test_refuses_rows_of_another_stride_or_kind() -> None:
    with pytest.raises(UsageError, match=r"stride must be 1 or 2, got 3"):
        meta("mobilenet_v3_small", rows=(replace(SMALL[0], stride=3),))
    with pytest.raises(UsageError, match=r"rows of mobilenet_v3_small must be Bneck records, got int"):
        meta("mobilenet_v3_small", rows=(7,))
    with pytest.raises(UsageError, match=r"a row is Bneck\(.*\), got 5 values"):
        meta("mobilenet_v3_small", rows=((3, 16, 16, True, "relu"),))


def test_refuses_options_that_do_not_exist_or_cannot_work() -> None:
    with pytest.raises(UnknownNameError, match=r"'hidden'\. Did you mean 'hidden_channels'"):
        meta("mobilenet_v3_small", hidden=512)
    with pytest.raises(UsageError, match=r"hidden_channels must be 0 \(none\) or more, got -1"):
        meta("mobilenet_v3_small", hidden_channels=-1)


def test_stops_at_an_endpoint_and_names_those_that_exist() -> None:
    network = build(configure("mobilenet_v3_small", final_endpoint="block_3")).eval()
    with torch.inference_mode():
        found = network(torch.zeros(1, 3, 64, 64))
    assert found.shape == (1, 40, 4, 4)
    with pytest.raises(UnknownNameError, match=r"no endpoint of mobilenet_v3_small 'block_11'"):
        meta("mobilenet_v3_small", final_endpoint="block_11")
