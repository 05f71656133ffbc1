"""Runs the command line in this process."""

import sys
from collections.abc import Callable

import pytest

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
