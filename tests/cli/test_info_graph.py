"""``litevision info FILE.onnx``."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

Run = Callable[..., tuple[int, str, str]]

TEXT = """<ir_version: 10, opset_import: ["" : 20, "com.example" : 1]>
g (float[n, 3, h, v] x) => (float[n] y) <float low = {0}, float high = {6}, int64[2] axes = {2, 3}> {
    c = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, stem.conv.weight, stem.conv.bias)
    r = Clip (c, low, high)
    e = Conv <group = 8, pads = [1, 1, 1, 1]> (r, depthwise.weight)
    s = Add (e, r)
    m = ReduceMean <keepdims = 0> (s, axes)
    LAST
}"""
WEIGHTS = {"stem.conv.weight": (8, 3, 3, 3), "stem.conv.bias": (8,), "depthwise.weight": (8, 1, 3, 3)}
LINEAR = "y = MatMul (m, classifier.weight)"
UNKNOWN = "y = com.example.Magic (m)"

TABLE = """\
net.onnx, 6 nodes, input x 1x3x16x24

layer       operation           output    params    MACs  KB read  KB written     %
stem.conv   conv 3x3 /2 +ReLU6  1x8x8x12     224  20,736      5.5         3.1  73.9
depthwise   dw 3x3 +sum         1x8x8x12      72   6,912      3.4         3.1  24.6
m           avg pool 8x12       1x8            0       0      3.1         0.0   0.0
classifier  linear              1x50         400     400      1.6         0.2   1.4

params          696
MACs         28,048  0.0 M; FLOPs are twice that
read         22,808  bytes, weights included, each node by itself
written      12,520  bytes, each node by itself
moved        19,968  bytes read and written, each row above as one kernel
activations   9,448  bytes written where BN and activations run in place
peak          9,216  bytes of activations alive at once
intensity       0.8  MACs per byte read or written, each node by itself
"""

NODES = """\
layer  operation      output    params    MACs  KB read  KB written     %
c      conv 3x3 /2    1x8x8x12     224  20,736      5.5         3.1  73.9
r      ReLU6          1x8x8x12       0       0      3.1         3.1   0.0
e      dw 3x3         1x8x8x12      72   6,912      3.4         3.1  24.6
s      sum            1x8x8x12       0       0      6.1         3.1   0.0
m      avg pool 8x12  1x8            0       0      3.1         0.0   0.0
y      linear         1x50         400     400      1.6         0.2   1.4"""

NOTE = "note: the file leaves an input's size open; counted at 224x224, --size sets another\n"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes net.onnx with a last node."""
    monkeypatch.chdir(tmp_path)

    def write(last: str) -> None:
        text = TEXT.replace("LAST", last)
        shapes = {**WEIGHTS, "classifier.weight": (8, 50)}
        for name in shapes:  # no names for the parser
            text = text.replace(name, name.replace(".", "_"))
        made = parser.parse_model(text)
        for node in made.graph.node:
            for i, name in enumerate(node.input):
                node.input[i] = {known.replace(".", "_"): known for known in shapes}.get(name, name)
        made.graph.initializer.extend(
            numpy_helper.from_array(np.ones(shape, np.float32), name)
            for name, shape in shapes.items()
            if any(name in node.input for node in made.graph.node)
        )
        onnx.save(made, "net.onnx")

    return write


def test_the_whole_text(litevision: Run, make: Callable[[str], None]) -> None:
    make(LINEAR)
    code, out, err = litevision("info", "net.onnx", "--size", "16x24")
    assert (code, err) == (0, "")
    assert out == TABLE


def test_all_rows_are_the_nodes_by_themselves(litevision: Run, make: Callable[[str], None]) -> None:
    make(LINEAR)
    _, out, _ = litevision("info", "net.onnx", "--size", "16x24", "--all")
    title, table, totals = out.split("\n\n")
    assert table == NODES
    assert title == TABLE.split("\n\n")[0]
    assert "moved" not in totals
    assert "read         22,808  bytes" in totals


def test_an_open_size_is_224_and_said_so(litevision: Run, make: Callable[[str], None]) -> None:
    make(LINEAR)
    code, out, err = litevision("info", "net.onnx")
    assert (code, err) == (0, NOTE)
    assert out.startswith("net.onnx, 6 nodes, input x 1x3x224x224\n")
    assert "MACs         3,613,072  3.6 M" in out


def test_what_is_not_counted_is_marked_and_said(litevision: Run, make: Callable[[str], None]) -> None:
    make(UNKNOWN)
    code, out, _ = litevision("info", "net.onnx", "--size", "16x24")
    assert code == 0
    last = out.split("\n\n")[1].splitlines()[-1]
    assert last.split() == ["y", "com.example:Magic", "1", "0", "?", "?", "?", "?"]
    assert "MACs         at least 27,648  0.0 M; FLOPs are twice that\n" in out
    assert "read         at least " in out
    assert "intensity          not known" in out
    assert out.endswith(
        "\nnot counted: 1 of 6 nodes, so that the totals are lower bounds\n"
        "  y: the multiply-adds of com.example:Magic are not known here\n"
    )
    _, out, _ = litevision("info", "net.onnx", "--size", "16x24", "--json")
    answer = json.loads(out)
    assert answer["at_least"] == [
        "activation_bytes",
        "bytes_read",
        "bytes_written",
        "macs",
        "peak_activation_bytes",
    ]
    assert [node["op_type"] for node in answer["unknown"]] == ["com.example:Magic"]
    assert answer["nodes"][-1]["macs"] is None


def test_json_is_one_object_with_every_node(litevision: Run, make: Callable[[str], None]) -> None:
    make(LINEAR)
    code, out, err = litevision("info", "net.onnx", "--size", "16", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer["input_shapes"] == {"x": [1, 3, 16, 16]}
    assert (answer["at_least"], answer["unknown"]) == ([], [])
    for total, part in (
        ("num_params", "params"),
        ("num_buffers", "buffers"),
        *((name, name) for name in ("macs", "bytes_read", "bytes_written")),
    ):
        assert answer[total] == sum(node[part] for node in answer["nodes"])
    assert answer["macs"] == 8 * 27 * 64 + 8 * 9 * 64 + 400
    assert answer["nodes"][0]["layer"] == "stem.conv"
    assert answer["nodes"][3]["inputs"] == ["e", "r"]


def test_a_bundle_that_comes_along_has_its_name(litevision: Run) -> None:
    code, out, err = litevision("info", "clothing")
    assert (code, err) == (0, "")
    assert out.startswith("clothing, 105 nodes, input images 1x224x224x3\n")
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert lines["block_16.project"][1:6] == ["conv", "1x1", "1x320x7x7", "307,520", "15,052,800"]
    assert "MACs         299,507,072  299.5 M" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.onnx"], "nothing.onnx: no such "),
        (["broken.ONNX"], "broken.ONNX: not an ONNX file (it is no protobuf: wire type 4)."),
        (["clothing", "--size", "96"], "the height of 'images' is 224 in the file, asked for 96. Leave it out, or "),
        (["clothing", "--size", "x"], "a size is one side in pixels or HxW, such as 224 or 192x256, got 'x'"),
        (["clothing", "--width", "0.5"], "width builds a network from its name, and clothing is built. Leave it out."),
        (
            ["nothing.onnx", "--classes", "7", "--output-stride", "16"],
            "classes and output stride build a network from its name, and nothing.onnx is built. Leave them out.",
        ),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_1(
    litevision: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.ONNX").write_bytes(b"hello")
    code, out, err = litevision("info", *arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
