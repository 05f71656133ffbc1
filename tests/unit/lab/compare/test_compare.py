"""The comparison's candidates, its budget, and its plot."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from litevision.errors import UnknownNameError, UsageError
from litevision.lab.compare import budget as timing
from litevision.lab.compare import plans
from litevision.lab.compare.budget import Budget
from litevision.lab.compare.candidates import (
    CANDIDATES,
    REGIMES,
    Published,
    Trial,
    find_candidates,
    find_regimes,
    ignored_options,
    recipe_for,
)
from litevision.lab.compare.plans import plan_trials
from litevision.lab.compare.plot import write_plot
from litevision.lab.compare.table import ComparisonRow, is_finished
from litevision.models import configure
from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.training.image_cache import ImageStores
from litevision.training.plan import AnyPlan, first_network, make_plan
from litevision.training.recipe_file import make_recipe
from shapes import write_shapes

PARAMS = {
    "dlaseg": 18_976_446,
    "v1-reshape": 3_207_214,
    "v1-light": 3_513_934,
    "v2-reshape": 4_314_190,  # as published
    "v2-light": 1_939_982,
    "shuffle-light": 951_282,
    "nanodet-plus": 1_170_764,
}


def test_the_members_are_those_of_the_published_comparison() -> None:
    page = (Path(__file__).parents[4] / "docs/compare.md").read_text()
    assert list(CANDIDATES) == list(PARAMS)
    for candidate in CANDIDATES.values():
        with torch.device("meta"):
            if candidate.neck is None:
                network: nn.Module = NanoDet(NanoDetConfig(candidate.network, 10))
            else:
                backbone = configure(candidate.network, dialect=candidate.dialect)
                network = CenterNet(CenterNetConfig(backbone, 10, candidate.neck))
        assert sum(parameter.numel() for parameter in network.parameters()) == PARAMS[candidate.name]
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{candidate.name}` |")]
        assert row.endswith(f"| {PARAMS[candidate.name]:,} |")


def test_members_are_found_by_name() -> None:
    assert find_candidates([]) == tuple(CANDIDATES.values())
    assert [it.name for it in find_candidates(["v2-light", "dlaseg", "v2-light"])] == ["dlaseg", "v2-light"]
    with pytest.raises(UnknownNameError, match=r"no candidate of the comparison 'v2light'\. Did you mean 'v2-light'"):
        find_candidates(["v2light"])
    assert find_regimes([]) == ("plain", "augmented")
    assert find_regimes(["augmented"]) == ("augmented",)
    with pytest.raises(UnknownNameError, match=r"no regime of the comparison 'plane'\. Did you mean 'plain'"):
        find_regimes(["plane"])


def test_what_was_published_stands_beside_its_candidate() -> None:
    assert {name: it.published for name, it in CANDIDATES.items() if it.published} == {
        "dlaseg": Published(20_000_000, 1200, ""),
        "v1-reshape": Published(3_200_000, 250, "about 4.0"),
        "v2-reshape": Published(4_300_000, 600, "below 0.5"),
    }


def test_each_trial_has_a_name_and_a_seed_of_its_own() -> None:
    recipe = make_recipe({"run": {"seed": 5}}, task="detection")
    trials = [Trial(CANDIDATES["dlaseg"], regime, draw) for draw in range(2) for regime in REGIMES]
    assert {trial.name: recipe_for(trial, recipe, 1).run.seed for trial in trials} == {
        "dlaseg-plain": 5,
        "dlaseg": 5,
        "dlaseg-plain-2": 6,
        "dlaseg-2": 6,
    }


def test_plain_shows_each_image_the_same_each_time(tmp_path: Path) -> None:
    data = write_shapes(tmp_path / "data", 4)
    tables = {"model": {"size_hw": [64, 96]}, "detection": {"mosaic": 0.5, "hue": 0.1, "rot90": True}}
    recipe = make_recipe(tables, {"run": {"workers": 0}}, task="detection")
    same = {}
    for regime in REGIMES:
        trial = Trial(CANDIDATES["v1-light"], regime)
        plan, _, _ = make_plan(data, recipe_for(trial, recipe, 1), trial.name)
        stores = ImageStores(plan, tmp_path)
        try:
            images = plan.task.set_up(plan, stores).images
            same[regime] = all(
                torch.equal(images[index, 1].image, images[index, seed].image)
                for index in range(4)
                for seed in (2, 3, 4)
            )
        finally:
            stores.close()
    assert same == {"plain": True, "augmented": False}


def test_one_recipe_becomes_each_members_own() -> None:
    given: dict[str, Mapping[str, object]] = {
        "model": {"name": "mobilenet_v3_large", "size_hw": [96, 128], "width": 0.5},
        "schedule": {"batch_size": 3, "patience": 5},
        "optimizer": {"lr": 0.01},
        "detection": {"neck": "light", "neck_channels": 16, "flip": False},
    }
    recipe = make_recipe(given, task="detection")
    made = {candidate.name: recipe_for(Trial(candidate), recipe, 7) for candidate in CANDIDATES.values()}
    assert {(it.model.name, it.model.dialect, it.detection.neck) for it in made.values()} == {
        (candidate.network, candidate.dialect, candidate.neck or "light") for candidate in CANDIDATES.values()
    }
    for one in made.values():
        assert (one.model.size_hw, one.model.weights) == ((96, 128), "none")
        assert one.model.width == (1.0 if one.model.name == "nanodet_plus_m" else 0.5)
        assert (one.schedule.epochs, one.schedule.freeze_backbone_epochs, one.schedule.patience) == (7, 0, 0)
        assert (one.schedule.keep, one.schedule.chooses) == ("last", False)
        assert (one.schedule.batch_size, one.optimizer.lr, one.detection.flip) == (3, 0.01, False)
        assert (one.optimizer.backbone_lr_mult, one.optimizer.layer_decay) == (1.0, 1.0)
    assert ignored_options(recipe) == ["model.name", "schedule.patience", "detection.neck_channels"]
    assert ignored_options(make_recipe(task="detection")) == []


def test_every_member_is_planned_before_any_is_trained(tmp_path: Path) -> None:
    data, folder = write_shapes(tmp_path / "data"), tmp_path / "compared"
    recipe = make_recipe({"model": {"width": 0.25, "size_hw": [64, 96]}}, task="detection")
    told: list[object] = []

    def plan(*names: str, budget: Budget, folder: Path = folder) -> dict[str, AnyPlan]:
        return plan_trials(
            data,
            recipe,
            [Trial(candidate) for candidate in find_candidates(names)],
            budget,
            folder,
            on_data=lambda plan, faults: told.append(plan.data),
            on_epochs=lambda *of_member: told.append(of_member),
        )

    first = plan("v2-reshape", "v1-light", budget=Budget(30.0, 3))
    assert list(first) == ["v1-light", "v2-reshape"]
    found = plan(budget=Budget(30.0, 3))
    assert list(found) == list(CANDIDATES)
    assert len(told) == 2  # the data, each time that it was read
    assert found["v1-light"].created == first["v1-light"].created
    for name, one in found.items():
        network = first_network(one)
        assert network.config == one.config
        if CANDIDATES[name].neck is None:
            assert isinstance(network, NanoDet)
        else:
            assert isinstance(network, CenterNet)
            assert (one.config.backbone.dialect, one.config.neck) == (CANDIDATES[name].dialect, CANDIDATES[name].neck)
        assert one.recipe.schedule == found["dlaseg"].recipe.schedule
        assert (one.recipe.schedule.epochs, one.start) == (3, None)
        assert not is_finished(folder / name)
    with pytest.raises(UsageError, match=r"holds a comparison with budget 3 epochs, not 30 minutes of training; give"):
        plan(budget=Budget(30.0))
    (tmp_path / "taken").touch()
    with pytest.raises(UsageError, match=r"taken: cannot be written \(File exists\); give another --output"):
        plan(budget=Budget(30.0, 3), folder=tmp_path / "taken")


def test_minutes_become_the_nearest_number_of_epochs() -> None:
    budget = Budget(10.0)
    assert [budget.epochs_of("dlaseg", seconds) for seconds in (1.0, 60.0, 130.0, 250.0, 1100.0)] == [600, 10, 5, 2, 1]
    message = r"--minutes 10 is too short for dlaseg: one epoch takes it about 21 minutes here; expected 21 or more"
    with pytest.raises(UsageError, match=message):
        budget.epochs_of("dlaseg", 1260.0)
    assert [str(it) for it in (budget, Budget(1.0), Budget(30.0, 1))] == [
        "10 minutes of training",
        "1 minute of training",
        "1 epoch",
    ]


@pytest.mark.parametrize(
    ("batches", "seconds", "steps", "epoch_seconds"),
    [
        (100, 30.0, 4 + 14, 200.0),  # the first three steps are slow and do not count
        (100, 1.0, 3 + 5, 200.0),  # five are the least
        (4, 30.0, 4, 8.0),
        (1, 30.0, 1, 10.0),
    ],
)
def test_an_epoch_is_timed_by_its_first_steps(
    batches: int, seconds: float, steps: int, epoch_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ticks() -> Iterator[float]:
        now = 0.0
        yield now
        for step in range(1000):
            now += 10.0 if step < 3 else 2.0
            yield now

    clock = ticks()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    watch = timing._Stopwatch(seconds)
    watch.on_epoch_start(1, "all", batches, 0)
    for _ in range(steps - 1):
        watch.on_step(4, 1.0)
    with pytest.raises(timing._Enough):
        watch.on_step(4, 1.0)
    assert watch.epoch_seconds == epoch_seconds


def test_trials_of_a_candidate_share_the_epochs_that_were_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[str] = []

    def measure(plan: AnyPlan, *_: object) -> float:
        timed.append(plan.name)
        return 60.0 * len(timed)

    monkeypatch.setattr(plans, "measure_epoch", measure)
    data, folder = write_shapes(tmp_path / "data"), tmp_path / "compared"
    recipe = make_recipe({"model": {"width": 0.25, "size_hw": [64, 96]}}, task="detection")

    def epochs(names: Sequence[str], draws: int) -> dict[str, int]:
        trials = [
            Trial(CANDIDATES[name], regime, draw) for draw in range(draws) for name in names for regime in REGIMES
        ]
        done = plan_trials(
            data, recipe, trials, Budget(6.0), folder, on_data=lambda *_: None, on_epochs=lambda *_: None
        )
        return {name: plan.recipe.schedule.epochs for name, plan in done.items()}

    assert epochs(["v1-light"], 1) == {"v1-light-plain": 6, "v1-light": 6}
    assert epochs(["v1-light", "v2-light"], 2) == {
        **{"v1-light-plain": 6, "v1-light": 6, "v2-light-plain": 3, "v2-light": 3},
        **{"v1-light-plain-2": 6, "v1-light-2": 6, "v2-light-plain-2": 3, "v2-light-2": 3},
    }
    assert timed == ["v1-light", "v2-light-2"]  # augmented ones, whose images take longer


def row(candidate: str, params: int, ms: float, ap: float, regime: str = "augmented") -> ComparisonRow:
    of = CANDIDATES[candidate]
    times = (ms, 0.9 * ms, 1.2 * ms)
    return ComparisonRow(
        candidate,
        regime,
        0,
        of.network,
        of.dialect,
        of.neck,
        params,
        1,
        1,
        *times,
        9,
        1,
        1,
        1.0,
        "cpu",
        1.0,
        9,
        ap,
        "test",
        6,
        12,
        ap,
        ap,
    )


@pytest.mark.parametrize("aps", [(0.5, 0.25), (0.0, 0.0)])
def test_the_plot_has_a_dot_for_each_row(aps: tuple[float, float], tmp_path: Path) -> None:
    rows = [row("dlaseg", 19_000_000, 100.0, aps[0]), row("v2-light", 2_000_000, 10.0, aps[1])]
    write_plot(tmp_path / "one.png", rows[:1], "$5 images\n30 minutes", "onnxruntime")
    write_plot(tmp_path / "two.png", rows, "$5 images\n30 minutes", "onnxruntime")
    write_plot(tmp_path / "three.png", [*rows, row("v2-light", 2_000_000, 10.0, 0.4, "plain")], "5 images", "ms")
    areas = []
    for name in ("one", "two", "three"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert min(image.size) > 600
            red, _, blue = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
            areas.append(int(((red < 80) & (blue > 120)).sum()))  # in the colour of v2-light
    assert areas[0] == 0
    assert areas[1] > 300
    assert areas[2] > areas[1] + 100  # a ring
    assert {path.name for path in tmp_path.iterdir()} == {"one.png", "two.png", "three.png"}
