"""Settings of the whole process."""

import sys

import pytest

from litevision.errors import UsageError
from litevision.train.process import keep_freed_memory, require_processes


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


def test_processes_that_nobody_started_are_lightnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    require_processes(4)


def test_as_many_processes_as_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    require_processes(2)
    with pytest.raises(
        UsageError, match=r"^2 processes were started, but run\.devices is 1; give --set run\.devices=2$"
    ):
        require_processes(1)
