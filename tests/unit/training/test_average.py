"""The mean of several runs' weights, and batch normalisation measured anew."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from litevision.errors import UsageError
from litevision.runtime import Weights
from litevision.training.average import average, mean_network, read_runs
from litevision.training.batches import EpochOrder, load_batches
from litevision.training.checkpoint import Progress, write_checkpoint
from litevision.training.image_cache import ImageStores
from litevision.training.loop import BEST
from litevision.training.plan import AnyPlan, Plan, make_plan
from litevision.training.recipe_file import make_recipe
from shapes import write_shapes
from trainings import tiny_recipe, write_colours

START = Weights("mobilenet_v1.x", "somewhere", "MIT", "0" * 64)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    made, _, _ = make_plan(write_colours(tmp_path / "data", 3), tiny_recipe(), "a")
    return replace(made, start=START)


def write_run(folder: Path, plan: AnyPlan, seed: int) -> Path:
    torch.manual_seed(seed)
    plan.write(folder)
    write_checkpoint(folder / BEST, Progress(), {"network": plan.config.build().state_dict()})
    return folder


def test_weights_are_the_mean(tmp_path: Path, plan: Plan) -> None:
    runs = [write_run(tmp_path / name, plan, seed) for seed, name in enumerate("abc")]
    network = mean_network(read_runs(runs), runs, tmp_path)
    states = [torch.load(run / BEST)["network"] for run in runs]
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter, torch.stack([state[name] for state in states]).mean(0))
    assert not network.training


def test_statistics_are_those_of_images_as_training_sees_them(tmp_path: Path, plan: Plan) -> None:
    plan = replace(plan, recipe=replace(plan.recipe, augment=replace(plan.recipe.augment, mixup=0.0)))
    runs = [write_run(tmp_path / name, plan, seed) for seed, name in enumerate("ab")]
    network = mean_network(read_runs(runs), runs, tmp_path)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (plan.normalisation.mean, plan.normalisation.std))
    first = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = plan.task.set_up(plan, ImageStores(plan, tmp_path)).images
    order = EpochOrder(len(images), plan.recipe.schedule.batch_size, plan.recipe.run.seed)
    epochs = [plan.recipe.schedule.epochs + later for later in range(-(-8 // len(order)))]  # of eight batches at least
    places = [batch for epoch in epochs for batch in order.batches(epoch)]
    with torch.no_grad():
        for pixels, _ in load_batches(images, places[:8], 0):
            network((pixels / 255 - mean) / std)
    means, variances = ([getattr(one, name)((0, 2, 3)) for one in seen] for name in ("mean", "var"))
    torch.testing.assert_close(first.running_mean, torch.stack(means).mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(first.running_var, torch.stack(variances).mean(0), rtol=1e-3, atol=1e-4)


def test_runs_must_fit_each_other(tmp_path: Path, plan: Plan) -> None:
    first = write_run(tmp_path / "a", plan, 0)
    other_start = write_run(tmp_path / "b", replace(plan, start=replace(START, sha256="1" * 64)), 1)
    with pytest.raises(UsageError, match=r"b has other starting weights than .*a; average runs that differ in neither"):
        read_runs([first, other_start])
    classes = tuple(reversed(plan.data.classes))
    other_data = write_run(tmp_path / "c", replace(plan, data=replace(plan.data, classes=classes)), 1)
    with pytest.raises(UsageError, match="c has other images or splits than"):
        read_runs([first, other_data])


def test_one_run_is_too_few(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(UsageError, match="averaging takes at least two runs, got 1"):
        read_runs([write_run(tmp_path / "a", plan, 0)])


def test_fresh_starts_have_no_mean(tmp_path: Path, plan: Plan) -> None:
    runs = [write_run(tmp_path / name, replace(plan, start=None), 0) for name in "ab"]
    with pytest.raises(UsageError, match="a was trained from scratch; only runs from the same weights"):
        read_runs(runs)


def test_the_same_run_twice_is_refused(tmp_path: Path, plan: Plan) -> None:
    first, other = (write_run(tmp_path / name, plan, seed) for seed, name in enumerate("ab"))
    (tmp_path / "link").symlink_to(first)
    for twice in ([first, first], [first, other, tmp_path / "b/../a"], [first, tmp_path / "link"]):
        with pytest.raises(UsageError, match=r"is given twice; averaging takes each run once"):
            read_runs(twice)
    copy = write_run(tmp_path / "copy", plan, 0)
    shutil.copy(first / BEST, copy / BEST)
    with pytest.raises(UsageError, match="copy holds the same weights as another run"):
        read_runs([first, other, copy])


def test_detectors_have_a_mean_too(tmp_path: Path, plan: Plan) -> None:
    model = {"name": "nanodet_m", "weights": "none", "size_hw": [64, 96]}
    recipe = make_recipe({"model": model, "run": {"workers": 0}}, task="detection")
    boxes, _, _ = make_plan(write_shapes(tmp_path / "shapes", 4, 2, 1), recipe, "boxes")
    boxes = replace(boxes, start=START)
    runs = [write_run(tmp_path / name, boxes, seed) for seed, name in enumerate("ab")]
    (runs[0] / "results.json").write_text(json.dumps({"scores": {"validation": {"ap": 0.25, "ap50": 0.5}}}))
    states = [torch.load(run / BEST)["network"] for run in runs]
    network = mean_network(read_runs(runs), runs, tmp_path)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter, torch.stack([state[name] for state in states]).mean(0))
    done = average(runs, name="mean", output=tmp_path)
    assert [run["scores"] for run in done.results["averaged"]] == [{"validation": 0.25}, {}]
    [warning] = [one for one in done.results["warnings"] if one.startswith("averaging")]
    pattern = r"averaging did not pay: AP 0\.\d{3} on the validation images, where a alone has AP 0\.250"
    assert re.match(pattern, warning)
    learned = replace(boxes.recipe, schedule=replace(boxes.recipe.schedule, train_on="train+validation"))
    on_both = [write_run(tmp_path / name, replace(boxes, recipe=learned), seed) for seed, name in enumerate("cd")]
    shutil.copy(runs[0] / "results.json", on_both[0])
    done = average(on_both, name="other", output=tmp_path)
    assert not [one for one in done.results["warnings"] if one.startswith("averaging")]
    with pytest.raises(UsageError, match="e has other network than"):
        read_runs([runs[0], write_run(tmp_path / "e", plan, 2)])


def test_it_is_said_what_each_run_scores_and_whether_it_paid(tmp_path: Path, plan: Plan) -> None:
    runs = [write_run(tmp_path / name, plan, seed) for seed, name in enumerate("abc")]
    for run, top1 in zip(runs, (10.0, 100.0), strict=False):  # the third is not finished
        scores = {"validation": {"top1": top1}, "test": {"top1": 50.0}}
        (run / "results.json").write_text(json.dumps({"scores": scores}))
    done = average(runs, name="mean", output=tmp_path)
    assert [(run["name"], run["scores"]) for run in done.results["averaged"]] == [
        ("a", {"validation": 10.0, "test": 50.0}),
        ("b", {"validation": 100.0, "test": 50.0}),
        ("c", {}),
    ]
    [*_, warning] = done.results["warnings"]
    assert warning.startswith("averaging did not pay: top-1 ")
    assert "where b alone has top-1 100.00 %. Use that run." in warning
