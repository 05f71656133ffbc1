"""The latency model of this machine: made once, and remembered."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litevision import __version__
from litevision.files import atomic_write, cache_folder
from litevision.lab.latency.calibration import calibrate
from litevision.lab.latency.model import LatencyModel
from litevision.runtime.engines import EngineChoice
from litevision.runtime.machine import cpu_instructions, cpu_name, engine_versions
from litevision.runtime.records import from_dict


def latency_model(
    choice: EngineChoice, *, anew: bool = False, made_by: Callable[[EngineChoice], LatencyModel] = calibrate
) -> LatencyModel:
    """The model of this machine in the engine of ``choice``.

    Args:
        choice: the engine and how it computes.
        anew: whether to make it even where it is remembered.
        made_by: makes what is not remembered.

    Raises:
        LitevisionError: as for `litevision.lab.latency.calibrate`.
    """
    key = _key(choice)
    file = cache_folder() / "latency" / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.json"
    model = None if anew else _recall(file, key)
    if model is None:
        model = made_by(choice)
        _remember(file, key, model)
    return model


def _key(choice: EngineChoice) -> dict[str, Any]:
    """All that the rates depend on."""
    return {
        "litevision": __version__,
        "cpu": cpu_name(),
        "instructions": cpu_instructions(),
        "cores": os.cpu_count(),
        "engine": engine_versions().get(choice.name),
        "choice": asdict(choice),
    }


def _recall(file: Path, key: dict[str, Any]) -> LatencyModel | None:
    """The model in ``file``; None where there is no such file, or it is not what `_remember` writes."""
    faults: list[str] = []
    try:
        plain = json.loads(file.read_text("utf-8"))
        model: LatencyModel | None = from_dict(LatencyModel, plain["model"], "", faults)
        known = plain["key"] == key
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return model if known and not faults else None


def _remember(file: Path, key: dict[str, Any], model: LatencyModel) -> None:
    """Writes what `_recall` reads, where the folder can be written; else it is made again the next time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial:
            partial.write_text(json.dumps({"key": key, "model": asdict(model)}, indent=1), "utf-8")
    except OSError:
        return
