"""Exports of networks that differ in their weights alone: torch traces one of them, and the graph is filled for others.

To trace a network takes seconds, and tests export the same few again and again, each time with other weights. Every
bundle is still compared with its own network, as wherever one is written.
"""

import copy
import functools
import hashlib
import os
import typing
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from litevision.exporting.graph import FromRaw, graph_of

_INTERNALS = frozenset(vars(nn.Module()))
_FACTS = {"pretrained"}  # where the weights come from; no part of what is computed


class GraphCache:
    """`graph_of`, with a folder of graphs that several processes share.

    Args:
        folder: is there already, and holds graphs of these sources alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, module: FromRaw, size_hw: tuple[int, int]) -> onnx.ModelProto:
        text = f"{size_hw}\n{structure(module)}"
        file = self._folder / hashlib.sha256(text.encode()).hexdigest()
        tensors = named_tensors(module)
        if not file.exists():
            # Each tensor gets values of its own: of two that are equal, as after initialisation, one alone is stored.
            twin = randomised(module)
            made = graph_of(twin, size_hw)
            if not is_made_of(made, named_tensors(twin)):
                return graph_of(module, size_hw)
            partial = file.with_name(f"{file.name}.{os.getpid()}")
            partial.write_bytes(made.SerializeToString())
            partial.replace(file)
        return filled(onnx.load(file), tensors)


@functools.cache
def keep_tables_of_exporter() -> None:
    """Makes torch's exporter keep its tables of operations, which it makes anew for each graph in a third of its time.

    They do not depend on what is exported.
    """
    from torch.export import decomp_utils, exported_program
    from torch.onnx._internal.exporter import _decomp, _registration

    registry = functools.cache(_registration.ONNXRegistry.from_torchlib)
    composite = functools.cache(exported_program._collect_all_valid_cia_ops)
    decompositions = functools.cache(_decomp.create_onnx_friendly_decomposition_table)
    parts: list[tuple[typing.Any, str, object]] = [
        (_registration.ONNXRegistry, "from_torchlib", staticmethod(registry)),
        (exported_program, "_collect_all_valid_cia_ops", composite),
        (decomp_utils, "_collect_all_valid_cia_ops", composite),
        (_decomp, "create_onnx_friendly_decomposition_table", lambda ops: dict(decompositions(frozenset(ops)))),
        (torch._ops, "Callable", typing.Callable),  # annotates what is made for each operation; the other keeps nothing
    ]
    for owner, name, kept in parts:
        setattr(owner, name, kept)


def structure(module: nn.Module) -> str:
    """All that the graph of ``module`` depends on but the values of its tensors: parts, options and shapes."""
    lines = []
    for name, part in module.named_modules():
        options = {key: value for key, value in vars(part).items() if key not in _INTERNALS | _FACTS}
        shapes = {
            key: (tensor.shape, tensor.dtype, type(tensor).__name__)
            for group in (part._parameters, part._buffers)
            for key, tensor in group.items()
            if tensor is not None
        }
        kind, code = type(part), type(part).forward.__code__
        lines.append(f"{name}: {kind.__module__}.{kind.__qualname__} {options} {shapes}")
        lines.append(f"{code.co_code!r} {code.co_names}")  # tests may have several classes of one name
    return "\n".join(lines)


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def randomised(module: FromRaw) -> FromRaw:
    twin = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in named_tensors(twin).values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5, generator=generator)
    return twin


def is_made_of(model: onnx.ModelProto, tensors: dict[str, Tensor]) -> bool:
    """Whether the graph stores these tensors as they are, and besides them axes and limits alone."""
    stored = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    others = [array for name, array in stored.items() if name not in tensors]
    return all(
        name in stored and np.array_equal(stored[name], tensor.detach().numpy()) for name, tensor in tensors.items()
    ) and all(array.size <= 4 or array.dtype.kind != "f" for array in others)


def filled(model: onnx.ModelProto, tensors: dict[str, Tensor]) -> onnx.ModelProto:
    for one in model.graph.initializer:
        if one.name in tensors:
            one.CopyFrom(numpy_helper.from_array(tensors[one.name].detach().contiguous().numpy(), one.name))
    return model
