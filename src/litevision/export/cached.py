"""Bundles of published weights, made once on this machine and kept. Finding one that is there needs no torch."""

import hashlib
import importlib.util
from pathlib import Path

from litevision.cache import cache_folder
from litevision.errors import MissingExtraError
from litevision.registry.weight_sets import find_weight_set
from litevision.runtime.metadata import FORMAT_VERSION


def bundle_for(source: str) -> Path:
    """The bundle of a weight set, network or weight file, made on first use.

    Args:
        source: a weight set's name, a network's name (its default set), or a weight file.

    Raises:
        UnknownNameError: neither.
        MissingExtraError: it is not made yet, and the parts that make it are not installed.
        DownloadError, WeightsError: the weights cannot be fetched or used.
        ExportError: the bundle would not match its module.
    """
    path = cache_folder() / "bundles" / f"{_key(source)}-v{FORMAT_VERSION}.onnx"
    if path.is_file():
        return path
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError.of(f"Making the bundle of {source!r}, once,", "train")
    from litevision.export.bundle import export_bundle
    from litevision.export.defaults import describe
    from litevision.weights.load import load_weights

    loaded = load_weights(source)
    export_bundle(loaded.network, path, **describe(loaded))
    return path


def _key(source: str) -> str:
    file = Path(source)
    if not file.is_file():
        return find_weight_set(source).name
    with file.open("rb") as opened:
        return f"{file.stem}-{hashlib.file_digest(opened, 'sha256').hexdigest()[:16]}"
