"""Graphs of others' making by what is left when the names of their layers are lost: convolutions in their order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
_SLOPE_TOLERANCE = 1e-6


class ConvForm(NamedTuple):
    """What a convolution computes, but for its numbers.

    Attributes:
        shape: of the kernel, [out, in / groups, height, width].
        stride: of rows and columns.
        padding: on all sides.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int

    def __str__(self) -> str:
        shape, stride = "x".join(map(str, self.shape)), "x".join(map(str, self.stride))
        return f"{shape} (stride {stride}, padding {'x'.join(map(str, self.padding))}, groups {self.groups})"


@dataclass(frozen=True)
class FoldedConv:
    """A convolution of a graph."""

    name: str
    form: ConvForm
    weight: Array
    bias: Array


class Mismatch(NamedTuple):
    """Where a graph is no longer a network: how many convolutions fit, and what comes then."""

    fitting: int
    what: str


@dataclass(frozen=True)
class FoldedGraph:
    """What of a graph tells which network it is.

    Attributes:
        convs: its convolutions in the order in which they run.
        slopes: the slope below 0 of each rectifier, 0 for a ReLU, with how many there are.
        size_hw: of its input, px; None where the file does not say it.
    """

    convs: tuple[FoldedConv, ...]
    slopes: Counter[float]
    size_hw: tuple[int, int] | None

    def mismatch(self, wanted: Sequence[tuple[str, ConvForm]], rectifiers: int, slope: float) -> Mismatch | None:
        """Compares it with a network; None where it is that.

        Args:
            wanted: the paths and forms of the network's convolutions, in the order in which they run.
            rectifiers: how many the network has.
            slope: of all of them below 0.
        """
        for i, (conv, (path, form)) in enumerate(zip(self.convs, wanted, strict=False)):
            if conv.form != form:
                return Mismatch(i, f"then {conv.name} is {conv.form} where {path} is {form}")
        if len(self.convs) != len(wanted):
            return Mismatch(min(len(self.convs), len(wanted)), f"it has {len(wanted)}")
        leaks = sum(count for found, count in self.slopes.items() if abs(found - slope) <= _SLOPE_TOLERANCE)
        if (leaks, self.slopes.total()) != (rectifiers, rectifiers):
            found = ", ".join(f"{count} of slope {each:g}" for each, count in sorted(self.slopes.items())) or "none"
            return Mismatch(
                len(wanted), f"its rectifiers are {found}, where {rectifiers} of slope {slope:g} are expected"
            )
        return None
