"""Non-maximum suppression, taken off a finished graph for formats whose runtimes or apps do it themselves."""

import onnx
from onnx import numpy_helper

from litevision.errors import ExportError
from litevision.exporting.append import rename_tensors
from litevision.exporting.graph_parts import keep_nodes
from litevision.exporting.surgery import fixed_to_one_image
from litevision.runtime.engines.adapted import CELLS
from litevision.runtime.suppression import Suppression


def suppression_of(model: onnx.ModelProto) -> Suppression | None:
    """What the graph suppresses with; None where it suppresses nothing.

    Raises:
        ExportError: it suppresses in several places, or by numbers that it computes.
    """
    node = _node_of(model)
    if node is None:
        return None
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    limits = [constants[name].item() for name in node.input[2:5] if name in constants and constants[name].size == 1]
    if len(limits) < 3:
        raise ExportError("the graph computes what it suppresses boxes by; expected three fixed numbers")
    most, iou_threshold, score_threshold = limits
    # The graph holds them in float32, the overlap one step above what was asked for.
    iou_threshold, score_threshold = (float(f"{each:.6g}") for each in (iou_threshold, score_threshold))
    return Suppression(iou_threshold, score_threshold, int(most))


def without_suppression(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy, for one image, that ends with the boxes and scores of all cells, named as `CELLS` says.

    The graph itself where it suppresses nothing.

    Raises:
        ExportError: boxes that are compared whatever their classes, or have no known shape.
    """
    node = _node_of(model)
    if node is None:
        return model
    makers = {name: each for each in model.graph.node for name in each.output}
    boxes, by_class = node.input[:2]
    transpose = makers.get(by_class)
    scores = transpose.input[0] if transpose is not None and transpose.op_type == "Transpose" else ""
    if not scores or (scores in makers and makers[scores].op_type == "TopK"):
        raise ExportError(
            "this format drops boxes that overlap class by class, and this detector compares them whatever their "
            "classes; expected one that was adopted without that, or .onnx or OpenVINO"
        )
    made = fixed_to_one_image(model)
    shapes = {one.name: one for one in made.graph.value_info}
    del made.graph.output[:]
    if not {boxes, scores} <= shapes.keys():
        raise ExportError("the shapes of the boxes and scores that the graph suppresses are not known")
    made.graph.output.extend(shapes[name] for name in (boxes, scores))
    keep_nodes(made.graph, made.graph.node)
    rename_tensors(made.graph, dict(zip((boxes, scores), CELLS, strict=True)))
    return made


def _node_of(model: onnx.ModelProto) -> onnx.NodeProto | None:
    found = [node for node in model.graph.node if node.op_type == "NonMaxSuppression"]
    if len(found) > 1:
        raise ExportError(f"the graph suppresses boxes in {len(found)} places, expected one")
    return found[0] if found else None
