"""Bundles in 8 bits: what is written, what is refused, and what the record says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

import exports
from images import noise
from litevision.errors import ExportError, FileMissingError, UsageError
from litevision.exporting.export import export
from litevision.exporting.graph_parts import copied, read_model, run_graph
from litevision.exporting.litert.write import to_litert
from litevision.hub import load_classifier
from litevision.quantizing import quantize as module
from litevision.quantizing.graph import (
    check_answers,
    float_nodes,
    last_layers,
    layers_of,
    put_back,
    round_before_hard_swish,
    store_in_eight_bits,
    with_integer_answers,
)
from litevision.quantizing.nncf_quantizer import Ranges, quantise, quantise_best
from litevision.quantizing.noise import layer_noise, output_noise
from litevision.quantizing.quantize import quantize
from litevision.runtime import Bundle, BundleMetadata, machine
from litevision.runtime.engines.litert_engine import import_litert
from quantizable import coloured, write_place

FLOAT, INT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT8


FORKED = """<ir_version: 7, opset_import: ["" : 13]> g (uint8[n, 16, 16, 3] images) => (float[n, 8] probabilities)
<float scale = {0.0039}> {
    moved = Transpose <perm = [0, 3, 1, 2]> (images)
    pixels = Cast <to = 1> (moved)
    x = Mul (pixels, scale)
    a = Conv (x, w1, b1)
    b = Conv (a, w2, b2)
    both = Concat <axis = 1> (a, b)
    p = Conv (both, w3, b3)
    q = Conv (both, w4, b4)
    s = Add (p, q)
    r = Conv (s, w5, b5)
    m = GlobalAveragePool (r)
    f = Flatten (m)
    probabilities = Softmax (f)
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_place(tmp_path_factory.mktemp("quantize"))


@pytest.fixture(scope="module")
def done(place: Path) -> module.QuantizeResult:
    return quantize(str(place / "float.onnx"), place / "data", place / "int8.onnx", images=12)


def test_writes_int8_that_answers_as_before(done: module.QuantizeResult, place: Path) -> None:
    assert done.path == place / "int8.onnx"
    assert done.is_accepted
    assert (done.before.score, done.chosen.score) == (100.0, 100.0)
    assert "24 images are too few to tell: top-1, % falls by 0.00" in str(done)
    made = onnx.load(place / "int8.onnx")
    weights = {one.name: one for one in made.graph.initializer}
    kinds = [node.op_type for node in made.graph.node]
    assert kinds[:3] == ["Transpose", "Cast", "Mul"]  # what stands before the first layer is left alone
    assert kinds[-1] == "Softmax"
    for node in made.graph.node:
        if node.op_type == "QuantizeLinear":  # one scale a map, unsigned: what onnxruntime computes in 8 bits
            assert weights[node.input[2]].data_type == onnx.TensorProto.UINT8
            assert np.prod(weights[node.input[1]].dims, dtype=int) == 1


def test_the_record_says_how(done: module.QuantizeResult, place: Path) -> None:
    found = load_classifier(place / "int8.onnx").bundle.metadata
    record = found.quantization
    assert record == done.record
    assert record is not None
    assert record.method.startswith("nncf ")
    assert "full bias correction" in record.method
    assert (record.calibrated_on, record.calibration_count) == ("train of data", 12)
    assert (record.measured_on, record.count) == ("test of data", 24)
    assert record.engine.startswith("onnxruntime ")
    assert found.score is not None
    assert (found.score.dataset, found.score.count) == ("test of data", 24)
    assert BundleMetadata.from_json(found.to_json()) == found


def test_runs_in_openvino_too(done: module.QuantizeResult, place: Path) -> None:
    photo = place / "data/test/blue/0.png"
    engines = ("onnxruntime", "openvino")
    scores = [load_classifier(place / "int8.onnx", engine=name).predict(photo).scores for name in engines]
    np.testing.assert_allclose(*scores, atol=0.05)


def test_for_litert_it_is_judged_in_litert(place: Path) -> None:
    found = quantize(str(place / "float.onnx"), place / "data", place / "int8.tflite", images=12)
    assert (found.record.engine.split()[0], found.record.count) == ("litert", 24)
    assert found.chosen.agreement.share >= 0.95
    bundle = Bundle.open(place / "int8.tflite")
    assert bundle.metadata.quantization == found.record
    interpreter = import_litert()[0](model_path=str(place / "int8.tflite"))
    kinds = [one["op_name"] for one in interpreter._get_ops_details()]
    assert kinds.count("QUANTIZE") == 1  # of the pixels; from there on everything is in 8 bits up to the last layer
    assert kinds.count("DEQUANTIZE") == 2


def test_integers_alone_are_all_that_a_microcontroller_computes(place: Path) -> None:
    path = place / "whole.tflite"
    found = quantize(str(place / "float.onnx"), place / "data", path, images=12, integers_alone=True, sidecar=True)
    assert found.chosen.agreement.share >= 0.95
    assert found.record.method.endswith(", integers alone")
    interpreter = import_litert()[0](model_path=str(path))
    assert {np.dtype(one["dtype"]).name for one in interpreter.get_tensor_details()} == {"uint8", "int8", "int32"}
    [given], [answer] = interpreter.get_input_details(), interpreter.get_output_details()
    assert (given["dtype"], answer["dtype"], answer["quantization"]) == (np.uint8, np.int8, (1 / 256, -128))
    image = place / "data/test/green/0.png"
    scores = [load_classifier(each).predict(image).scores for each in (place / "float.onnx", path)]
    np.testing.assert_allclose(*scores, atol=0.02)
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["file"]["format"] == "litert"
    assert "#define MODEL_CLASSES 3\n" in path.with_suffix(".h").read_text("utf-8")


def test_where_integers_alone_cannot_be(place: Path) -> None:
    graph = read_model((place / "float.onnx").read_bytes())
    images = np.stack([coloured(i % 3, i)[:16, :16] for i in range(4)])
    made = quantise(graph, images, in_float=float_nodes(graph), fast_bias_correction=True, seven_bits=False, seed=0)
    mixed = with_integer_answers(put_back(made, graph, {layers_of(graph)[1].name}), images)
    metadata = Bundle.open(place / "float.onnx").metadata
    with pytest.raises(ExportError, match=r"DEPTHWISE_CONV_2D .*would compute in float; integers alone are not for"):
        to_litert(mixed, metadata, "float32", integers_alone=True)
    with pytest.raises(ExportError, match="integers alone are for classifiers that end in softmax"):
        check_answers(mixed)


def test_the_same_twice(done: module.QuantizeResult, place: Path) -> None:
    again = quantize(str(place / "float.onnx"), place / "data", place / "again.onnx", images=12)
    assert again.record == done.record
    assert (place / "again.onnx").read_bytes() == (place / "int8.onnx").read_bytes()


def test_what_is_refused_before_it_begins(done: module.QuantizeResult, place: Path, tmp_path: Path) -> None:
    def told(model: str, data: Path, output: str = "new.onnx", **more: Any) -> None:
        quantize(str(place / model), data, tmp_path / output, **more)

    with pytest.raises(UsageError, match="in 8 bits already; give the bundle that it was made of"):
        told("int8.onnx", place / "data")
    with pytest.raises(ExportError, match="Core ML takes no bundle in 8 bits here; give the one that it was made of"):
        export(place / "int8.onnx", tmp_path / "new.mlpackage")
    with pytest.raises(UsageError, match=r"a bundle is an .onnx file, or .tflite for LiteRT, got 'new.pth'"):
        told("float.onnx", place / "data", "new.pth")
    with pytest.raises(UsageError, match=r"onnxruntime computes an .onnx file.*expected the engine litert"):
        told("float.onnx", place / "data", "new.tflite", engine="onnxruntime")
    with pytest.raises(UsageError, match=r"integers alone are of LiteRT files; expected a .tflite file to write"):
        told("float.onnx", place / "data", integers_alone=True)
    (tmp_path / "new.h").write_text("// mine")
    with pytest.raises(UsageError, match=r"new\.h: .* would be overwritten"):
        told("float.onnx", place / "data", "new.tflite", sidecar=True)
    (tmp_path / "new.h").unlink()
    with pytest.raises(FileMissingError, match=r"no images at .*nowhere"):
        told("float.onnx", place / "nowhere")
    with pytest.raises(UsageError, match=r"6 images would calibrate and judge, such as .*; expected another --split"):
        told("float.onnx", place / "data", split="train", images=6)
    assert list(tmp_path.iterdir()) == []


def test_layers_can_be_put_back(place: Path) -> None:
    graph = read_model((place / "float.onnx").read_bytes())
    assert [node.op_type for node in graph.graph.node][:4] == ["Transpose", "Cast", "Mul", "Conv"]  # w1 is a tensor now
    layers = layers_of(graph)
    assert [node.op_type for node in layers] == ["Conv", "Conv", "Gemm"]
    names = {node.op_type for node in graph.graph.node if node.name in float_nodes(graph)}
    assert names == {"Transpose", "Cast", "Mul", "Softmax"}
    images = np.stack([coloured(i % 3, i)[:16, :16] for i in range(4)])
    made = quantise(graph, images, in_float=float_nodes(graph), fast_bias_correction=False, seven_bits=True, seed=0)
    noise = layer_noise(graph, made, images)
    assert sorted(one.weight for one in noise) == ["w1", "w2", "w3"]
    assert all(15 < one.snr_db < 80 for one in noise)
    eight = {tuple(it.dims): numpy_helper.to_array(it) for it in made.graph.initializer if it.data_type == INT8}
    largest = {shape: int(np.abs(weights.astype(int)).max()) for shape, weights in eight.items() if len(shape) > 1}
    assert largest.pop((12, 1, 3, 3)) > 64  # depthwise: onnxruntime adds those in 32 bits everywhere
    assert largest.keys() == {(12, 3, 1, 1), (12, 3)}
    assert max(largest.values()) <= 64  # 7 bits
    mixed_graph = put_back(made, graph, {node.name for node in layers})
    kinds = {one.name: one.data_type for one in mixed_graph.graph.initializer}
    assert all(kinds[node.input[1]] == onnx.TensorProto.FLOAT for node in layers_of(mixed_graph))
    exact, rounded, mixed = (
        run_graph(it, ["probabilities"], {"images": images})["probabilities"] for it in (graph, made, mixed_graph)
    )
    assert np.abs(mixed - exact).max() < np.abs(rounded - exact).max()


def test_where_full_bias_correction_cannot_take_a_graph_the_fast_one_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As in NanoDet-Plus' neck: two layers read one map, which nncf 3.4 looks for where only one of them is."""
    graph = onnx.parser.parse_model(FORKED)
    draw = np.random.default_rng(0)
    for name, shape in {"w1": (8, 3), "w2": (8, 8), "w3": (8, 16), "w4": (8, 16), "w5": (8, 8)}.items():
        for key, sides in ((name, (*shape, 1, 1)), (name.replace("w", "b"), shape[:1])):
            graph.graph.initializer.append(numpy_helper.from_array(draw.normal(0, 0.3, sides).astype(np.float32), key))
    for place, node in enumerate(graph.graph.node):
        node.name = f"node {place}"
    assert [node.output[0] for node in last_layers(graph)] == ["r"]
    images = np.stack([coloured(seed % 3, seed)[:16, :16] for seed in range(8)])
    options = {"in_float": float_nodes(graph), "seven_bits": False, "seed": 0}
    made = quantise_best(graph, images, fast_bias_correction=False, **options)
    assert made.correction == "fast"
    assert "cannot quantise this graph with full bias correction (" in capsys.readouterr().err
    kinds: tuple[Ranges, ...] = get_args(Ranges)
    both = [quantise(graph, images, fast_bias_correction=True, ranges=kind, **options) for kind in kinds]
    noise = [output_noise(graph, one, images) for one in both]
    assert output_noise(graph, made.model, images) == min(noise) < max(noise) < 0.05
    assert made.ranges == kinds[noise.index(min(noise))]


@pytest.fixture(scope="module")
def hard_swishes() -> tuple[onnx.ModelProto, npt.NDArray[np.uint8], onnx.ModelProto]:
    """A MobileNetV3, images, and the network in 8 bits."""
    graph = exports.graph("mobilenet_v3_large", "timm", exports.ODD_HW)
    images = np.stack([noise(*exports.ODD_HW, seed) for seed in range(4)])
    options = {"in_float": float_nodes(graph), "fast_bias_correction": True, "seven_bits": False, "seed": 0}
    return graph, images, quantise(graph, images, **options)


def test_layers_before_a_hard_swish_compute_in_eight_bits(hard_swishes: Any) -> None:
    _, images, made = hard_swishes
    faster = round_before_hard_swish(made, images)
    makers = {name: node for node in faster.graph.node for name in node.output}
    before = [makers[node.input[0]].op_type for node in faster.graph.node if node.op_type == "HardSwish"]
    assert before.count("DequantizeLinear") >= 5
    assert before.count("Conv") <= 2  # the pooled features, whose layer nncf leaves in float
    plain, rounded = (run_graph(it, ["probabilities"], {"images": images})["probabilities"] for it in (made, faster))
    assert 0 < np.abs(rounded - plain).max() < 0.05
    assert round_before_hard_swish(faster, images) == faster


def test_layers_that_compute_in_float_have_weights_in_eight_bits_too(hard_swishes: Any) -> None:
    """Squeeze-and-excitation has a third of MobileNetV3-Large's weights, and nncf leaves it in float."""
    graph, images, made = hard_swishes
    floats = [one.dims for one in made.graph.initializer if one.data_type == FLOAT]
    assert max(np.prod(dims, dtype=int) for dims in floats if len(dims) > 1) < 1024
    floats = store_in_eight_bits(copied(graph))
    kept = {node.op_type for node in floats.graph.node} - {"DequantizeLinear"}
    assert kept == {node.op_type for node in graph.graph.node}
    exact, rounded = (run_graph(it, ["probabilities"], {"images": images})["probabilities"] for it in (graph, floats))
    np.testing.assert_allclose(rounded, exact, atol=0.01 * exact.max())
    assert floats.ByteSize() < 0.35 * graph.ByteSize()


def test_layers_may_share_weights_and_constants_of_the_decoding_stay_as_they_are() -> None:
    graph = onnx.parser.parse_model(
        """<ir_version: 7, opset_import: ["" : 13]> g (float[1, 32, 4, 4] x) => (float[1, 16, 32] y) {
        a = Conv (x, w) b = Conv (a, w) s = Softmax (b) f = Reshape (s, shape) y = MatMul (f, table) }"""
    )
    draw = np.random.default_rng(0)
    tensors = {"w": draw.normal(0, 32**-0.5, (32, 32, 1, 1)), "table": draw.normal(size=(32, 32)), "shape": [1, 16, 32]}
    for name, values in tensors.items():
        dtype = np.int64 if name == "shape" else np.float32
        graph.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype), name))
    x = draw.normal(size=(1, 32, 4, 4)).astype(np.float32)
    [exact] = run_graph(graph, ["y"], {"x": x}).values()
    made = store_in_eight_bits(copied(graph))
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node].count("DequantizeLinear") == 1
    assert "table" in {one.name for one in made.graph.initializer}
    np.testing.assert_allclose(run_graph(made, ["y"], {"x": x})["y"], exact, atol=0.1)


def test_which_processors_add_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, expected in (("fpu avx2", False), ("avx2 avx_vnni", True), ("avx512_vnni", True)):
        monkeypatch.setattr(machine, "_cpuinfo", lambda flags=flags: {"flags": flags})
        monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
        assert machine.adds_in_32_bits() == expected
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert machine.adds_in_32_bits()


def test_nothing_is_sent() -> None:
    code = (
        "import sys; from litevision.quantizing.nncf_quantizer import import_nncf; import_nncf();"
        "from nncf.telemetry import telemetry;"
        "sent = type(telemetry).__name__ == 'NNCFTelemetry';"
        "print(sent, sorted({'torch', 'openvino', 'openvino_telemetry'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False []"
