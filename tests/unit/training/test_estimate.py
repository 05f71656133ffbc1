"""The time that a training will take is told before it begins, and telling it changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from litevision.training.batches import EpochOrder
from litevision.training.checkpoint import Progress
from litevision.training.console import ConsoleListener
from litevision.training.estimate import remaining_seconds
from litevision.training.plan import make_plan
from litevision.training.process import StopRequest
from trainings import Quiet, checkpoints, differences, tiny_loop, tiny_recipe, write_colours


def test_the_seconds_that_are_left() -> None:
    recipe = tiny_recipe(
        {"schedule": {"epochs": 4, "freeze_backbone_epochs": 1, "first_size": 0.5}, "model": {"size_hw": [64, 64]}}
    )
    order = EpochOrder(12, 4, 0)
    # The first epoch costs a twelfth: a quarter of the pixels, and the way there alone.
    assert [recipe.train_size_in(epoch)[0] for epoch in range(4)] == [32, 64, 64, 64]
    whole = remaining_seconds(2.0, recipe, order, 6, Progress())
    assert whole == pytest.approx(2.0 * (12 * (1 / 12 + 3) + 4 * 6 / 3))
    assert remaining_seconds(2.0, recipe, order, 6, replace(Progress(), epoch=3)) == pytest.approx(2.0 * (12 + 6 / 3))


def test_timing_steps_changes_nothing(tmp_path: Path) -> None:
    left = []
    for name in ("timed", "untimed"):
        (tmp_path / name).mkdir()
        loop = tiny_loop(tmp_path / name, tiny_recipe())
        if name == "timed":
            seconds = loop.expected_seconds(3)
            assert seconds is not None
            assert seconds > 0
        loop.run(Quiet(), StopRequest())
        left.append(checkpoints(tmp_path / name))
    assert differences(*left) == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 second"), (75, "75 seconds"), (600, "10 minutes"), (9000, "2.5 hours")]
)
def test_the_time_is_said(seconds: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, *_ = make_plan(write_colours(tmp_path / "data", 2), tiny_recipe(), "mine")
    with ConsoleListener(plan, tmp_path / "run") as listener:
        listener.on_train_start(lambda: seconds)
        listener.on_train_start(lambda: None)
    assert capsys.readouterr().err == f"time      about {said} on this machine, by 2 timed steps\n"
