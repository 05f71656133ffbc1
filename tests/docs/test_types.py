"""Every Python block of every page passes the checks that its reader's editor makes: mypy --strict and pyright."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ROOT, name_of, pages_with, python_of

SNIPPETS = sorted((ROOT / "tests/docs").glob("facade*.py"))
# What must be refused, and the lines of it; so a checker that sees nothing is noticed.
WRONG = """import litevision
litevision.cretae('mobilenet_v2')
litevision.create(2)
network = litevision.create("mobilenet_v2", num_classes=10, depth_mult=1.2, weights=None)
network.num_features
litevision.create("mobilenet_v2", features_only=True).feature_info
litevision.create.from_run("runs/first", task="detection").backbone
litevision.create("mobilenet_v2", widht_mult=0.5)
litevision.create("mobilenet_v2", pretrained=True)
litevision.create("mobilenet_v2", num_classes="10")
litevision.create("centernet", backbone="mobilenet_v1", neck="light", num_classes=2).heads
litevision.create("centernet", neck="heavy")
"""
WRONG_LINES = {("wrong.py", line) for line in (2, 3, 8, 9, 10, 12)}


@pytest.fixture(scope="module")
def snippets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module for each page that has Python, the snippets that stand in tests/docs, and `WRONG`."""
    folder = tmp_path_factory.mktemp("snippets")
    for page in (*pages_with("python"), ROOT / "DESCRIPTION.md"):
        module = name_of(page).removesuffix(".md").replace("/", "_").replace("-", "_")
        (folder / f"{module}.py").write_text(python_of(page))
    for path in SNIPPETS:
        shutil.copy(path, folder)
    (folder / "wrong.py").write_text(WRONG)
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
def test_mypy_passes_every_snippet_and_sees_what_is_wrong(snippets: Path) -> None:
    files = sorted(snippets.glob("*.py"))
    done = run("mypy", "--strict", *files)
    lines = re.sub(r"\S*/snippets\d+/", "", done.stdout).splitlines()  # mypy's cache may say where they lay before
    found = {(line.split(":")[0], int(line.split(":")[1])): line for line in lines if ": error:" in line}
    assert [line for place, line in found.items() if place not in WRONG_LINES] == []
    assert set(found) == WRONG_LINES, done.stdout + done.stderr
    assert f"in 1 file (checked {len(files)} source files)" in lines[-1]


@pytest.mark.slow
def test_pyright_passes_every_snippet_and_sees_what_is_wrong(snippets: Path) -> None:
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
    report = json.loads(done.stdout)
    found = {
        (Path(fault["file"]).name, fault["range"]["start"]["line"] + 1): fault["message"]
        for fault in report["generalDiagnostics"]
        if fault["severity"] == "error"
    }
    assert {place: message for place, message in found.items() if place not in WRONG_LINES} == {}
    assert set(found) == WRONG_LINES
    assert report["summary"]["filesAnalyzed"] >= len(list(snippets.glob("*.py"))) > 3
