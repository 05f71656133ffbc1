"""Non-maximum suppression inside the graph, so that a detector's answers need no code around it."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from litevision.errors import ExportError
from litevision.exporting.append import NodeAppender, at_opset, rename_tensors

OUTPUTS = ("boxes", "scores", "classes")
_PREFIX = "nms/"
_LEAST_OPSET = 11  # of ScatterND, GatherElements and GatherND; none of the operators here changes its inputs later


def append_nms(
    model: onnx.ModelProto,
    *,
    boxes: str,
    scores: str,
    iou_threshold: float,
    score_threshold: float,
    max_detections: int,
    per_class: bool = True,
) -> onnx.ModelProto:
    """Return ``model`` with non-maximum suppression behind it, and as many boxes for each image.

    The standard operator gives a list of all images' boxes; here it becomes a mask of the scores, whose
    ``max_detections`` best are given for each image. Outputs: ``boxes`` float32 [N, K, 4], ``scores`` float32 [N, K],
    falling, and ``classes`` int64 [N, K]. What is left of an image's K has score 0, class 0 and a box of zeros. Of
    equal scores the first cell suppresses the others; which of them are among the K best is left to the engine.

    Args:
        model: a graph with the two outputs below; any others are dropped. It is not changed.
        boxes: the output with float [N, cells, 4], (x1, y1, x2, y2).
        scores: the output with float [N, cells, classes], at least 0.
        iou_threshold: of two boxes that overlap by more than this, the one with the lower score is dropped.
        score_threshold: only scores above this count.
        max_detections: K, the boxes given for each image.
        per_class: boxes of different classes leave each other alone, and a cell may have several classes; else a cell
            has its best class alone, and boxes are compared whatever their classes.

    Raises:
        ExportError: an output is missing, or its form is another.
    """
    if max_detections < 1:
        raise ExportError(f"max_detections is {max_detections}, expected 1 or more")
    batch, cells, classes = _sizes(model, boxes, scores)
    model = at_opset(model, _LEAST_OPSET)
    renamed = {name: f"before_nms/{name}" for name in OUTPUTS}
    nodes = NodeAppender(model, _PREFIX)
    rename_tensors(model.graph, renamed)
    boxes, scores = renamed.get(boxes, boxes), renamed.get(scores, scores)
    boxes, scores = nodes.as_float(boxes), nodes.as_float(scores)
    best_class = None
    if not per_class:
        scores, best_class = nodes.ops("TopK", scores, nodes.integers([1]), outputs=2, axis=2)

    by_class = nodes.op("Transpose", scores, perm=[0, 2, 1])  # [N, classes, cells]
    # One step above, an overlap of exactly the threshold stays in both engines: onnxruntime drops above, openvino from.
    above = np.nextafter(np.float32(iou_threshold), np.float32(np.inf))
    limits = nodes.integers([max_detections]), nodes.floats([above]), nodes.floats([score_threshold])
    selected = nodes.op("NonMaxSuppression", boxes, by_class, *limits)  # rows of image, class, cell
    shape = nodes.op("Shape", by_class)
    zero = helper.make_tensor("value", TensorProto.FLOAT, [1], [0])
    kept = nodes.op(
        "ScatterND",
        nodes.op("ConstantOfShape", shape, value=zero),
        selected,
        nodes.op("GatherND", by_class, selected),
    )
    flat = nodes.op("Reshape", kept, nodes.integers([0, -1]))
    if not (cells and classes) or cells * (classes if per_class else 1) < max_detections:
        number = nodes.slice(shape, 0, 1, axis=0)
        padding = nodes.op("Concat", number, nodes.integers([max_detections]), axis=0)
        flat = nodes.op("Concat", flat, nodes.op("ConstantOfShape", padding, value=zero), axis=1)
    best, places = nodes.ops("TopK", flat, nodes.integers([max_detections]), outputs=2, axis=1)

    cells_each = nodes.slice(shape, 2, 3, axis=0)
    cell = nodes.op("Mod", places, cells_each)
    of_box = nodes.op("Expand", nodes.op("Reshape", cell, nodes.integers([0, 0, 1])), nodes.integers([1, 1, 4]))
    found_boxes = nodes.op("GatherElements", boxes, of_box, axis=1)
    if best_class is None:
        found_classes = nodes.op("Div", places, cells_each)
    else:
        found_classes = nodes.op(
            "GatherElements", nodes.op("Reshape", best_class, nodes.integers([0, -1])), cell, axis=1
        )
    is_found = nodes.op("Greater", best, nodes.floats(0))
    mask = nodes.as_float(nodes.op("Reshape", is_found, nodes.integers([0, 0, 1])))
    answers = {
        "boxes": nodes.op("Mul", found_boxes, mask),
        "scores": best,
        "classes": nodes.op("Mul", found_classes, nodes.as_integer(is_found)),
    }
    set_outputs(model, answers, batch, max_detections)
    return model


def set_outputs(model: onnx.ModelProto, answers: dict[str, str], batch: int | str | None, number: int) -> None:
    """Make the tensors ``answers`` a detector's outputs ``boxes``, ``scores`` and ``classes``, of ``number`` boxes."""
    for name in OUTPUTS:
        model.graph.node.append(helper.make_node("Identity", [answers[name]], [name], name=f"{_PREFIX}{name}"))
    del model.graph.output[:]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.INT64 if name == "classes" else TensorProto.FLOAT, shape)
        for name, shape in zip(OUTPUTS, ([batch, number, 4], [batch, number], [batch, number]), strict=True)
    )


def _sizes(model: onnx.ModelProto, boxes: str, scores: str) -> tuple[int | str | None, int | None, int | None]:
    """Return the batch, cells and classes of the two outputs, as far as the model says them."""
    outputs = {output.name: output.type.tensor_type.shape.dim for output in model.graph.output}
    for name, form in ((boxes, "[N, cells, 4]"), (scores, "[N, cells, classes]")):
        if name not in outputs:
            raise ExportError(f"no output {name!r}; expected one of {', '.join(outputs)}")
        if len(outputs[name]) != 3:
            raise ExportError(f"output {name!r} has {len(outputs[name])} axes, expected {form}")
    if outputs[boxes][2].dim_value not in (0, 4):
        raise ExportError(f"output {boxes!r} has rows of {outputs[boxes][2].dim_value}, expected 4: x1, y1, x2, y2")
    first, cells, classes = outputs[scores]
    return first.dim_value or first.dim_param or None, cells.dim_value or None, classes.dim_value or None
