"""What differs between classification and detection, one package a task; everything else asks `task_of`.

A third task is one more package with a ``task.py`` that holds ``TASK``, and a row in `TASKS`.
"""

import importlib
import os
from typing import Any, cast

from litevision.errors import UnknownNameError
from litevision.tasks.base import Task

__all__ = ["DEFAULT", "TASKS", "Task", "task_of", "task_of_data"]

TASKS = {
    "classification": "litevision.tasks.classification.task",
    "detection": "litevision.tasks.detection.task",
}
"""By name: the module whose ``TASK`` it is, imported when it is asked for."""

DEFAULT = "classification"
"""The task where nothing says another one."""


def task_of(what: Any) -> Task:
    """The task of ``what``.

    Args:
        what: a task's name; or a network, its configuration, labelled data or a bundle's metadata, which say the name
            in ``task``.

    Raises:
        UnknownNameError: no task has that name.
    """
    what = getattr(what, "config", what)
    name = what if isinstance(what, str) else what.task
    if name not in TASKS:
        raise UnknownNameError.of("task", str(name), TASKS)
    return cast("Task", importlib.import_module(TASKS[name]).TASK)


def task_of_data(path: str | os.PathLike[str]) -> Task:
    """The task whose labels lie at ``path``; little of them is read."""
    from litevision.data import task_of as name_of

    return task_of(name_of(path))
