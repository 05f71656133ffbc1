"""Recipes: what they take, what they refuse, and that a file says all that a record does."""

import os
from dataclasses import fields
from pathlib import Path

import pytest

from litevision.errors import FileMissingError, UnknownNameError, UsageError
from litevision.tasks.classification.recipe import ClassificationRecipe
from litevision.training.recipe_file import make_recipe, read_recipe, read_settings, recipe_tables, recipe_toml


def test_a_written_recipe_reads_back_the_same(tmp_path: Path) -> None:
    recipe = make_recipe(
        {"model": {"size_hw": [96, 128], "name": "mobilenet_v1"}, "augment": {"crop_scale": [0.5, 1]}},
        {"schedule": {"epochs": 3}},
    )
    file = tmp_path / "r.toml"
    file.write_text(recipe_toml(recipe))
    assert make_recipe(read_recipe(file)) == recipe
    assert (recipe.model.size_hw, recipe.schedule.epochs, recipe.augment.crop_scale) == ((96, 128), 3, (0.5, 1.0))


def test_a_recipe_states_every_option() -> None:
    tables = recipe_tables(ClassificationRecipe())
    assert list(tables) == ["model", "schedule", "optimizer", "augment", "loss", "run", "card"]
    assert set(tables) == {table.name for table in fields(ClassificationRecipe)}
    stated = {f"{table}.{key}" for table, keys in tables.items() for key in keys}
    assert stated == {
        f"{table.name}.{key.name}" for table in fields(ClassificationRecipe) for key in fields(table.default_factory())
    }


def test_later_layers_lie_on_top() -> None:
    recipe = make_recipe({"schedule": {"epochs": 3, "batch_size": 4}}, {"schedule": {"epochs": 5}})
    assert (recipe.schedule.epochs, recipe.schedule.batch_size) == (5, 4)


FROZEN = {"schedule": {"epochs": 30, "freeze_backbone_epochs": 5}}


@pytest.mark.parametrize("task", ["classification", "detection"])
@pytest.mark.parametrize(
    ("layers", "frozen"),
    [
        ([{"schedule": {"epochs": 1}}], 0),
        ([{"schedule": {"epochs": 2}}], 1),
        ([FROZEN, {"schedule": {"epochs": 5}}], 2),
        ([FROZEN, {"schedule": {"epochs": 6}}], 5),
        ([{"schedule": {"epochs": 60, "head_epochs": 5}}, {"schedule": {"epochs": 1}}], 0),
        ([{"schedule": {"epochs": 1}}, {"schedule": {"freeze_backbone_epochs": 1}}], 1),
        ([{"schedule": {"epochs": 1, "freeze_backbone_epochs": 1}}], 1),
    ],
)
def test_the_frozen_phase_gives_way_to_epochs_that_are_asked_for_above_it(
    layers: list[dict[str, dict[str, int]]], frozen: int, task: str
) -> None:
    assert make_recipe(*layers, task=task).schedule.freeze_backbone_epochs == frozen


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_a_network_from_scratch_has_defaults_of_its_own(task: str) -> None:
    usual, fresh = (make_recipe({"model": {"weights": weights}}, task=task) for weights in ("default", "none"))
    assert fresh.schedule.freeze_backbone_epochs == 0
    assert (fresh.optimizer.backbone_lr_mult, fresh.optimizer.layer_decay) == (1, 1)
    assert fresh.schedule.epochs > usual.schedule.epochs
    assert fresh.schedule.warmup_epochs > 0
    given = make_recipe({"model": {"weights": "none"}, "schedule": {"freeze_backbone_epochs": 3}}, task=task)
    assert given.schedule.freeze_backbone_epochs == 3
    assert make_recipe({"model": {"weights": "none"}}, {"model": {"weights": "default"}}, task=task) == usual


@pytest.mark.parametrize(
    ("schedule", "images", "epochs"),
    [
        ({}, 288, 84),  # 18 steps each
        ({}, 10, 300),  # one step of 10 images each
        ({"epochs": 400, "min_steps": 9}, 10, 400),
        ({}, 5000, 60),
        ({"batch_size": 8}, 360, 60),
        ({"epochs": 20}, 288, 20),
        ({"epochs": 20, "min_steps": 720}, 288, 40),
    ],
)
def test_with_few_images_a_network_from_scratch_gets_more_epochs(
    schedule: dict[str, int], images: int, epochs: int
) -> None:
    recipe = make_recipe({"model": {"weights": "none"}}, {"schedule": schedule})
    assert recipe.schedule.epochs_for(images, devices=1) == epochs
    assert make_recipe(recipe_tables(recipe)) == recipe


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"scedule": {}}, r"no table in r\.toml: 'scedule'\. Did you mean 'schedule'\?"),
        ({"schedule": {"epoch": 3}}, r"no key in \[schedule\] of r\.toml: 'epoch'\. Did you mean 'epochs'"),
        ({"optimizer": {"weight_deacy": 3}}, "Did you mean 'weight_decay'"),
        ({"schedule": 3}, r"r\.toml: 'schedule' is a table, \[schedule\]; got 3"),
        ({"schedule": {"epochs": "ten"}}, r"r\.toml: schedule\.epochs is 'ten', expected a whole number"),
        ({"schedule": {"epochs": 0}}, r"schedule\.epochs is 0; expected at least 1"),
        (
            {"schedule": {"freeze_backbone_epochs": 13}},
            r"schedule\.freeze_backbone_epochs is 13; expected at most schedule\.epochs, 12",
        ),
        ({"optimizer": {"name": "adam"}}, r"optimizer\.name is 'adam', expected 'adamw' or 'sgd'"),
        ({"optimizer": {"lr": -1.0}}, r"optimizer\.lr is -1; expected a number from"),
        ({"augment": {"crop_scale": [0.9, 0.1]}}, r"augment\.crop_scale is \[0\.9, 0\.1\]; expected two parts"),
        ({"augment": {"crop_scale": [0.9]}}, r"augment\.crop_scale is \[0\.9\], expected a list of 2"),
        ({"model": {"size_hw": [224, 8]}}, r"model\.size_hw is 8; expected a number from 16"),
    ],
)
def test_faults_are_one_clear_line(tables: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make_recipe(tables, origin="r.toml")
    assert "\n" not in str(caught.value)


def test_settings_are_toml_or_bare_text() -> None:
    assert read_settings(
        ["schedule.epochs=3", "model.name=mobilenet_v1", "augment.crop_scale=[0.5, 1.0]", "augment.flip=false"]
    ) == {
        "schedule": {"epochs": 3},
        "model": {"name": "mobilenet_v1"},
        "augment": {"crop_scale": [0.5, 1.0], "flip": False},
    }


@pytest.mark.parametrize("text", ["epochs=3", "schedule.epochs", "=3"])
def test_a_setting_of_another_form(text: str) -> None:
    with pytest.raises(UsageError, match=r"--set takes table\.key=value"):
        read_settings([text])


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"no\.toml: no such recipe"):
        read_recipe(tmp_path / "no.toml")


def test_a_recipe_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[schedule\n")
    with pytest.raises(UsageError, match=r"r\.toml: cannot be read as a recipe .*expected TOML"):
        read_recipe(tmp_path / "r.toml")


def test_unknown_names_are_key_errors_too() -> None:
    with pytest.raises(UnknownNameError):
        make_recipe({"runn": {}})


@pytest.mark.parametrize(
    "text",
    [
        "a." * 20_000 + "b = 1",
        "[" + "a." * 20_000 + "b]",
        "a = " + "[" * 3000 + "]" * 3000,
        f"a = {'9' * 5000}",
        "a = 1\n" * 99_999,
    ],
    ids=["dots", "dots in a table", "nested lists", "a long number", "a long file"],
)
def test_what_costs_its_reader_too_much_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(UsageError, match=r"^.*r\.toml: .*"):
        read_recipe(tmp_path / "r.toml")
    assert isinstance(read_settings([f"a.b={text.partition(' = ')[2]}"])["a"], dict)


def test_a_recipe_that_is_no_plain_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.toml")
    with pytest.raises(UsageError, match=r"r\.toml: no plain file"):
        read_recipe(tmp_path / "r.toml")
