"""Non-maximum suppression as a graph gives what plain numpy gives, in both engines."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from litevision.errors import ExportError
from litevision.exporting.postprocess import append_nms
from litevision.runtime.engines import EngineChoice
from litevision.runtime.engines.base import Engine
from litevision.runtime.engines.onnxruntime_engine import OnnxruntimeEngine

CELLS, CLASSES, K = 30, 3, 8


def graph(cells: int | str = CELLS, classes: int | str = CLASSES, opset: int = 11) -> onnx.ModelProto:
    """A model that gives its two inputs as its outputs, under the names that the answers will have."""
    shapes = {"boxes": ["batch", cells, 4], "scores": ["batch", cells, classes]}
    inputs = [helper.make_tensor_value_info(f"in_{it}", TensorProto.FLOAT, shape) for it, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(it, TensorProto.FLOAT, shape) for it, shape in shapes.items()]
    nodes = [helper.make_node("Identity", [f"in_{name}"], [name]) for name in shapes]
    return helper.make_model(
        helper.make_graph(nodes, "heads", inputs, outputs), opset_imports=[helper.make_opsetid("", opset)], ir_version=7
    )


def with_nms(model: onnx.ModelProto, **options) -> onnx.ModelProto:
    defaults = {"iou_threshold": 0.5, "score_threshold": 0.2, "max_detections": K}
    return append_nms(model, boxes="boxes", scores="scores", **{**defaults, **options})


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request):
    """Open a model in one of the engines."""

    def opened(model: onnx.ModelProto) -> Engine:
        data, choice = model.SerializeToString(), EngineChoice(request.param)
        if request.param == "onnxruntime":
            return OnnxruntimeEngine(data, choice, name="test")
        pytest.importorskip("openvino")
        from litevision.runtime.engines.openvino_engine import OpenvinoEngine

        return OpenvinoEngine(data, choice, name="test")

    return opened


def random_inputs(seed: int, images: int, cells: int = CELLS, classes: int = CLASSES):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 40, (images, cells, 2)), rng.uniform(5, 40, (images, cells, 2))
    boxes = np.concatenate([corner, corner + size], -1).astype(np.float32)
    return boxes, rng.uniform(0, 1, (images, cells, classes)).astype(np.float32)


def overlap(box, boxes):
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.clip(sides, 0, None), -1)
    return shared / (np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) - shared)


def suppressed(boxes, scores, iou, least, number, *, per_class=True):
    """The same for one image, in plain numpy: rows of x1, y1, x2, y2, score, class."""
    if not per_class:
        classes, scores = scores.argmax(-1), scores.max(-1, keepdims=True)
    found = []
    for index in range(scores.shape[1]):
        order = [cell for cell in np.argsort(-scores[:, index], kind="stable") if scores[cell, index] > least]
        kept = []
        for cell in order:
            if not kept or overlap(boxes[cell], boxes[kept]).max() <= iou:
                kept.append(cell)
        found += [(scores[cell, index], index, cell) for cell in kept]
    found = sorted(found, key=lambda it: -it[0])[:number]  # stable: of equal scores the first class and cell
    answer = np.zeros((number, 6))
    for place, (score, index, cell) in enumerate(found):
        answer[place] = (*boxes[cell], score, index if per_class else classes[cell])
    return answer


def agrees(opened: Engine, boxes, scores, iou=0.5, least=0.2, number=K, in_order=True, **options):
    got = opened.run_named({"in_boxes": boxes, "in_scores": scores})
    assert got["classes"].dtype == np.int64
    together = np.concatenate([got["boxes"], got["scores"][..., None], got["classes"][..., None]], -1)
    expected = [suppressed(*pair, iou, least, number, **options) for pair in zip(boxes, scores, strict=True)]
    for rows, rows_expected in zip(together, np.stack(expected).astype(np.float32), strict=True):
        assert (np.diff(rows[:, 4]) <= 0).all()
        orders = [slice(None) if in_order else np.lexsort(it.T) for it in (rows, rows_expected)]
        np.testing.assert_array_equal(rows[orders[0]], rows_expected[orders[1]])


@pytest.mark.parametrize("per_class", [True, False])
def test_random_boxes_in_batches_of_any_size(engine, per_class):
    opened = engine(with_nms(graph(), per_class=per_class))
    for seed, images in enumerate((1, 3, 1, 2)):
        agrees(opened, *random_inputs(seed, images), per_class=per_class)


@pytest.mark.parametrize("per_class", [True, False])
def test_of_equal_scores_the_first_cell_drops_the_others(engine, per_class):
    boxes, scores = random_inputs(0, 3)
    all_of_them = CELLS * CLASSES
    opened = engine(with_nms(graph(), per_class=per_class, max_detections=all_of_them))
    agrees(opened, boxes, scores.round(1), number=all_of_them, in_order=False, per_class=per_class)


def test_equal_scores_are_given_by_class_and_cell():
    boxes, scores = random_inputs(0, 3)
    agrees(
        OnnxruntimeEngine(with_nms(graph()).SerializeToString(), EngineChoice(), name="test"), boxes, scores.round(1)
    )


def test_nothing_above_the_least_score_is_all_padding(engine):
    boxes, scores = random_inputs(0, 3)
    opened = engine(with_nms(graph()))
    agrees(opened, boxes, scores * 0)
    scores[1] = 0.2  # exactly the least score is too little
    scores[2] = 0
    agrees(opened, boxes, scores)


@pytest.mark.parametrize("cells", [1, 2, "cells"])
@pytest.mark.parametrize("per_class", [True, False])
def test_fewer_cells_than_boxes_asked_for(engine, cells, per_class):
    opened = engine(with_nms(graph(cells, CLASSES if cells != "cells" else "classes"), per_class=per_class))
    agrees(opened, *random_inputs(1, 3, cells=cells if cells != "cells" else 2), per_class=per_class)


def test_an_overlap_of_exactly_the_limit_stays(engine):
    boxes = np.array([[[0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 3]]], np.float32)
    scores = np.array([[[0.9], [0.8], [0.7]]], np.float32)
    agrees(engine(with_nms(graph(3, 1))), boxes, scores)


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 21, 23])
def test_every_opset(opset):
    model = with_nms(graph(opset=opset))
    assert model.opset_import[0].version == max(opset, 11)
    agrees(OnnxruntimeEngine(model.SerializeToString(), EngineChoice(), name="test"), *random_inputs(0, 2))


def test_the_model_given_stays_as_it_was():
    model = graph()
    before = model.SerializeToString()
    made = with_nms(model)
    assert model.SerializeToString() == before
    assert [
        (it.name, [dim.dim_value or dim.dim_param for dim in it.type.tensor_type.shape.dim]) for it in made.graph.output
    ] == [
        ("boxes", ["batch", K, 4]),
        ("scores", ["batch", K]),
        ("classes", ["batch", K]),
    ]


def test_outputs_that_do_not_fit_are_named():
    with pytest.raises(ExportError, match="no output 'points'; expected one of boxes, scores"):
        append_nms(graph(), boxes="points", scores="scores", iou_threshold=0.5, score_threshold=0, max_detections=1)
    with pytest.raises(ExportError, match="'scores' has rows of 3, expected 4"):
        append_nms(graph(), boxes="scores", scores="boxes", iou_threshold=0.5, score_threshold=0, max_detections=1)
    with pytest.raises(ExportError, match="max_detections is 0"):
        with_nms(graph(), max_detections=0)
