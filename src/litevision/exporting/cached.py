"""Bundles of published weights, exported once and cached. Finding one in the cache needs no torch."""

import hashlib
import importlib.util
from pathlib import Path, PurePosixPath

from litevision.errors import FileMissingError, MissingExtraError
from litevision.files import cache_folder, sha256_of
from litevision.registry.weight_sets import find_weight_set, is_file_name
from litevision.runtime.metadata import FORMAT_VERSION


def bundle_for(source: str) -> Path:
    """Returns the bundle of a weight set, network or weight file, exporting it on first use.

    Args:
        source: a weight set's name, a network's name (its default set), a weight file, or a URL.

    Raises:
        UnknownNameError, FileMissingError: neither.
        MissingExtraError: it is not made yet, and the parts that make it are not installed.
        DownloadError, WeightsError: the weights cannot be fetched or used.
        ExportError: the bundle would not match its module.
    """
    path = kept_at(source)
    if path.is_file():
        return path
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError.of(f"Making the bundle of {source!r}, once,", "train")
    from litevision.exporting.export import export

    export(source, path)
    return path


def kept_at(source: str) -> Path:
    """Returns the path in the cache for the bundle of ``source``, which need not exist.

    Arguments and errors as for ``bundle_for``.
    """
    file = Path(source)
    if file.is_file():
        key = f"{file.stem}-{sha256_of(file)[:16]}"
    elif "://" in source:
        key = f"{PurePosixPath(source).stem}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    elif is_file_name(source):
        raise FileMissingError(f"no weight file at {source}. Check the path, or see 'litevision models' for names.")
    else:
        key = find_weight_set(source).name
    return cache_folder() / "bundles" / f"{key}-v{FORMAT_VERSION}.onnx"
