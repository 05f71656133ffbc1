"""Recipes as TOML, strictly: an unknown key is an error that names the nearest one."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from litevision.errors import FileMissingError, UnknownNameError, UsageError
from litevision.runtime.metadata import Task
from litevision.runtime.records import from_dict, to_dict
from litevision.training.detection.options import DETECTION_DEFAULTS
from litevision.training.recipe import Recipe

# The tables that are for one task alone.
_TASK_OF: dict[str, Task] = {"augment": "classification", "loss": "classification", "detection": "detection"}

# Keys by the names that they had up to 0.1.0, which are still read.
_RENAMED = {
    ("schedule", "head_epochs"): "freeze_backbone_epochs",
    ("optimizer", "trunk_lr"): "backbone_lr_mult",
}


def read_recipe(path: Path) -> Mapping[str, Any]:
    """The tables of a recipe file, for `make_recipe`.

    Raises:
        FileMissingError: no such file.
        UsageError: no valid TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FileMissingError(f"{path}: no such recipe; expected a TOML file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a recipe ({error}); expected TOML") from None


def read_settings(settings: Iterable[str]) -> Mapping[str, Any]:
    """The tables that ``table.key=value`` texts stand for; a value is TOML, or a text without quotes.

    Raises:
        UsageError: a text of another form.
    """
    tables: dict[str, dict[str, Any]] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        table, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            raise UsageError(f"--set takes table.key=value, such as schedule.epochs=20; got {setting!r}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        tables.setdefault(table, {})[key] = value
    return tables


def make_recipe(*layers: Mapping[str, Any], origin: str = "the recipe", task: Task = "classification") -> Recipe:
    """The task's default recipe with each of ``layers`` laid over it, the last on top.

    Args:
        layers: tables as `read_recipe` gives them.
        origin: what messages call them.
        task: decides the defaults.

    Raises:
        UnknownNameError: a table or key that does not exist.
        UsageError: a value of another type, or out of its range.
    """
    tables: dict[str, dict[str, Any]] = recipe_tables(Recipe())
    for layer in (DETECTION_DEFAULTS, *layers) if task == "detection" else layers:
        for table, keys in layer.items():
            if table not in tables:
                raise UnknownNameError.of(f"table in {origin}:", table, tables)
            if not isinstance(keys, Mapping):
                raise UsageError(f"{origin}: {table!r} is a table, [{table}]; got {keys!r}")
            for written, value in keys.items():
                key = _RENAMED.get((table, written)) or written
                if key not in tables[table]:
                    raise UnknownNameError.of(f"key in [{table}] of {origin}:", key, tables[table])
                tables[table][key] = value
    faults: list[str] = []
    recipe: Recipe | None = from_dict(Recipe, tables, "", faults)
    if recipe is None:
        raise UsageError(f"{origin}: {'; '.join(faults)}")
    return recipe


def recipe_tables(recipe: Recipe, task: Task | None = None) -> dict[str, dict[str, Any]]:
    """The recipe as tables of plain values; those that do nothing for ``task`` left out."""
    tables: dict[str, dict[str, Any]] = json.loads(json.dumps(to_dict(recipe)))
    return {name: table for name, table in tables.items() if task is None or _TASK_OF.get(name, task) == task}


def recipe_toml(recipe: Recipe, task: Task | None = None) -> str:
    """The recipe as TOML, every option of ``task`` stated."""
    return tomli_w.dumps(recipe_tables(recipe, task))
