"""The graph of an adopted file: uint8 images in front, the decoding and, of a detector, the suppression behind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from litevision.adopting.decoding import Decoding, Fit
from litevision.adopting.foreign import Feeding, ForeignModel
from litevision.exporting.append import NodeAppender, Tensor, at_opset, rename_tensors
from litevision.exporting.postprocess import OUTPUTS, append_nms, set_outputs
from litevision.runtime.suppression import Suppression

_INPUT = "images"
_PROBABILITIES = "probabilities"
_BATCH = "batch"
_LEAST_OPSET = 11
_RESHAPE_SHAPE = 1  # which of its inputs it is


def adopted_graph(
    foreign: ForeignModel,
    feeding: Feeding,
    decoding: Decoding,
    fit: Fit,
    *,
    cells: int | None,
    suppression: Suppression,
    open_batch: bool,
) -> onnx.ModelProto:
    """Build the graph of a bundle; the file's own stays in the middle of it.

    Args:
        foreign: the file.
        feeding: how it takes pixels.
        decoding: what its outputs mean.
        fit: how that fits.
        cells: of a detector, the boxes that the decoding gives for an image; None for any number.
        suppression: of a detector.
        open_batch: take any number of images at once; else one.

    Raises:
        ExportError: its operators are older than opset 11, and cannot be converted.
    """
    model = at_opset(foreign.model, _LEAST_OPSET)
    if open_batch and foreign.batch is not None:
        _open_reshapes(model)
    del model.graph.value_info[:]  # they say shapes of another batch
    taken = {name: f"foreign/{name}" for name in (_INPUT, _PROBABILITIES, *OUTPUTS)}
    rename_tensors(model.graph, taken)
    image = taken.get(foreign.image, foreign.image)
    fit = replace(fit, outputs={role: taken.get(name, name) for role, name in fit.outputs.items()})
    batch = _BATCH if open_batch else 1

    for name, value in foreign.constants.items():
        model.graph.initializer.append(numpy_helper.from_array(value, taken.get(name, name)))
    _prepend(model, lambda nodes: _append_front(nodes, foreign, feeding, image))
    del model.graph.input[:], model.graph.output[:]
    shape = [batch, *foreign.size_hw, 3]
    model.graph.input.append(helper.make_tensor_value_info(_INPUT, TensorProto.UINT8, shape))
    answers = decoding.nodes(nodes := NodeAppender(model, "decode/"), fit)
    if decoding.task == "classification":
        model.graph.node.append(helper.make_node("Identity", answers, [_PROBABILITIES]))
        model.graph.output.append(
            helper.make_tensor_value_info(_PROBABILITIES, TensorProto.FLOAT, [batch, fit.classes])
        )
    elif decoding.iou_threshold is None:
        boxes, scores, classes = answers
        number = suppression.max_detections
        set_outputs(model, _best(nodes, boxes, scores, classes, cells, number), batch, number)
    else:
        boxes, scores = answers
        for name, width in ((boxes, 4), (scores, fit.classes)):
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, cells, width]))
        model = append_nms(
            model,
            boxes=boxes,
            scores=scores,
            iou_threshold=suppression.iou_threshold,
            score_threshold=suppression.score_threshold,
            max_detections=suppression.max_detections,
        )
    return model


def _append_front(nodes: NodeAppender, foreign: ForeignModel, feeding: Feeding, image: Tensor) -> None:
    """What makes the file's input ``image`` of uint8 [N, H, W, 3], RGB."""
    pixels = _INPUT
    if feeding.channels == "bgr":
        pixels = nodes.op("Gather", pixels, nodes.integers([2, 1, 0]), axis=3)
    is_raw = foreign.element_type == TensorProto.UINT8
    is_first = foreign.layout in ("NCHW", "CHW")
    if not is_raw:
        pixels = nodes.as_float(pixels)
    if is_first:
        pixels = nodes.op("Transpose", pixels, perm=[0, 3, 1, 2])
    if not is_raw:
        scale, shift = (it[:, None, None] if is_first else it for it in feeding.scale_and_shift())
        pixels = nodes.op("Mul", pixels, nodes.floats(scale))
        if shift.any():
            pixels = nodes.op("Add", pixels, nodes.floats(shift))
    if foreign.layout in ("CHW", "HWC"):
        sides = [3, *foreign.size_hw] if is_first else [*foreign.size_hw, 3]
        pixels = nodes.op("Reshape", pixels, nodes.integers(sides))
    nodes.graph.node.append(helper.make_node("Cast", [pixels], [image], to=foreign.element_type))


def _prepend(model: onnx.ModelProto, append: Callable[[NodeAppender], None]) -> None:
    """Put what ``append`` appends in front of all other nodes: they stand in the order in which they compute."""
    graph = model.graph
    before = list(graph.node)
    append(NodeAppender(model, "input/"))
    added = list(graph.node)[len(before) :]
    del graph.node[:]
    graph.node.extend([*added, *before])


def _best(
    nodes: NodeAppender, boxes: Tensor, scores: Tensor, classes: Tensor, cells: int | None, number: int
) -> dict[str, Tensor]:
    """The ``number`` best of an image's boxes, surest first; zeros where there are not so many."""
    if cells is None or cells < number:
        batch = nodes.slice(nodes.op("Shape", scores), 0, 1, axis=0)
        row = nodes.op("Concat", batch, nodes.integers([number]), axis=0)
        rows = nodes.op("Concat", row, nodes.integers([4]), axis=0)
        none = nodes.op("ConstantOfShape", row, value=helper.make_tensor("value", TensorProto.FLOAT, [1], [0]))
        no_box = nodes.op("ConstantOfShape", rows, value=helper.make_tensor("value", TensorProto.FLOAT, [1], [0]))
        boxes = nodes.op("Concat", boxes, no_box, axis=1)
        scores = nodes.op("Concat", scores, none, axis=1)
        classes = nodes.op("Concat", classes, nodes.as_integer(none), axis=1)
    best, places = nodes.ops("TopK", scores, nodes.integers([number]), outputs=2, axis=1)
    of_box = nodes.op("Expand", nodes.op("Reshape", places, nodes.integers([0, 0, 1])), nodes.integers([1, 1, 4]))
    return {
        "boxes": nodes.op("GatherElements", boxes, of_box, axis=1),
        "scores": best,
        "classes": nodes.op("GatherElements", classes, places, axis=1),
    }


def _open_reshapes(model: onnx.ModelProto) -> None:
    """Make reshapes that write down a batch of 1 take any: 0 stands for the length that is there.

    Only where the length before is known to be 1 too, and the length is the first; whether this is all that has to be
    done is found out by running several images at once.
    """
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    known = {it.name: it.type.tensor_type.shape.dim for it in (*inferred.value_info, *inferred.input)}
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    count = 0
    for node in model.graph.node:
        if node.op_type != "Reshape":
            continue
        shape: Any = stored.get(node.input[_RESHAPE_SHAPE])
        before = known.get(node.input[0])
        if shape is None or not shape.size or shape[0] != 1 or not before or before[0].dim_value != 1:
            continue
        if any(it.name == "allowzero" and it.i for it in node.attribute):
            continue
        opened = np.concatenate([[0], shape[1:]]).astype(np.int64)
        name = f"reshape/open_{count}"
        count += 1
        model.graph.initializer.append(numpy_helper.from_array(opened, name))
        node.input[_RESHAPE_SHAPE] = name
