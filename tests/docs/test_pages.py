"""The README and docs/ say what is so: their blocks are run, and their links lead somewhere."""

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import litevision
from litevision.cli import main
from litevision.cli.commands import COMMANDS
from litevision.console import set_verbosity
from litevision.exporting.cached import bundle_for, kept_at
from litevision.lab.latency import calibrate, latency_model
from litevision.runtime.engines import engine_choice
from litevision.web.onnxruntime_web import Runtime
from pages import DOCUMENTS, ROOT, blocks, name_of, pages_with

README = ROOT / "README.md"
REAL_WEIGHTS = ROOT.parent / "shared/weights/mobilenet_v2_in1k_torchvision.pth"
REAL_CLOTHING = ROOT.parent / "shared/data/clothing/train"
TRAIN = "litevision train clothes --weights none --epochs 1 --size 64 --batch 8 --name garments"
CHECKED = ("console", "python", "sh", "text", "js")  # that of JavaScript in tests/unit/web/test_page.py
SHOWN_CACHE = "/home/you/.cache/litevision"  # stands on the page for the tests' own cache

LINK = re.compile(r"\]\((?!https?:)([^)#]+)|src=\"([^\"]+)\"")
INSTALL = re.compile(r"pip install '\.\[([\w,]+)\]'")
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
NUMBER = re.compile(r"\d+\.\d+(?:e[-+]\d+)?")
SHELL = re.compile(r"[|&;<>*?$`]|^\w+=")  # what makes a line more than a program with its arguments
OF_WEIGHTS = re.compile(r"classify|export|onnx|clothes")  # what is printed then depends on the weights


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder as the pages have it: examples/, clothes/, mobilenet_v2.pth, model.onnx; its cache beside it.

    The weights and the clothes are real where ../shared is, else random. Nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("docs") / "template"
    shutil.copytree(ROOT / "examples", folder / "examples")
    make_clothes(folder / "clothes")
    weights = folder / "mobilenet_v2.pth"
    if REAL_WEIGHTS.is_file():
        shutil.copy(REAL_WEIGHTS, weights)
    else:
        litevision.save_weights(litevision.create("mobilenet_v2"), weights, "torchvision")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LITEVISION_CACHE", str(folder.parent / "cache"))
        patch.setenv("LITEVISION_OFFLINE", "1")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        made = bundle_for(weights.name)
        shutil.copy(made, kept_at("mobilenet_v2"))
        shutil.copy(made, folder / "model.onnx")
        yield folder


@pytest.fixture(scope="session")
def with_a_run(template: Path) -> Path:
    """The same with a finished run, runs/garments."""
    with contextlib.chdir(template):
        code, printed = printed_here(TRAIN)
    assert code == 0, printed
    return template


@pytest.fixture(scope="session")
def calibrated(template: Path) -> Path:
    """The same with a machine that is measured, if hastily: its own command takes most of a minute for it."""
    choice = engine_choice("onnxruntime", "fp32")
    latency_model(choice, made_by=partial(calibrate, networks=18, seconds=0.01))
    return template


@pytest.fixture
def workplace(
    document: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy for one page alone."""
    needs = {"runs/garments": "with_a_run", "$ litevision choose": "calibrated"}
    text = document.read_text()
    fixtures = [name for shown, name in needs.items() if shown in text] or ["template"]
    (template, *_) = [request.getfixturevalue(name) for name in fixtures]
    folder = shutil.copytree(template, tmp_path / "work")
    monkeypatch.chdir(folder)
    # Too hasty for what a machine does at most, which takes many seconds.
    for name, hasty in {"_CHANNELS": (16, 32), "_TURNS": 2, "_COST_TURNS": 1}.items():
        monkeypatch.setattr(f"litevision.lab.profile.peaks.{name}", hasty)
    # Files as long as those that npm would fetch.
    monkeypatch.setattr("litevision.web.page.read_runtime", lambda _: Runtime(bytes(73_054), bytes(14_239_897)))
    yield folder
    shutil.rmtree(folder)


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
    run = printed_beside if document == README else printed_here
    elsewhere = [] if document == README else commands(README)  # what shows the same there is run there alone
    for block in blocks(document):
        if block.language == "console":
            faults += [f"line {block.line}: {fault}" for fault in console_faults(block.text, run, elsewhere)]
        if block.language == "python":
            faults += [f"line {block.line}: {fault}" for fault in python_faults(block.text, names)]
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@pytest.mark.parametrize("document", [Path(__file__).with_name("facade.py")], ids=name_of)
def test_the_facade_does_what_it_says(document: Path, workplace: Path) -> None:
    runpy.run_path(str(document))


def commands(page: Path) -> list[tuple[str, str]]:
    """The commands of a page, each with what it prints there."""
    return [shown for block in blocks(page, "console") for shown in COMMAND.findall(block.text)]


def console_faults(
    text: str, run: Callable[[str], tuple[int, str]], elsewhere: Collection[tuple[str, str]]
) -> Iterator[str]:
    for command, expected in COMMAND.findall(text):
        if (command, expected) in elsewhere:
            continue
        code, got = run(command)
        got = got.replace(os.environ["LITEVISION_CACHE"], SHOWN_CACHE)
        if (code != 0) != is_error(expected):
            yield f"{command}: exit code {code}\n{got}"
        elif is_settled(command, expected) and not agree(expected, got):
            yield f"{command}: the page shows\n{expected}but it prints\n{got}"


def printed_beside(command: str) -> tuple[int, str]:
    """Run a line of a page in a shell, as its reader does; give the exit code and what it prints."""
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def printed_here(command: str) -> tuple[int, str]:
    """The same in this process, where torch is loaded already; what needs a shell still gets one."""
    if not command.startswith("litevision ") or SHELL.search(command):
        return printed_beside(command)
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(),
    ):
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)  # as Python itself begins
        patch.setattr(sys, "argv", shlex.split(command))
        try:
            main()
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            set_verbosity(quiet=False, verbose=False)
    return code, printed.buffer.getvalue().decode()  # type: ignore[attr-defined]  # bytes in memory


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
    assert [block for block in blocks(document) if block.language not in CHECKED] == []


@pytest.mark.parametrize("document", pages_with("sh"), ids=name_of)
def test_every_shell_line_names_what_exists(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z]+):", makefile, re.MULTILINE)
    code = "".join(block.text for block in blocks(document) if block.language == "sh")
    for line in filter(None, (line.split("  #")[0].strip() for line in code.splitlines())):
        if made := re.fullmatch(r"make (\w+)((?: [A-Z]+=\S+)*)", line):
            assert made[1] in targets
            assert all(f"{variable} ?=" in makefile for variable in re.findall(r"([A-Z]+)=", made[2]))
        elif not re.fullmatch(rf'pip install \.|{INSTALL.pattern}|eval "\$\(litevision completion bash\)"', line):
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


def test_every_command_is_shown_on_a_page_with_its_options() -> None:
    pages = [path.read_text() for path in (ROOT / "docs").glob("*.md")]
    shown = [name for name in COMMANDS if any(re.search(rf"^\$ litevision {name} ", page, re.M) for page in pages)]
    listed = [name for name in COMMANDS if any(f"<!-- generated: options {name} -->" in page for page in pages)]
    assert shown == listed == list(COMMANDS)
