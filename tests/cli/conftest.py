"""Runs the command line in this process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import write_bundle
from images import encoded
from litevision.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def litevision(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Gives the exit code, the output and the error output of ``litevision`` with some arguments."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["litevision", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capfd.readouterr()

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a bundle, a red and a blue image, a broken one, and a folder in the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    write_bundle(Path("tiny.onnx"))
    Path("more/deep").mkdir(parents=True)
    for name, colour in (("red.png", (255, 0, 0)), ("more/blue.png", (0, 0, 255)), ("more/deep/red.png", (255, 0, 0))):
        Path(name).write_bytes(encoded(np.full((9, 12, 3), colour, np.uint8)))
    Path("bad.jpg").write_bytes(b"oops")
    return tmp_path


@pytest.fixture
def classify(folder: Path, litevision: Run) -> Run:
    """`litevision` with the command and the model given."""

    def run(*arguments: str, model: str = "tiny.onnx") -> tuple[int, str, str]:
        return litevision("classify", *arguments, "--model", model)

    return run


@pytest.fixture
def classify_beside(folder: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts ``litevision classify`` in a process of its own, with pipes to all of its streams."""

    def start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "litevision", "classify", *arguments]
        command += ["--model", "tiny.onnx", "--engine", "onnxruntime"]
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(command, **{**pipes, "text": True, **options})

    return start
