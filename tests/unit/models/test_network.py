"""The frame of every family: endpoints, pyramids, inputs, initial weights."""

import pickle

import pytest
import torch
from torch import nn

from litevision.errors import InputShapeError, UnknownNameError, UsageError
from litevision.models import FeaturePyramid, build, configure
from litevision.models.mobilenet_v1 import Conv
from litevision.weights.create import create
from networks import short

V1 = short("mobilenet_v1", "timm")  # endpoints Conv2d_0, Conv2d_1_depthwise, Conv2d_1_pointwise, ...


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 32, 32), r"rank 4, \[N, 3, H, W\], got \[3, 32, 32\] \(add the batch axis with x\[None\]\)"),
        ((1, 1, 32, 32), r"rank 4, \[N, 3, H, W\], got \[1, 1, 32, 32\]$"),
        ((1, 32, 32, 3), r"got \[1, 32, 32, 3\]$"),
        ((2, 3), r"got \[2, 3\]$"),
    ],
)
def test_an_input_of_another_shape(shape: tuple[int, ...], message: str) -> None:
    x = torch.zeros(shape)
    for take in (V1, V1.forward_features, V1.forward_endpoints, FeaturePyramid(V1)):
        with pytest.raises(InputShapeError, match=message):
            take(x)


def test_an_unknown_endpoint_lists_the_known_ones() -> None:
    known = (
        r"no endpoint of mobilenet_v1 'Conv2d_1'\. Did you mean .*\? Known: Conv2d_0, Conv2d_1_depthwise, "
        r"Conv2d_1_pointwise, Conv2d_2_depthwise, Conv2d_2_pointwise, Conv2d_3\."
    )
    with pytest.raises(UnknownNameError, match=known):
        V1.forward_endpoints(torch.zeros(1, 3, 32, 32), "Conv2d_1")
    with pytest.raises(UnknownNameError, match=known):
        build(configure("mobilenet_v1", rows=V1.config.rows, final_endpoint="Conv2d_1"), device="meta")


def test_no_endpoint_lies_behind_the_final_one() -> None:
    cut = build(configure("mobilenet_v2", final_endpoint="block_2")).eval()
    with pytest.raises(
        UnknownNameError, match=r"no endpoint of mobilenet_v2 'block_3'.* Known: stem, block_0, block_1"
    ):
        cut.forward_endpoints(torch.zeros(1, 3, 32, 32), "block_3")
    assert FeaturePyramid(cut).strides == (2, 4)


@pytest.mark.parametrize("indices", [(5,), (-6,), (0, 9)])
def test_levels_that_a_pyramid_has_not(indices: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=rf"out_indices must lie in 0\.\.4 for mobilenet_v2, got \[{indices[0]}"):
        create("mobilenet_v2", features_only=True, out_indices=indices)


def test_a_pyramid_without_levels() -> None:
    with pytest.raises(UsageError, match="out_indices must name at least one of the 5 levels, got none"):
        create("mobilenet_v2", features_only=True, out_indices=())
    with pytest.raises(UsageError, match="this mobilenet_v1 never strides, so it has no pyramid"):
        create("mobilenet_v1", features_only=True, rows=(Conv(3, 1, 8),))
    with pytest.raises(UsageError, match="out_indices picks levels of a pyramid: pass features_only=True with it"):
        create("mobilenet_v2", out_indices=(1,))


def test_a_pyramid_keeps_the_names_and_no_layer_behind_its_last_level() -> None:
    network = build(configure("mobilenet_v2"), device="meta")
    finest = FeaturePyramid(network, (1,))
    assert [end.name for end in finest.feature_info] == ["block_2"]
    assert list(finest.state_dict()) == [
        key
        for key in network.state_dict()
        if key.startswith(("features.stem.", "features.block_0.")) or "block_1." in key or "block_2." in key
    ]
    assert "features.conv_last.conv.weight" not in FeaturePyramid(network).state_dict()


def test_starts_with_weights_made_for_training() -> None:
    torch.manual_seed(0)
    network = build(configure("mobilenet_v2", dialect="tutorial"))
    stem = network.get_submodule("features.stem.conv")
    assert isinstance(stem, nn.Conv2d)
    assert stem.weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.1)  # Kaiming, fan out
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert (part.weight == 1).all()
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            assert part.bias is not None
            assert not part.bias.any()
    assert network.head.classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_builds_on_the_device_that_is_asked_for_or_the_default() -> None:
    config = configure("mobilenet_v1", rows=(Conv(3, 2, 8),))
    assert next(build(config, device="meta").parameters()).is_meta
    with torch.device("meta"):
        assert next(build(config).parameters()).is_meta
    assert not next(build(config).parameters()).is_meta


def test_survives_pickle() -> None:
    again = pickle.loads(pickle.dumps(V1))
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(again(x), V1(x))
    assert again.config == V1.config
