"""Commands that look at a model take any: a file of another's making, weights without labels or head, a name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bundles import write_bundle
from litevision.cost.draw import draw
from litevision.lab.profile.timings import Peaks
from litevision.weights.convert import extract
from litevision.weights.create import create
from litevision.weights.layouts import layout_named
from litevision.weights.save import save_weights

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``two.onnx``, of two inputs, and ``five.pth`` and ``headless.pth``, of no names."""
    monkeypatch.chdir(tmp_path)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["N", 3, "H", "W"]),
        helper.make_tensor_value_info("i", TensorProto.INT64, ["N"]),
    ]
    nodes = [helper.make_node("Cast", ["x"], ["f"], to=1), helper.make_node("Conv", ["f", "w"], ["y"])]
    nodes.append(helper.make_node("Identity", ["i"], ["z"]))
    outputs = [helper.make_empty_tensor_value_info(name) for name in ("y", "z")]
    weight = numpy_helper.from_array(np.ones((4, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(nodes, "two", inputs, outputs, [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    Path("two.onnx").write_bytes(made.SerializeToString())
    torch.manual_seed(0)
    small = create("mobilenet_v2", dialect="torchvision", width_mult=0.25, num_classes=5).eval()
    state = extract(small, layout_named("torchvision"))
    torch.save({"net": state}, "five.pth")
    torch.save({name: it for name, it in state.items() if "classifier" not in name}, "headless.pth")


BENCH = ("--batch", "2", "--seconds", "0.01", "--engine", "onnxruntime", "--json")


def test_any_onnx_file_is_measured(litevision: Run) -> None:
    code, out, err = litevision("bench", "two.onnx", "--size", "8", *BENCH)
    found = json.loads(out)
    assert (code, err, [row["batch_size"] for row in found["rows"]]) == (0, "", [2])
    code, out, err = litevision("bench", "two.onnx", *BENCH)
    assert "the file leaves its images' size open; measured at 224x224, --size sets another" in json.loads(out)["notes"]


def test_weights_are_measured_without_labels(litevision: Run) -> None:
    code, out, err = litevision("bench", "five.pth", "--size", "32", *BENCH)
    assert (code, len(json.loads(out)["rows"])) == (0, 1)
    assert err == "note: five.pth at 32x32\n"


def test_a_weight_file_has_costs_and_a_drawing(litevision: Run) -> None:
    code, out, _ = litevision("info", "five.pth", "--size", "32", "--json")
    assert (code, json.loads(out)["num_classes"]) == (0, 5)
    code, out, _ = litevision("info", "headless.pth", "--size", "32", "--json")
    assert (code, json.loads(out)["num_classes"]) == (0, 0)
    assert litevision("draw", "five.pth", "-o", "five.dot")[0] == 0
    assert Path("five.dot").read_text().startswith("digraph")


V1_ROWS = "Conv(3, 2, 8), DepthSepConv(3, 2, 16)"
KINDS = {
    "a name": ("mobilenet_v1", "--rows", V1_ROWS),
    "a detector": ("centernet", "--backbone", "mobilenet_v1", "--rows", V1_ROWS, "--classes", "2"),
    "a weight set": ("mobilenet_v3_small.timm_tf_in1k_w075",),
    "another's weight set": ("timm/mobilenetv3_small_050.lamb_in1k",),
    "a weight file": ("five.pth",),
    "a file of litevision": ("own.safetensors",),
    "a run": ("run",),
    "a run under way": ("unfinished",),
    "a bundle": ("tiny.onnx",),
    "a bundle that comes along": ("clothing",),
    "a file of another's making": ("two.onnx",),
}
FAULTS = {
    "resnet50": "no model 'resnet50'.",
    "nothing.pth": "no weight file at nothing.pth",
    "nothing.onnx": "nothing.onnx: no such file",
    "nowhere": "no model 'nowhere'.",
    "empty": "empty: a folder without model.onnx or plan.json; expected the folder of a run.",
}
COMMANDS = {
    "info": ("--json",),
    "draw": ("-o", "drawing.dot"),
    "profile": ("--repeats", "9", "--json"),
    "lint": ("--seconds", "0.0001", "--json"),
    "bench": BENCH,
}
EXPORTED = ("a name", "a detector", "a file of litevision", "a run", "a file of another's making")  # small ones


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each kind."""
    peaks = Peaks(100.0, ((1_000, 50.0), (1_000_000, 10.0)))
    monkeypatch.setattr("litevision.lab.profile.measure.measure_peaks", lambda *_: peaks)
    network = create("mobilenet_v1", rows=V1_ROWS, num_classes=2)
    save_weights(network, "own.safetensors")
    Path("run").mkdir()
    Path("empty").mkdir()
    write_bundle(Path("tiny.onnx"))
    Path("run/model.onnx").write_bytes(Path("tiny.onnx").read_bytes())
    Path("unfinished").mkdir()
    plan = {
        "network": network.config.to_dict(),
        "name": "unfinished",
        "normalisation": {"mean": [0.5] * 3, "std": [0.5] * 3},
        "data": {"classes": ["a", "b"]},
        "start": None,
    }
    Path("unfinished/plan.json").write_text(json.dumps(plan))
    Path("unfinished/recipe.toml").write_text('[model]\nsize_hw = [32, 32]\ncrop = "center"\ncrop_fraction = 0.875\n')
    torch.save({"network": network.state_dict()}, "unfinished/last.ckpt")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_every_kind_of_model(litevision: Run, models: None, command: str) -> None:
    for kind, model in KINDS.items():
        if command in ("profile", "lint", "bench") and kind not in EXPORTED:
            continue  # they all ask `open_any`, and what it finds is made a graph in one place
        is_fixed = kind in ("a run", "a bundle", "a bundle that comes along")
        options = COMMANDS[command] if is_fixed else (*COMMANDS[command], "--size", "32")
        code, out, err = litevision(command, *model, *options)
        assert code == 0 or (command, kind) == ("lint", "a file of another's making"), (kind, err)
        assert "Traceback" not in err
        if command == "draw":
            assert Path("drawing.dot").read_text().startswith("digraph network {"), kind
            Path("drawing.dot").unlink()
        else:
            assert json.loads(out), kind


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_model_is_one_line_to_every_command(litevision: Run, models: None, command: str) -> None:
    for model, message in FAULTS.items():
        code, out, err = litevision(command, model, *COMMANDS[command])
        assert (code, out, err.count("\n")) == (1, "", 1), (model, err)
        assert err.startswith(f"error: {message}"), err
    for options in (
        ("clothing", "--width", "0.5"),
        ("five.pth", "--rows", V1_ROWS),
        ("mobilenet_v2", "--neck", "light"),
    ):
        code, out, err = litevision(command, *options, *COMMANDS[command])
        assert (code, out, err.count("\n")) == (1, "", 1), (options, err)


def test_the_published_ledger_of_convolutions(litevision: Run) -> None:
    code, out, _ = litevision("info", "mobilenet_v1", "--dialect", "slim", "--conv-only", "--json")
    found = json.loads(out)
    assert (code, found["num_params"], found["macs"]) == (0, 3_185_088, 567_716_352)
    rows = {row["name"]: (row["params"], row["macs"]) for row in found["layers"]}
    assert len(rows) == 27
    assert rows["Conv2d_0"] == (864, 10_838_016)
    assert rows["Conv2d_1_depthwise"] == (288, 3_612_672)
    assert rows["Conv2d_1_pointwise"] == (2_048, 25_690_112)
    assert rows["Conv2d_13_depthwise"] == (9_216, 451_584)
    assert rows["Conv2d_13_pointwise"] == (1_048_576, 51_380_224)
    options = ("--dialect", "slim", "--alpha", "0.75", "--size", "128", "--conv-only")
    lines = litevision("info", "mobilenet_v1", *options)[1].splitlines()
    assert lines[-2].split()[:2] == ["params", "1,800,144"]
    assert lines[-1].split()[:2] == ["MACs", "106,002,432"]


def test_a_detector_is_drawn_with_its_branches() -> None:
    text = draw("centernet", backbone="mobilenet_v1", rows=f"{V1_ROWS}, DepthSepConv(3, 2, 16)").dot
    assert "CenterNet on MobileNetV1, neck light" in text
    leaving = [line.split()[0] for line in text.splitlines() if " -> " in line]
    assert leaving.count(max(set(leaving), key=leaving.count)) >= 3  # the neck's map goes to three heads
    assert "heads.heatmap" in text


def test_a_profile_sums_up_kinds_of_operation(litevision: Run, models: None) -> None:
    code, out, err = litevision(
        "profile", "mobilenet_v1", "--rows", V1_ROWS, "--size", "32", "--repeats", "9", "--json"
    )
    assert code == 0, err
    found = json.loads(out)
    kinds = {row["kind"]: row for row in found["kinds"]}
    assert {"convolution", "element-wise", "data movement", "between kernels"} <= set(kinds)
    assert sum(row["ms"] for row in kinds.values()) == pytest.approx(found["sum_ms"])
    assert sum(row["share"] for row in kinds.values()) == pytest.approx(1)
    assert kinds["data movement"]["layers"] >= 1  # the image's axes


def test_shapes_are_closed_by_name(litevision: Run) -> None:
    code, out, err = litevision("info", "two.onnx", "--shape", "x=2x3x5x7", "--json")
    assert (code, err, json.loads(out)["macs"]) == (0, "", 2 * 12 * 35)
    assert json.loads(out)["input_shapes"] == {"x": [2, 3, 5, 7], "i": [2]}
    for text, message in (("x=2x3x5", "'x' has 4 axes"), ("q=1", "no input 'q'"), ("=", "expected NAME=1x3x224x224")):
        code, _, err = litevision("info", "two.onnx", "--shape", text)
        assert (code, message in err) == (1, True), err


def test_who_wants_answers_is_told_how_to_name_the_classes(litevision: Run) -> None:
    image = str(Path(__file__).parents[2] / "examples/dress.jpg")
    code, _, err = litevision("classify", image, "--model", "five.pth")
    assert code == 1
    assert "litevision export five.pth --labels FILE.txt -o model.onnx" in err
    code, _, err = litevision("classify", image, "--model", "headless.pth")
    assert (code, "the network has no classifier" in err) == (1, True)


def test_export_says_and_takes_every_part_of_the_input(litevision: Run) -> None:
    Path("labels.txt").write_text("a\nb\nc\nd\ne\n")
    options = ("--labels", "labels.txt", "--size", "32", "--crop", "stretch", "--interpolation", "bicubic")
    code, out, err = litevision(
        "export", "five.pth", "-o", "five.onnx", *options, "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3"
    )
    assert code == 0, err
    assert "input: stretched to 32x32, bicubic, mean 0.4,0.5,0.6, std 0.2,0.25,0.3; dialect torchvision" in out
    for wrong, message in (
        (("--mean", "1,2,3"), "--mean and --std go together"),
        (("--mean", "1,2", "--std", "1,1,1"), "expected three numbers"),
        (("--crop-fraction", "0.9"), "crop_fraction goes with crop 'center', got 'stretch'"),
        (("--crop", "fit"), "no crop 'fit'"),
    ):
        code, _, err = litevision("export", "five.pth", "-o", "b.onnx", *options, *wrong)
        assert (code, message in err) == (1, True), err
