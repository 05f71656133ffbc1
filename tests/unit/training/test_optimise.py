"""Learning rates by part and by step, weight decay, and what is frozen."""

import math

import pytest
import torch
from torch import nn

from litevision.models.network import Network
from litevision.training.optimise import make_optimizer, parameter_groups, rate_factor, set_learning_rates, set_mode
from litevision.training.recipe import Optimizer, Schedule
from litevision.weights.create import create


@pytest.fixture(scope="module")
def network() -> Network:
    return create("mobilenet_v2", width_mult=0.35, num_classes=3)


def test_every_parameter_is_in_one_group(network: Network) -> None:
    groups = parameter_groups(network, Optimizer())
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())


def test_biases_and_batch_normalisation_do_not_decay(network: Network) -> None:
    decays = {
        id(parameter): group["weight_decay"]
        for group in parameter_groups(network, Optimizer(weight_decay=0.3))
        for parameter in group["params"]
    }
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            kernel = isinstance(module, (nn.Conv2d, nn.Linear)) and name == "weight"
            assert decays[id(parameter)] == (0.3 if kernel else 0.0)


def test_earlier_parts_learn_slower(network: Network) -> None:
    rates = {
        id(parameter): group["peak_lr"]
        for group in parameter_groups(network, Optimizer(lr=1.0, backbone_lr_mult=0.5, layer_decay=0.8))
        for parameter in group["params"]
    }
    parts = list(network.features)
    for behind, part in enumerate(reversed(parts)):
        assert all(rates[id(parameter)] == pytest.approx(0.5 * 0.8**behind) for parameter in part.parameters())
    assert {rates[id(parameter)] for parameter in network.head.parameters()} == {1.0}


def test_the_schedule_by_hand() -> None:
    schedule = Schedule(epochs=10, freeze_backbone_epochs=2, warmup_epochs=1, final_lr=0.1)

    def cosine(done: float) -> float:
        return 0.1 + 0.9 * (1 + math.cos(math.pi * done / 10)) / 2

    assert rate_factor(schedule, 0.0, 0) == 0
    assert rate_factor(schedule, 0.5, 0) == pytest.approx(0.5 * cosine(0.5))
    assert rate_factor(schedule, 5, 0) == pytest.approx(0.55)
    assert rate_factor(schedule, 10, 0) == pytest.approx(0.1)
    assert rate_factor(schedule, 1.9, 2) == 0  # frozen
    assert rate_factor(schedule, 2.25, 2) == pytest.approx(0.25 * cosine(2.25))
    assert rate_factor(schedule, 4, 2) == pytest.approx(cosine(4))


def test_a_run_of_one_epoch_has_rates_too() -> None:
    schedule = Schedule(epochs=1, freeze_backbone_epochs=1, warmup_epochs=5)
    assert rate_factor(schedule, 0.5, 0) > 0.4


def test_rates_depend_on_the_moment_alone(network: Network) -> None:
    schedule = Schedule(epochs=4, freeze_backbone_epochs=1)
    first = make_optimizer(network, Optimizer())
    for done in (0.0, 0.7, 1.5, 2.25):
        set_learning_rates(first, schedule, done)
    second = make_optimizer(network, Optimizer())
    head = set_learning_rates(second, schedule, 2.25)
    assert [group["lr"] for group in first.param_groups] == [group["lr"] for group in second.param_groups]
    assert head == first.param_groups[0]["lr"]
    assert first.param_groups[0]["is_head"]


def test_both_optimizers(network: Network) -> None:
    sgd = make_optimizer(network, Optimizer(name="sgd", momentum=0.8))
    assert isinstance(sgd, torch.optim.SGD)
    assert {(group["momentum"], group["nesterov"]) for group in sgd.param_groups} == {(0.8, True)}
    assert isinstance(make_optimizer(network, Optimizer()), torch.optim.AdamW)


def test_the_head_alone_leaves_the_backbone_as_it_is() -> None:
    network = create("mobilenet_v2", width_mult=0.35, num_classes=3)
    before = {name: tensor.clone() for name, tensor in network.features.state_dict().items()}
    set_mode(network, head_alone=True, freeze_bn=False)
    optimizer = make_optimizer(network, Optimizer())
    network(torch.randn(2, 3, 64, 64)).square().sum().backward()
    optimizer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.features.state_dict().items())
    assert network.head.training
    set_mode(network, head_alone=False, freeze_bn=False)
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.modules())


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    network = create("mobilenet_v2", width_mult=0.35, num_classes=3)
    set_mode(network, head_alone=False, freeze_bn=True)
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    network(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.named_buffers())
    assert all(parameter.requires_grad for parameter in network.parameters())
