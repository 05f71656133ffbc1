"""What computes batches of a job on a machine of a cluster, in a process of its own."""

import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from litevision.hub import load
from litevision.jobs.manifest import EngineRecord
from litevision.jobs.stored import Source, file_of
from litevision.runtime.results import Result

_PACKAGES = ("numpy", "pillow", "pi-heif")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is sent to where it computes.

    Attributes:
        name: of the file, or of an export's folder.
        files: by their names, several of a folder.
        engine: what opens it.
        options: of its ``inference``.
        folder: the working folder, from which paths of images begin.
    """

    name: str
    files: Mapping[str, bytes]
    engine: EngineRecord
    options: Mapping[str, Any]
    folder: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a worker is, by name and as Ray counts machines, and what it computes with."""

    host: str
    node: str
    versions: Mapping[str, str]


class Worker:
    """A process that opens a model once and computes batches of images, one after another, on one thread."""

    def __init__(self) -> None:
        self._work: Any = None

    def open(self, model: Model) -> Opened:
        """Open the model.

        Raises:
            LitevisionError: it cannot be opened.
        """
        import ray

        with suppress(OSError):  # then paths lead nowhere, and the images are sent
            os.chdir(model.folder)
        engine = model.engine
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder, model.name)
            unfinished = temporary if len(model.files) > 1 else temporary.parent
            unfinished.mkdir(exist_ok=True)
            for name, data in model.files.items():
                (unfinished / name).write_bytes(data)
            predictor = load(temporary, engine=engine.name, precision=engine.precision, threads=1, device=engine.device)
        self._work = predictor.inference(**model.options).run
        node = ray.get_runtime_context().get_node_id()
        return Opened(platform.node(), node, versions(predictor.bundle.engine.version))

    def run(self, batches: Sequence[Sequence[Source]]) -> tuple[list[list[Result[Any]]], list[str]]:
        """Compute batches.

        Returns:
            The results, without the images, and the files of those that could not be opened here.
        """
        results, unread = [], []
        for batch in batches:
            found = self._work(batch)
            files = [file_of(it.source) for it in found if it.error is not None]
            unread += [file for file in files if file and not os.access(file, os.R_OK)]
            results.append([replace(it, source="") for it in found])
        return results, unread


def versions(engine: str) -> dict[str, str]:
    """What results depend on, with its version; empty where it is missing."""
    from litevision import __version__

    found = {"litevision": __version__, "the engine": engine, **dict.fromkeys(_PACKAGES, "")}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
