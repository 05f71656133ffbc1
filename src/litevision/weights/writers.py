"""Writers of weight files: the tensors of a layout as .safetensors, .pth, or Keras' HDF5.

Each writes to a path that becomes the file only once it is whole; each imports what it needs when it is called.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litevision.weights.convert.layout import Layout, Tensors

CONFIG_KEY = "litevision"
"""Where a native file keeps the network's configuration: in a safetensors header, or beside a state_dict."""

STATE_KEY = "state_dict"


@dataclass(frozen=True)
class WeightFile:
    """What a writer is given.

    Attributes:
        tensors: under the layout's names, in its order.
        layout: the layout.
        config: the network's configuration as JSON, where the layout keeps it.
    """

    tensors: "Tensors"
    layout: "Layout"
    config: str | None = None


def write_safetensors(file: WeightFile, path: Path) -> None:
    """Writes a .safetensors file."""
    from safetensors.torch import save

    # One key alone: safetensors writes more of them in no fixed order, and equal networks make equal files.
    metadata = {"format": "pt"} if file.config is None else {CONFIG_KEY: file.config}
    path.write_bytes(save(_strict_tensors(file), metadata))


def write_torch(file: WeightFile, path: Path) -> None:
    """Writes a file of torch's: a state_dict, and the configuration beside it."""
    import torch

    tensors = _strict_tensors(file)
    content = tensors if file.config is None else {STATE_KEY: tensors, CONFIG_KEY: file.config}
    with path.open("wb") as out:  # given a path, torch would write its random name into the file
        torch.save(content, out)


def _strict_tensors(file: WeightFile) -> "Tensors":
    """The tensors with the counter that torch's BatchNorm keeps, which a strict ``load_state_dict`` asks for."""
    import torch

    if file.config is not None:  # nobody but litevision reads it
        return file.tensors
    counted: Tensors = {}
    for name, tensor in file.tensors.items():
        counted[name] = tensor
        if name.endswith(".running_var"):
            counted[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    return counted


def write_keras_legacy(file: WeightFile, path: Path) -> None:
    """Writes Keras' HDF5 of before version 3, which its ``load_weights`` reads in order or by name."""
    import h5py

    layers = _by_layer(file.tensors)
    with h5py.File(path, "w") as out:
        out.attrs["layer_names"] = [layer.encode() for layer in layers]
        out.attrs["backend"] = b"tensorflow"
        out.attrs["keras_version"] = b"2.15.0"
        for layer, leaves in layers.items():
            group = out.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{leaf}:0".encode() for leaf in leaves]
            for leaf, tensor in leaves.items():
                group.create_dataset(f"{layer}/{leaf}:0", data=tensor.numpy())
        out.create_group("top_level_model_weights").attrs["weight_names"] = []


def write_keras3(file: WeightFile, path: Path) -> None:
    """Writes Keras 3's ``.weights.h5``: a group per layer, named by its class and a running number."""
    import h5py

    counts: Counter[str] = Counter()
    with h5py.File(path, "w") as out:
        out.create_group("vars")
        for layer, leaves in _by_layer(file.tensors).items():
            kind = _keras_class(leaves, file.layout)
            number = counts[kind]
            counts[kind] += 1
            variables = out.create_group(f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars")
            variables.attrs["name"] = layer
            for index, tensor in enumerate(leaves.values()):
                variables.create_dataset(str(index), data=tensor.numpy())


def _by_layer(tensors: "Tensors") -> "dict[str, Tensors]":
    layers: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        layer, leaf = name.rsplit("/", 1)
        layers.setdefault(layer, {})[leaf] = tensor
    return layers


def _keras_class(leaves: "Tensors", layout: "Layout") -> str:
    if layout.norm_leaves[0] in leaves:
        return "batch_normalization"
    if layout.depthwise_leaf[0] in leaves:
        return "depthwise_conv2d"
    return "dense" if leaves[layout.linear_leaf].dim() == 2 else "conv2d"
