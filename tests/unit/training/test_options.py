"""Every option of a recipe does something that can be measured."""

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litevision.runtime import Normalisation
from litevision.tasks import TASKS, task_of
from litevision.tasks.classification.objective import ClassificationObjective, Validation
from litevision.tasks.classification.recipe import ClassificationRecipe
from litevision.training.image_cache import ImageCache, ImageStores
from litevision.training.plan import make_plan
from litevision.training.process import StopRequest
from litevision.training.run import make_fabric
from trainings import Quiet, tiny_loop, tiny_network, tiny_recipe, write_colours

# Two epochs of three steps end in other weights with these.
CHANGES: dict[str, Any] = {
    "schedule.epochs": 3,
    "schedule.freeze_backbone_epochs": 0,
    "schedule.batch_size": 3,
    "schedule.warmup_epochs": 0.0,
    "schedule.final_lr": 0.5,
    "optimizer.name": "sgd",
    "optimizer.lr": 1e-3,
    "optimizer.backbone_lr_mult": 0.1,
    "optimizer.layer_decay": 0.5,
    "optimizer.weight_decay": 0.5,
    "optimizer.momentum": 0.5,
    "optimizer.clip_norm": 0.01,
    "optimizer.freeze_bn": True,
    "augment.size_px": 48,
    "augment.crop_scale": [0.1, 0.2],
    "augment.flip": False,
    "augment.policy": "randaugment",
    "augment.erasing": 1.0,
    "augment.mixup": 0.8,
    "augment.cutmix": 1.0,
    "loss.label_smoothing": 0.0,
    "loss.class_weights": "balanced",
    "loss.sampler": "balanced",
    "run.seed": 1,
    "run.ema_decay": 0.1,
}

# The file that tests the others.
ELSEWHERE = {
    "test_plan.py": "model.name model.weights model.width model.dropout model.size_hw model.normalisation "
    "model.crop model.crop_fraction card.weights card.weights_licence",
    "test_loop.py": "schedule.patience run.checkpoint_minutes",
    "../tasks/classification/test_classification.py": "loss.teacher_weight loss.teacher_temperature",
    "../tasks/classification/test_teacher.py": "loss.teacher",
    "../tasks/detection/test_options.py": "detection.flip detection.flip_vertical detection.rot90 detection.scale "
    "detection.aspect_jitter detection.colour detection.hue detection.mosaic detection.min_visible "
    "detection.radius detection.center_radius detection.size_weight detection.offset_weight "
    "detection.iou_weight detection.top_k",
    "../tasks/detection/test_plan.py": "detection.backgrounds detection.exclude detection.most_images "
    "detection.neck detection.neck_channels detection.head_channels",
    "test_batches.py": "run.workers",
    "test_grey.py": "model.in_channels",
    "test_train_on.py": "schedule.train_on schedule.keep",
    "test_recipe.py": "schedule.min_steps",
    "test_quantization_aware.py": "model.quantization_aware",
    "test_frozen.py": "schedule.frozen_passes schedule.first_size",
    "report/test_page.py": "run.show_outside",
    "test_train.py": "run.device",
    "test_options.py": "run.precision run.channels_last run.compile run.cache_mb",
    "../lab/compare/test_compare.py": "model.dialect",
    "../../cli/test_train.py": "card.data card.data_licence",
    "../../cli/test_train_processes.py": "run.devices",
    "../../cli/test_train_remote.py": "run.copy_to",
}


class Untold(ClassificationObjective):
    """Has no validation images."""

    def validate(self, network: nn.Module) -> Validation:
        return Validation(0.0, 0.0)


def trained(folder: Path, recipe: ClassificationRecipe) -> dict[str, Tensor]:
    """What a run ends with."""
    store = ImageCache(folder / "none", [], Path.read_bytes, 0)
    imagenet = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    loop = tiny_loop(folder, recipe, objective=Untold(recipe, imagenet, (9, 3, 2), (), store, None), count=14)
    loop.run(Quiet(), StopRequest())
    return loop.scored_network().state_dict()


@cache
def usual(folder: Path) -> dict[str, Tensor]:
    return trained(folder, tiny_recipe())


@pytest.fixture
def usually(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return usual(tmp_path_factory.getbasetemp())


def test_every_option_is_tested() -> None:
    recipes = (task_of(name).recipe for name in TASKS)
    options = {
        f"{table.name}.{key.name}"
        for recipe in recipes
        for table in fields(recipe)
        for key in fields(table.default_factory())
    }
    named = [*CHANGES, *(name for names in ELSEWHERE.values() for name in names.split())]
    assert sorted(named) == sorted(options)
    for name, options_there in ELSEWHERE.items():
        text = (Path(__file__).parent / name).read_text()
        assert [option for option in options_there.split() if option.partition(".")[2] not in text] == []


@pytest.mark.parametrize("option", CHANGES)
def test_it_changes_what_comes_of_a_run(option: str, usually: dict[str, Tensor], tmp_path: Path) -> None:
    table, _, key = option.partition(".")
    found = trained(tmp_path, tiny_recipe({table: {key: CHANGES[option]}}))
    assert any(not torch.equal(found[name], usually[name]) for name in usually)


def test_nothing_else_does(usually: dict[str, Tensor], tmp_path: Path) -> None:
    found = trained(tmp_path, tiny_recipe({"run": {"checkpoint_minutes": 0, "cache_mb": 0, "workers": 1}}))
    assert all(torch.equal(found[name], usually[name]) for name in usually)


@pytest.mark.parametrize(("cache_mb", "kept"), [(0, 0), (1, 2)])
def test_the_cache_is_bounded(cache_mb: int, kept: int, tmp_path: Path) -> None:
    plan, _, _ = make_plan(write_colours(tmp_path / "data", 4), tiny_recipe({"run": {"cache_mb": cache_mb}}), "mine")
    run = tmp_path / "run"
    run.mkdir()
    stores = ImageStores(plan, run)
    for store in (stores.train, stores.validation):
        assert store(0).shape[2] == 3
    assert len(list(run.rglob("*.npy"))) == kept
    stores.close()
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("wanted", [True, False])
def test_channels_last(wanted: bool, tmp_path: Path) -> None:
    network = tiny_network()
    tiny_loop(tmp_path, tiny_recipe({"run": {"channels_last": wanted}}), network=network)
    kernels = [tensor for tensor in network.parameters() if tensor.ndim == 4 and min(tensor.shape[1:3]) > 1]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) == wanted for kernel in kernels)


@pytest.mark.parametrize("wanted", [True, False])
def test_compile(wanted: bool, tmp_path: Path) -> None:
    network = tiny_network()
    loop = tiny_loop(tmp_path, tiny_recipe({"run": {"compile": wanted}}), network=network)
    assert (network._compiled_call_impl is not None) is wanted
    assert loop.scored_network()._compiled_call_impl is None


def test_bf16_rounds_the_forward_pass_alone() -> None:
    network = tiny_network().eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        exact, rounded = (make_fabric(1, precision).setup_module(network)(images) for precision in ("fp32", "bf16"))
    assert rounded.dtype == torch.float32
    assert 0 < float((exact - rounded).abs().max()) < 0.05 * float(exact.abs().max())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
