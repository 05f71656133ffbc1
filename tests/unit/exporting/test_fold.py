"""Batch normalisation folded into convolutions."""

import copy

import pytest
import torch
from torch import nn

from litevision.exporting.graph import fold_batch_norm
from networks import every_form, filled, images, short


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@every_form
def test_computes_the_same_without_any_norm(name: str, dialect: str) -> None:
    network = copy.deepcopy(short(name, dialect)).double()
    before = copy.deepcopy(network.state_dict())
    folded = fold_batch_norm(network)
    assert norms(folded) == 0
    assert norms(network) > 0
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    x = images(2, (33, 64), dtype=torch.float64)
    with torch.inference_mode():
        expected = network(x)
        torch.testing.assert_close(folded(x), expected, rtol=1e-11, atol=1e-11)
    assert expected.std() > 0.1


@pytest.mark.parametrize(("name", "dialect"), [("mobilenet_v2", "tutorial"), ("dla34", "timm")])
def test_folds_a_whole_network_with_biases_and_shortcuts(name: str, dialect: str) -> None:
    network = copy.deepcopy(filled(name, dialect)).double()
    folded, x = fold_batch_norm(network), images(1, (64, 64), dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(folded(x), network(x), rtol=1e-10, atol=1e-10)
    assert norms(folded) == 0


def test_rounds_each_weight_once_and_leaves_training_mode_to_the_original() -> None:
    network = copy.deepcopy(short("mobilenet_v2", "keras")).train()
    folded = fold_batch_norm(network)
    assert network.training
    assert not any(part.training for part in folded.modules())
    exactly = fold_batch_norm(copy.deepcopy(network).double())
    for (key, got), expected in zip(folded.state_dict().items(), exactly.state_dict().values(), strict=True):
        assert got.dtype == torch.float32
        assert torch.equal(got, expected.float()), key
