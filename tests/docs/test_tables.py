"""Generated tables and drawings are what the code says today."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from litevision.cost.draw import draw
from litevision.models import build, configure
from pages import DOCUMENTS, ROOT


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """tools/readme_tables.py."""
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / "tools/readme_tables.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_generated_tables_are_fresh(tables: ModuleType) -> None:
    assert tables.stale() == [], "run: python tools/readme_tables.py"


def test_every_table_stands_on_one_page(tables: ModuleType) -> None:
    marked = [name for path in DOCUMENTS for name in re.findall(r"<!-- generated: (.*?) -->", path.read_text())]
    assert sorted(marked) == sorted(tables.TABLES)


def test_a_stale_table_is_noticed_and_mended(tables: ModuleType) -> None:
    text = (ROOT / "README.md").read_text()
    aged = text.replace("| 3,504,872 |", "| 3,504,873 |")
    assert aged != text
    assert tables.rendered(aged) == text


def test_the_drawing_is_what_draw_draws(tmp_path: Path) -> None:
    draw(build(configure("mobilenet_v2"), device="meta"), tmp_path / "again.svg")
    shown, drawn = (ROOT / "docs/images/mobilenet_v2.svg").read_text(), (tmp_path / "again.svg").read_text()
    # The words alone: their places depend on the fonts of the machine.
    assert re.findall(r">([^<>]+)</text>", drawn) == re.findall(r">([^<>]+)</text>", shown)
