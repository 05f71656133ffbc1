"""Read the convolutions of ONNX files of others' making."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from litevision.errors import WeightsError
from litevision.runtime.bundle import check_foreign, read_bundle
from litevision.weights.folded import ConvForm, FoldedConv, FoldedGraph

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_NOT_FOLDED = {"BatchNormalization", "InstanceNormalization", "QLinearConv", "ConvInteger"}


def read_onnx(path: Path) -> FoldedGraph:
    """Reads the convolutions of the ONNX file at ``path``.

    Raises:
        FileMissingError, BundleError: no such file, or none that may be read.
        WeightsError: normalisation that is not folded, or convolutions that cannot be read.
    """
    import onnx
    from onnx import numpy_helper

    data = read_bundle(path)
    check_foreign(data, path)
    try:
        graph = onnx.load_model_from_string(data).graph
        arrays = {one.name: one for one in graph.initializer}
        arrays |= {node.output[0]: value for node in graph.node if (value := _constant(node)) is not None}
        strange = sorted({node.op_type for node in graph.node} & _NOT_FOLDED)
        if strange:
            raise ValueError(f"it has {' and '.join(strange)}, where folded convolutions are expected")
        convs, slopes = [], Counter[float]()
        for node in graph.node:
            given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type in ("Relu", "LeakyRelu"):
                slopes[0.0 if node.op_type == "Relu" else float(given.get("alpha", 0.01))] += 1
            elif node.op_type == "Conv":
                numbers = [numpy_helper.to_array(arrays[name]) for name in node.input[1:] if name]
                convs.append(_convolution(node.name or node.output[0], given, *numbers))
        return FoldedGraph(tuple(convs), slopes, _size_of(graph))
    except Exception as error:  # numpy and onnx each raise their own for a kind or size that is none
        raise WeightsError(f"{path}: its convolutions cannot be read ({type(error).__name__}: {error})") from None


def _convolution(
    name: str, given: Mapping[str, Any], weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None
) -> FoldedConv:
    if weight.ndim != 4 or given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ValueError(f"{name[:60]} has a kernel of the shape {weight.shape}, or pads by a rule")
    top, left, bottom, right = given.get("pads", [0] * 4)
    if (top, left) != (bottom, right) or set(given.get("dilations", [1])) != {1}:
        raise ValueError(f"{name[:60]} is dilated or padded unevenly")
    form = ConvForm(weight.shape, tuple(given.get("strides", [1, 1])), (top, left), given.get("group", 1))
    bias = np.zeros(len(weight)) if bias is None else bias
    if bias.shape != weight.shape[:1] or not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ValueError(f"{name[:60]} has a bias of the shape {bias.shape}, or numbers that are NaN or infinite")
    return FoldedConv(name, form, weight.astype(np.float32), bias.astype(np.float32))


def _constant(node: "NodeProto") -> Any:
    """The tensor that a node holds; None for all other nodes."""
    if node.op_type != "Constant" or len(node.output) != 1:
        return None
    return next((each.t for each in node.attribute if each.name == "value"), None)


def _size_of(graph: "GraphProto") -> tuple[int, int] | None:
    """Height and width of the one input with four axes, where they are fixed."""
    known = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in known]
    if len(inputs) != 1 or len(dims := inputs[0].type.tensor_type.shape.dim) != 4:
        return None
    height, width = dims[2].dim_value, dims[3].dim_value
    return (height, width) if height > 0 and width > 0 else None
