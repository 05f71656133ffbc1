"""Commands that look at a model take any: a file of another's making, weights without labels or head, a name."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from litevision.weights.convert import extract
from litevision.weights.create import create
from litevision.weights.layouts import layout_named

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
    code, _, err = litevision("draw", "two.onnx", "-o", "two.dot")
    assert (code, "no bundle of litevision whose network could be drawn" in err) == (1, True)


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
