"""Folders that `litevision export` writes for other runtimes: their files, and the record that says what they are."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from litevision.errors import BundleError, UsageError, reason_of
from litevision.files import sha256_of
from litevision.runtime.bundle import RECORD
from litevision.runtime.engines import AUTO, engine_choice
from litevision.runtime.engines.adapted import AdaptedEngine, is_adaptable
from litevision.runtime.engines.base import Engine, EngineChoice
from litevision.runtime.metadata import BundleMetadata

OPENVINO_FILE = "model.xml"
RECORD_FORMAT = "litevision model record"
_MOST_BYTES = 2**26


def open_folder(
    path: Path,
    engine: str,
    precision: str | None,
    *,
    threads: int | None,
    streams: int,
    device: str,
) -> tuple[BundleMetadata, Engine]:
    """Open an export's folder in the runtime that it was written for; arguments as for `litevision.Bundle.open`.

    Raises:
        BundleError: a record that is broken, or files that the runtime does not load.
        MissingExtraError: that runtime is not installed.
        UsageError: a precision or device that it does not have.
    """
    record = _read(path / RECORD)
    try:
        metadata = BundleMetadata.from_json(json.dumps(record["model"]), name=f"{path / RECORD}")
        kind = record["file"]["format"]
        _check_files(path, record["file"]["sha256"].items())
    except (AttributeError, KeyError, TypeError) as error:
        raise BundleError(f"{path / RECORD}: no record of an export ({error!r}). Export the model again.") from None
    if kind == "ncnn":
        if precision not in (None, "fp32") or device not in ("cpu", AUTO):
            raise UsageError(f"{path}: ncnn computes it in fp32 on the cpu; expected no other precision or device.")
        choice = engine_choice("onnxruntime", threads=threads, streams=streams)
    else:
        choice = engine_choice("openvino", precision, threads=threads, streams=streams, device=device)
    if engine not in ("onnxruntime", AUTO, kind):
        raise UsageError(f"{path}: a folder for {kind}, which computes it; got the engine {engine}.")
    return metadata, open_files(path, kind, metadata, choice)


def open_files(path: Path, kind: str, metadata: BundleMetadata, choice: EngineChoice) -> Engine:
    """Open the files of a folder, as an engine that takes and gives what bundles do; errors as for `open_folder`.

    Args:
        path: the folder.
        kind: the format, openvino or ncnn.
        metadata: of the bundle that they were made of.
        choice: how many threads compute it.
    """
    engine: Engine
    if kind == "openvino":
        from litevision.runtime.engines.openvino_engine import OpenvinoEngine

        engine = OpenvinoEngine(path / OPENVINO_FILE, replace(choice, name=kind), name=str(path))
    elif kind == "ncnn":
        from litevision.runtime.engines.ncnn_engine import NcnnEngine

        channels = metadata.architecture.arguments.get("in_channels", 3)
        shape = (channels, *metadata.preprocess.size_hw)
        engine = NcnnEngine(path, replace(choice, name=kind), input_chw=shape, name=str(path))
    else:
        raise BundleError(f"{path / RECORD}: files of the format {kind!r}; expected openvino or ncnn.")
    return AdaptedEngine(engine, metadata) if is_adaptable(engine, metadata) else engine


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
