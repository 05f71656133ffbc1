"""Writes a network's weights in another library's layout. A file appears whole or not at all."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from litevision.errors import UnknownNameError, UsageError, WeightsError
from litevision.files import atomic_write
from litevision.models.network import Network
from litevision.registry import ARCHITECTURES
from litevision.weights.convert import LAYOUTS, Layout, Tensors, extract
from litevision.weights.files import CONFIG_KEY, STATE_KEY

WRITABLE = ("litevision", "torchvision", "timm", "keras")
_TORCH_ENDINGS = (".safetensors", ".pth", ".pt")
_KERAS_ENDINGS = (".weights.h5", ".h5")


def save_weights(network: Network, path: str | Path, layout: str = "litevision") -> Path:
    """Writes the weights of ``network`` to ``path``.

    Args:
        path: ``.safetensors`` or ``.pth`` for the layouts of torch; ``.weights.h5`` (Keras 3) or ``.h5`` (older
            Keras) for ``keras``.
        layout: ``litevision``, ``torchvision``, ``timm`` or ``keras``; the last three take the networks of their own
            dialect alone, so that what is read there computes the same.

    litevision's own layout keeps the network's configuration beside its tensors, so that the file alone rebuilds it.

    Raises:
        UnknownNameError: no such layout.
        UsageError: a layout that does not have this network, or another file name ending.
        WeightsError: the file cannot be written.
    """
    path = Path(path)
    if layout not in WRITABLE:
        raise UnknownNameError.of("layout to write", layout, WRITABLE)
    chosen = LAYOUTS[layout]
    config = network.config
    if config.dialect not in chosen.dialects or ARCHITECTURES[config.architecture].family not in chosen.pairs:
        raise UsageError(
            f"the layout {layout!r} holds networks of the dialects {', '.join(chosen.dialects)}; "
            f"got {config.architecture} in the dialect {config.dialect!r}"
        )
    endings = _KERAS_ENDINGS if layout == "keras" else _TORCH_ENDINGS
    if not path.name.endswith(endings):
        raise UsageError(f"the layout {layout!r} is written to {' or '.join(endings)}, got {path.name!r}")
    tensors = extract(network, chosen)
    if path.name.endswith(".weights.h5"):
        return _atomically(path, lambda temporary: _write_keras3(tensors, chosen, temporary))
    if path.suffix == ".h5":
        return _atomically(path, lambda temporary: _write_keras_legacy(tensors, temporary))
    if layout != "litevision":
        tensors = _with_batch_counts(tensors)
    own = {CONFIG_KEY: config.to_json()} if layout == "litevision" else {}
    if path.suffix == ".safetensors":
        from safetensors.torch import save

        # One key alone: safetensors writes more of them in no fixed order, and equal networks make equal files.
        metadata = own or {"format": "pt"}
        return _atomically(path, lambda temporary: temporary.write_bytes(save(tensors, metadata)))
    return _atomically(path, lambda temporary: _write_torch({STATE_KEY: tensors, **own} if own else tensors, temporary))


def _write_torch(content: Mapping[str, object], temporary: Path) -> None:
    with temporary.open("wb") as file:  # given a path, torch would write its random name into the file
        torch.save(content, file)


def _with_batch_counts(tensors: Tensors) -> Tensors:
    """``tensors`` with the counter that torch's BatchNorm keeps, which a strict ``load_state_dict`` asks for."""
    counted: Tensors = {}
    for name, tensor in tensors.items():
        counted[name] = tensor
        if name.endswith(".running_var"):
            counted[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    return counted


def _atomically(path: Path, write: Callable[[Path], object]) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            write(temporary)
    except (OSError, RuntimeError) as error:  # torch's zip writer turns a full disk into a RuntimeError
        raise WeightsError(f"cannot write {path}: {str(error).splitlines()[0]}") from error
    return path


def _by_layer(tensors: Tensors) -> dict[str, Tensors]:
    layers: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        layer, leaf = name.rsplit("/", 1)
        layers.setdefault(layer, {})[leaf] = tensor
    return layers


def _write_keras_legacy(tensors: Tensors, path: Path) -> None:
    """Keras' HDF5 of before version 3, which ``load_weights`` reads layer by layer, in order or by name."""
    import h5py

    layers = _by_layer(tensors)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.15.0"
        for layer, leaves in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{leaf}:0".encode() for leaf in leaves]
            for leaf, tensor in leaves.items():
                group.create_dataset(f"{layer}/{leaf}:0", data=tensor.numpy())
        file.create_group("top_level_model_weights").attrs["weight_names"] = []


def _write_keras3(tensors: Tensors, layout: Layout, path: Path) -> None:
    """Keras 3's ``.weights.h5``: a group per layer, named by its class and a running number."""
    import h5py

    counts: Counter[str] = Counter()
    with h5py.File(path, "w") as file:
        file.create_group("vars")
        for layer, leaves in _by_layer(tensors).items():
            kind = _keras_class(leaves, layout)
            number = counts[kind]
            counts[kind] += 1
            variables = file.create_group(f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars")
            variables.attrs["name"] = layer
            for index, tensor in enumerate(leaves.values()):
                variables.create_dataset(str(index), data=tensor.numpy())


def _keras_class(leaves: Tensors, layout: Layout) -> str:
    if layout.norm_leaves[0] in leaves:
        return "batch_normalization"
    if layout.depthwise_leaf[0] in leaves:
        return "depthwise_conv2d"
    return "dense" if leaves[layout.linear_leaf].dim() == 2 else "conv2d"
