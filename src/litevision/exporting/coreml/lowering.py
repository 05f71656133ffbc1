"""The state of a conversion to Core ML: what has become of each tensor of the ONNX graph."""

from typing import Any

import numpy.typing as npt
import onnx
from onnx import numpy_helper

from litevision.errors import ExportError
from litevision.exporting.graph_parts import narrowed

Array = npt.NDArray[Any]
Var = Any
"""A tensor of the program."""


class CoremlLowering:
    """The state of a conversion.

    Attributes:
        mb: the builder of coremltools; its program is the one that is open.
        graph: the ONNX graph, for one image, with the shape of every tensor.
    """

    def __init__(self, mb: Any, model: onnx.ModelProto) -> None:
        self.mb, self.graph = mb, model.graph
        self._constants = {one.name: narrowed(numpy_helper.to_array(one)) for one in self.graph.initializer}
        self._shapes = {
            one.name: tuple(side.dim_value for side in one.type.tensor_type.shape.dim)
            for one in (*self.graph.input, *self.graph.value_info, *self.graph.output)
        }
        self._made: dict[str, Var] = {}

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor.

        Raises:
            ExportError: it is not fixed.
        """
        shape = self._constants[name].shape if name in self._constants else self._shapes.get(name)
        if shape is None or any(side <= 0 for side in shape):
            raise ExportError(f"the shape of {name!r} is not known; Core ML packages of ours have fixed shapes")
        return shape

    def constant(self, name: str) -> Array:
        """The numbers of a tensor that is fixed.

        Raises:
            ExportError: it is computed.
        """
        if name not in self._constants:
            raise ExportError(f"{name!r} is computed, where Core ML takes fixed numbers")
        return self._constants[name]

    def get(self, name: str) -> Var:
        """A tensor of the program, or the numbers of one that is fixed."""
        return self._constants[name] if name in self._constants else self._made[name]

    def put(self, name: str, var: Var) -> None:
        """Says what the ONNX tensor ``name`` is in the program."""
        self._made[name] = var
