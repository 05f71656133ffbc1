"""Every operation that a module runs, with the module that runs it, recorded on torch's meta device."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

FLOAT32_BYTES = 4

# Run in place here, however the module writes them: every engine folds them into the layer before.
IN_PLACE = frozenset({"native_batch_norm", "relu", "hardtanh", "leaky_relu", "hardswish", "hardsigmoid", "sigmoid"})


@dataclass(frozen=True)
class Operation:
    """One operation that reads an activation and writes one.

    Attributes:
        path: of the innermost module that runs it.
        is_whole_module: whether that module has no children, so that its path names the operation.
        name: torch's name, for example ``convolution``, without the overload and without the ``_`` of in-place forms.
        args: its positional arguments, weights included.
        inputs: the activations among them.
        sources: for each input the index of the operation that wrote it last; -1 for the image.
        params: learned numbers of the module at ``path`` itself, unless an earlier operation has claimed them.
        buffers: its floating-point buffers' numbers, likewise.
    """

    path: str
    is_whole_module: bool
    name: str
    args: tuple[Any, ...]
    inputs: tuple[Tensor, ...]
    sources: tuple[int, ...]
    output: Tensor
    params: int
    buffers: int


def trace(module: nn.Module, image: Sequence[int]) -> list[Operation]:
    """Trace the operations of ``module`` in evaluation mode, in order, for an input of the shape ``image``."""
    twin = meta_twin(module).eval()
    dtype = next((parameter.dtype for parameter in twin.parameters()), torch.float32)
    recorder = _Recorder(twin)
    with torch.no_grad():
        x = recorder.watch(torch.empty(*image, dtype=dtype, device="meta"))
        with recorder:
            twin(x)
    return recorder.operations


def meta_twin(module: nn.Module) -> nn.Module:
    """Copy ``module`` onto the meta device; no weight is copied."""
    bare: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
        bare[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
    return copy.deepcopy(module, bare)


def peak_bytes(operations: Sequence[Operation]) -> int:
    """Return the most bytes of fp32 activations alive at once; each lives until the last operation that reads it."""
    sizes: dict[int, int] = {}
    born: dict[int, int] = {}
    last_use: dict[int, int] = {}
    for i, operation in enumerate(operations):
        for activation in (*operation.inputs, operation.output):
            key = _storage(activation)
            sizes.setdefault(key, activation.numel() * FLOAT32_BYTES)
            born.setdefault(key, i)
            last_use[key] = i
    alive = [
        sum(size for key, size in sizes.items() if born[key] <= i <= last_use[key]) for i in range(len(operations))
    ]
    return max(alive, default=0)


class _Recorder(TorchDispatchMode):
    """Notes each operation on a watched activation that torch dispatches while the mode is on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.operations: list[Operation] = []
        self._held: list[Tensor] = []  # so that no two activations can have the same storage
        self._written_by: dict[int, int] = {}
        self._running: list[tuple[str, nn.Module]] = []
        self._claimed: set[int] = set()
        for path, part in module.named_modules():
            part.register_forward_pre_hook(lambda part, _, path=path: self._running.append((path, part)))
            part.register_forward_hook(self._leave)

    def watch(self, activation: Tensor) -> Tensor:
        """``activation``, which the last operation wrote, or none: from now on known as one."""
        self._held.append(activation)
        self._written_by[_storage(activation)] = len(self.operations) - 1
        return activation

    def _leave(self, *_: object) -> None:
        self._running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::").removesuffix("_")
        result = _in_place(name, args[0]) if name in IN_PLACE else func(*args, **(kwargs or {}))
        inputs = tuple(x for x in _tensors(args) if _storage(x) in self._written_by)
        output = next(_tensors([result]), None)
        if not inputs or output is None:
            return result
        is_view = _storage(output) in self._written_by and name not in IN_PLACE and not func._schema.is_mutable
        if not is_view:
            self._note(name, args, inputs, output)
            self.watch(output)
        return result

    def _note(self, name: str, args: tuple[Any, ...], inputs: tuple[Tensor, ...], output: Tensor) -> None:
        path, part = self._running[-1]
        self.operations.append(
            Operation(
                path=path,
                is_whole_module=not any(part.children()),
                name=name,
                args=args,
                inputs=inputs,
                sources=tuple(self._written_by[_storage(x)] for x in inputs),
                output=output,
                params=self._claim(part.parameters(recurse=False)),
                buffers=self._claim(buffer for buffer in part.buffers(recurse=False) if buffer.is_floating_point()),
            )
        )

    def _claim(self, tensors: Iterable[Tensor]) -> int:
        fresh = [tensor for tensor in tensors if id(tensor) not in self._claimed]
        self._claimed.update(map(id, fresh))
        return sum(tensor.numel() for tensor in fresh)


def _in_place(name: str, activation: Tensor) -> Any:
    """``activation`` as what the operation ``name`` gives."""
    statistics = torch.empty(0, device="meta")
    return (activation, statistics, statistics) if name == "native_batch_norm" else activation


def _storage(tensor: Tensor) -> int:
    address: int = tensor.untyped_storage()._cdata
    return address


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
