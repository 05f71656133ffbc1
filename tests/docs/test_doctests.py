"""The examples in docstrings give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

from pages import ROOT, name_of

SOURCES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("source", [path for path in SOURCES if ">>> " in path.read_text()], ids=name_of)
def test_doctests(source: Path) -> None:
    name = ".".join(source.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    results = doctest.testmod(importlib.import_module(name))
    assert (results.failed, results.attempted > 0) == (0, True)
