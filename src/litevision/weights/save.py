"""Save a network's weights in a layout of choice. A file appears whole or not at all."""

import json
from pathlib import Path

from litevision.errors import UnknownNameError, UsageError, WeightsError, reason_of
from litevision.files import atomic_write
from litevision.models.nanodet import NanoDet
from litevision.models.network import Network
from litevision.outputs import check_output, kind_named
from litevision.registry import row_of
from litevision.weights.convert import extract
from litevision.weights.facts import PRETRAINED_KEY, current_facts, facts_to_dict
from litevision.weights.layouts import layout_row, writable_layouts
from litevision.weights.writers import WeightFile


def save_weights(network: Network | NanoDet, path: str | Path, layout: str = "litevision") -> Path:
    """Writes the weights of ``network`` to ``path``, and gives the path.

    litevision's own layout keeps the network's configuration and what is known of its weights beside the tensors, so
    that the file alone rebuilds it, with ``network.pretrained``.

    Args:
        path: ``.safetensors`` or ``.pth`` for the layouts of torch; ``.weights.h5`` (Keras 3) or ``.h5`` (older
            Keras) for ``keras``.
        layout: ``litevision``, ``torchvision``, ``timm``, ``nanodet`` or ``keras``; all but the first take the
            networks of their own dialect alone, so that what is read there computes the same.

    Raises:
        UnknownNameError: no such layout.
        UsageError: a layout that does not have this network, another file name ending, or a file there that holds no
            weights.
        WeightsError: the file cannot be written.

    Example:
        >>> import litevision, pathlib, tempfile
        >>> network = litevision.create("mobilenet_v2", width_mult=0.35)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = litevision.save_weights(network, pathlib.Path(folder) / "mine.safetensors")
        ...     litevision.load_weights(file).network.config.width_mult
        0.35
    """
    path = Path(path)
    if layout not in writable_layouts():
        raise UnknownNameError.of("layout to write", layout, writable_layouts())
    row = layout_row(layout)
    chosen = row.load()
    config = network.config
    if config.dialect not in chosen.dialects or row_of(config.architecture).family not in chosen.mappings:
        raise UsageError(
            f"the layout {layout!r} holds networks of the dialects {', '.join(chosen.dialects)}; "
            f"got {config.architecture} in the dialect {config.dialect!r}"
        )
    write = next((writer for suffix, writer in row.writers.items() if path.name.endswith(suffix)), None)
    if write is None:
        raise UsageError(f"the layout {layout!r} is written to {' or '.join(row.suffixes)}, got {path.name!r}")
    check_output(path, kind_named("weights", path))
    file = WeightFile(extract(network, chosen), chosen, _header(network) if row.keeps_config else None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            write(file, partial)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        raise WeightsError(f"cannot write {path}: {reason_of(error)}") from error
    return path


def _header(network: Network | NanoDet) -> str:
    """The configuration of ``network`` and what is known of its weights, as JSON."""
    facts = current_facts(network)
    known = {} if facts is None else {PRETRAINED_KEY: facts_to_dict(facts)}
    return json.dumps({**network.config.to_dict(), **known})
