"""check-data and train judge a data set alike: exit code 0 means that train can start, 1 that it refuses."""

from pathlib import Path

import pytest

from litevision.data import check_data
from litevision.errors import LitevisionError
from litevision.tasks import task_of_data
from litevision.training.recipe_file import make_recipe
from training_cases import CASES, Case


def checked(path: Path) -> tuple[bool, str]:
    """Whether check-data ends with 0, and what it says that the data holds."""
    try:
        report = check_data(path)
    except LitevisionError:
        return False, ""
    return report.ok, report.data.summary()


def trains(path: Path) -> bool:
    """Whether train gets as far as its network."""
    try:
        task = task_of_data(path)
        task.read_trainable(path, make_recipe(task=task))
    except LitevisionError:
        return False
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_data_and_train_agree(tmp_path: Path, case: Case) -> None:
    root = tmp_path / "data"
    root.mkdir()
    path = case.build(root) or root
    is_ok, holds = checked(path)
    assert holds.startswith(case.holds)
    assert bool(holds) == bool(case.holds)
    assert (is_ok, trains(path)) == (case.trains, case.trains)


def test_every_case_at_hand(shared: Path) -> None:
    verdicts = {path.name: (checked(path)[0], trains(path)) for path in (shared / "cases/training").iterdir()}
    assert {name: (one, other) for name, (one, other) in verdicts.items() if one != other} == {}
    assert len(verdicts) > 30
