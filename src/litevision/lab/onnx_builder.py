"""Small ONNX graphs, grown node by node, with random weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from litevision.errors import UsageError

INPUT = "input"
_MOST_BYTES = 2**31 - 1  # of a protobuf message
_OPSET, _IR_VERSION = 18, 8


def serialised(model: onnx.ModelProto, path: Path) -> bytes:
    """Return ``model`` with the weights that lie in files beside ``path``, where ``load_graph`` has looked at them.

    Raises:
        UsageError: together they are too much for one piece.
    """
    onnx.load_external_data_for_model(model, str(path.parent))
    if model.ByteSize() > _MOST_BYTES:
        raise UsageError(f"{path}: more than 2 GB with its weights, which no engine takes in one piece.")
    data: bytes = model.SerializeToString()
    return data


class OnnxGraphBuilder:
    """A graph of one input; each method adds to it and gives the name of what that writes.

    Args:
        shape: of the input, with the batch axis first and channels second.
        opset: of ONNX's own operators.
        element_type: of the input, as ONNX numbers them.
    """

    def __init__(self, shape: Sequence[int], opset: int = _OPSET, element_type: int = TensorProto.FLOAT) -> None:
        self._shape = shape
        self._opset = opset
        self._element_type = element_type
        self._channels = {INPUT: shape[1]}
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._random = np.random.default_rng(0)

    def conv(
        self,
        x: str,
        out_channels: int,
        *,
        kernel: Sequence[int] = (1, 1),
        groups: int = 1,
        strides: Sequence[int] = (1, 1),
        dilations: Sequence[int] = (1, 1),
        padded: bool = True,
    ) -> str:
        """Add a convolution with bias, ``padded`` so that at stride 1 the map keeps its size."""
        assert self._channels[x] % groups == out_channels % groups == 0  # onnxruntime would compute it all the same
        fan_in = self._channels[x] // groups
        # With this gain the values of twenty layers neither grow nor die out; denormal numbers would be slow.
        shape = (out_channels, fan_in, *kernel)
        weight = self._random.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        constants = [self.constant(weight), self.random((out_channels,))]
        padding = [dilation * (side // 2) for side, dilation in zip(kernel, dilations, strict=True)]
        node = helper.make_node(
            "Conv",
            [x, *constants],
            [],
            group=groups,
            kernel_shape=kernel,
            strides=strides,
            dilations=dilations,
            pads=padding * 2 if padded else [0] * 4,
        )
        return self.add(node, out_channels)

    def apply(self, op_type: str, *inputs: str) -> str:
        """Add an element-wise operation."""
        return self.add(helper.make_node(op_type, inputs, []), self._channels[inputs[0]])

    def constant(self, value: npt.NDArray[np.floating]) -> str:
        """Add a weight, as float32."""
        self._constants.append(numpy_helper.from_array(value.astype(np.float32), f"constant_{len(self._constants)}"))
        return self._constants[-1].name

    def integers(self, values: Sequence[int]) -> str:
        """Add a constant list of int64."""
        self._constants.append(numpy_helper.from_array(np.array(values), f"constant_{len(self._constants)}"))
        return self._constants[-1].name

    def random(self, shape: Sequence[int]) -> str:
        """Add a constant map of random numbers."""
        return self.constant(self._random.standard_normal(shape, np.float32))

    def halves(self, x: str) -> tuple[str, str]:
        """Split the channels into two halves."""
        half = self._channels[x] // 2
        node = helper.make_node("Split", [x], [], axis=1, num_outputs=2)
        first = self.add(node, half)
        node.output.append(f"{first}_rest")
        self._channels[node.output[1]] = half
        return first, node.output[1]

    def channels(self, x: str) -> int:
        """Return how many channels ``x`` has."""
        return self._channels[x]

    def add(self, node: NodeProto, channels: int) -> str:
        """Add ``node``, whose inputs are named and whose only output is not."""
        node.name = f"{node.op_type}_{len(self._nodes)}"
        node.output.append(node.name)
        self._nodes.append(node)
        self._channels[node.name] = channels
        return node.name

    def model(self, *outputs: str, rank: int | None = None) -> ModelProto:
        """Build the checked model that gives ``outputs``, each of the input's rank unless ``rank`` says otherwise."""
        axes = [None] * (rank or len(self._shape))
        graph = helper.make_graph(
            self._nodes,
            "grown",
            [helper.make_tensor_value_info(INPUT, self._element_type, self._shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, axes) for output in outputs],
            initializer=self._constants,
        )
        opsets = [helper.make_opsetid("", self._opset)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        checker.check_model(made)
        return made
