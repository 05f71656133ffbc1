"""A NanoDet's training: what is planned, a step, and what it finds in validation images."""

from pathlib import Path

import pytest
import torch

from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.tasks.detection.card import built_on
from litevision.training.finish import described
from litevision.training.image_cache import ImageStores
from litevision.training.optimise import backbone_of
from litevision.training.plan import make_plan, read_plan
from litevision.training.recipe_file import make_recipe
from shapes import CLASSES, write_shapes


@pytest.mark.parametrize("name", ["nanodet_m", "nanodet_plus_m"])
def test_it_learns_and_is_scored(name: str, tmp_path: Path) -> None:
    model = {"name": name, "weights": "none", "size_hw": [64, 96]}
    recipe = make_recipe({"model": model, "run": {"workers": 0, "precision": "fp32"}}, task="detection")
    plan, network, _ = make_plan(write_shapes(tmp_path / "data", 4, 2, 1), recipe, "it")
    assert isinstance(network, NanoDet)
    plan.write(tmp_path / "run")
    assert read_plan(tmp_path / "run").config == plan.config == NanoDetConfig(name, len(CLASSES))
    assert built_on(described(plan, network, "cpu")["network"]) == ""

    stores = ImageStores(plan, tmp_path)
    setup = plan.task.set_up(plan, stores)
    batch = setup.images.collate([setup.images[index, 0] for index in range(4)])
    optimizer = torch.optim.SGD(network.parameters(), 0.02)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = setup.objective.loss(network.train(), batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None for parameter in backbone_of(network)[0].parameters())
    found = setup.objective.validate(network.eval())
    assert 0 <= found.ap <= found.ap50 <= 1
    assert found.loss > 0
