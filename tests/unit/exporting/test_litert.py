"""LiteRT files: the same answers as the bundle's graph, and labels for those who read them."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema

import exports
from graphs import OPERATOR_GRAPHS, operator_graph
from litevision import export
from litevision.errors import BundleError, ExportError, UsageError
from litevision.exporting.graph_parts import run_graph
from litevision.exporting.litert.lowering import CHANNELS_LAST, regrouped
from litevision.exporting.litert.suppression import suppressed
from litevision.exporting.litert.write import INPUT, lower
from litevision.exporting.postprocess import append_nms
from litevision.exporting.suppression import suppression_of, without_suppression
from litevision.runtime import Bundle
from litevision.runtime.engines import engine_choice
from litevision.runtime.engines.litert_engine import LitertEngine
from litevision.zoo import BUNDLES
from networks import NETWORKS, SHORT_ROWS


def answers(model: onnx.ModelProto, storage: Any = "float32") -> tuple[dict[str, Any], dict[str, Any]]:
    """What onnxruntime and LiteRT make of noise."""
    g, images, outputs = lower(model, storage)
    data = g.writer.finish({INPUT: images}, outputs, {}, "a test")
    noise = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
    expected = run_graph(model, [one.name for one in model.graph.output], {INPUT: noise})
    return expected, LitertEngine(data, engine_choice("litert", threads=1), name="test.tflite").run(noise)


@pytest.mark.parametrize(("name", "dialect"), [it for it in NETWORKS if it[0] in SHORT_ROWS])
def test_networks_answer_as_their_graphs(name: str, dialect: str) -> None:
    """Also in odd sizes, where TFLite's own padding of a stride of 2 is Keras' and not torch's."""
    expected, got = answers(exports.graph(name, dialect, exports.ODD_HW))
    np.testing.assert_allclose(got["probabilities"], expected["probabilities"], atol=1e-5)
    assert len(np.unique(expected["probabilities"])) > 5


@pytest.mark.parametrize(("name", "dialect"), [("mobilenet_v2", "keras"), ("mobilenet_v3_large", "timm_tf")])
def test_keras_padding_of_even_sizes_is_litert_s_own(name: str, dialect: str) -> None:
    graph = exports.graph(name, dialect, (64, 96))
    expected, got = answers(graph)
    np.testing.assert_allclose(got["probabilities"], expected["probabilities"], atol=1e-5)
    assert "PAD" not in {operator for operator, _ in lower(graph)[0].writer._codes}


def test_a_channel_shuffle_moves_nothing() -> None:
    g, _, _ = lower(exports.graph("shufflenet_v2_x0_5", "torchvision", exports.ODD_HW))
    assert "TRANSPOSE" not in {name for name, _ in g.writer._codes}


@pytest.mark.parametrize(("outputs", "nodes"), OPERATOR_GRAPHS.values(), ids=OPERATOR_GRAPHS)
def test_operators_compute_as_in_onnxruntime(outputs: str, nodes: str) -> None:
    expected, got = answers(operator_graph(outputs, nodes))
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape
        np.testing.assert_allclose(got[name], value, atol=2e-6)


def boxes_of_cells(boxes: Any, scores: Any, *, per_class: bool = True, **limits: float) -> onnx.ModelProto:
    """A graph that gives what is left of boxes [1, N, 4] with scores [1, N, classes], whatever the pixels."""
    model = operator_graph(
        f"float{list(boxes.shape)} boxes, float{list(scores.shape)} scores",
        "mean = ReduceMean<axes = [1, 2, 3], keepdims = 0>(y) none = Constant<value_float = 0.0>() "
        "zero = Mul(mean, none) boxes = Add(b, zero) scores = Add(s, zero)",
    )
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in (("b", boxes), ("s", scores))
    )
    return append_nms(model, boxes="boxes", scores="scores", per_class=per_class, **limits)  # type: ignore[arg-type]


def crowded_boxes(seed: int, *, per_class: bool = True) -> onnx.ModelProto:
    """40 boxes of three classes."""
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 40, (1, 40, 2)), rng.uniform(5, 40, (1, 40, 2))
    boxes, scores = np.concatenate([corner, corner + side], -1), rng.uniform(0, 1, (1, 40, 3))
    return boxes_of_cells(
        boxes, scores, per_class=per_class, iou_threshold=0.4, score_threshold=0.85, max_detections=40
    )


def with_suppression(model: onnx.ModelProto) -> tuple[bytes, npt.NDArray[np.uint8]]:
    """The graph as a LiteRT file, and an image for it."""
    suppression = suppression_of(model)
    assert suppression is not None
    g, images, answers_of_cells = lower(without_suppression(model))
    data = g.writer.finish({INPUT: images}, suppressed(g, answers_of_cells, suppression, (6, 10)), {}, "a test")
    return data, np.zeros(images.shape, np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_the_boxes_that_onnxruntime_keeps(seed: int) -> None:
    model = crowded_boxes(seed)
    data, image = with_suppression(model)
    expected = run_graph(model, ["boxes", "scores", "classes"], {INPUT: image})
    got = opened(data).run(image)
    assert (expected["scores"] == 0).any()
    assert 5 < (expected["scores"] > 0).sum() < 30
    np.testing.assert_array_equal(got["classes"], expected["classes"])
    for name in ("scores", "boxes"):
        np.testing.assert_allclose(got[name], expected[name], atol=1e-4)


@pytest.mark.parametrize("classes", [1, 2, 3, 7, 80])
def test_no_number_of_threads_passes_over_a_class(classes: int) -> None:
    """TFLite's operator never looks at class T with T threads; one box of each class, far from the others."""
    corners = np.stack([np.arange(classes) * 100.0, np.zeros(classes)], -1)[None]
    boxes, scores = np.concatenate([corners, corners + 10], -1), 0.9 * np.eye(classes)[None]
    limits = {"iou_threshold": 0.4, "score_threshold": 0.5, "max_detections": classes}
    data, image = with_suppression(boxes_of_cells(boxes, scores, **limits))
    for threads in (1, 2, 3, 4, 5, 8, 64):
        found = LitertEngine(data, engine_choice("litert", threads=threads), name="a.tflite").run(image)
        order = found["classes"].ravel().argsort()
        assert found["classes"].ravel()[order].tolist() == [*range(classes)], threads
        np.testing.assert_allclose(found["boxes"][0, order, 0], np.arange(classes) * 100, atol=1e-2)


def test_boxes_that_are_compared_whatever_their_classes_are_refused() -> None:
    with pytest.raises(
        ExportError, match="drops boxes that overlap class by class, and this detector compares them whatever"
    ):
        without_suppression(crowded_boxes(0, per_class=False))


def test_suppression_by_numbers_that_are_computed_is_refused() -> None:
    model = crowded_boxes(0)
    [node] = [one for one in model.graph.node if one.op_type == "NonMaxSuppression"]
    node.input[3] = "computed"
    with pytest.raises(ExportError, match="the graph computes what it suppresses boxes by; expected three fixed"):
        suppression_of(model)
    del node.input[3:]
    with pytest.raises(ExportError, match="expected three fixed numbers"):
        suppression_of(model)


def repacked(data: bytes, change: Callable[[Any], object]) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def opened(data: bytes) -> LitertEngine:
    return LitertEngine(data, engine_choice("litert", threads=1), name="a.tflite")


def lowered(outputs: str, nodes: str) -> bytes:
    g, images, given = lower(operator_graph(outputs, nodes), "float32")
    return g.writer.finish({INPUT: images}, given, {}, "a test")


def test_tensors_that_no_network_has_are_refused_before_there_is_memory_for_them() -> None:
    data = lowered("float[1,3,6,10] z", "r = Relu(y) z = Add(r, x)")

    def enlarge(model: Any) -> None:
        [place] = [it for it, one in enumerate(model.subgraphs[0].tensors) if it == model.subgraphs[0].outputs[0]]
        model.subgraphs[0].tensors[place].shape = np.array([2**22, 6, 10, 3], np.int32)

    assert LitertEngine(repacked(data, lambda model: None), engine_choice("litert", threads=1), name="a.tflite").outputs
    with pytest.raises(
        BundleError, match=r"^a\.tflite: its tensors have 754,[\d,]+ elements, which is no network for 60 p"
    ):
        LitertEngine(repacked(data, enlarge), engine_choice("litert", threads=1), name="a.tflite")


def test_sizes_that_only_its_operators_say_are_refused_too() -> None:
    data = lowered("float[1,3,3,5] z", "z = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(y)")

    def pad(model: Any) -> None:
        [pads] = [one for one in model.subgraphs[0].tensors if list(one.shape) == [4, 2]]
        model.buffers[pads.buffer].data = np.frombuffer(
            np.array([[0, 0], [1, 5000], [1, 5000], [0, 0]], "<i4"), np.uint8
        )

    with pytest.raises(BundleError, match="elements, which is no network for 60 pixels"):
        LitertEngine(repacked(data, pad), engine_choice("litert", threads=1), name="a.tflite")


@pytest.mark.parametrize(("kernel", "pads"), [(4, 1), (2, 0), (3, 0)])
def test_transposed_convolutions(kernel: int, pads: int) -> None:
    side = [2 * (n - 1) + kernel - 2 * pads for n in (6, 10)]
    model = operator_graph(
        f"float[1,4,{side[0]},{side[1]}] z", f"z = ConvTranspose<strides = [2, 2], pads = {[pads] * 4}>(y, w)"
    )
    weights = np.random.default_rng(1).normal(size=(3, 4, kernel, kernel)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    expected, got = answers(model)
    np.testing.assert_allclose(got["z"], expected["z"], atol=1e-4)


@pytest.mark.parametrize("nodes", ["s = Add(a, b)", "s = Mul(a, b)", "c = Concat<axis = 1>(a, b) s = Relu(c)"])
def test_quantised_tensors_are_computed_as_in_onnxruntime(nodes: str) -> None:
    """Within the steps of their scales; what int8 has not is computed in float."""
    channels = 6 if "Concat" in nodes else 3
    text = (
        "q = Constant<value_float = 0.02>() r = Constant<value_float = 0.05>() zero = Constant<value = uint8 {100}>() "
        "qa = QuantizeLinear(y, q, zero) a = DequantizeLinear(qa, q, zero) "
        f"qb = QuantizeLinear(scaled, r, zero) b = DequantizeLinear(qb, r, zero) {nodes} "
        "qs = QuantizeLinear(s, r, zero) z = DequantizeLinear(qs, r, zero)"
    )
    expected, got = answers(operator_graph(f"float[1,{channels},6,10] z", text))
    assert np.abs(got["z"] - expected["z"]).max() <= 0.0501


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ("z = Erf(y)", "no counterpart of Erf"),
        ("z = Softmax<axis = 1>(y)", "another axis"),
        ("z = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(y)", "padding"),
        ("z = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1], dilations = [2, 2]>(y)", "dilation"),
    ],
)
def test_what_litert_has_not_is_refused(nodes: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        lower(operator_graph("float[1,3,6,10] z", nodes))


def test_axes_that_lie_together_are_regrouped_where_they_lie() -> None:
    for before, after, order in (
        ((1, 6, 4, 5), (1, 2, 3, 4, 5), CHANNELS_LAST),
        ((1, 6, 4, 5), (1, 6, 20), CHANNELS_LAST),
        ((1, 6, 1, 1), (1, 6), CHANNELS_LAST),
        ((1, 1, 4, 5), (1, 20), CHANNELS_LAST),
    ):
        assert regrouped(before, after, order)[0] == order
    assert regrouped((1, 6, 4, 5), (1, 120), CHANNELS_LAST)[0] == (0, 1, 2, 3)


@pytest.fixture(scope="module")
def clothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped classifier."""
    path = tmp_path_factory.mktemp("litert") / "clothing.tflite"
    export("clothing", path)
    return path


def test_labels_and_the_record_can_be_unzipped(clothing: Path) -> None:
    with zipfile.ZipFile(clothing) as files:
        assert files.read("labels.txt").decode().split()[:2] == ["dress", "hat"]
        assert {entry.compress_type for entry in files.infolist()} == {zipfile.ZIP_STORED}


def test_a_file_is_opened_as_a_bundle(clothing: Path) -> None:
    bundle = Bundle.open(clothing)
    assert bundle.engine.choice.name == "litert"
    assert bundle.metadata.labels[0] == "dress"
    assert bundle.metadata.check.engine.startswith("litert ")
    noise = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    expected = Bundle.open(BUNDLES["clothing"]).run(noise)["probabilities"]
    np.testing.assert_allclose(bundle.run(noise)["probabilities"], expected, atol=1e-5)


def test_another_engine_is_refused(clothing: Path) -> None:
    with pytest.raises(UsageError, match=r"onnxruntime computes an \.onnx file.*the engine litert"):
        Bundle.open(clothing, engine="onnxruntime")


def test_a_file_without_a_record_says_how_to_make_one(clothing: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.tflite"
    data = clothing.read_bytes()
    for cut in (data[: data.index(b"PK\x03\x04")], data[:1000], b""):
        bare.write_bytes(cut)
        with pytest.raises(BundleError, match=r"litevision export -o model\.tflite"):
            Bundle.open(bare)


def test_weights_in_8_bits_are_a_quarter_and_answer_alike(tmp_path: Path) -> None:
    check = export("clothing", tmp_path / "it.tflite", dynamic_int8=True).check
    assert (check.top1_agreement, check.images) == (1, 4)
    assert 1e-4 < check.max_abs_diff < 0.05
    assert (tmp_path / "it.tflite").stat().st_size < 0.3 * BUNDLES["clothing"].stat().st_size


def test_weights_in_8_bits_that_find_other_boxes_are_refused(tmp_path: Path) -> None:
    message = r"it\.tflite does not answer as the bundle on 4 images .*: \d+ of \d+ boxes are found by one alone"
    with pytest.raises(ExportError, match=message):
        export("blood-cells", tmp_path / "it.tflite", dynamic_int8=True)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("it.tflite", {"half": True}, "dynamic int8 is for float32 weights, and half is another precision"),
        ("it.ncnn", {}, "the format ncnn has no choice of dynamic-int8; expected litert"),
    ],
)
def test_weights_in_8_bits_are_refused_where_they_cannot_be(
    file: str, options: dict[str, bool], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        export("clothing", tmp_path / file, dynamic_int8=True, **options)
    assert not [*tmp_path.iterdir()]
