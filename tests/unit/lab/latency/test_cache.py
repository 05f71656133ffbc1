"""The latency model is made once for a machine, an engine and its threads."""

from dataclasses import replace
from pathlib import Path

import pytest

from litevision.lab.latency.calibration import latency_model
from litevision.lab.latency.model import LatencyModel, Rate
from litevision.lab.profile import Peaks
from litevision.runtime.engines import EngineChoice

CHOICE = EngineChoice("onnxruntime", "fp32", 1)
MODEL = LatencyModel(Peaks(99.5, ((1_000_000, 50.0),)), (Rate("input", "once", 0.25),), 0.05, 0.2, 9)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[EngineChoice]:
    """A cache of its own, and what was calibrated for."""
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    return []


def asked(made: list[EngineChoice], choice: EngineChoice = CHOICE, *, anew: bool = False) -> LatencyModel:
    def make(choice: EngineChoice) -> LatencyModel:
        made.append(choice)
        return MODEL

    return latency_model(choice, anew=anew, made_by=make)


def test_once_for_each_engine_and_its_threads(made: list[EngineChoice]) -> None:
    two = replace(CHOICE, threads=2)
    assert [asked(made), asked(made), asked(made, two), asked(made, two)] == [MODEL] * 4
    assert made == [CHOICE, two]


def test_anew(made: list[EngineChoice]) -> None:
    asked(made)
    asked(made, anew=True)
    assert made == [CHOICE, CHOICE]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": {}, "model": {}}', '{"key"'])
def test_what_is_damaged_is_made_again(made: list[EngineChoice], tmp_path: Path, text: str) -> None:
    asked(made)
    (file,) = (tmp_path / "cache" / "latency").iterdir()
    file.write_text(text)
    assert asked(made) == MODEL
    assert made == [CHOICE, CHOICE]
    asked(made)
    assert len(made) == 2


def test_another_engine_version_is_measured_anew(made: list[EngineChoice], monkeypatch: pytest.MonkeyPatch) -> None:
    asked(made)
    monkeypatch.setattr("litevision.lab.latency.calibration.engine_versions", lambda: {"onnxruntime": "0.1"})
    asked(made)
    assert len(made) == 2


def test_a_cache_that_cannot_be_written_is_no_fault(
    made: list[EngineChoice], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "file"))
    assert asked(made) == MODEL
