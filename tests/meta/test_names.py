"""Names agree with themselves: the public table, the drawn tree of errors, the registry, the extras."""

import ast
import builtins
import importlib
import re
import tomllib
from pathlib import Path

import pytest

import litevision
from litevision import errors
from litevision.exporting.formats import FORMATS
from litevision.models import build, configure
from litevision.registry import ALIASES, ARCHITECTURES, resolve
from litevision.registry.weight_sets import default_weight_set, weight_sets

ROOT = Path(__file__).parents[2]
TREE_LINE = re.compile(r"^    ([| ]*)(?:\+-- )?(\w+Error)(?: \(also (\w+)\))?(?:  |$)", re.MULTILINE)

FORMS = [(name, dialect) for name, row in ARCHITECTURES.items() for dialect in row.dialects]


def test_all_is_the_lazy_table() -> None:
    assert litevision.__all__ == sorted(litevision.__all__)
    assert set(litevision.__all__) == {*litevision._HOMES, "__version__"}
    assert dir(litevision) == litevision.__all__


@pytest.mark.parametrize("name", sorted(set(litevision.__all__) - {"__version__"}))
def test_every_public_name_comes_from_its_home(name: str) -> None:
    home = importlib.import_module(litevision._HOMES[name])
    assert getattr(litevision, name) is getattr(home, name)


def test_type_checkers_see_the_public_names() -> None:
    tree = ast.parse(Path(litevision.__file__).read_text())
    for_checkers = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in for_checkers.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert seen == litevision._HOMES


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'litevision' has no attribute 'nonsense'"):
        litevision.nonsense  # noqa: B018


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn, above = {}, [""]
    for bars, name, also in TREE_LINE.findall(errors.__doc__ or ""):
        depth = 0 if name == "LitevisionError" else len(bars) // 4 + 1
        above[depth:] = [name]
        drawn[name] = {above[depth - 1] if depth else "Exception", *filter(None, [also])}
    real = {
        name: {base.__name__ for base in kind.__bases__}
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert drawn == real


def test_every_error_is_also_a_builtin_one_or_has_such_a_parent() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and kind.__module__ == errors.__name__ and kind is not errors.LitevisionError:
            others = [base for base in kind.__mro__ if vars(builtins).get(base.__name__) is base]
            assert len(others) > len(Exception.__mro__), f"{name} is caught by no builtin name"


@pytest.mark.parametrize(("name", "dialect"), FORMS)
def test_every_form_of_every_architecture_builds(name: str, dialect: str) -> None:
    network = build(configure(name, dialect=dialect, num_classes=7), device="meta")
    assert (network.dialect.name, network.config.dialect) == (dialect, dialect)
    assert network.head.classifier.weight.shape == (7, network.num_features)


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_resolves_and_builds(alias: str) -> None:
    variant = resolve(alias.upper())
    assert variant == ALIASES[alias]
    assert variant.dialect in ARCHITECTURES[variant.architecture].dialects
    config = build(configure(alias), device="meta").config
    assert (config.architecture, config.dialect, config.width_mult) == (
        variant.architecture,
        variant.dialect,
        variant.width_mult,
    )


def test_no_alias_hides_an_architecture() -> None:
    assert ALIASES.keys() & ARCHITECTURES.keys() == set()
    assert [name for name in (*ALIASES, *ARCHITECTURES) if name != name.lower()] == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_default_set_is_of_the_first_dialect_that_has_one(name: str) -> None:
    published = {row.dialect for row in weight_sets() if row.architecture == name and row.width_mult == 1}
    expected = next(dialect for dialect in ARCHITECTURES[name].dialects if dialect in published)
    assert default_weight_set(name).dialect == expected


def test_every_extra_that_a_message_names_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {row.extra for row in FORMATS.values()}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("MissingExtraError.of"):
                extra = node.args[1]
                if ast.unparse(extra) == "row.extra":  # of those
                    continue
                assert isinstance(extra, ast.Constant), f"{path.name}:{node.lineno}: the extra must stand there as text"
                named.add(extra.value)
    assert named
    assert named <= set(extras)


def test_no_source_file_is_crowded() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert {str(path): length for path, length in lengths.items() if length > 350} == {}
