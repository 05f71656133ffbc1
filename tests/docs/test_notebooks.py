"""The notebooks run from top to bottom, and git keeps none of their output."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from pages import ROOT

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """What a kernel runs cells with, in this process, which has imported torch already."""
    settings = Config()
    settings.HistoryManager.enabled = False
    found = InteractiveShell(config=settings)
    yield found
    found.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path: Path, shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    for cell in read(path).cells:
        if cell.cell_type == "code":
            shell.run_cell(cell.source, store_history=False).raise_error()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_kept(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert cells
    assert [cell.source for cell in cells if cell.outputs or cell.execution_count] == []
