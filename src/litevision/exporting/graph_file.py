"""Any model as a graph whose times can be measured: neither its labels nor its weights' values matter for that."""

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from litevision.errors import FileMissingError, MissingExtraError, UnknownNameError
from litevision.exporting.cached import kept_at
from litevision.registry import resolve
from litevision.registry.weight_sets import find_weight_set, is_file_name
from litevision.zoo import BUNDLES


@contextmanager
def graph_file(
    model: str | os.PathLike[str], *, size_hw: tuple[int, int] | None = None, notes: list[str] | None = None
) -> Iterator[Path]:
    """Find the graph of a model, or make it for as long as the context lasts.

    Nothing is downloaded: a published name stands for its network with random weights, unless its bundle is there
    already.

    Args:
        model: any .onnx file, a shipped bundle's name, the folder of a run, a weight file, or a published name.
        size_hw: of the images, px, for a network that is made; by default its own.
        notes: takes a line about what was made.

    Raises:
        UnknownNameError, FileMissingError: nothing of these.
        MissingExtraError: a graph is to be made, and torch is not installed.
        WeightsError: a weight file that cannot be used.
    """
    name = os.fspath(model)
    path = BUNDLES.get(name, Path(name))
    if name in BUNDLES or name.lower().endswith(".onnx"):
        yield path
        return
    if path.is_dir() and (path / "model.onnx").is_file():
        yield path / "model.onnx"
        return
    if path.is_dir():
        raise FileMissingError(f"{name}: a folder without model.onnx; expected the folder of a finished run.")
    is_published = not path.is_file() and "://" not in name and not is_file_name(name)
    if is_published and size_hw is None:
        _require_published(name)
        kept = _kept(name)
        if kept is not None:
            yield kept
            return
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError.of(f"making a graph of {name!r}", "train")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "model.onnx")
        line = _make(name, made, size_hw, is_published=is_published)
        if notes is not None:
            notes.append(line)
        yield made


def _require_published(name: str) -> None:
    """Return if ``name`` is a published weight set or a network.

    Raises:
        UnknownNameError: it is neither.
    """
    try:
        resolve(name)
    except UnknownNameError:
        find_weight_set(name)


def _kept(name: str) -> Path | None:
    """The bundle in the cache, where it was made before."""
    try:
        kept = kept_at(name)
    except LookupError:
        return None
    return kept if kept.is_file() else None


def _make(name: str, unfinished: Path, size_hw: tuple[int, int] | None, *, is_published: bool) -> str:
    """Write the graph of the network ``name`` to ``unfinished``; say in a line what it is."""
    from litevision.exporting.graph import to_onnx
    from litevision.models.factory import build, configure
    from litevision.runtime.metadata import Normalisation
    from litevision.weights.load import load_network

    neutral = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    if not is_published:
        network = load_network(name)
        size_hw = size_hw or (network.pretrained.preprocess.size_hw if network.pretrained else (224, 224))
        unfinished.write_bytes(to_onnx(network.float().cpu(), neutral, size_hw).SerializeToString())
        return f"{name} at {size_hw[0]}x{size_hw[1]}"
    row = None
    try:
        config = configure(name)
    except LookupError:
        row = find_weight_set(name)
        options: dict[str, Any] = dict(row.options)
        config = configure(row.architecture, dialect=row.dialect, width_mult=row.width_mult, **options)
    size_hw = size_hw or (row.input.size_hw if row else (224, 224))
    unfinished.write_bytes(to_onnx(build(config), neutral, size_hw).SerializeToString())
    return f"{name} at {size_hw[0]}x{size_hw[1]} with random weights, on which times do not depend"
