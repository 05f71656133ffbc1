"""Non-maximum suppression in LiteRT: ``TFLite_Detection_PostProcess``, an operator that its interpreters bring along.

It decodes boxes from anchors, drops overlaps class by class and sorts what is left. The boxes of a bundle are decoded
already, so that its one anchor is the whole image. Source: TensorFlow Lite's ``detection_postprocess.cc``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from litevision.errors import ExportError
from litevision.exporting.graph_parts import keep_nodes
from litevision.exporting.litert.lowering import Lowering
from litevision.exporting.litert.model_writer import Tensor
from litevision.exporting.litert.task_metadata import DETECTION
from litevision.exporting.surgery import fixed_to_one_image

_OPERATOR = "TFLite_Detection_PostProcess"
_LEAST_SIDE = np.float32(1e-9)  # of the image's, for the logarithm


@dataclass(frozen=True, slots=True)
class Suppression:
    """What is left out of a graph.

    Attributes:
        boxes: the tensor with float [1, cells, 4], (x1, y1, x2, y2) in px.
        scores: the tensor with float [1, cells, classes].
        most: boxes that are given.
        iou: of two boxes of a class that overlap by more, the one with the lower score is dropped.
        least_score: lower ones do not count.
    """

    boxes: str
    scores: str
    most: int
    iou: float
    least_score: float


def without_suppression(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Suppression | None]:
    """Returns a graph, for one image, that ends with the boxes and scores of all cells, and what was behind them.

    The graph itself, and None, where it suppresses nothing.

    Raises:
        ExportError: boxes that are compared whatever their classes.
    """
    found = [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]
    if not found:
        return model, None
    makers = {name: node for node in model.graph.node for name in node.output}
    [boxes, by_class, *limits] = found[0].input
    transpose = makers.get(by_class)
    scores = transpose.input[0] if transpose is not None and transpose.op_type == "Transpose" else ""
    if len(found) > 1 or not scores or (scores in makers and makers[scores].op_type == "TopK"):
        raise ExportError(
            "LiteRT drops boxes that overlap class by class, and this detector compares them whatever their classes"
        )
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    most, iou, least = (constants[name].item() for name in limits)
    made = fixed_to_one_image(model)
    shapes = {one.name: one for one in made.graph.value_info}
    del made.graph.output[:]
    made.graph.output.extend(shapes[name] for name in (boxes, scores))
    keep_nodes(made.graph, made.graph.node)
    return made, Suppression(boxes, scores, int(most), float(iou), float(least))


def suppressed(
    g: Lowering, answers: Mapping[str, Tensor], suppression: Suppression, size_hw: tuple[int, int]
) -> dict[str, Tensor]:
    """Adds the operator behind boxes and scores; gives what TFLite's detectors give."""
    from flatbuffers import flexbuffers

    writer, (height, width) = g.writer, size_hw
    boxes, scores = answers[suppression.boxes], answers[suppression.scores]
    cells, classes = scores.shape[-2:]
    # Centre and size as parts of the sides, by a product with what makes them of the corners: y, x, h, w.
    corners = np.array([[0, 0.5, 0, -1], [0.5, 0, -1, 0], [0, 0.5, 0, 1], [0.5, 0, 1, 0]], np.float32)
    corners /= np.array([height, width, height, width], np.float32)
    flat = g.reshape(boxes, (cells, 4))
    none = writer.constant(np.zeros(4, np.float32))
    coded = writer.op("FULLY_CONNECTED", [flat, writer.constant(np.ascontiguousarray(corners.T)), none], (cells, 4))
    centres, sides = (writer.tensor((cells, 2), "float32") for _ in range(2))
    writer.ops("SPLIT", [writer.constant(np.array(1, np.int32)), coded], [centres, sides], numSplits=2)
    sides = writer.op("MAXIMUM", [sides, writer.constant(np.array(_LEAST_SIDE))], (cells, 2))
    sides = writer.op("LOG", [sides], (cells, 2))
    coded = writer.op("CONCATENATION", [centres, sides], (cells, 4), axis=1)
    anchors = np.tile(np.array([0, 0, 1, 1], np.float32), (cells, 1))
    most = suppression.most
    shapes = {"location": (1, most, 4), "category": (1, most), "score": (1, most), "number of detections": (1,)}
    outputs = {name: writer.tensor(shapes[name], "float32") for name in DETECTION}
    options = flexbuffers.Builder()
    with options.Map():
        for key, number in (("max_detections", most), ("max_classes_per_detection", 1), ("detections_per_class", most)):
            options.Int(key, number)
        options.Int("num_classes", classes)
        options.Bool("use_regular_nms", True)
        options.Float("nms_score_threshold", suppression.least_score)
        options.Float("nms_iou_threshold", suppression.iou)
        for key in ("y_scale", "x_scale", "h_scale", "w_scale"):
            options.Float(key, 1.0)
    inputs = [g.reshape(coded, (1, cells, 4)), g.reshape(scores, (1, cells, classes)), writer.constant(anchors)]
    writer.custom(_OPERATOR, inputs, list(outputs.values()), bytes(options.Finish()))
    return outputs
