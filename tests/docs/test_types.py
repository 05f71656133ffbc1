"""Every Python block of every page passes the checks that its reader's editor makes: mypy --strict and pyright."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ROOT, name_of, pages_with, python_of

SNIPPETS = sorted((ROOT / "tests/docs").glob("facade*.py"))


@pytest.fixture(scope="module")
def snippets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module for each page that has Python, and the snippets that stand in tests/docs."""
    folder = tmp_path_factory.mktemp("snippets")
    for page in (*pages_with("python"), ROOT / "DESCRIPTION.md"):
        module = name_of(page).removesuffix(".md").replace("/", "_").replace("-", "_")
        (folder / f"{module}.py").write_text(python_of(page))
    for path in SNIPPETS:
        shutil.copy(path, folder)
    return folder


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_mypy_passes_every_snippet(snippets: Path) -> None:
    done = run("mypy", "--strict", *sorted(snippets.glob("*.py")))
    assert done.returncode == 0, done.stdout.replace(f"{snippets}/", "") + done.stderr


@pytest.mark.slow
def test_pyright_passes_every_snippet(snippets: Path) -> None:
    """basedpyright is pyright with its JavaScript in the wheel: pyright's own package fetches it at the first run."""
    settings = {
        "include": [str(snippets)],
        "extraPaths": [str(ROOT / "src")],
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "reportMissingModuleSource": False,
    }
    (snippets / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run("basedpyright", "--project", snippets, "--pythonpath", sys.executable, "--outputjson")
    found = json.loads(done.stdout)
    faults = [
        f"{Path(fault['file']).name}:{fault['range']['start']['line'] + 1}: {fault['message']}"
        for fault in found["generalDiagnostics"]
        if fault["severity"] == "error"
    ]
    assert faults == []
    assert found["summary"]["filesAnalyzed"] >= len(list(snippets.glob("*.py"))) > 2


@pytest.mark.slow
def test_both_checkers_see_a_misspelt_verb_and_the_wrong_type(tmp_path: Path) -> None:
    snippet = tmp_path / "wrong.py"
    snippet.write_text("import litevision\nlitevision.cretae('mobilenet_v2')\nlitevision.create(2)\n")
    by_mypy = run("mypy", "--strict", snippet).stdout
    assert ["wrong.py:2" in by_mypy, "wrong.py:3" in by_mypy] == [True, True]
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT / "src")]}))
    by_pyright = run("basedpyright", "--project", tmp_path, "--pythonpath", sys.executable).stdout
    assert ["wrong.py:2" in by_pyright, "wrong.py:3" in by_pyright] == [True, True]
