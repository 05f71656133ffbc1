"""Files of others become bundles that answer as the file did, and what cannot is refused with the reason."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import litevision as lv
from foreign_files import SIDE, channel_logits, constant, foreign, saved
from litevision.errors import BundleError, ExportError, UnknownNameError, UsageError
from litevision.runtime import METADATA_KEY

RGB = ("red", "green", "blue")
ORANGE = np.tile(np.array([250, 120, 20], np.uint8), (80, 100, 1))


def means(shape=(1, 3, SIDE, SIDE), axes=(2, 3), **options) -> onnx.ModelProto:
    """A classifier of the brightness of its channels."""
    return foreign(lambda nodes, x: {"logits": channel_logits(nodes, nodes.as_float(x), axes)}, shape, **options)


def adopted(model: onnx.ModelProto, folder: Path, **options):
    options = {"labels": RGB, "normalisation": "unit", **options}
    lv.adopt(saved(model, folder), folder / "own.onnx", **options)
    return lv.load_classifier(folder / "own.onnx", threads=1)


def softmax(means):
    """The probabilities for channels of these means."""
    powers = np.exp(6 * np.asarray(means) - 2)
    return powers / powers.sum()


def probabilities(classifier, image=ORANGE):
    found = classifier.predict(image, top=3)
    return [next(it.score for it in found if it.label == name) for name in RGB]


@pytest.mark.parametrize(
    ("shape", "axes", "element"),
    [
        ((1, 3, SIDE, SIDE), (2, 3), TensorProto.FLOAT),
        (("N", 3, SIDE, SIDE), (2, 3), TensorProto.FLOAT),
        ((1, SIDE, SIDE, 3), (1, 2), TensorProto.FLOAT),
        (("N", 3, "h", "w"), (2, 3), TensorProto.FLOAT16),
    ],
)
def test_images_are_fed_in_any_layout(shape, axes, element, tmp_path):
    size = 48 if "h" in shape else None
    classifier = adopted(means(shape, axes, element=element), tmp_path, size=size, normalisation="half")
    expected = softmax(np.array([250, 120, 20]) / 127.5 - 1)
    assert probabilities(classifier) == pytest.approx(expected, abs=2e-3 if element == TensorProto.FLOAT16 else 1e-5)
    assert classifier.preprocess.size_hw == (size or SIDE,) * 2
    assert len(classifier.predict_batch([ORANGE] * 3)) == 3


def test_a_file_that_takes_bytes_has_its_normalisation_inside(tmp_path):
    model = foreign(
        lambda nodes, x: {"logits": nodes.op("Mul", channel_logits(nodes, nodes.as_float(x)), nodes.floats(1 / 255))},
        (1, 3, SIDE, SIDE),
        element=TensorProto.UINT8,
    )
    classifier = adopted(model, tmp_path, normalisation=None)
    assert probabilities(classifier) == pytest.approx(softmax(np.array([250, 120, 20]) / 255), abs=1e-5)


def test_the_order_of_channels_and_their_normalisation(tmp_path):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    classifier = adopted(means(), tmp_path, channels="bgr", normalisation=lv.runtime.Normalisation(mean, std))
    blue_first = ((np.array([250, 120, 20]) / 255 - mean) / std)[::-1]
    assert probabilities(classifier) == pytest.approx(softmax(blue_first), abs=1e-5)


def test_what_makes_probabilities(tmp_path):
    values = np.array([250, 120, 20]) / 255

    def through(op, **attributes):
        return foreign(lambda nodes, x: {"p": nodes.op(op, channel_logits(nodes, x), **attributes)})

    each = 1 / (1 + np.exp(2 - 6 * values))
    assert probabilities(adopted(means(), tmp_path, decoding="sigmoid")) == pytest.approx(each, abs=1e-5)
    classifier = adopted(through("Sigmoid"), tmp_path)
    assert probabilities(classifier) == pytest.approx(each, abs=1e-5)
    assert classifier.bundle.metadata.activation == "sigmoid"
    classifier = adopted(through("Softmax", axis=1), tmp_path)
    assert probabilities(classifier) == pytest.approx(softmax(values), abs=1e-5)
    assert classifier.bundle.metadata.activation is None
    with pytest.raises(UsageError, match=r"'softmax': it needs numbers of any range.*sum to 1: already softmaxed\?"):
        adopted(through("Softmax", axis=1), tmp_path, decoding="softmax")
    with pytest.raises(UsageError, match=r"'probabilities': it needs numbers in \[0, 1\].*logits\?"):
        adopted(means(), tmp_path, decoding="probabilities", normalisation="none")


def test_a_batch_of_one_is_opened_where_that_holds(tmp_path):
    def flattened(nodes, x):
        flat = nodes.op("Reshape", x, nodes.integers([1, 3, -1]))
        return {"logits": channel_logits(nodes, flat, (2,))}

    assert batch_of(adopted(foreign(flattened), tmp_path)) == "batch"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_where_it_does_not_hold_images_are_run_one_by_one(engine, tmp_path):
    pytest.importorskip(engine)

    def merged(nodes, x):
        split = nodes.op("Reshape", x, nodes.integers([3, SIDE * SIDE]))  # the batch is gone
        return {"logits": nodes.op("Reshape", channel_logits(nodes, split, (1,)), nodes.integers([1, 3]))}

    assert batch_of(adopted(foreign(merged), tmp_path)) == 1
    classifier = lv.load_classifier(tmp_path / "own.onnx", engine=engine, threads=1)
    images = [ORANGE, ORANGE[..., ::-1], ORANGE]
    expected = [softmax(image[0, 0] / 255) for image in images]
    together = [probabilities_of(found) for found in classifier.predict_batch(images)]
    streamed = [probabilities_of(it.predictions) for it in classifier.stream(images)]
    np.testing.assert_allclose(together, expected, atol=1e-5)
    np.testing.assert_allclose(streamed, expected, atol=1e-5)


def probabilities_of(found):
    return [next(it.score for it in found if it.label == name) for name in RGB]


def batch_of(classifier):
    first = onnx.load(classifier.bundle.path).graph.input[0].type.tensor_type.shape.dim[0]
    return first.dim_param or first.dim_value


def test_the_record_says_where_it_is_from(tmp_path):
    record = adopted(means(), tmp_path).bundle.metadata
    assert (record.weights.licence, record.weights.provenance, record.training_data) == ("unknown",) * 3
    assert (record.architecture.name, record.architecture.dialect, record.labels) == ("foreign", "adopted", RGB)
    assert record.check.images == 4
    assert record.check.top1_agreement == 1
    assert record.check.max_abs_diff < 1e-5
    record = adopted(means(), tmp_path, licence="MIT", source="https://example.com", name="colours").bundle.metadata
    assert (record.weights.licence, record.weights.provenance) == ("MIT", "https://example.com")
    assert record.weights.name == record.architecture.name == "colours"


def test_a_bundle_needs_no_litevision(tmp_path):
    adopted(means(), tmp_path)
    session = onnxruntime.InferenceSession(tmp_path / "own.onnx")
    assert METADATA_KEY in session.get_modelmeta().custom_metadata_map
    [answer] = session.run(["probabilities"], {"images": ORANGE[None, :SIDE, :SIDE]})
    np.testing.assert_allclose(answer[0], softmax(np.array([250, 120, 20]) / 255), atol=1e-5)


def test_names_that_collide_with_the_bundles_own(tmp_path):
    def build(nodes, x):
        return {"probabilities": channel_logits(nodes, nodes.op("Identity", x))}

    model = foreign(build)
    for node in model.graph.node:
        node.input[:] = ["images" if name == "x" else name for name in node.input]
    model.graph.input[0].name = "images"
    assert probabilities(adopted(model, tmp_path)) == pytest.approx(softmax(np.array([250, 120, 20]) / 255), abs=1e-5)


def test_target_sizes_become_a_constant(tmp_path):
    sizes = helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["N", 2])

    def build(nodes, x):
        whole = nodes.op("Concat", *[nodes.as_float("orig_target_sizes")] * 2, axis=1)
        boxes = nodes.op(
            "Mul", nodes.floats([[[0.25, 0.5, 0.75, 1]]]), nodes.op("Reshape", whole, nodes.integers([-1, 1, 4]))
        )
        bright = nodes.op("Reshape", nodes.op("ReduceMean", x, axes=[1, 2, 3]), nodes.integers([-1, 1]))
        labels = nodes.as_integer(nodes.op("Mul", bright, nodes.floats(0)))
        boxes = nodes.op(
            "Add", boxes, nodes.op("Mul", nodes.op("Reshape", bright, nodes.integers([-1, 1, 1])), nodes.floats(0))
        )
        return {"labels": labels, "boxes": boxes, "scores": nodes.op("Mul", bright, nodes.floats(0.9))}

    file = saved(foreign(build, (1, 3, 32, SIDE), inputs=[sizes], integers=["labels"]), tmp_path)
    lv.adopt(file, tmp_path / "own.onnx", labels=RGB, normalisation="unit", crop="stretch")
    [found] = lv.load_detector(tmp_path / "own.onnx", threads=1).predict_batch([np.full((100, 200, 3), 255, np.uint8)])
    np.testing.assert_allclose(found.xyxy, [[50, 50, 150, 100]], atol=1e-3)


def refused(model, folder, error, match, **options):
    with pytest.raises(error, match=match):
        adopted(model, folder, **options)
    assert not (folder / "own.onnx").exists()


def test_nonsense_is_refused(tmp_path):
    def divided(nodes, x):
        return {"logits": nodes.op("Div", channel_logits(nodes, x), nodes.floats(0))}

    refused(foreign(divided), tmp_path, ExportError, "gives NaN or inf in 'logits'")
    always = constant({"logits": np.array([[1, 2, 3]], np.float32)})
    refused(always, tmp_path, ExportError, "the same numbers for 4 different images")
    rows = np.zeros((1, 84, 8), np.float32)
    rows[..., 4] = 0.001
    unsure = constant({"output": rows}, {"output": (2, slice(4, 5))})
    refused(unsure, tmp_path, ExportError, "finds nothing in 4 images")


def test_what_is_not_known_must_be_said(tmp_path):
    refused(means(), tmp_path, UsageError, "nobody knows how this file takes pixels", normalisation=None)
    refused(means(), tmp_path, UsageError, "3 classes, and nobody knows their names", labels=None)
    refused(means(), tmp_path, UsageError, "gives 3 classes, and there are 2 labels", labels=("a", "b"))
    refused(means(), tmp_path, UsageError, "'a' stands there twice", labels=("a", "a", "b"))
    refused(means((1, 3, "h", "w")), tmp_path, UsageError, "leaves the size of its images open")
    refused(means(), tmp_path, UsageError, "takes images of 64x64, got a size of 32x32", size=32)
    refused(means(), tmp_path, UnknownNameError, "preset 'tim'.*timm", preset="tim")
    refused(means(), tmp_path, UnknownNameError, "decoding 'yolo'", decoding="yolo")
    refused(means(), tmp_path, UsageError, "belong to the crop 'letterbox'", align="top-left")


def test_what_is_not_safe_or_no_such_file_is_refused(tmp_path):
    refused(means((4, 3, SIDE, SIDE)), tmp_path, UsageError, "takes 4 images at once, always")
    refused(
        means((1, 5, SIDE, SIDE)), tmp_path, UsageError, r"takes 'x' \[1, 5, 64, 64\]; expected one input of images"
    )
    extra = helper.make_tensor_value_info("prompt", TensorProto.INT64, [1, 2])
    refused(means(inputs=[extra]), tmp_path, UsageError, "a further input 'prompt'")
    own = means()
    own.graph.node[0].domain = "com.example"
    own.opset_import.append(helper.make_opsetid("com.example", 1))
    refused(own, tmp_path, BundleError, "operators of its own")
    outside = means()
    tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    outside.graph.initializer.append(tensor)
    (tmp_path / "weights.bin").write_bytes(bytes(12))
    refused(outside, tmp_path, BundleError, "keeps tensors in other files")
    (tmp_path / "foreign.onnx").write_text("no protobuf")
    with pytest.raises(BundleError, match="not an ONNX file"):
        lv.adopt(tmp_path / "foreign.onnx", tmp_path / "own.onnx", preset="timm")
    adopted(means(), tmp_path)
    with pytest.raises(UsageError, match="a bundle of litevision already"):
        lv.adopt(tmp_path / "own.onnx", tmp_path / "again.onnx", preset="timm")


def test_a_loop_is_refused(tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[1, 3, 8, 8] x) => (float[1, 3] y) {
        n = Constant<value = int64 {3}>()
        t = Constant<value = bool {1}>()
        y = Loop (n, t) <body = b (int64 i, bool c) => (bool d, float[1, 3] z) {
            d = Identity(c)
            z = ReduceMean<keepdims = 0>(x)
        }>
    }"""
    refused(
        onnx.parser.parse_model(text),
        tmp_path,
        BundleError,
        "computes with Loop, which can take any time; it is not adopted",
    )


def test_functions_that_multiply_are_not_put_in_place(tmp_path: Path) -> None:
    model = means()
    for level in range(12):
        called = ("Relu", "") if level == 11 else (f"F{level + 1}", "com.example")
        nodes = [helper.make_node(called[0], [f"a{i}"], [f"a{i + 1}"], domain=called[1]) for i in range(10)]
        opsets = list(model.opset_import)
        model.functions.append(helper.make_function("com.example", f"F{level}", ["a0"], ["a10"], nodes, opsets))
    [output] = model.graph.output
    model.graph.node.append(helper.make_node("F0", [output.name], ["more"], domain="com.example"))
    output.name = "more"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    with pytest.raises(BundleError, match=r"its functions cannot be put in place .*more than"):
        lv.adopt(saved(model, tmp_path), tmp_path / "own.onnx", labels=RGB, normalisation="unit")
    assert not (tmp_path / "own.onnx").exists()
