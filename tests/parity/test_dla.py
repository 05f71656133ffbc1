"""DLA-34 against timm's."""

import pytest
import timm
import torch
from torch import nn

from litevision.models import build, configure
from litevision.weights.convert.apply import apply, extract
from litevision.weights.convert.timm import LAYOUT as TIMM
from originals import SIZES, TOLERANCE_F32, assert_same_logits, randomise

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    return randomise(timm.create_model("dla34"))


@pytest.fixture(scope="module")
def ours(theirs: nn.Module) -> nn.Module:
    network = build(configure("dla34")).double().eval()
    apply(network, theirs.state_dict(), TIMM)
    return network


@pytest.mark.parametrize("size_hw", [size_hw for size_hw in SIZES if size_hw != (97, 97)])
def test_gives_timms_logits(ours: nn.Module, theirs: nn.Module, size_hw: tuple[int, int]) -> None:
    assert_same_logits(ours, theirs, size_hw)


def test_gives_timms_logits_at_odd_sizes_where_its_pools_round_up(ours: nn.Module, theirs: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="must match"):
        theirs(torch.zeros(1, 3, 97, 97, dtype=torch.float64))
    pools = [part for part in theirs.modules() if isinstance(part, nn.MaxPool2d)]
    for pool in pools:
        pool.ceil_mode = True
    try:
        assert_same_logits(ours, theirs, (97, 97))
    finally:
        for pool in pools:
            pool.ceil_mode = False


def test_gives_timms_logits_in_float32() -> None:
    theirs = randomise(timm.create_model("dla34")).float()
    ours = build(configure("dla34")).eval()
    apply(ours, theirs.state_dict(), TIMM)
    # Sums of up to 4608 products in another order.
    assert_same_logits(ours, theirs, (160, 160), TOLERANCE_F32)


def test_every_level_gives_timms_map(ours: nn.Module, theirs: nn.Module) -> None:
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.inference_mode():
        expected = theirs.forward_intermediates(x, intermediates_only=True)
        found = ours.forward_endpoints(x)
    for level, feature_map in enumerate(expected):
        torch.testing.assert_close(found[f"level{level}"], feature_map, rtol=0, atol=1e-9)


def test_the_tensors_come_back_bit_identical(ours: nn.Module, theirs: nn.Module) -> None:
    kept = {name: tensor for name, tensor in theirs.state_dict().items() if "num_batches_tracked" not in name}
    written = extract(ours, TIMM)
    assert list(written) == list(kept)
    assert all(torch.equal(written[name], tensor) for name, tensor in kept.items())


def test_the_first_authors_unused_projections_are_dropped(theirs: nn.Module) -> None:
    tensors = {**theirs.state_dict(), "level4.project.0.weight": torch.zeros(256, 128, 1, 1)}
    applied = apply(build(configure("dla34")), tensors, TIMM)
    assert applied.dropped["level4.project.0.weight"] == "a projection that nothing reads"
