"""Non-maximum suppression in LiteRT: ``TFLite_Detection_PostProcess``, an operator that its interpreters bring along.

It decodes boxes from anchors, drops overlaps class by class and sorts what is left. The boxes of a bundle are decoded
already, so that its one anchor is the whole image. Source: TensorFlow Lite's ``detection_postprocess.cc``.

With T threads, more than one and fewer than the classes, the operator never looks at class T: the threads begin with
the classes 0 to T - 1, and the counter that gives them the next one is raised before it is read. So classes that
nothing is stand at the places 2 to 64, and those that it answers are counted without them.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from litevision.exporting.litert.lowering import Lowering
from litevision.exporting.litert.model_writer import Tensor
from litevision.exporting.litert.task_metadata import DETECTION
from litevision.runtime.engines.adapted import CELLS
from litevision.runtime.suppression import Suppression

_OPERATOR = "TFLite_Detection_PostProcess"
_LEAST_SIDE = np.float32(1e-9)  # of the image's, for the logarithm
_MOST_THREADS = 64
_SAFE = 2  # places that no number of threads passes over


def suppressed(
    g: Lowering, answers: Mapping[str, Tensor], suppression: Suppression, size_hw: tuple[int, int]
) -> dict[str, Tensor]:
    """Adds the operator behind boxes and scores; gives what TFLite's detectors give."""
    from flatbuffers import flexbuffers

    writer, (height, width) = g.writer, size_hw
    boxes, scores = (answers[name] for name in CELLS)
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
    most = suppression.max_detections
    shapes = {"location": (1, most, 4), "category": (1, most), "score": (1, most), "number of detections": (1,)}
    outputs = {name: writer.tensor(shapes[name], "float32") for name in DETECTION}
    scores, class_at = _spread(g, g.reshape(scores, (cells, classes)))
    options = flexbuffers.Builder()
    with options.Map():
        for key, number in (("max_detections", most), ("max_classes_per_detection", 1), ("detections_per_class", most)):
            options.Int(key, number)
        options.Int("num_classes", len(class_at))
        options.Bool("use_regular_nms", True)
        options.Float("nms_score_threshold", suppression.score_threshold)
        options.Float("nms_iou_threshold", suppression.iou_threshold)
        for key in ("y_scale", "x_scale", "h_scale", "w_scale"):
            options.Float(key, 1.0)
    inputs = [g.reshape(coded, (1, cells, 4)), g.reshape(scores, (1, cells, len(class_at))), writer.constant(anchors)]
    writer.custom(_OPERATOR, inputs, list(outputs.values()), bytes(options.Finish()))
    if len(class_at) > classes:
        places = writer.op("CAST", [outputs["category"]], (1, most), "int32")
        outputs["category"] = writer.op("GATHER", [writer.constant(class_at), places], (1, most), axis=0)
    return outputs


def _spread(g: Lowering, scores: Tensor) -> tuple[Tensor, npt.NDArray[np.float32]]:
    """The scores [cells, places] with classes that nothing is in between, and the class at each place."""
    (cells, classes), writer = scores.shape, g.writer
    if classes <= _SAFE:
        return scores, np.arange(classes, dtype=np.float32)
    nothing, rest = _MOST_THREADS - _SAFE + 1, classes - _SAFE
    first, others = (writer.tensor((cells, count), "float32") for count in (_SAFE, rest))
    sizes = [writer.constant(np.array(numbers, np.int32)) for numbers in ([_SAFE, rest], 1)]
    writer.ops("SPLIT_V", [scores, *sizes], [first, others], numSplits=2)
    widths = writer.constant(np.array([[0, 0], [0, nothing]], np.int32))
    first = writer.op("PAD", [first, widths], (cells, _SAFE + nothing))
    spread = writer.op("CONCATENATION", [first, others], (cells, classes + nothing), axis=1)
    return spread, np.array([*range(_SAFE), *[0] * nothing, *range(_SAFE, classes)], np.float32)
