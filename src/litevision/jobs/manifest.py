"""The record of a job, ``_job.json`` in its folder: what every shard and every later run of it has to agree with."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litevision.errors import UsageError, reason_of
from litevision.files import folder_beside, json_text, sync_file
from litevision.runtime.schema import from_dict, to_dict

FILE = "_job.json"  # readers of folders of tables pass over names that begin so
VERSION = 1
_MEANS = {
    "inputs": "other inputs",
    "recursive": "another --recursive",
    "rows": "another --rows",
    "format": "another --format",
    "ms": "another --ms",
    "model": "another model",
    "options": "other options of the model",
    "batch": "another --batch",
}


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model of a job: the name of its file, its digest and its task."""

    file: str
    sha256: str
    task: str


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """What computes a job: chosen once, for all shards."""

    name: str
    precision: str
    device: str
    version: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that the rows of a job depend on.

    Attributes:
        format_version: of this record.
        litevision: the version that began the job.
        inputs: as they were given, without secrets.
        recursive: whether folders in folders are looked into.
        rows: images a part.
        format: of the parts.
        ms: whether rows say how long an image took.
        model: the model.
        options: of the model, such as ``top=5``.
        batch: images that the network sees at once.
        engine: what computes it.
    """

    format_version: int
    litevision: str
    inputs: tuple[str, ...]
    recursive: bool
    rows: int
    format: str
    ms: bool
    model: ModelRecord
    options: tuple[str, ...]
    batch: int
    engine: EngineRecord

    def refuse_other(self, other: "Manifest", folder: Path) -> None:
        """Refuse what would mix two jobs in a folder.

        Raises:
            UsageError: ``other`` differs in what the rows depend on.
        """
        for name, words in _MEANS.items():
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its and not (name == "model" and mine.sha256 == its.sha256):
                raise UsageError(
                    f"{folder}: holds a job with {words}: {_shown(mine)}, not {_shown(its)}. "
                    "Give -o a new folder, or the same arguments."
                )


def _shown(value: Any) -> str:
    if isinstance(value, ModelRecord):
        return f"{value.file} (sha256 {value.sha256[:12]})"
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    return (text if len(text) <= 60 else f"{text[:57]}...") or "none"


def read_manifest(folder: Path) -> Manifest | None:
    """Read the record in a folder; None where there is none.

    Raises:
        UsageError: a file that is no such record, or a folder that holds other files and none.
    """
    path = folder / FILE
    try:
        record = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        others = sorted(it.name for it in folder.glob("[!.]*"))
        if others:
            raise UsageError(
                f"{folder}: a folder that holds {others[0]} and no job; expected a new or empty one. Give -o another."
            ) from None
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read ({reason_of(error)}). Give -o another folder.") from None
    faults: list[str] = []
    found = from_dict(Manifest, record, "", faults)
    if faults or found.format_version != VERSION:
        fault = faults[0] if faults else f"format_version is {found.format_version}, expected {VERSION}"
        raise UsageError(f"{path}: no record of a job that this version takes up ({fault}). Give -o another folder.")
    return found if isinstance(found, Manifest) else None


def agree(folder: Path, make: Callable[[Manifest | None], Manifest]) -> Manifest:
    """The record of the job in ``folder``: the one that is there, or a new one, of whichever process is the first.

    Args:
        folder: the job's; it is made where it is missing.
        make: makes the record of this run, with what it leaves open as in the one that is there, where there is one.

    Raises:
        UsageError: the folder holds something else, or a job that differs.
    """
    found = read_manifest(folder)
    if found is None:
        made = make(None)
        folder.mkdir(parents=True, exist_ok=True)
        if _create(folder / FILE, made):
            return made
        found = read_manifest(folder) or made  # another process was quicker
    found.refuse_other(make(found), folder)
    return found


def _create(path: Path, manifest: Manifest) -> bool:
    """Write the record unless there is one; gives whether it was written."""
    text = json_text(to_dict(manifest), indent=1) + "\n"
    with folder_beside(path) as temporary:
        unfinished = temporary / FILE
        unfinished.write_text(text, "utf-8")
        sync_file(unfinished)
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                return False
    sync_file(path)
    return True
