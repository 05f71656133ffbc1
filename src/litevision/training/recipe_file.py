"""Recipes as TOML, strictly: an unknown key is an error that names the nearest one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from litevision.errors import FileMissingError, UnknownNameError, UsageError, reason_of
from litevision.files import parse_toml, read_toml
from litevision.runtime.schema import from_dict, to_dict
from litevision.tasks import DEFAULT, TASKS, Task, task_of
from litevision.training.recipe import Adapted, Recipe

# Keys by the names that they had up to 0.1.0, which are still read.
_RENAMED = {
    ("schedule", "head_epochs"): "freeze_backbone_epochs",
    ("optimizer", "trunk_lr"): "backbone_lr_mult",
    ("detection", "turn"): "rot90",
    ("detection", "stretch"): "aspect_jitter",
    ("detection", "spread"): "center_radius",
}

# Options of later versions, with the values under which a recipe that was written whole before them means what it did.
_ADDED = {"schedule": {"frozen_passes": 1, "first_size": 1.0}}


def read_recipe(path: Path) -> Mapping[str, Any]:
    """The tables of a recipe file, for `make_recipe`.

    Raises:
        FileMissingError: no such file.
        UsageError: no valid TOML.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: no plain file; expected TOML")
        return read_toml(path)
    except FileNotFoundError:
        raise FileMissingError(f"{path}: no such recipe; expected a TOML file") from None
    except UsageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, no TOML, or a number of 5,000 digits
        raise UsageError(f"{path}: cannot be read as a recipe ({reason_of(error)}); expected TOML") from None


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
            value = parse_toml(f"value = {text}")["value"]
        except ValueError:
            value = text.strip()
        tables.setdefault(table, {})[key] = value
    return tables


def make_recipe(*layers: Mapping[str, Any], origin: str = "the recipe", task: Task | str = DEFAULT) -> Recipe:
    """The task's default recipe with each of ``layers`` laid over it, the last on top.

    Args:
        layers: tables as `read_recipe` gives them.
        origin: what messages call them.
        task: decides the defaults, and which tables there are.

    Raises:
        UnknownNameError: a table or key that does not exist.
        UsageError: a value of another type, out of its range, or an option of another task.
    """
    task = task_of(task) if isinstance(task, str) else task
    tables = recipe_tables(task.recipe())
    below = (task.defaults, task.fresh_defaults) if layered("weights", *layers) == "none" else (task.defaults,)
    layers = (*below, *(under for layer in layers for under in (*_as_it_was(layer, tables), layer)))
    of_others = {
        (name, key): (other, value)
        for other in map(task_of, TASKS)
        for name, keys in recipe_tables(other.recipe()).items()
        for key, value in keys.items()
        if key not in tables.get(name, ())
    }
    for layer in layers:
        for table, keys in layer.items():
            if table not in tables and not any(table == name for name, _ in of_others):
                raise UnknownNameError.of(f"table in {origin}:", table, tables)
            if not isinstance(keys, Mapping):
                raise UsageError(f"{origin}: {table!r} is a table, [{table}]; got {keys!r}")
            known = tables.get(table, {})
            for written, value in keys.items():
                key = _RENAMED.get((table, written)) or written
                if key in known:
                    known[key] = value
                    continue
                if (table, key) not in of_others:
                    foreign = [name for of, name in of_others if of == table]
                    raise UnknownNameError.of(f"key in [{table}] of {origin}:", key, known or foreign)
                other, default = of_others[table, key]
                if value != default:
                    raise UsageError(
                        f"{table}.{key} is an option of {other.name}, and these are {task.data_name}; leave it out"
                    )
    _make_room(tables["schedule"], layers)
    faults: list[str] = []
    recipe: Recipe | None = from_dict(task.recipe, tables, "", faults)
    if recipe is None:
        raise UsageError(f"{origin}: {'; '.join(faults)}")
    return recipe


def stated_keys(layers: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The options that layers state, as ``table.key`` with the names of today."""
    return frozenset(
        f"{table}.{_RENAMED.get((table, key), key)}"
        for layer in layers
        for table, keys in layer.items()
        if isinstance(keys, Mapping)
        for key in keys
    )


def with_options(recipe: Recipe, options: Iterable[Adapted]) -> Recipe:
    """The recipe with some options set anew."""
    tables = recipe_tables(recipe)
    for one in options:
        table, _, key = one.key.partition(".")
        tables[table][key] = one.value
    return make_recipe(tables, task=recipe.task)


def layered(key: str, *layers: Mapping[str, Any]) -> str | None:
    """What the last of a recipe's layers that states the ``key`` of the model says of it; None where none does."""
    models = [model for layer in layers if isinstance(model := layer.get("model"), Mapping)]
    return next((str(model[key]) for model in reversed(models) if key in model), None)


def _as_it_was(layer: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """What lies below a layer that is a whole recipe, as a run's is and ``--show-recipe`` prints it; else nothing."""
    stated = layer.get("optimizer")
    is_whole = isinstance(stated, Mapping) and len(stated) >= len(tables["optimizer"])
    return ({table: keys for table, keys in _ADDED.items() if table in tables},) if is_whole else ()


def _make_room(schedule: dict[str, Any], layers: Sequence[Mapping[str, Any]]) -> None:
    """Lets what a layer says of epochs prevail over what the layers below it say of a part or the least of them.

    The phase with a frozen backbone is shortened where it would outlast them.
    """
    set_at = dict.fromkeys(("epochs", "freeze_backbone_epochs", "min_steps"), -1)
    for place, layer in enumerate(layers):
        for written in layer.get("schedule", ()):
            key = _RENAMED.get(("schedule", written), written)
            if key in set_at:
                set_at[key] = place
    if set_at["epochs"] > set_at["min_steps"]:
        schedule["min_steps"] = 0
    epochs, frozen = schedule["epochs"], schedule["freeze_backbone_epochs"]
    if set_at["epochs"] > set_at["freeze_backbone_epochs"] and type(epochs) is type(frozen) is int and frozen >= epochs:
        schedule["freeze_backbone_epochs"] = max(0, epochs // 2)


def recipe_tables(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """The recipe as tables of plain values, those that only its task has before those on the machine and the card."""
    tables: dict[str, dict[str, Any]] = json.loads(json.dumps(to_dict(recipe)))
    last = ("run", "card")
    return {name: tables[name] for name in (*(name for name in tables if name not in last), *last)}


def recipe_toml(recipe: Recipe) -> str:
    """The recipe as TOML, every option stated."""
    return tomli_w.dumps(recipe_tables(recipe))
