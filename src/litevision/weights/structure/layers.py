"""A file's tensors as layers: which belong together, what each is, and in which order they were written."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor

from litevision.weights.convert.layout import Tensors

Axes = Literal["torch", "keras"]
"""How kernels lie: [out, in, height, width], or [height, width, in, out]."""

NORM_ROLES = ("weight", "bias", "running_mean", "running_var")
_ROLE_OF = {
    "weight": "weight weights kernel kernels filter filters w depthwise_kernel depthwise_weights pointwise_kernel",
    "scale": "gamma scale",
    "bias": "bias biases b",
    "shift": "beta offset shift",
    "running_mean": "running_mean moving_mean mean mu average",
    "running_var": "running_var moving_variance running_variance moving_var variance var sigma2",
}
_ROLES = {word: role for role, words in _ROLE_OF.items() for word in words.split()}
_LEAF = re.compile(rf"(?:^|[./:_\-])({'|'.join(sorted(_ROLES, key=len, reverse=True))})(?::0)?$", re.IGNORECASE)
_COUNTERS = ("num_batches_tracked", "global_step", "iterations")
_DEPTHWISE_FROM = 2  # a kernel of 1x1 with one channel is a plain convolution


class Signature(NamedTuple):
    """What a layer is beside its numbers: a kernel's [out, in, height, width], or a normalisation's [channels]."""

    kind: Literal["conv", "norm"]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FileLayer:
    """A layer in a file.

    Attributes:
        name: what the names of its tensors begin with.
        tensors: the name of each of its tensors in the file, by what it is in torch: weight, bias, running_mean,
            running_var.
    """

    name: str
    signature: Signature
    tensors: Mapping[str, str]


@dataclass(frozen=True)
class FileLayers:
    """All layers of a file, in its order.

    Attributes:
        axes: how its kernels lie.
        has_order: whether the order of the tensors in the file says anything: that of sorted names does not.
        strange: tensors that are no layer or part of one.
        assumed: what had to be assumed, a line each.
    """

    layers: Sequence[FileLayer]
    axes: Axes
    has_order: bool
    strange: Sequence[str] = ()
    assumed: Sequence[str] = field(default=())

    @property
    def counts(self) -> Counter[Signature]:
        """How many layers of each kind and shape there are."""
        return Counter(layer.signature for layer in self.layers)


def file_layers(tensors: Tensors, axes: Axes, *, keeps_order: bool) -> FileLayers:
    """Groups the tensors of a file to layers, by their names, and where the names do not tell by their order."""
    floats = {name: tensor for name, tensor in tensors.items() if _is_weight(name, tensor)}
    names = list(floats)
    in_turn = sorted(names, key=natural_key)
    if not keeps_order and len({numbers_of(name)[0] for name in names}) == 1:  # numbers alone
        floats = {name: floats[name] for name in in_turn}
        keeps_order = True
    has_order = keeps_order and (list(floats) != sorted(names) or sorted(names) == in_turn)
    by_name = _by_name(floats, axes)
    if by_name is not None:
        return FileLayers(*by_name[:1], axes, has_order, by_name[1])
    if has_order:
        by_order = _by_order(floats, axes)
        if by_order is not None:
            assumed = ("the names do not say what is what in batch normalisation: gamma, beta, mean, variance in turn",)
            return FileLayers(by_order, axes, has_order, (), assumed)
    return FileLayers((), axes, has_order, names)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names by the numbers in them: ``block.9`` before ``block.10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), "") if i % 2 else (0, 0, part) for i, part in enumerate(parts))


def numbers_of(name: str) -> tuple[str, tuple[int, ...]]:
    """Splits a name into what it says beside its numbers, and these. A letter by itself is a number: ``block_b``."""
    shape: list[str] = []
    numbers: list[int] = []
    for part in re.split(r"(\d+|(?<![A-Za-z0-9])[A-Za-z](?![A-Za-z0-9]))", name):
        if part.isdigit():
            shape.append("#")
            numbers.append(int(part))
        elif len(part) == 1 and part.isalpha():
            shape.append("@")
            numbers.append(ord(part.lower()))
        else:
            shape.append(part)
    return "".join(shape), tuple(numbers)


def torch_axes(tensor: Tensor, axes: Axes) -> Tensor:
    """A kernel with the axes [out, in, height, width]; one of a dense layer with two axes of length 1."""
    if tensor.dim() == 2:
        return (tensor.T if axes == "keras" else tensor)[:, :, None, None]
    if axes == "torch" or tensor.dim() != 4:
        return tensor
    is_depthwise = tensor.shape[3] == 1 and tensor.shape[0] >= _DEPTHWISE_FROM
    return tensor.permute((2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1))


def _is_weight(name: str, tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dim() > 0 and not name.endswith(_COUNTERS)


def _role(name: str) -> tuple[str, str | None]:
    """What precedes the tensor's own name, and what that says it is."""
    found = _LEAF.search(name)
    if found:
        return name[: found.start()], _ROLES[found[1].lower()]
    cut = max(name.rfind("."), name.rfind("/"))
    return (name[:cut] if cut >= 0 else ""), None


def _by_name(tensors: Tensors, axes: Axes) -> tuple[list[FileLayer], list[str]] | None:
    groups: dict[str, dict[str, str | None]] = {}
    for name in tensors:
        stem, role = _role(name)
        groups.setdefault(stem, {})[name] = role
    layers: list[FileLayer] = []
    strange: list[str] = []
    for stem, roles in groups.items():
        made = _group(stem, roles, tensors, axes)
        if made is None:
            if sum(tensors[name].dim() > 1 for name in roles) > 1:
                return None  # names that do not tell layers apart
            strange += roles
        else:
            layers += made
    return (layers, strange) if layers and len(strange) < len(tensors) / 2 else None


def _group(stem: str, roles: Mapping[str, str | None], tensors: Tensors, axes: Axes) -> list[FileLayer] | None:
    """The convolution, the normalisation, or both, that a group of tensors is; None where it is something else."""
    kernels = [name for name in roles if tensors[name].dim() > 1]
    vectors = [name for name in roles if tensors[name].dim() == 1]
    if len(kernels) > 1:
        return None
    has_norm = any(roles[name] in ("running_mean", "running_var") for name in vectors)
    if not has_norm and not kernels:
        return _unnamed_norm(stem, vectors, tensors) if len(vectors) == len(NORM_ROLES) else None
    layers: list[FileLayer] = []
    bias: str | None = None
    if has_norm:
        parts: dict[str, str] = {}
        biases = [name for name in vectors if roles[name] == "bias"]
        for name in vectors:
            role = roles[name]
            if role == "bias" and kernels and any(roles[other] == "shift" for other in vectors):
                bias = name
                continue
            ours = {"scale": "weight", "shift": "bias"}.get(role or "", role)
            if ours is None or ours in parts:
                return None
            parts[ours] = name
        if not {"running_mean", "running_var"} <= parts.keys() or len(biases) > 1:
            return None
        lengths = {len(tensors[name]) for name in parts.values()}
        if len(lengths) != 1:
            return None
        layers.append(FileLayer(stem, Signature("norm", (lengths.pop(),)), parts))
    elif len(vectors) > 1:
        return None
    elif vectors:
        bias = vectors[0]
    if kernels:
        conv = _conv(stem, kernels[0], bias, tensors, axes)
        if conv is None:
            return None
        layers.insert(0, conv)
    return layers


def _conv(stem: str, kernel: str, bias: str | None, tensors: Tensors, axes: Axes) -> FileLayer | None:
    if tensors[kernel].dim() not in (2, 4):
        return None
    shape = tuple(torch_axes(tensors[kernel], axes).shape)
    if bias is not None and tuple(tensors[bias].shape) != shape[:1]:
        return None
    parts = {"weight": kernel} if bias is None else {"weight": kernel, "bias": bias}
    return FileLayer(stem, Signature("conv", shape), parts)


def _unnamed_norm(stem: str, vectors: Sequence[str], tensors: Tensors) -> list[FileLayer] | None:
    """Four vectors of one length in torch's and Keras' order; the last must hold variances."""
    lengths = {len(tensors[name]) for name in vectors}
    if len(lengths) != 1 or bool((tensors[vectors[3]] < 0).any()):
        return None
    return [FileLayer(stem, Signature("norm", (lengths.pop(),)), dict(zip(NORM_ROLES, vectors, strict=True)))]


def _by_order(tensors: Tensors, axes: Axes) -> list[FileLayer] | None:
    """The layers by the order of the tensors alone: a kernel, its bias, and vectors in fours."""
    layers: list[FileLayer] = []
    names = list(tensors)
    at = 0
    while at < len(names):
        end = at + (tensors[names[at]].dim() > 1)
        while end < len(names) and tensors[names[end]].dim() == 1:
            end += 1
        run = names[at:end]
        if tensors[run[0]].dim() > 1:
            has_bias = len(run) % 4 == 2
            conv = _conv(run[0], run[0], run[1] if has_bias else None, tensors, axes)
            if conv is None:
                return None
            layers.append(conv)
            run = run[1 + has_bias :]
        if len(run) % 4:
            return None
        for i in range(0, len(run), 4):
            norm = _unnamed_norm(run[i], run[i : i + 4], tensors)
            if norm is None:
                return None
            layers += norm
        at = end
    return layers
