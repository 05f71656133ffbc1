"""Training on the validation images too, once nothing is left to choose."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from litevision.errors import DataError, UsageError
from litevision.tasks.classification.objective import Validation
from litevision.training.finish import training_data
from litevision.training.plan import make_plan
from litevision.training.process import StopRequest
from litevision.training.report.card import data_section
from litevision.training.report.facts import score_in_words
from litevision.training.run import train
from trainings import ColourObjective, Quiet, tiny_loop, tiny_recipe, write_colours

BOTH = {"schedule": {"train_on": "train+validation"}}
LAST = {"schedule": {"keep": "last"}}


class Worsening(ColourObjective):
    """Its validation score falls from epoch to epoch."""

    def __init__(self) -> None:
        self._top1 = 90.0

    def validate(self, network: nn.Module) -> Validation:
        self._top1 -= 1
        return Validation(loss=1.0, top1=self._top1)


@pytest.mark.parametrize(("changes", "kept"), [({}, 1), (BOTH, 3), (LAST, 3)])
def test_the_last_epoch_is_kept_whatever_validation_says(tmp_path: Path, changes: dict[str, Any], kept: int) -> None:
    loop = tiny_loop(tmp_path, tiny_recipe({"schedule": {"epochs": 3}}, changes), objective=Worsening())
    loop.run(Quiet(), StopRequest())
    assert loop.progress.best_epoch == kept


def test_all_but_test_images_are_trained_on_and_the_card_says_so(tmp_path: Path) -> None:
    plan, network, _ = make_plan(write_colours(tmp_path / "data", 4), tiny_recipe(BOTH), "mine")
    plan.write(tmp_path / "mine")
    listener = Quiet()
    results = train(plan, network, tmp_path / "mine", listener)
    # 3 colours x (4 + 2) images are 4 whole batches of 4 in each of 2 epochs.
    assert listener.steps == 8
    assert training_data(plan).startswith("18 images of 3 classes")
    assert "the validation images were trained on too" in data_section(results)
    assert "validation images were trained on too, and their scores judge nothing" in report_of(tmp_path / "mine")
    saved = json.loads((tmp_path / "mine/results.json").read_text())
    assert saved["best_epoch"] == 2
    assert saved["recipe"]["schedule"]["train_on"] == "train+validation"


def report_of(run: Path) -> str:
    return " ".join((run / "report.html").read_text().split())


def test_without_test_images_nobody_would_judge(tmp_path: Path) -> None:
    data = write_colours(tmp_path / "data", 2, test=0)
    message = r"^.*data: no test images, and schedule\.train_on = 'train\+validation' leaves no others to measure"
    with pytest.raises(DataError, match=message):
        make_plan(data, tiny_recipe(BOTH), "mine")


def test_the_last_epoch_needs_no_test_images_and_the_report_says_that_it_is_kept(tmp_path: Path) -> None:
    plan, network, _ = make_plan(write_colours(tmp_path / "data", 4, test=0), tiny_recipe(LAST), "mine")
    plan.write(tmp_path / "mine")
    results = train(plan, network, tmp_path / "mine", Quiet())
    assert results["best_epoch"] == 2
    assert "of which the last is kept" in report_of(tmp_path / "mine")
    assert "chose the best epoch" not in score_in_words(results)


@pytest.mark.parametrize(
    ("changes", "why"), [(BOTH, r'schedule\.train_on = "train\+validation"'), (LAST, r'schedule\.keep = "last"')]
)
def test_patience_would_wait_for_nothing(changes: dict[str, Any], why: str) -> None:
    message = rf"schedule\.patience waits for a better validation score, which means nothing with {why}; set one of"
    with pytest.raises(UsageError, match=message):
        tiny_recipe(changes, {"schedule": {"patience": 2}})
