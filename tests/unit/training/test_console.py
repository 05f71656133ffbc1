"""What a training prints: names as they are, whatever they look like to a terminal."""

import dataclasses
from pathlib import Path

import pytest

from litevision.tasks import TASKS, task_of
from litevision.training.console import ConsoleListener, print_data, print_recipe, print_warnings
from litevision.training.plan import make_plan
from litevision.training.recipe_file import make_recipe
from shapes import RECIPE, write_shapes
from trainings import tiny_recipe, write_colours


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[/b]", "[/b]"),
        ("[bold red]dog", "[bold red]dog"),
        ("[link=https://evil.example]click[/link]", "[link=https://evil.example]click[/link]"),
        ("a\x1b]0;pwn\x07b", r"a\x1b]0;pwn\x07b"),
    ],
)
def test_class_names_are_no_markup_and_no_terminal_codes(
    name: str, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, _, issues = make_plan(write_colours(tmp_path / "data", 2), tiny_recipe(), "mine")
    data = dataclasses.replace(plan.data, classes=(name, *plan.data.classes[1:]))
    print_data(dataclasses.replace(plan, data=data), issues)
    err = capsys.readouterr().err
    assert shown in err
    assert "\x1b" not in err


@pytest.mark.parametrize("task", TASKS)
def test_the_line_of_an_epoch_fits_a_terminal(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if task_of(task).counted == "boxes":
        plan, *_ = make_plan(write_shapes(tmp_path / "data", 4, 2, 2), make_recipe(RECIPE, task=task), "mine")
    else:
        plan, *_ = make_plan(write_colours(tmp_path / "data", 2), tiny_recipe(), "mine")
    record = {
        "epoch": 120,
        "train_loss": 12.3456,
        "validation_loss": 12.3456,
        "validation_top1": 100.0,
        "validation_ap": 0.1234,
        "validation_ap50": 0.9999,
        "images_per_s": 987.6,
        "data_wait_share": 0.97,
    }
    with ConsoleListener(plan, tmp_path / "run") as listener:
        listener.on_epoch_end(record)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("epoch 120  loss 12.346  val 12.346  ")
    assert line.endswith("988 images/s, 97% wait")
    assert len(line) <= 80


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        ({"epochs": 1, "freeze_backbone_epochs": 0, "batch_size": 1000}, "schedule  1 epoch; 6 images a step at 32x32"),
        ({"epochs": 2, "batch_size": 4}, "schedule  2 epochs, of these 1 for the classifier alone; 4 images a step"),
    ],
)
def test_the_recipe_says_what_is_done(
    schedule: dict[str, int], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, *_ = make_plan(write_colours(tmp_path / "data", 2), tiny_recipe({"schedule": schedule}), "mine")
    print_recipe(plan, tmp_path)
    assert line in capsys.readouterr().err


def test_images_with_more_objects_than_boxes_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_shapes(tmp_path / "data", 4, 2, 2)
    for top_k, said in ((2, ""), (1, "8 images show more objects than the 1 boxes that detection.top_k allows: 8")):
        recipe = make_recipe(RECIPE, {"detection": {"top_k": top_k}}, task="detection")
        plan, *_ = make_plan(data, recipe, "mine")
        print_warnings({"warnings": plan.task.warnings(plan.data, recipe)})
        err = capsys.readouterr().err
        assert (said in err) if said else not err
    assert "objects can never be found. Train with --set detection.top_k=2." in err
