"""The state of a conversion to Core ML: what has become of each tensor of the ONNX graph."""

from typing import Any

import numpy.typing as npt
import onnx

from litevision.errors import ExportError
from litevision.exporting.graph_parts import FixedGraph

Var = Any
"""A tensor of the program."""


class CoremlLowering(FixedGraph):
    """The state of a conversion.

    Attributes:
        mb: the builder of coremltools; its program is the one that is open.
    """

    def __init__(self, mb: Any, model: onnx.ModelProto) -> None:
        super().__init__(model, "Core ML packages of ours")
        self.mb = mb
        self._made: dict[str, Var] = {}

    def constant(self, name: str) -> npt.NDArray[Any]:
        """The numbers of a tensor that is fixed.

        Raises:
            ExportError: it is computed.
        """
        if name not in self.constants:
            raise ExportError(f"{name!r} is computed, where Core ML takes fixed numbers")
        return self.constants[name]

    def get(self, name: str) -> Var:
        """A tensor of the program, or the numbers of one that is fixed."""
        return self.constants[name] if name in self.constants else self._made[name]

    def put(self, name: str, var: Var) -> None:
        """Says what the ONNX tensor ``name`` is in the program."""
        self._made[name] = var
