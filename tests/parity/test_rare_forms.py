"""Forms that few know of: timm's 100h, 150d and rw, and torchvision's dilated and reduced tails."""

from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision.models import mobilenetv3

from litevision.models import Network, build, configure
from litevision.registry import ALIASES
from litevision.registry.weight_sets import find_weight_set
from litevision.weights.convert.apply import apply, extract
from litevision.weights.convert.layout import Layout
from litevision.weights.convert.timm import LAYOUT as TIMM
from litevision.weights.convert.torchvision import LAYOUT as TORCHVISION
from litevision.weights.detect_layout import detect_layout
from litevision.weights.read import StoredWeights
from originals import assert_same_logits, randomise

pytestmark = pytest.mark.parity

ODD = ((131, 97), (64, 75))


def assert_is(theirs: nn.Module, ours: Network, layout: Layout) -> None:
    """The same outputs in float64, the same tensors back."""
    ours = ours.to(torch.float64).eval()
    apply(ours, theirs.state_dict(), layout)
    for size_hw in ODD:
        assert_same_logits(ours, theirs, size_hw)
    stored = {name: tensor for name, tensor in theirs.state_dict().items() if "num_batches_tracked" not in name}
    back = extract(ours, layout)
    assert back.keys() == stored.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("name", ["mobilenetv1_100h", "mobilenetv3_large_150d", "mobilenetv3_rw"])
def test_timms_other_forms(name: str) -> None:
    theirs = randomise(timm.create_model(name, pretrained=False, num_classes=10))
    assert_is(theirs, build(configure(name, num_classes=10)), TIMM)
    found = detect_layout(StoredWeights(theirs.state_dict(), "torch"))
    assert found is not None
    variant = ALIASES[name]
    assert found.mismatches == 0
    assert (found.config.architecture, found.config.dialect, found.config.width_mult, found.config.options) == (
        variant.architecture,
        variant.dialect,
        variant.width_mult,
        variant.options,
    )
    assert find_weight_set(name).aliases[0].startswith(f"{name}.")


def of_torchvision(name: str, width_mult: float, **options: bool) -> nn.Module:
    rows, last = mobilenetv3._mobilenet_v3_conf(name, width_mult=width_mult, **options)
    return randomise(mobilenetv3.MobileNetV3(rows, last, num_classes=10))


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
@pytest.mark.parametrize(("width_mult", "options"), [(1.0, {"dilated": True}), (0.6, {"reduced_tail": True}),
                                                      (1.0, {"dilated": True, "reduced_tail": True})])  # fmt: skip
def test_torchvisions_other_forms(name: str, width_mult: float, options: dict[str, Any]) -> None:
    theirs = of_torchvision(name, width_mult, **options)
    ours = build(configure(name, width_mult=width_mult, num_classes=10, **options))
    assert_is(theirs, ours, TORCHVISION)
    assert ours.endpoints[-1].stride == (16 if "dilated" in options else 32)
