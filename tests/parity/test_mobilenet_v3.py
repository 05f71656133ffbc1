"""MobileNetV3 against torchvision's and timm's."""

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import nn

from litevision.models import Network, build, configure
from litevision.weights.convert.apply import apply, extract
from litevision.weights.convert.layout import Layout
from litevision.weights.convert.timm import LAYOUT as TIMM
from litevision.weights.convert.torchvision import LAYOUT as TORCHVISION
from originals import SIZES, TOLERANCE_F32, assert_same_logits, randomise

pytestmark = pytest.mark.parity

SHORT = ((160, 160), (97, 97))  # sizes for the widths beside 1

TORCHVISION_NETWORKS: list[tuple[str, float]] = [
    ("mobilenet_v3_large", 1.0),
    ("mobilenet_v3_large", 0.75),
    ("mobilenet_v3_small", 1.0),
    ("mobilenet_v3_small", 0.75),
]
TIMM_NETWORKS = [
    # timm's name, sizes
    ("mobilenetv3_large_100", SIZES),
    ("mobilenetv3_large_075", SHORT),
    ("mobilenetv3_small_100", SIZES),
    ("mobilenetv3_small_075", SHORT),
    ("mobilenetv3_small_050", SHORT),
    ("tf_mobilenetv3_large_100", SIZES),
    ("tf_mobilenetv3_large_minimal_100", SIZES),
    ("tf_mobilenetv3_small_minimal_100", SIZES),
]


def of_torchvision(name: str, width_mult: float) -> nn.Module:
    made: Callable[..., nn.Module] = getattr(torchvision.models, name)
    return made(weights=None, width_mult=width_mult)


def filled(theirs: nn.Module, layout: Layout, name: str, width_mult: float = 1.0) -> Network:
    ours = build(configure(name, width_mult=width_mult)).to(next(theirs.parameters()).dtype).eval()
    apply(ours, theirs.state_dict(), layout)
    return ours


def assert_extract_gives_back(ours: Network, theirs: nn.Module, layout: Layout) -> None:
    stored = {name: tensor for name, tensor in theirs.state_dict().items() if "num_batches_tracked" not in name}
    back = extract(ours, layout)
    assert back.keys() == stored.keys()
    for name, tensor in stored.items():
        assert torch.equal(back[name], tensor), name


@pytest.mark.parametrize(("name", "width_mult"), TORCHVISION_NETWORKS)
def test_is_torchvisions(name: str, width_mult: float) -> None:
    theirs = randomise(of_torchvision(name, width_mult))
    ours = filled(theirs, TORCHVISION, name, width_mult)
    for size_hw in SIZES:
        assert_same_logits(ours, theirs, size_hw)
    assert_extract_gives_back(ours, theirs, TORCHVISION)


@pytest.mark.parametrize(("name", "sizes"), TIMM_NETWORKS)
def test_is_timms(name: str, sizes: tuple[tuple[int, int], ...]) -> None:
    theirs = randomise(timm.create_model(name, pretrained=False))
    ours = filled(theirs, TIMM, name)
    for size_hw in sizes:
        assert_same_logits(ours, theirs, size_hw)
    assert_extract_gives_back(ours, theirs, TIMM)


def test_is_torchvisions_in_single_precision() -> None:
    theirs = randomise(of_torchvision("mobilenet_v3_large", 1.0)).float()
    assert_same_logits(filled(theirs, TORCHVISION, "mobilenet_v3_large"), theirs, (224, 224), TOLERANCE_F32)


def test_forgets_nothing_that_the_originals_set_besides_weights() -> None:
    """Dropout and batch normalisation's own numbers do not show in logits at test time."""
    theirs = of_torchvision("mobilenet_v3_small", 1.0)
    ours = build(configure("mobilenet_v3_small"))
    assert [(bn.eps, bn.momentum) for bn in ours.modules() if isinstance(bn, nn.BatchNorm2d)] == [
        (bn.eps, bn.momentum) for bn in theirs.modules() if isinstance(bn, nn.BatchNorm2d)
    ]
    assert [part.p for part in ours.modules() if isinstance(part, nn.Dropout)] == [
        part.p for part in theirs.modules() if isinstance(part, nn.Dropout)
    ]
