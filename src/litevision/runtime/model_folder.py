"""Folders that `litevision export` writes for other runtimes: their files, and the record that says what they are."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litevision.errors import BundleError, reason_of
from litevision.files import sha256_of
from litevision.runtime.bundle import RECORD
from litevision.runtime.engines import ENGINES
from litevision.runtime.metadata import BundleMetadata

FOLDER_KINDS = tuple(kind for spec in ENGINES.values() for kind in spec.reads if not kind.startswith("."))
RECORD_FORMAT = "litevision model record"
_MOST_BYTES = 2**26


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder of an export, which engines open in place of a file's bytes.

    Attributes:
        path: the folder.
        kind: the format, openvino or ncnn.
        metadata: of the bundle that it was made of.
        files: what the record names, checked.
    """

    path: Path
    kind: str
    metadata: BundleMetadata
    files: tuple[Path, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "ModelFolder":
        """Read the record of a folder, and check the files that it names.

        Raises:
            BundleError: a record that is broken, or files that are not those that were exported.
        """
        record = _read(path / RECORD)
        try:
            metadata = BundleMetadata.from_json(json.dumps(record["model"]), name=f"{path / RECORD}")
            digests = list(record["file"]["sha256"].items())
            _check_files(path, digests)
            return cls(path, folder_kind(path), metadata, tuple(path / name for name, _ in digests))
        except (AttributeError, KeyError, TypeError) as error:
            raise BundleError(f"{path / RECORD}: no record of an export ({error!r}). Export the model again.") from None

    @property
    def input_chw(self) -> tuple[int, int, int]:
        """The shape of a float image, which ncnn's files do not say."""
        channels = self.metadata.architecture.arguments.get("in_channels", 3)
        return (channels, *self.metadata.preprocess.size_hw)


def folder_kind(path: Path) -> str:
    """The format of the folder at ``path``.

    Raises:
        BundleError: a record that is broken, or of a format that is no folder.
    """
    record = _read(path / RECORD)
    try:
        kind = record["file"]["format"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"{path / RECORD}: no record of an export ({error!r}). Export the model again.") from None
    if kind not in FOLDER_KINDS:
        raise BundleError(f"{path / RECORD}: files of the format {kind!r}; expected {' or '.join(FOLDER_KINDS)}.")
    return str(kind)


def _check_files(path: Path, digests: Iterable[tuple[Any, Any]]) -> None:
    """Refuse a folder in which a file is missing, or is another than was exported.

    Raises:
        BundleError: it is.
    """
    for name, digest in digests:
        file = path / name
        if file.parent != path or not file.is_file():
            raise BundleError(f"{path}: no file {name!r}, which {RECORD} names. Copy the folder or export it again.")
        if sha256_of(file) != digest:
            raise BundleError(f"{file}: another file than was exported, by its SHA-256. Copy or export it again.")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BundleError(f"{path}: {path.stat().st_size:,} bytes; expected {_MOST_BYTES:,} at most.")
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path}: cannot be read as a record ({reason_of(error)}). Export the model again.") from None
    if not isinstance(record, dict) or record.get("format") != RECORD_FORMAT:
        raise BundleError(f"{path}: no record of an export. Export the model again.")
    return record
