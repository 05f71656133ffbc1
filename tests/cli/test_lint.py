"""litevision lint: its table, its JSON, and how it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from bundles import write_bundle
from litevision.lab.onnx_builder import INPUT, OnnxGraphBuilder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lint(litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``litevision lint``, short, beside ``wide.onnx``, which has two layers against G1 and one against G2."""
    monkeypatch.chdir(tmp_path)
    graph = OnnxGraphBuilder((1, 16, 32, 32))
    x = graph.conv(graph.conv(INPUT, 96), 16)
    Path("wide.onnx").write_bytes(graph.model(graph.conv(x, 16, groups=2)).SerializeToString())
    return lambda *arguments: litevision("lint", *arguments, "--seconds", "0.01", "--threads", "1")


def test_table(lint: Run) -> None:
    code, out, err = lint("wide.onnx", "--ms-over", "0")
    assert (code, err) == (0, "")
    header, *rows, blank, g1, g2, machine = out.splitlines()
    assert header.split() == ["layer", "what", "ms", "spread", "instead", "ms", "spread"]
    assert [row.split()[0] for row in rows] == ["G1", "G1", "G2"]
    assert "Conv_0  16 to 96 channels (1:6), 1x1 on 32x32" in rows[0]
    assert "32 to 48" in rows[0]
    assert blank == ""
    assert g1.startswith("G1: 2 layers, ")
    assert g2.startswith("G2: 1 layer, ")
    assert machine.startswith("onnxruntime fp32, 1 thread; ")


def test_quick_layers_are_counted_and_not_shown(lint: Run) -> None:
    code, out, _ = lint("wide.onnx", "--ms-over", "1000")
    assert code == 0
    assert out.splitlines()[2] == "3 of them take up to 1000 ms each and are not shown (--ms-over)"


NAMES = ("model", "remark", "convolutions", "judged", "unjudged")


def test_what_was_not_judged_is_named_and_the_exit_code_says_so(lint: Run) -> None:
    graph = OnnxGraphBuilder((1, 16, 8, 8))
    made = graph.model(graph.conv(INPUT, 16))
    made.graph.node.append(helper.make_node("DynamicQuantizeLinear", [INPUT], ["q", "s", "z"]))
    made.graph.node.append(helper.make_node("ConvInteger", ["q", "w"], ["y"]))
    made.graph.initializer.append(numpy_helper.from_array(np.ones((4, 16, 1, 1), np.uint8), "w"))
    made.graph.output.append(helper.make_tensor_value_info("y", TensorProto.INT32, None))
    Path("mixed.onnx").write_bytes(made.SerializeToString())
    code, out, _ = lint("mixed.onnx")
    assert code == 1
    first, second, third, *_ = out.splitlines()
    assert first == "1 of 2 convolutions could be judged; not judged:"
    assert second == "  y: its numbers are integers, and its alternatives would be measured in floating point"
    assert third == "no layer goes against a guideline; 1 convolution was judged"


def test_json(lint: Run) -> None:
    code, out, err = lint("wide.onnx", "--json")
    found = json.loads(out)
    assert (code, err, list(found)) == (0, "", [*NAMES, "engine", "machine", "layers"])
    assert (found["convolutions"], found["judged"], found["unjudged"]) == (3, 3, [])
    first, _, third = found["layers"]
    assert (first["guideline"], first["macs"], first["instead_macs"]) == ("G1", 32 * 32 * 16 * 96, 32 * 32 * 32 * 48)
    assert third["guideline"] == "G2"
    assert min(first["ms"], first["instead_ms"]) > 0


def test_nothing_to_say(lint: Run) -> None:
    graph = OnnxGraphBuilder((1, 16, 8, 8))
    Path("good.onnx").write_bytes(graph.model(graph.conv(INPUT, 16)).SerializeToString())
    code, out, _ = lint("good.onnx")
    assert (code, out.splitlines()[0]) == (0, "no layer goes against a guideline; 1 convolution was judged")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.onnx",), "none.onnx: "),
        (("bad.onnx",), "bad.onnx: not an ONNX file"),
        (("wide.onnx", "--size", "64"), "the height of 'input' is 32 in the file, asked for 64."),
        (("wide.onnx", "--size", "x"), "a size is one side in pixels or HxW"),
        (("wide.onnx", "--engine", "torch"), "no engine 'torch'."),
        (("tiny.onnx", "--precision", "bf16"), "onnxruntime does not compute in bf16"),
    ],
)
def test_what_cannot_be_done_is_one_line(lint: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("bad.onnx").write_bytes(b"oops")
    write_bundle(Path("tiny.onnx"))
    code, out, err = lint(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
