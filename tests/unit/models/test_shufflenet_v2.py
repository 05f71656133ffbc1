"""ShuffleNetV2 as a module: endpoints, pyramids, strides, widths, rows and errors."""

import pytest
import torch
from torch import nn

from litevision.errors import UnknownNameError, UsageError
from litevision.models import FeaturePyramid, Network, build, configure
from litevision.models.blocks import ConvNormAct
from litevision.models.shufflenet_v2 import SCALES, Stage, scaled, shuffle


def convs_of(network: Network) -> dict[str, nn.Conv2d]:
    return {name: part.conv for name, part in network.named_modules() if isinstance(part, ConvNormAct)}


@pytest.mark.parametrize("name", SCALES)
def test_endpoints_have_the_papers_channels_and_strides(name: str) -> None:
    network = build(configure(name), device="meta")
    scale = SCALES[name]
    expected = [("stem", 24, 2), ("maxpool", 24, 4)]
    for number, stage in enumerate(scale.stages, start=2):
        expected += [(f"stage{number}_unit{i + 1}", stage.out_channels, 2 ** (number + 1)) for i in range(stage.units)]
    expected.append(("conv5", scale.conv5_channels, 32))
    assert [(end.name, end.channels, end.stride) for end in network.endpoints] == expected
    assert network.num_features == scale.conv5_channels


@pytest.mark.parametrize("dialect", ["torchvision", "tutorial"])
@pytest.mark.parametrize(
    ("output_stride", "strides"), [(32, (2, 4, 8, 16, 32)), (16, (2, 4, 8, 16, 16)), (8, (2, 4, 8, 8, 8))]
)
def test_the_pyramid_gives_the_maps_that_it_declares(
    dialect: str, output_stride: int, strides: tuple[int, ...]
) -> None:
    pyramid = FeaturePyramid(build(configure("shufflenet_v2_x0_5", dialect=dialect, output_stride=output_stride)))
    assert pyramid.channels == (24, 24, 48, 96, 192)
    assert pyramid.strides == strides
    maps = pyramid.eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(found.shape) for found in maps] == [
        (1, channels, 64 // stride, 96 // stride) for channels, stride in zip(pyramid.channels, strides, strict=True)
    ]


def test_dropped_strides_dilate_the_depthwise_convolutions_after_them() -> None:
    convs = convs_of(build(configure("shufflenet_v2_x1_0", output_stride=8), device="meta"))
    depthwise = {
        name.removeprefix("features."): (conv.stride[0], conv.dilation[0])
        for name, conv in convs.items()
        if name.endswith("depthwise")
    }
    # Both branches of a unit that drops its stride keep the dilation from before it.
    assert depthwise["stage2_unit1.side.depthwise"] == depthwise["stage2_unit1.main.depthwise"] == (2, 1)
    assert depthwise["stage3_unit1.side.depthwise"] == depthwise["stage3_unit1.main.depthwise"] == (1, 1)
    assert depthwise["stage3_unit2.main.depthwise"] == (1, 2)
    assert depthwise["stage4_unit1.side.depthwise"] == depthwise["stage4_unit1.main.depthwise"] == (1, 2)
    assert depthwise["stage4_unit4.main.depthwise"] == (1, 4)


@pytest.mark.parametrize("dialect", ["torchvision", "tutorial"])
@pytest.mark.parametrize("size_hw", [(1, 1), (2, 3), (31, 33), (97, 50)])
def test_odd_and_tiny_sizes_round_up_at_every_stride(dialect: str, size_hw: tuple[int, int]) -> None:
    network = build(configure("shufflenet_v2_x0_5", dialect=dialect)).eval()
    height, width = size_hw
    found = network.forward_endpoints(torch.zeros(1, 3, *size_hw))
    for end in network.endpoints:
        assert found[end.name].shape[-2:] == (-(-height // end.stride), -(-width // end.stride))


def test_shuffle_is_the_papers_with_two_groups() -> None:
    x = torch.arange(2 * 8 * 3 * 2).view(2, 8, 3, 2)
    groups_apart = x.view(2, 2, 4, 3, 2).transpose(1, 2).reshape(2, 8, 3, 2)
    assert torch.equal(shuffle(*x.chunk(2, dim=1)), groups_apart)


def test_a_unit_passes_half_of_its_channels_on() -> None:
    x = torch.randn(1, 48, 5, 5)
    for dialect, place in (("torchvision", 0), ("tutorial", 1)):
        network = build(configure("shufflenet_v2_x0_5", dialect=dialect)).eval()
        y = network.get_submodule("features.stage2_unit2")(x)
        assert torch.equal(y[:, place::2], x[:, :24])
        assert not torch.equal(y[:, 1 - place :: 2], x[:, 24:])


def test_the_tutorials_ends_have_no_bn_and_its_pool_pads_as_tensorflow() -> None:
    network = build(configure("shufflenet_v2_x0_5", dialect="tutorial")).eval()
    convs = convs_of(network)
    assert {name for name, conv in convs.items() if conv.bias is None} == {"features.stem"}
    for end in ("stem", "conv5"):
        assert isinstance(network.get_submodule(f"features.{end}.norm"), nn.Identity)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert network.get_submodule("features.maxpool")(x).tolist() == [[[[10.0, 11.0], [14.0, 15.0]]]]
    norm = network.get_submodule("features.stage2_unit1.main.depthwise.norm")
    assert isinstance(norm, nn.BatchNorm2d)
    assert (norm.eps, norm.momentum) == (1e-3, 0.01)


def test_the_width_scales_the_stages_alone_to_even_numbers() -> None:
    network = build(configure("shufflenet_v2_x1_0", width_mult=0.75), device="meta")
    channels = {end.name.split("_")[0]: end.channels for end in network.endpoints}
    assert channels == {"stem": 24, "maxpool": 24, "stage2": 88, "stage3": 174, "stage4": 348, "conv5": 1024}
    assert [scaled(48, width) for width in (0.01, 0.5, 1.0, 1.03, 1.05)] == [2, 24, 48, 50, 50]


@pytest.mark.parametrize(("ratio", "widths"), [(0.5, [24, 48, 96]), (1.5, [72, 144, 288]), (0.7, [32, 66, 134])])
def test_the_bottleneck_ratio_narrows_the_tutorials_units(ratio: float, widths: list[int]) -> None:
    network = build(configure("shufflenet_v2_x0_5", dialect="tutorial", bottleneck_ratio=ratio))
    assert [end.channels for end in network.endpoints if end.name.endswith("unit2")] == widths
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_custom_rows_replace_the_table() -> None:
    rows = (Stage(16, 1), Stage(20, 3))
    network = build(configure("shufflenet_v2_x2_0", rows=rows, num_classes=7)).eval()
    names = [end.name for end in network.endpoints]
    assert names == ["stem", "maxpool", "stage2_unit1", "stage3_unit1", "stage3_unit2", "stage3_unit3", "conv5"]
    assert network.num_features == 2048
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_no_classes_gives_features_and_an_endpoint_its_map() -> None:
    x = torch.zeros(2, 3, 64, 64)
    assert build(configure("shufflenet_v2_x0_5", num_classes=0)).eval()(x).shape == (2, 1024)
    network = build(configure("shufflenet_v2_x0_5", final_endpoint="stage4_unit4")).eval()
    assert network(x).shape == (2, 192, 2, 2)
    assert network.num_features == 192


def test_other_input_channels_and_dropout_reach_the_network() -> None:
    network = build(configure("shufflenet_v2_x0_5", in_channels=4, dropout=0.2)).eval()
    assert network(torch.zeros(1, 4, 32, 32)).shape == (1, 1000)
    assert network.head.dropout.p == 0.2


def test_faults_are_named() -> None:
    with pytest.raises(UsageError, match="out_channels must be even, for its units halve them, got 47"):
        Stage(47, 4)
    with pytest.raises(UsageError, match="1 unit or more, got 0"):
        Stage(48, 0)
    with pytest.raises(
        UsageError, match=r"bottleneck_ratio belongs to the dialect 'tutorial', got 0\.5 with 'torchvision'"
    ):
        build(configure("shufflenet_v2_x1_0", bottleneck_ratio=0.5), device="meta")
    with pytest.raises(UsageError, match="bottleneck_ratio must be a number above 0, got 0"):
        build(configure("shufflenet_v2_x1_0", dialect="tutorial", bottleneck_ratio=0), device="meta")
    with pytest.raises(UsageError, match=r"bottleneck_ratio 0\.01 leaves stage2 without channels"):
        build(configure("shufflenet_v2_x0_5", dialect="tutorial", bottleneck_ratio=0.01), device="meta")
    with pytest.raises(UnknownNameError, match="no endpoint of shufflenet_v2_x0_5 'stage5_unit1'"):
        build(configure("shufflenet_v2_x0_5", final_endpoint="stage5_unit1"), device="meta")
    with pytest.raises(UnknownNameError, match="no option of shufflenet_v2_x0_5 'depth_mult'"):
        build(configure("shufflenet_v2_x0_5", depth_mult=2), device="meta")
