"""Sizes that a graph leaves open, and what cannot be known of it."""

import re
from typing import Any

import pytest
from onnx import helper, parser

from graphs import model, row
from litevision.cost.graph import graph_ledger
from litevision.errors import BundleError, UsageError

DYNAMIC = "g (float[n, 3, h, v] x) => (float[n, 5, h, v] y) { y = Conv (x, w) }"


def test_open_axes_take_the_batch_and_size_asked_for() -> None:
    made = model(DYNAMIC, w=(5, 3, 1, 1))
    costs = graph_ledger(made, batch=2, size_hw=(10, 20))
    assert costs.input_shapes == {"x": (2, 3, 10, 20)}
    assert costs.macs == 2 * 15 * 200
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"  # the graph given stays as it was


def test_axes_that_stay_open_leave_the_row_unknown() -> None:
    costs = graph_ledger(model(DYNAMIC, w=(5, 3, 1, 1)))
    (node,) = costs.unknown
    assert (node.kind, node.macs, node.bytes_written) == ("pointwise_conv", None, None)
    assert node.note == "the shape of 'x' is not known"
    assert costs.num_params == 15
    assert costs.at_least == {"macs", "bytes_read", "bytes_written", "activation_bytes", "peak_activation_bytes"}
    assert costs.intensity is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 3}, "the batch of 'x' is 2 in the file, asked for 3"),
        ({"size_hw": (9, 8)}, "the height of 'x' is 8 in the file, asked for 9"),
        ({"batch": 0}, "a batch of 1 or more .* got 0"),
        ({"size_hw": (0, 8)}, r"sides of 1 pixel or more are counted, got 1 and \(0, 8\)"),
    ],
)
def test_what_the_file_fixes_stays(arguments: dict[str, Any], message: str) -> None:
    made = model("g (float[2, 3, 8, 8] x) => (float[n] y) { y = Relu (x) }")
    assert graph_ledger(made).input_shapes == {"x": (2, 3, 8, 8)}
    with pytest.raises(UsageError, match=message):
        graph_ledger(made, **arguments)


def test_channels_last_images_are_sized_in_the_middle() -> None:
    costs = graph_ledger(model("g (uint8[n, h, v, 3] x) => (uint8[n] y) { y = Identity (x) }"), size_hw=(4, 6))
    assert costs.input_shapes == {"x": (1, 4, 6, 3)}


def test_one_name_for_both_sides_takes_one_size() -> None:
    made = model("g (float[n, 3, s, s] x) => (float[n] y) { y = Relu (x) }")
    assert graph_ledger(made, size_hw=(4, 4)).input_shapes == {"x": (1, 3, 4, 4)}
    with pytest.raises(UsageError, match="the width of 'x' is 4 in the file, asked for 6"):
        graph_ledger(made, size_hw=(4, 6))


def test_shapes_that_hang_on_arithmetic_are_followed() -> None:
    text = """g (float[n, 4, h, v] x) => (float[n] y)
        <int64 one = {1}, int64[1] zero = {0}, int64 two = {2}, int64[1] axis = {1}> {
        s = Shape (x)
        c = Gather (s, one)
        half = Div (c, two)
        end = Unsqueeze (half, zero)
        part = Slice (x, zero, end, axis)
        y = Conv (part, w)
    }"""
    costs = graph_ledger(model(text, w=(3, 2, 1, 1)), size_hw=(8, 8))
    assert row(costs, "Slice").out_shapes == ((1, 2, 8, 8),)
    assert (row(costs, "Div").kind, row(costs, "Div").bytes_written) == ("constant", 0)
    assert (costs.macs, costs.at_least) == (6 * 64, frozenset())


def test_operators_mean_what_they_did_in_the_files_opset() -> None:
    """Squeeze took its axes as an attribute before opset 13; without any it drops every axis of length 1."""
    text = """g (float[n, 4, h, v] x, float[1, 2] f) => (float[n] y, float[n] z) {
        s = Shape (x)
        e = Unsqueeze <axes = [0, 1]> (s)
        o = Squeeze <axes = [0]> (e)
        t = Squeeze <axes = [0]> (o)
        y = Reshape (x, t)
        u = Shape (o)
        z = Reshape (x, s)
    }"""
    made = model(text)
    made.opset_import[0].version = 11
    costs = graph_ledger(made, size_hw=(8, 8))
    shapes = {node.outputs[0]: node.out_shapes[0] for node in costs.rows}
    assert (shapes["o"], shapes["t"], shapes["u"]) == ((1, 4), (4,), (2,))
    assert shapes["y"] == shapes["z"] == (1, 4, 8, 8)


UNKNOWN = [
    ('y = Einsum <equation = "nchw,co->nohw"> (x, x)', "Einsum"),
    ("y = com.example.Magic (x)", "com.example:Magic"),
    ("y, h = RNN <hidden_size = 3> (x, w, r)", "RNN"),
]


@pytest.mark.parametrize(("call", "operator"), UNKNOWN)
def test_an_unknown_operator_is_a_row_marked_unknown(call: str, operator: str) -> None:
    costs = graph_ledger(
        model(f"g (float[1, 3, 4, 4] x) => (float[n] y, float[n] z) {{ {call} z = Conv (x, w) }}", w=(5, 3, 1, 1))
    )
    unknown, conv = costs.rows
    assert costs.unknown == (unknown,)
    assert (unknown.kind, unknown.macs, unknown.bytes_read, unknown.op_type) == ("unknown", None, None, operator)
    assert unknown.note.startswith(f"the multiply-adds of {operator} are not known")
    assert costs.macs == conv.macs == 15 * 16
    assert {"macs", "bytes_read", "bytes_written", "peak_activation_bytes"} <= costs.at_least


def test_behind_an_unknown_operator_the_files_own_shapes_count() -> None:
    text = """g (float[n, 3, h, v] x) => (float[n, 5, h, v] y) <float[n, 3, h, v] m> {
        m = com.example.Magic (x)
        y = Conv (m, w)
    }"""
    costs = graph_ledger(model(text, w=(5, 3, 1, 1)), batch=2, size_hw=(4, 6))
    assert row(costs, "Conv").macs == 2 * 15 * 24
    assert [node.op_type for node in costs.unknown] == ["com.example:Magic"]


def test_a_claimed_shape_never_stands_against_the_inferred_one() -> None:
    text = "g (float[1, 3, 4, 4] x) => (float[1, 5, 4, 4] y) <float[1, 3, 99, 99] m> { m = Relu (x) y = Conv (m, w) }"
    assert graph_ledger(model(text, w=(5, 3, 1, 1))).macs == 15 * 16


def test_a_branch_is_unknown_and_what_it_takes_from_outside_is_read() -> None:
    text = """g (float[4] x, bool c) => (float[4] y) {
        a = Relu (x)
        b = Sigmoid (a)
        y = If (c) <
            then_branch = t () => (float[4] p) { p = Add (a, b) },
            else_branch = e () => (float[4] q) { q = Neg (b) }
        >
    }"""
    costs = graph_ledger(model(text))
    assert [node.kind for node in costs.rows] == ["relu", "sigmoid", "unknown"]
    assert not costs.rows[1].in_place  # the branch reads what it would overwrite
    assert {moved.tensor for moved in costs.rows[2].read} == {"a", "b", "c"}
    assert "num_params" in costs.at_least


MISFITS = [
    ("Conv (x, w)", {"w": (5, 4, 1, 1)}, "a weight of .5, 4, 1, 1. in 1 groups does not fit .1, 3, 4, 4."),
    ("Conv <group = 0> (x, w)", {"w": (5, 3, 1, 1)}, "does not fit|not known"),
    ("Conv <group = 1> (x, w)", {"w": (5, 3)}, "not known"),
    ("Gemm (f, w)", {"w": (40, 5)}, "does not multiply|not known"),
    ("MatMul (f, w)", {"w": (40, 5)}, "does not multiply|not known"),
    ("Conv (x, nowhere)", {}, "the shape of 'nowhere' is not known"),
    ("Conv (x)", {}, "the shape of '' is not known"),
]


@pytest.mark.parametrize(("call", "weights", "note"), MISFITS)
def test_what_does_not_fit_is_no_number(call: str, weights: dict[str, tuple[int, ...]], note: str) -> None:
    made = model("g (float[1, 3, 4, 4] x) => (float[n] y) { f = Flatten (x) y = Relu (x) }", **weights)
    made.graph.node[1].CopyFrom(parser.parse_node(f"y = {call}"))
    costs = graph_ledger(made)
    (node,) = costs.unknown
    assert node.macs is None
    assert re.search(note, node.note)
    assert "macs" in costs.at_least


def test_functions_of_the_file_are_put_in_place() -> None:
    text = """g (float[1, 3, 4, 4] x) => (float[1, 5, 4, 4] y) { y = com.example.Block (x, w) }
    <domain: "com.example", opset_import: ["" : 21]> Block (a, b) => (d) { c = Relu (a) d = Conv (c, b) }"""
    costs = graph_ledger(model(text, w=(5, 3, 1, 1)))
    assert [node.kind for node in costs.rows] == ["relu", "pointwise_conv"]
    assert (costs.macs, costs.num_params) == (240, 15)


def test_a_function_that_calls_itself_is_refused() -> None:
    text = """g (float[4] x) => (float[4] y) { y = com.example.Block (x) }
    <domain: "com.example", opset_import: ["" : 21, "com.example" : 1]>
    Block (a) => (d) { d = com.example.Block (a) }"""
    with pytest.raises(BundleError, match=r"the graph: its functions cannot be put in place .*Cycle detected"):
        graph_ledger(model(text))


def test_nodes_without_names_and_with_the_same_one_are_told_apart() -> None:
    made = model("g (float[4] x) => (float[4] y) { a = Relu (x) b = Relu (a) c = Relu (b) y = Relu (c) }")
    for node, name in zip(made.graph.node, ("twin", "twin", "", "b"), strict=True):
        node.name = name
    costs = graph_ledger(made)
    assert [node.name for node in costs.rows] == ["twin", "b", "c", "y"]
    assert costs.rows[1].inputs == ("twin",)


def test_the_layer_is_what_the_weight_is_called() -> None:
    made = model("g (float[1, 3, 4, 4] x) => (float[n] y) { y = Conv (x, w) }", w=(5, 3, 1, 1))
    made.graph.node[0].name = "node_conv2d_7"
    for weight, layer in (
        ("features.0.0.weight", "features.0.0"),
        ("network.features.block_1.expand.conv.weight", "block_1.expand"),
        ("features.0.0.weight_quantized", "features.0.0"),
        ("onnx::Conv_495", "node_conv2d_7"),
    ):
        made.graph.initializer[0].name = made.graph.node[0].input[1] = weight
        assert graph_ledger(made).rows[0].layer == layer


def test_a_weight_with_a_bias_of_its_own_node_counts_there() -> None:
    text = "g (float[2, 12] x) => (float[2, 5] y) { m = MatMul (x, w) y = Add (m, b) }"
    product, bias = graph_ledger(model(text, w=(12, 5), b=(5,))).rows
    assert (product.params, bias.params) == (60, 5)
    assert bias.macs == 0


@pytest.mark.parametrize("depth", [12, 3000])
def test_functions_that_multiply_are_counted_before_they_are_put_in_place(depth: int) -> None:
    calls = 10 if depth == 12 else 2
    text = "g (float[4] x) => (float[4] y) { y = com.example.F0 (x) }"
    made = model(text)
    for level in range(depth):
        called = ("Relu", "") if level == depth - 1 else (f"F{level + 1}", "com.example")
        nodes = [helper.make_node(called[0], [f"a{i}"], [f"a{i + 1}"], domain=called[1]) for i in range(calls)]
        made.functions.append(helper.make_function("com.example", f"F{level}", ["a0"], [f"a{calls}"], nodes, []))
    with pytest.raises(BundleError, match=r"its functions cannot be put in place \(they stand for more than"):
        graph_ledger(made)
