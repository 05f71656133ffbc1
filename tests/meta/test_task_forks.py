"""What differs between the tasks stands in the tasks: no other code asks which of them it is working for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from litevision.errors import UnknownNameError
from litevision.tasks import TASKS, Task, task_of

SRC = Path(__file__).parents[2] / "src/litevision"
OF_A_TASK = ("Detection", "CenterNet", "LabelledBoxes", "LabelledImages", "DetectionSample")
ROOMS = (
    "tasks",
    "training",
    "evaluation",
    "exporting",
    "models",
    "weights",
    "runtime",
    "hub.py",
    "lab",
    "cli",
    "data",
    "serving",
)
# The table of tasks, and the schema of what a bundle of each says.
ALLOWED = {"tasks/__init__.py": 1, "runtime/metadata.py": 1}


def forks(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The lines that do one thing for one task and another for the other."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                kind = ast.unparse(kinds)
                if any(kind.split(".")[-1].startswith(name) or f"| {name}" in kind for name in OF_A_TASK):
                    yield node.lineno, ast.unparse(node)
            case ast.Call(func=ast.Name(id="is_detection")):
                yield node.lineno, ast.unparse(node)
            case ast.Compare(left=left, comparators=others):
                if any(isinstance(one, ast.Constant) and one.value in TASKS for one in (left, *others)):
                    yield node.lineno, ast.unparse(node)
            case ast.Dict(keys=keys):
                named = {key.value for key in keys if isinstance(key, ast.Constant)}
                if set(TASKS) <= named:
                    yield node.lineno, "a table with a row for each task"


def source_files() -> dict[str, ast.Module]:
    rooms = (SRC / room for room in ROOMS)
    paths = (path for room in rooms for path in ([room] if room.is_file() else room.rglob("*.py")))
    return {path.relative_to(SRC).as_posix(): ast.parse(path.read_text()) for path in paths}


def is_of_a_task(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == "tasks" and len(parts) > 2


def test_no_code_asks_which_task_it_is() -> None:
    found = {
        name: lines
        for name, tree in source_files().items()
        if not is_of_a_task(name) and len(lines := list(forks(tree))) != ALLOWED.get(name, 0)
    }
    assert found == {}


def test_forks_are_seen() -> None:
    lines = (
        "isinstance(plan, DetectionPlan)",
        "isinstance(data, LabelledImages | LabelledBoxes)",
        "isinstance(data, LabelledImages)",
        "is_detection(path)",
        "task == 'detection'",
        "'classification' != task",
        "{'classification': 1, 'detection': 2}",
    )
    for line in lines:
        assert len(list(forks(ast.parse(line)))) == 1, line


def test_the_core_reaches_a_task_through_the_table_alone() -> None:
    arrows = [
        f"{name}:{node.lineno} imports {module}"
        for name, tree in source_files().items()
        if not is_of_a_task(name)
        for node in ast.walk(tree)
        for module in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if any(module.startswith(f"litevision.tasks.{task}") for task in TASKS)
    ]
    assert arrows == []


def test_a_task_imports_no_other_one() -> None:
    arrows = [
        f"{name} imports {node.module}"
        for name, tree in source_files().items()
        if is_of_a_task(name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("litevision.tasks.")
        for task in TASKS
        if node.module.startswith(f"litevision.tasks.{task}.") and not name.startswith(f"tasks/{task}/")
    ]
    assert arrows == []


@pytest.mark.parametrize("name", TASKS)
def test_the_table_names_each_task_by_its_name(name: str) -> None:
    task = task_of(name)
    assert isinstance(task, Task)
    assert (task.name, task.recipe.task, task.config.task) == (name, name, name)


def test_an_unknown_task() -> None:
    with pytest.raises(UnknownNameError, match="no task 'detektion'"):
        task_of("detektion")
