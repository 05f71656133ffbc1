from collections.abc import Callable

import pytest
from torch import nn

from litevision.cost.ledger import ledger
from litevision.cost.rows import describe, fuse
from litevision.models import build, configure
from litevision.registry import ARCHITECTURES


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_row_lies_in_one_step_in_order(name: str) -> None:
    dialect = "keras" if "keras" in ARCHITECTURES[name].dialects else None
    layers = ledger(build(configure(name, dialect=dialect), device="meta")).rows
    assert [row for step in fuse(layers) for row in step.rows] == list(layers)


def test_operations_read_as_a_person_says_them() -> None:
    network = build(configure("mobilenet_v3_small", dialect="keras", output_stride=8), device="meta")
    found = {step.layer.name: step.operation for step in fuse(ledger(network).rows)}
    assert found["stem"] == "pad + conv 3x3 /2 +BN +h-swish"
    assert found["block_2.project"] == "conv 1x1 +BN +sum"
    assert found["block_4.depthwise"] == "dw 5x5 dilated 2 +BN +h-swish"
    assert found["block_4.se.expand"] == "conv 1x1 +h-sigmoid +scale"
    assert found["classifier"] == "linear"


def test_a_step_gives_what_its_last_row_gives() -> None:
    found = {step.layer.name: step for step in fuse(ledger(build(configure("mobilenet_v3_small"))).rows)}
    assert found["block_4.se.expand"].layer.out_shape == (240, 1, 1)
    assert found["block_4.se.expand"].rows[-1].out_shape == (240, 14, 14)
    assert found["stem"].params == 27 * 16 + 2 * 16


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.Conv2d(4, 8, 3, groups=2), "conv 3x3 in 2 groups"),
        (lambda: nn.MaxPool2d(3, 2), "max pool 3x3 /2"),
        (lambda: nn.AvgPool2d(2), "avg pool 2x2"),
        (lambda: nn.ConvTranspose2d(4, 4, 4, stride=2), "up-conv 4x4 /2"),
        (lambda: nn.Upsample(scale_factor=2.0), "upsample"),
        (nn.Tanh, "tanh"),
    ],
)
def test_kinds_that_our_networks_hardly_use(make: Callable[[], nn.Module], words: str) -> None:
    (row,) = ledger(make(), (9, 9), in_channels=4).rows
    assert describe(row) == words
