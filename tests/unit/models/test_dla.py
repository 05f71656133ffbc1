"""DLA-34 as a module: endpoints, pyramids, strides, widths, rows and errors."""

import pytest
import torch

from litevision.errors import UnknownNameError, UsageError
from litevision.models import FeaturePyramid, build, configure
from litevision.models.blocks import ConvNormAct
from litevision.models.dla import LEVELS, Level, LinkedTree, Tree


def test_has_the_parameters_of_timms_dla34() -> None:
    assert sum(p.numel() for p in build(configure("dla34"), device="meta").parameters()) == 15_742_104


def test_endpoints_have_the_papers_channels_and_strides() -> None:
    network = build(configure("dla34"), device="meta")
    assert [(end.name, end.channels, end.stride) for end in network.endpoints] == [
        ("base_layer", 16, 1),
        ("level0", 16, 1),
        ("level1", 32, 2),
        ("level2", 64, 4),
        ("level3", 128, 8),
        ("level4", 256, 16),
        ("level5", 512, 32),
    ]


@pytest.mark.parametrize(
    ("output_stride", "strides"), [(32, (2, 4, 8, 16, 32)), (16, (2, 4, 8, 16, 16)), (8, (2, 4, 8, 8, 8))]
)
def test_the_pyramid_gives_the_maps_that_it_declares(output_stride: int, strides: tuple[int, ...]) -> None:
    pyramid = FeaturePyramid(build(configure("dla34", output_stride=output_stride)))
    assert pyramid.channels == (32, 64, 128, 256, 512)
    assert pyramid.strides == strides
    maps = pyramid.eval()(torch.zeros(1, 3, 64, 96))
    assert [tuple(found.shape) for found in maps] == [
        (1, channels, 64 // stride, 96 // stride) for channels, stride in zip(pyramid.channels, strides, strict=True)
    ]


def test_dropped_strides_dilate_the_trees_after_them() -> None:
    network = build(configure("dla34", output_stride=8), device="meta")
    dilations = {
        name.split(".")[1]: part.conv.dilation
        for name, part in network.named_modules()
        if isinstance(part, ConvNormAct) and part.conv.kernel_size == (3, 3)
    }
    # The tree that drops its stride keeps the dilation from before it.
    assert [dilations[f"level{i}"] for i in (3, 4, 5)] == [(1, 1), (1, 1), (2, 2)]
    assert not [
        name for name, part in network.named_modules() if "level5" in name and isinstance(part, torch.nn.MaxPool2d)
    ]


@pytest.mark.parametrize("size_hw", [(1, 1), (2, 3), (31, 33), (97, 50)])
def test_odd_and_tiny_sizes_round_up_at_every_stride(size_hw: tuple[int, int]) -> None:
    network = build(configure("dla34", width_mult=0.25)).eval()
    height, width = size_hw
    for end, found in zip(
        network.endpoints, network.forward_endpoints(torch.zeros(1, 3, *size_hw)).values(), strict=False
    ):
        assert found.shape[-2:] == (-(-height // end.stride), -(-width // end.stride))


def test_the_width_scales_every_level_to_multiples_of_8() -> None:
    network = build(configure("dla34", width_mult=0.7), device="meta")
    assert [end.channels for end in network.endpoints] == [16, 16, 24, 48, 88, 176, 360]
    assert network.num_features == 360


def test_custom_rows_may_go_deeper() -> None:
    rows = (Level(0, 8, 2), Level(3, 16, 2), Level(1, 16, 1), Level(2, 24, 2))
    network = build(configure("dla34", rows=rows, num_classes=7)).eval()
    blocks = [name for name, _ in network.named_modules() if name.endswith(".conv1")]
    assert [sum(f"level{i}." in name for name in blocks) for i in range(4)] == [0, 8, 2, 4]
    # The first tree does not aggregate its input; its last root takes 2 maps of its own and one per deeper level.
    roots = {name: part.conv.conv.in_channels for name, part in network.named_modules() if name.endswith(".root")}
    assert roots["features.level1.tree2.tree2.root"] == 4 * 16
    assert roots["features.level2.tree.root"] == 2 * 16 + 16
    assert roots["features.level3.tree.tree2.root"] == 2 * 24 + 16 + 24
    assert network(torch.zeros(2, 3, 40, 40)).shape == (2, 7)


def test_a_tree_without_stride_or_change_of_channels_takes_its_input_as_shortcut() -> None:
    network = build(configure("dla34", rows=(*LEVELS[:3], Level(1, 64, 1))), device="meta")
    part = network.get_submodule("features.level3")
    assert isinstance(part, LinkedTree)
    assert isinstance(part.tree, Tree)
    assert isinstance(part.tree.project, torch.nn.Identity)
    assert isinstance(part.pool, torch.nn.Identity)


def test_no_classes_gives_features_and_an_endpoint_its_map() -> None:
    x = torch.zeros(2, 3, 32, 32)
    assert build(configure("dla34", width_mult=0.5, num_classes=0)).eval()(x).shape == (2, 256)
    assert build(configure("dla34", width_mult=0.5, final_endpoint="level2")).eval()(x).shape == (2, 32, 8, 8)


def test_other_input_channels_and_dropout_reach_the_network() -> None:
    network = build(configure("dla34", width_mult=0.5, in_channels=1, dropout=0.3)).eval()
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 1000)
    assert network.head.dropout.p == 0.3


def test_faults_are_named() -> None:
    with pytest.raises(UsageError, match=r"depth must be 0 \(a convolution\) or more, got -1"):
        Level(-1, 16, 1)
    with pytest.raises(UsageError, match="1 channel or more, got 0"):
        Level(1, 0, 1)
    with pytest.raises(UsageError, match="stride must be 1 or 2, got 4"):
        build(configure("dla34", rows=(Level(0, 16, 4),)), device="meta")
    with pytest.raises(UnknownNameError, match="no endpoint of dla34 'level9'"):
        build(configure("dla34", final_endpoint="level9"), device="meta")
    with pytest.raises(UnknownNameError, match="no dialect of dla34 'torchvision'"):
        configure("dla34", dialect="torchvision")
