"""Quantization-aware training: layers round as a quantised network does, and what is left is an ordinary network."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import litevision
from litevision.tasks import task_of
from litevision.training.checkpoint import read_checkpoint
from litevision.training.process import StopRequest
from litevision.training.quantization_aware import make_quantization_aware, rounded, rounded_weights
from litevision.training.recipe_file import make_recipe
from litevision.training.start import inherited_options
from litevision.zoo import BUNDLES
from networks import short
from trainings import TINY, Quiet, checkpoints, differences, tiny_loop, tiny_network, tiny_recipe, write_colours

AWARE = {"model": {"quantization_aware": True}}


def test_numbers_are_rounded_to_256_steps_of_the_batch_s_range() -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    low, high = float(x.detach().flatten(1).amin(1).mean()), float(x.detach().flatten(1).amax(1).mean())
    step = (high - low) / 255
    zero = round(-low / step)
    found = rounded(x)
    expected = (np.rint(x.detach().numpy() / step) + zero).clip(0, 255) - zero
    np.testing.assert_allclose(found.detach().numpy(), expected * step, atol=1e-6)
    found.sum().backward()
    assert x.grad is not None
    inside = (x.detach() > low - step / 2) & (x.detach() < high + step / 2)
    assert torch.equal(x.grad, inside.float())  # what is cut off learns nothing there
    assert 0.5 < float(inside.float().mean()) < 1
    assert torch.equal(rounded(torch.rand(2, 3).relu() * 0), torch.zeros(2, 3))


@pytest.mark.parametrize(("shape", "axis"), [((6, 3, 2, 2), 0), ((6, 5), 0), ((3, 6, 2, 2), 1)])
def test_weights_are_rounded_in_each_output_channel(shape: tuple[int, ...], axis: int) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3
    found = rounded_weights(weight, axis).movedim(axis, 0)
    for given, got in zip(weight.movedim(axis, 0), found, strict=True):
        step = float(given.abs().max()) / 127
        np.testing.assert_allclose(got.numpy(), np.rint(given.numpy() / step) * step, atol=1e-5)


@pytest.mark.parametrize(("name", "dialect"), [("mobilenet_v2", "keras"), ("mobilenet_v3_large", "timm")])
def test_a_network_keeps_its_tensors_and_rounds_each_layer(name: str, dialect: str) -> None:
    network = copy.deepcopy(short(name, dialect)).eval()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    x = torch.randn(2, 3, 65, 98, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        plain = network(x)
        make_quantization_aware(network)
        answers = network(x)
    assert not differences(before, dict(network.state_dict()))
    relative = float((answers - plain).norm() / plain.norm())
    assert 1e-4 < relative < 0.5  # like noise, also behind a padding that a subclass does


def test_layers_that_are_on_the_grid_already_answer_as_before() -> None:
    generator = torch.Generator().manual_seed(3)
    layers = [nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.Linear(8, 4)]
    for layer in layers:
        axis = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        with torch.no_grad():
            layer.weight.copy_(torch.randint(-127, 128, layer.weight.shape, generator=generator) / 64)
            layer.weight.select(1 - axis, 0).fill_(127 / 64)
        shape = (2, 8) if isinstance(layer, nn.Linear) else (2, 3, 8, 8)
        x = torch.randint(-100, 156, shape, generator=generator) / 32
        x.flatten(1)[:, 0], x.flatten(1)[:, 1] = -100 / 32, 155 / 32
        expected = layer(x)
        make_quantization_aware(layer)
        torch.testing.assert_close(layer(x), expected)


def test_a_run_learns_is_taken_up_again_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    class Killed(Quiet):
        def on_step(self, images: int, loss: float) -> None:
            super().on_step(images, loss)
            if self.steps == 4:
                raise KeyboardInterrupt

    recipe = tiny_recipe(AWARE, {"run": {"checkpoint_minutes": 0}})
    ends = []
    for name in ("whole", "broken", "plain"):
        (tmp_path / name).mkdir()

        def network(seed: int, name: str = name) -> Any:
            made = tiny_network(seed)
            if name != "plain":
                make_quantization_aware(made)
            return made

        loop = tiny_loop(tmp_path / name, recipe, network=network(0))
        loop.write()
        if name == "broken":
            with pytest.raises(KeyboardInterrupt):
                loop.run(Killed(), StopRequest())
            progress, states = read_checkpoint(tmp_path / name / "last.ckpt")
            loop = tiny_loop(tmp_path / name, recipe, network=network(9))
            loop.load(progress, states)
        loop.run(Quiet(), StopRequest())
        ends.append(checkpoints(tmp_path / name))
    assert not differences(ends[0], ends[1])
    assert differences(ends[0], ends[2])


def test_a_run_goes_on_from_another_gently_and_its_bundle_computes_in_float(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_colours(tmp_path / "data", 4)
    options = {f"{table}.{key}": value for table, keys in TINY.items() for key, value in keys.items()}
    common: dict[str, Any] = {"output": tmp_path / "runs"}
    first = litevision.train(tmp_path / "data", settings=options, name="first", quiet=True, **common)
    settings = {"model.quantization_aware": True, "run.workers": 0, "run.precision": "fp32"}
    aware = litevision.train(
        tmp_path / "data", weights=tmp_path / "runs/first", settings=settings, name="aware", batch=4, **common
    )
    assert " at 32x32, rounded to 8 bits, from " in capfd.readouterr().err
    recipe = aware.results["recipe"]
    assert recipe["model"]["quantization_aware"] is True
    assert (recipe["schedule"]["epochs"], recipe["schedule"]["freeze_backbone_epochs"]) == (3, 0)
    assert (recipe["optimizer"]["lr"], recipe["optimizer"]["freeze_bn"]) == (1e-4, True)
    assert recipe["model"]["name"] == "mobilenet_v1"
    kinds = [sorted(node.op_type for node in onnx.load(run.bundle).graph.node) for run in (first, aware)]
    assert kinds[0] == kinds[1]
    changed = differences(first.network.state_dict(), aware.network.state_dict())
    assert changed
    assert not [name for name in changed if "running" in name]  # its statistics are those that it came with


def test_options_that_are_stated_come_first() -> None:
    assert make_recipe(AWARE).schedule.epochs == make_recipe().schedule.epochs  # not from an own run

    task, weights = task_of("classification"), str(BUNDLES["clothing"])
    plain, aware = (inherited_options(weights, task, quantization_aware=each) for each in (False, True))
    assert plain.keys() == {"model"}
    assert aware["model"] == plain["model"]
    assert make_recipe(aware, {"schedule": {"epochs": 7}}).schedule.epochs == 7
