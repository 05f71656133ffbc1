"""A map from the tensors of a file to those of a network: apply it, write it, read it back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from litevision.errors import FileMissingError, WeightsError, WeightsMismatchError, reason_of
from litevision.files import atomic_write
from litevision.models.kinds import AnyConfig, config_from_dict
from litevision.outputs import check_output, kind_named
from litevision.weights.convert.layout import Tensors
from litevision.weights.structure.layers import Axes, torch_axes

_FORMAT, _VERSION = "litevision weight map", 1
WRITES = 'json:{"format":"litevisionweightmap"'
"""What `kind_named` calls a map."""

_CLASSIFIERS = ("head.classifier.weight", "heads.heatmap.output.weight")
_MOST_BYTES = 16_777_216


@dataclass(frozen=True)
class WeightMap:
    """Which tensor of a network each tensor of a file is.

    Attributes:
        config: of the network, or of the detector.
        axes: how the file's kernels lie.
        tensors: ours for each of theirs; None for one that is left out. The bias of a convolution that has none here
            goes into the mean of the normalisation behind it.
    """

    config: AnyConfig
    axes: Axes
    tensors: Mapping[str, str | None]

    def fill(self, stored: Tensors) -> "tuple[AnyConfig, Tensors]":
        """The configuration, with as many classes as ``stored`` has, and the network's state.

        Raises:
            WeightsMismatchError: a tensor is missing, not in the map, or of another shape.
        """
        missing = [name for name in self.tensors if name not in stored]
        unknown = [name for name in stored if name not in self.tensors and _counts(stored, name)]
        if missing or unknown:
            raise WeightsMismatchError(
                f"the map is of another file: {_shown('missing', missing)}{_shown('not in the map', unknown)}"
                "make one for this file with save_map (--save-map)"
            )
        state: Tensors = {}
        for name, ours in self.tensors.items():
            if ours is not None:
                tensor = stored[name]
                state[ours] = torch_axes(tensor, self.axes) if tensor.dim() > 1 else tensor
        config = self.config
        for name in _CLASSIFIERS:
            if name in state:
                config = replace(config, num_classes=len(state[name]))
        wanted = config.build(device="meta").state_dict()
        wrong = []
        for name, tensor in list(state.items()):
            if name not in wanted:
                mean = name.removesuffix("conv.bias") + "norm.running_mean"
                if name.endswith("conv.bias") and mean in state and tensor.shape == state[mean].shape:
                    state[mean] = state[mean] - tensor
                    del state[name]
                    continue
                wrong.append(f"{name} is no tensor of the network")
            elif tensor.dim() == 4 and wanted[name].dim() == 2 and tensor.shape[2:] == (1, 1):
                state[name] = tensor[:, :, 0, 0]
            if name in wanted and state[name].shape != wanted[name].shape:
                wrong.append(f"{name} has the shape {tuple(wanted[name].shape)}, the file's {tuple(tensor.shape)}")
        for name, target in wanted.items():
            if name in state:
                state[name] = state[name].contiguous()
            elif name.endswith((".bias", ".num_batches_tracked")):
                state[name] = torch.zeros(target.shape, dtype=target.dtype)
            elif name.endswith(".norm.weight"):
                state[name] = torch.ones(target.shape, dtype=target.dtype)
            else:
                wrong.append(f"nothing is mapped to {name}")
        if wrong:
            raise WeightsMismatchError(f"the map does not fill {config.MODEL}: {'; '.join(wrong[:3])}")
        return config, state

    def save(self, path: Path) -> None:
        """Writes the map as JSON, to be read and corrected by hand.

        Raises:
            UsageError: ``path`` holds something else.
            WeightsError: it cannot be written.
        """
        check_output(path, kind_named(WRITES, path))
        record = {
            "format": _FORMAT,
            "version": _VERSION,
            "task": self.config.task,
            "network": self.config.to_dict(),
            "axes": self.axes,
            "tensors": dict(self.tensors),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise WeightsError(f"cannot write {path}: {reason_of(error)}") from error

    @classmethod
    def load(cls, path: Path) -> "WeightMap":
        """Reads a map that ``save`` wrote.

        Raises:
            FileMissingError: there is no such file.
            WeightsError: it is no such map.
        """
        if not path.is_file():
            raise FileMissingError(f"no weight map at {path}; --save-map writes one")
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError("too long")
            record = json.loads(path.read_text("utf-8"))
            if record["format"] != _FORMAT or record["version"] != _VERSION or record["axes"] not in get_args(Axes):
                raise ValueError(f"format {record['format']!r}, version {record['version']!r}")
            tensors = record["tensors"]
            if not all(isinstance(ours, str | None) for ours in tensors.values()):
                raise ValueError("a tensor is mapped to what is no name")
            config = config_from_dict(record["task"], record["network"])
        except Exception as error:  # a file can hold anything
            raise WeightsError(
                f"{path} cannot be read as a weight map ({type(error).__name__}: {reason_of(error)}); expected JSON as "
                "--save-map writes it"
            ) from None
        return cls(config, record["axes"], tensors)


def _counts(stored: Tensors, name: str) -> bool:
    return stored[name].is_floating_point() and stored[name].dim() > 0


def _shown(what: str, names: list[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} tensors {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}; "
