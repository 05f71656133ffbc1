"""Nothing stands there that nobody uses: extras, parts of the layering table, fields of the registry, quoted paths."""

import ast
import importlib.util
import re
import tomllib
from dataclasses import fields
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from litevision.registry import architectures, schema

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src/litevision"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOR_DEVELOPERS = ("dev", "docs", "audit")
IMPORTED_BY = {
    "tensorboard": "torch.utils.tensorboard",
    "onnxscript": "torch.onnx",
}  # what another package imports on our behalf
ABOUT_THE_PAST = "What was planned"  # a section of a decision that names what was never made
QUOTED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)`")

REQUIREMENTS = [
    (extra, Requirement(line).name)
    for extra, lines in {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}.items()
    if extra not in FOR_DEVELOPERS
    for line in lines
]
RECORDS = [
    kind
    for module in (architectures, schema)
    for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__") and kind.__module__ == module.__name__
]
DISTRIBUTIONS = packages_distributions()
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))


@cache
def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in SRC.rglob("*.py")]


@cache
def imported() -> set[str]:
    """Every module that the sources import, with the packages that it lies in."""
    names = set()
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "find_spec")):
            # what is found and not imported: pnnx is a program in a package
            names |= {part.value for part in node.args if isinstance(part, ast.Constant)}
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in IMPORTED_BY.values():
            names.add(ast.unparse(node))
    return {name.rsplit(".", cut)[0] for name in names for cut in range(name.count(".") + 1)}


def modules_of(requirement: str) -> set[str]:
    """The names under which a distribution is imported; a guess for one that is not installed here."""
    wanted = canonicalize_name(requirement)
    found = {name for name, distributions in DISTRIBUTIONS.items() if wanted in map(canonicalize_name, distributions)}
    return (found or {wanted.replace("-", "_")}) | {IMPORTED_BY.get(requirement, requirement)}


def layering() -> ModuleType:
    """tests/meta/test_layering.py, for its table."""
    spec = importlib.util.spec_from_file_location("layering", Path(__file__).with_name("test_layering.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("extra", "name"), REQUIREMENTS, ids=lambda value: value or "base")
def test_every_requirement_is_imported(extra: str, name: str) -> None:
    assert modules_of(name) & imported(), f"no source imports {name}: remove it from {extra or 'the dependencies'}"


def test_every_part_of_the_layering_table_exists() -> None:
    module = layering()
    table = module.MAY_IMPORT
    parts = {module.part_of(path) for path in SRC.rglob("*.py")}
    assert sorted(set(table) - parts) == []
    assert sorted({name for named in table.values() for name in named} - parts) == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda kind: kind.__name__)
def test_every_field_of_the_registry_is_read(record: Any) -> None:
    read = {
        node.attr
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    assert [field.name for field in fields(record) if field.name not in read] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_every_path_that_a_decision_quotes_exists(decision: Path) -> None:
    sections = re.split(r"^## ", decision.read_text(), flags=re.MULTILINE)
    text = "".join(section for section in sections if not section.startswith(ABOUT_THE_PAST))
    missing = [
        path
        for path in (found.removeprefix("litevision/") for found in QUOTED.findall(text))
        if not any((folder / path).exists() for folder in (SRC, SRC.parent, ROOT))
    ]
    assert missing == []
