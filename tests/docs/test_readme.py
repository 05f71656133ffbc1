"""The README and docs/ say what is so: their blocks are run, their tables generated, their links there."""

import contextlib
import doctest
import importlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import litevision
from litevision.cli.commands import COMMANDS
from litevision.cost.draw import draw
from litevision.exporting.cached import bundle_for
from litevision.models import build, configure
from litevision.registry.weight_sets import find_weight_set
from litevision.runtime import FORMAT_VERSION
from pages import DOCUMENTS, ROOT, blocks, name_of, pages_with

SOURCES = sorted((ROOT / "src").rglob("*.py"))
REAL_WEIGHTS = ROOT.parent / "shared/weights/mobilenet_v2_in1k_torchvision.pth"
REAL_CLOTHING = ROOT.parent / "shared/data/clothing/train"
SHOWN_CACHE = "/home/you/.cache/litevision"  # stands on the page for the tests' own cache

LINK = re.compile(r"\]\((?!https?:)([^)#]+)|src=\"([^\"]+)\"")
INSTALL = re.compile(r"pip install '\.\[([\w,]+)\]'")
NUMBER = re.compile(r"\d+\.\d+(?:e[-+]\d+)?")
OF_WEIGHTS = re.compile(r"classify|export|onnx|clothes")  # what is printed then depends on the weights


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder as the README has it: examples/, clothes/, mobilenet_v2.pth, and its bundle in a cache.

    The weights and the clothes are real where ../shared is, else random. Nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "examples", folder / "examples")
    make_clothes(folder / "clothes")
    weights = folder / "mobilenet_v2.pth"
    if REAL_WEIGHTS.is_file():
        shutil.copy(REAL_WEIGHTS, weights)
    else:
        litevision.save_weights(litevision.create("mobilenet_v2"), weights, "torchvision")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LITEVISION_CACHE", str(folder / "cache"))
        patch.setenv("LITEVISION_OFFLINE", "1")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        made = bundle_for(weights.name)
        shutil.copy(made, made.with_name(f"{find_weight_set('mobilenet_v2').name}-v{FORMAT_VERSION}.onnx"))
        yield folder


def make_clothes(folder: Path) -> None:
    """Twenty images each of three classes, real ones where they are there."""
    for hue, name in enumerate(("hat", "pants", "shoes")):
        real = sorted((REAL_CLOTHING / name).glob("*.jpg"))[:20]
        (folder / name).mkdir(parents=True)
        for number in range(20):
            file = folder / name / f"{number}.jpg"
            if real:
                shutil.copy(real[number], file)
            else:
                noise = np.random.default_rng((hue, number)).integers(0, 128, (64, 64, 3), np.uint8)
                noise[..., hue] += 127
                Image.fromarray(noise).save(file)


@pytest.mark.slow
@pytest.mark.parametrize("document", pages_with("console", "python"), ids=name_of)
def test_every_block_does_what_the_page_shows(document: Path, workplace: Path) -> None:
    faults = []
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(document):
        if block.language == "console":
            faults += [f"line {block.line}: {fault}" for fault in console_faults(block.text, workplace)]
        if block.language == "python":
            faults += [f"line {block.line}: {fault}" for fault in python_faults(block.text, names)]
    assert not faults, "\n".join(faults)


def console_faults(text: str, workplace: Path) -> Iterator[str]:
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        done = subprocess.run(
            command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        got = done.stdout.replace(str(workplace / "cache"), SHOWN_CACHE)
        if done.returncode != int(is_error(expected)):
            yield f"{command}: exit code {done.returncode}\n{got}"
        elif is_settled(command, expected) and not agree(expected, got):
            yield f"{command}: the page shows\n{expected}but it prints\n{got}"


def python_faults(text: str, names: dict[str, Any]) -> Iterator[str]:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(text, "block", "exec"), names)
    except Exception as error:  # a fault of the page like any other: the blocks after it are still run
        yield f"{type(error).__name__}: {error}"
        return
    expected = "".join(f"{shown}\n" for shown in re.findall(r"^(?:print\(.*\)  )?# (.*)", text, re.MULTILINE))
    if is_settled(text, expected) and not agree(expected, printed.getvalue()):
        yield f"the page shows\n{expected}but it prints\n{printed.getvalue()}"


def is_settled(code: str, expected: str) -> bool:
    """Whether the output does not depend on the weights, or the real ones are there."""
    return REAL_WEIGHTS.is_file() or not OF_WEIGHTS.search(code) or is_error(expected)


def is_error(expected: str) -> bool:
    """Whether the page shows a command that fails."""
    return re.search(r"^error: ", expected, re.MULTILINE) is not None


def agree(expected: str, got: str) -> bool:
    """Whether both say the same: numbers to 2 digits, and ``...`` stands for anything."""
    rounded = (NUMBER.sub(lambda number: f"{float(number[0]):.2f}", text) for text in (expected, got))
    return doctest.OutputChecker().check_output(*rounded, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)


@pytest.mark.parametrize(("page", "printed", "same"), [("0.8707", "0.8711", True), ("0.8707", "0.8811", False)])
def test_numbers_are_compared_to_two_digits(page: str, printed: str, same: bool) -> None:
    assert agree(f"cat  {page}\n...\nend\n", f"cat {printed}\nand more\nend\n") is same


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_block_is_of_a_kind_that_is_checked(document: Path) -> None:
    assert [block for block in blocks(document) if block.language not in ("console", "python", "sh")] == []


@pytest.mark.parametrize("document", pages_with("sh"), ids=name_of)
def test_every_shell_line_names_what_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    code = "".join(block.text for block in blocks(document) if block.language == "sh")
    for line in filter(None, (line.split("  #")[0].strip() for line in code.splitlines())):
        if made := re.fullmatch(r"make (\w+)((?: [A-Z]+=\S+)*)", line):
            assert made[1] in targets
            assert all(f"{variable} ?=" in makefile for variable in re.findall(r"([A-Z]+)=", made[2]))
        elif not re.fullmatch(rf"pip install \.|{INSTALL.pattern}", line):
            script = re.fullmatch(r"python (\S+\.py)(?: --check)?", line)
            assert script, f"{line}: no command that this test knows"
            assert (ROOT / script[1]).is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_extra_that_a_page_installs_exists(document: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for found in INSTALL.findall(document.read_text()) for extra in found.split(",")}
    assert named <= set(extras)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = [link for pair in LINK.findall(document.read_text()) for link in pair if link]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_knows_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"litevision {name} " not in readme] == []


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


@pytest.mark.parametrize("source", [path for path in SOURCES if ">>> " in path.read_text()], ids=name_of)
def test_doctests(source: Path) -> None:
    name = ".".join(source.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    results = doctest.testmod(importlib.import_module(name))
    assert (results.failed, results.attempted > 0) == (0, True)
