"""Which images a report shows: it is sent on, so that those outside the data's folder stay out of it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from litevision.training.recipe import Run
from litevision.training.report.images import shown_images

# The recipe's option is run.show_outside.


@pytest.mark.parametrize("show_outside", [False, True])
def test_images_outside_the_data_are_shown_where_it_is_said(tmp_path: Path, show_outside: bool) -> None:
    (tmp_path / "ds").mkdir()
    recipe = SimpleNamespace(run=replace(Run(), show_outside=show_outside))
    plan: Any = SimpleNamespace(recipe=recipe, data=SimpleNamespace(root=tmp_path / "ds"))
    shown = shown_images(plan)
    assert [shown(tmp_path / name) for name in ("ds/cat/0.png", "far/0.png", "ds/../far/0.png")] == [
        True,
        show_outside,
        show_outside,
    ]
