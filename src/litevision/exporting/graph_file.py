"""Any model as a graph whose times can be measured: neither its labels nor its weights' values matter for that."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from litevision.exporting.cached import kept_at
from litevision.registry.weight_sets import is_file_name, known_weight_set
from litevision.runtime.bundle import kind_of, refuse_other_runtimes
from litevision.weights.any_model import BY_NAME, NetworkForm, open_any

if TYPE_CHECKING:
    from torch import nn

    from litevision.weights.trained import RunLike


@contextmanager
def graph_file(
    model: "str | os.PathLike[str] | nn.Module | RunLike",
    *,
    form: NetworkForm = BY_NAME,
    size_hw: tuple[int, int] | None = None,
    notes: list[str] | None = None,
    to_run: bool = False,
) -> Iterator[Path]:
    """Find the graph of a model, or make it for as long as the context lasts.

    Nothing is downloaded: a published name stands for its network with random weights, unless its bundle is there
    already.

    Args:
        model: as for `litevision.weights.any_model.open_any`.
        form: how a network is built from its name.
        size_hw: of the images, px, for a network that is made; by default its own.
        notes: takes a line about what was made.
        to_run: a file or folder for another runtime will do, too, which is run as it is, and cannot be looked into.

    Raises:
        LitevisionError: as for `litevision.weights.any_model.open_any`.
        UsageError: a module that is no network of litevision, or a model for another runtime that is to be looked into.
    """
    if isinstance(model, str | os.PathLike):
        if to_run and kind_of(model) != ".onnx":
            yield Path(model)
            return
        refuse_other_runtimes(model, "its layers cannot be measured one by one; 'litevision bench' measures it whole")
    kept = _kept(model) if isinstance(model, str) and size_hw is None and form == BY_NAME else None
    found = kept or open_any(model, form)
    if isinstance(found, Path):
        yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "model.onnx")
        line = _make(found, model, made, size_hw)
        if notes is not None:
            notes.append(line)
        yield made


def _kept(name: str) -> Path | None:
    """The bundle in the cache, where it was made before from a published name."""
    if Path(name).exists() or "://" in name or is_file_name(name):
        return None
    try:
        kept = kept_at(name)
    except LookupError:
        return None
    return kept if kept.is_file() else None


def _make(
    network: "nn.Module",
    model: "str | os.PathLike[str] | nn.Module | RunLike",
    unfinished: Path,
    size_hw: tuple[int, int] | None,
) -> str:
    """Write the graph of ``network`` to ``unfinished``; say in a line what it is."""
    from litevision.errors import UsageError
    from litevision.exporting.graph import to_onnx
    from litevision.models.kinds import AnyNetwork
    from litevision.runtime.metadata import Normalisation

    if not isinstance(network, AnyNetwork):
        raise UsageError(f"a graph is made of a network of litevision, got {type(network).__name__}; export it to ONNX")
    weight_set = known_weight_set(model) if isinstance(model, str) else None
    if network.pretrained:
        size_hw = size_hw or network.pretrained.preprocess.size_hw
    size_hw = size_hw or (weight_set.input.size_hw if weight_set else (224, 224))
    neutral = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    unfinished.write_bytes(to_onnx(network.float().cpu(), neutral, size_hw).SerializeToString())
    line = f"{title_of(model)} at {size_hw[0]}x{size_hw[1]}"
    is_random = isinstance(model, str) and not network.pretrained
    return f"{line} with random weights, on which times do not depend" if is_random else line


def title_of(model: "str | os.PathLike[str] | nn.Module | RunLike") -> str:
    """What a report calls ``model``: its name, its path, or its network's architecture."""
    if isinstance(model, str | os.PathLike):
        return str(model)
    folder, config = getattr(model, "folder", None), getattr(model, "config", None)
    if folder is not None:
        return str(folder)
    return type(model).__name__ if config is None else str(config.as_network().architecture)
