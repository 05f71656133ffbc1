"""A ledger's rows as a person reads them: each convolution, linear layer or pool with what runs on its output."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from litevision.cost.ledger import CONVOLUTIONS, LayerCost

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
    "hardswish": "h-swish",
    "hardsigmoid": "h-sigmoid",
    "add": "sum",
    "mul": "scale",
    "quantize_linear": "Q",
    "dequantize_linear": "DQ",
}


STARTS = CONVOLUTIONS | POOLS | {"linear", "matmul", "unknown"}

Shape = tuple[int, ...]


class Row(Protocol):
    """What a step needs to know of a row: of a module's ledger, or of an ONNX graph's."""

    @property
    def kind(self) -> str: ...
    @property
    def kernel(self) -> Shape | None: ...
    @property
    def stride(self) -> Shape | None: ...
    @property
    def dilation(self) -> Shape | None: ...
    @property
    def groups(self) -> int: ...
    @property
    def params(self) -> int: ...


R = TypeVar("R", bound=Row)


@dataclass
class Step(Generic[R]):
    """One convolution, linear layer or pool, the padding before it, and what runs before the next one."""

    layer: R
    pads: list[R] = field(default_factory=list)
    followers: list[R] = field(default_factory=list)

    @property
    def rows(self) -> list[R]:
        """All rows of the ledger that the step stands for, in order."""
        return [*self.pads, self.layer, *self.followers]

    @property
    def out_shape(self: "Step[LayerCost]") -> Shape:
        """What its last row gives."""
        return self.rows[-1].out_shape

    @property
    def params(self) -> int:
        """Learned numbers of all its rows."""
        return sum(row.params for row in self.rows)

    @property
    def operation(self) -> str:
        """For example ``dw 3x3 /2 +BN +ReLU6``."""
        followers = "".join(f" +{TITLES.get(row.kind, row.kind)}" for row in self.followers)
        return "".join("pad + " for _ in self.pads) + describe(self.layer) + followers


def steps(layers: Iterable[R]) -> list[Step[R]]:
    """``layers`` folded into steps, in order."""
    found: list[Step[R]] = []
    pads: list[R] = []
    for layer in layers:
        if layer.kind == "pad":
            pads.append(layer)
        elif layer.kind in STARTS or not found:
            found.append(Step(layer, pads))
            pads = []
        else:
            found[-1].followers += [*pads, layer]
            pads = []
    if pads and found:
        found[-1].followers += pads
    elif pads:
        found.append(Step(pads[0], [], pads[1:]))
    return found


def describe(layer: Row) -> str:
    """The operation in a few words: ``dw 5x5 /2 dilated 2``."""
    return " ".join((TITLES.get(layer.kind, layer.kind), *geometry(layer)))


def geometry(layer: Row) -> list[str]:
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


def shape_text(shape: Iterable[int]) -> str:
    """``32x112x112``."""
    return "x".join(map(str, shape))
