"""Rows of cost ledgers, and fused layers: each convolution, linear layer or pool with what runs on its output."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from litevision.tables import Report, Table

POOLS = frozenset({"max_pool", "avg_pool"})
TITLES = {
    "conv": "conv",
    "depthwise_conv": "dw",
    "pointwise_conv": "conv",
    "conv_transpose": "up-conv",
    "max_pool": "max pool",
    "avg_pool": "avg pool",
    "batch_norm": "BN",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "leaky ReLU",
    "hardswish": "h-swish",
    "hardsigmoid": "h-sigmoid",
    "add": "sum",
    "mul": "scale",
    "quantize_linear": "Q",
    "dequantize_linear": "DQ",
    "upsample_nearest2d": "upsample",
    "upsample_bilinear2d": "upsample",
}


CONVOLUTIONS = frozenset({"conv", "depthwise_conv", "pointwise_conv", "conv_transpose"})
_PRODUCTS = {"linear", "matmul", "einsum", "rnn", "gru", "lstm", "attention", "multi_head_attention", "deform_conv"}
STARTS = CONVOLUTIONS | POOLS | _PRODUCTS | {"unknown"}

Shape = tuple[int, ...]
Size = int | tuple[int, int]
"""One side in pixels, or (height, width)."""


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """Cost of one operation: what a row of a module's ledger and one of an ONNX graph's have in common.

    Attributes:
        name: unique in its ledger.
        kind: conv, depthwise_conv, pointwise_conv, conv_transpose, linear, batch_norm, relu, relu6, leaky_relu,
            hardswish, hardsigmoid, max_pool, avg_pool, pad, add, mul, concat, shuffle; else the operation's own name.
        kernel: (h, w), or a number for each axis of the map; None where there is none. ``stride``, ``dilation`` alike.
        params: learned numbers: weights, biases, BN's scale and shift; tensors that rows share count once.
        buffers: BN's running mean and variance.
        macs: multiply-adds of convolutions and matrix products; biases, BN, activations, pools and sums count 0. None
            where they cannot be known.
    """

    name: str
    kind: str
    kernel: Shape | None = None
    stride: Shape | None = None
    dilation: Shape | None = None
    groups: int = 1
    params: int = 0
    buffers: int = 0
    macs: int | None = 0


R = TypeVar("R", bound=CostRow)


@dataclass(frozen=True)
class CostLedger(Report, Generic[R]):
    """The rows of a network in the order in which they run; ``print`` it for a table of fused layers and totals."""

    rows: tuple[R, ...]

    def sections(self, *, every: bool = False) -> Iterator[str | Table]:
        """Yield the title, the table and the totals as text.

        Args:
            every: a row for each operation in place of one for each fused layer.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the rows and totals as JSON values."""
        raise NotImplementedError

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of the convolutions and matrix products, where they are known."""
        return sum(row.macs or 0 for row in self.rows)


@dataclass
class FusedLayer(Generic[R]):
    """A convolution, linear layer or pool with the padding before it and the operations that engines fuse into it."""

    layer: R
    pads: list[R] = field(default_factory=list)
    followers: list[R] = field(default_factory=list)

    @property
    def rows(self) -> list[R]:
        """All rows of the ledger that it stands for, in order."""
        return [*self.pads, self.layer, *self.followers]

    @property
    def params(self) -> int:
        """Learned numbers of all its rows."""
        return sum(row.params for row in self.rows)

    @property
    def operation(self) -> str:
        """For example ``dw 3x3 /2 +BN +ReLU6``."""
        followers = "".join(f" +{TITLES.get(row.kind, row.kind)}" for row in self.followers)
        return "".join("pad + " for _ in self.pads) + describe(self.layer) + followers


def fuse(layers: Iterable[R]) -> list[FusedLayer[R]]:
    """Group the rows of a ledger into fused layers, in order."""
    found: list[FusedLayer[R]] = []
    pads: list[R] = []
    for layer in layers:
        if layer.kind == "pad":
            pads.append(layer)
        elif layer.kind in STARTS or not found:
            found.append(FusedLayer(layer, pads))
            pads = []
        else:
            found[-1].followers += [*pads, layer]
            pads = []
    if pads and found:
        found[-1].followers += pads
    elif pads:
        found.append(FusedLayer(pads[0], [], pads[1:]))
    return found


def describe(layer: CostRow) -> str:
    """Describe the operation in a few words: ``dw 5x5 /2 dilated 2``."""
    return " ".join((TITLES.get(layer.kind, layer.kind), *geometry(layer)))


def geometry(layer: CostRow) -> list[str]:
    """Kernel, stride, dilation and groups, each where it says something: ``5x5``, ``/2``, ``dilated 2``."""
    words = []
    if layer.kernel:
        words.append("x".join(map(str, layer.kernel)))
    if layer.stride and set(layer.stride) != {1} and layer.stride != layer.kernel:
        words.append(f"/{layer.stride[0]}")
    if layer.dilation and set(layer.dilation) != {1}:
        words.append(f"dilated {layer.dilation[0]}")
    if layer.kind == "conv" and layer.groups > 1:
        words.append(f"in {layer.groups} groups")
    return words


def pair_of(size: Size | None) -> tuple[int, int] | None:
    """Return (height, width) of ``size``."""
    return (size, size) if isinstance(size, int) else size


def shape_text(shape: Iterable[int]) -> str:
    """Format a shape: ``32x112x112``."""
    return "x".join(map(str, shape))


def short_path(path: str) -> str:
    """Shorten a module's path by what every path has: ``features.stem.conv`` is ``stem``."""
    return path.removeprefix("features.").removeprefix("head.").removesuffix(".conv").removeprefix(".")
