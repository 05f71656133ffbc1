"""MobileNetV4 against timm's."""

import pytest
import timm
import torch
from torch import nn

from litevision.models import FeaturePyramid, Network, build, configure
from litevision.weights.convert.apply import apply, extract
from litevision.weights.convert.timm import LAYOUT as TIMM
from originals import SIZES, TOLERANCE_F64, assert_same_logits, randomise

pytestmark = pytest.mark.parity

NETWORKS = [
    # timm's name, sizes
    ("mobilenetv4_conv_small", SIZES),
    ("mobilenetv4_conv_small_050", SIZES),
    ("mobilenetv4_conv_small_035", ((97, 97),)),
    ("mobilenetv4_conv_medium", ((97, 97),)),
    ("mobilenetv4_conv_large", ((65, 97),)),
]


def of_timm(name: str, **arguments: object) -> nn.Module:
    made: nn.Module = timm.create_model(name, pretrained=False, **arguments)
    return made


def filled(theirs: nn.Module, name: str, output_stride: int = 32) -> Network:
    ours = build(configure(name, output_stride=output_stride)).double().eval()
    apply(ours, theirs.state_dict(), TIMM)
    return ours


@pytest.mark.parametrize(("name", "sizes"), NETWORKS)
def test_is_timms(name: str, sizes: tuple[tuple[int, int], ...]) -> None:
    theirs = randomise(of_timm(name))
    ours = filled(theirs, name)
    for size_hw in sizes:
        assert_same_logits(ours, theirs, size_hw)
    stored = {name: tensor for name, tensor in theirs.state_dict().items() if "num_batches_tracked" not in name}
    back = extract(ours, TIMM)
    assert back.keys() == stored.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [
        ("mobilenetv4_conv_small", 32),
        ("mobilenetv4_conv_small", 16),
        ("mobilenetv4_conv_small", 8),
        ("mobilenetv4_conv_medium", 8),
    ],
)
def test_maps_are_timms(name: str, output_stride: int) -> None:
    whole = randomise(of_timm(name))
    theirs = of_timm(name, features_only=True, output_stride=output_stride).double().eval()
    theirs.load_state_dict({key: whole.state_dict()[key] for key in theirs.state_dict()})
    ours = FeaturePyramid(filled(whole, name, output_stride))
    x = torch.randn(1, 3, 75, 133, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        got, expected = ours(x), theirs(x)
    assert [one.shape for one in got] == [one.shape for one in expected]
    assert max((a - b).abs().max().item() for a, b in zip(got, expected, strict=True)) <= TOLERANCE_F64


def test_forgets_nothing_that_timm_sets_besides_weights() -> None:
    theirs, ours = of_timm("mobilenetv4_conv_small"), build(configure("mobilenetv4_conv_small"))
    norms = [
        [(bn.eps, bn.momentum) for bn in net.modules() if isinstance(bn, nn.BatchNorm2d)] for net in (ours, theirs)
    ]
    assert norms[0] == norms[1]
