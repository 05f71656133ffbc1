"""What nodes of small graphs cost, counted by hand."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphs import model, only, row
from litevision.cost.graph import graph_ledger
from litevision.errors import UnknownNameError

CONVOLUTIONS = [
    ("group = 1, strides = [2, 2], pads = [1, 1, 1, 1]", (8, 4, 3, 3), "conv", 288, (1, 8, 8, 8)),
    ("group = 4, pads = [1, 1, 1, 1]", (4, 1, 3, 3), "depthwise_conv", 36, (1, 4, 16, 16)),
    ("group = 2, pads = [1, 1, 1, 1]", (4, 2, 3, 3), "conv", 72, (1, 4, 16, 16)),
    ("group = 1", (8, 4, 1, 1), "pointwise_conv", 32, (1, 8, 16, 16)),
    ("dilations = [2, 2], pads = [2, 2, 2, 2]", (8, 4, 3, 3), "conv", 288, (1, 8, 16, 16)),
]


@pytest.mark.parametrize(("attributes", "weight", "kind", "numbers", "out_shape"), CONVOLUTIONS)
def test_a_convolution(
    attributes: str, weight: tuple[int, ...], kind: str, numbers: int, out_shape: tuple[int, ...]
) -> None:
    node = only(
        f"g (float[1, 4, 16, 16] x) => (float[1, c, h, v] y) {{ y = Conv <{attributes}> (x, w, b) }}",
        w=weight,
        b=weight[:1],
    )
    assert (node.kind, node.out_shapes, node.in_shapes) == (kind, (out_shape,), ((1, 4, 16, 16),))
    assert (node.weights, node.params) == (numbers, numbers + weight[0])
    assert node.macs == numbers * out_shape[2] * out_shape[3]
    assert node.bytes_read == 4 * (4 * 16 * 16 + numbers + weight[0])
    assert node.bytes_written == 4 * int(np.prod(out_shape))
    assert (node.inputs, node.outputs) == (("x",), ("y",))


def test_a_transposed_convolution_counts_what_each_place_of_its_input_gives() -> None:
    node = only(
        "g (float[1, 4, 5, 7] x) => (float[1, 6, h, v] y)"
        "{ y = ConvTranspose <group = 2, strides = [2, 2], kernel_shape = [4, 4]> (x, w) }",
        w=(4, 3, 4, 4),
    )
    assert (node.kind, node.groups, node.stride, node.kernel) == ("conv_transpose", 2, (2, 2), (4, 4))
    assert node.out_shapes == ((1, 6, 12, 16),)
    assert node.macs == 4 * 5 * 7 * 3 * 16


PRODUCTS = [
    ("float[2, 12] x", "Gemm <transB = 1> (x, w, b)", {"w": (5, 12), "b": (5,)}, "linear", 2 * 12 * 5, 65),
    ("float[12, 2] x", "Gemm <transA = 1> (x, w)", {"w": (12, 5)}, "linear", 2 * 12 * 5, 60),
    ("float[2, 7, 12] x", "MatMul (x, w)", {"w": (12, 5)}, "linear", 2 * 7 * 12 * 5, 60),
    ("float[12] x", "MatMul (x, w)", {"w": (12,)}, "linear", 12, 12),
    ("float[12, 2] x", "MatMul (w, x)", {"w": (5, 12)}, "linear", 2 * 12 * 5, 60),
    ("float[3, 7, 12] x, float[3, 12, 4] z", "MatMul (x, z)", {}, "matmul", 3 * 7 * 12 * 4, 0),
]


@pytest.mark.parametrize(("inputs", "call", "weights", "kind", "macs", "params"), PRODUCTS)
def test_a_matrix_product(
    inputs: str, call: str, weights: dict[str, tuple[int, ...]], kind: str, macs: int, params: int
) -> None:
    node = only(f"g ({inputs}) => (float[n] y) {{ y = {call} }}", **weights)
    assert (node.kind, node.macs, node.params) == (kind, macs, params)


FREE = [
    ("Relu (x)", "relu", (1, 4, 6, 8), 768, 768),
    ("GlobalAveragePool (x)", "avg_pool", (1, 4, 1, 1), 768, 16),
    ("MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)", "max_pool", (1, 4, 3, 4), 768, 192),
    ("HardSwish (x)", "hardswish", (1, 4, 6, 8), 768, 768),
    ("DepthToSpace <blocksize = 2> (x)", "depth_to_space", (1, 1, 12, 16), 768, 768),
    ("Transpose <perm = [0, 2, 3, 1]> (x)", "transpose", (1, 6, 8, 4), 768, 768),
    ("Cast <to = 2> (x)", "cast", (1, 4, 6, 8), 768, 192),  # fp32 to uint8
    ("Cast <to = 10> (x)", "cast", (1, 4, 6, 8), 768, 384),  # fp32 to fp16
    ("Flatten (x)", "flatten", (1, 192), 0, 0),
    ("Identity (x)", "identity", (1, 4, 6, 8), 0, 0),
    ("Shape (x)", "constant", (4,), 0, 0),
]


@pytest.mark.parametrize(("call", "kind", "out_shape", "read", "written"), FREE)
def test_what_multiplies_nothing(call: str, kind: str, out_shape: tuple[int, ...], read: int, written: int) -> None:
    node = only(f"g (float[1, 4, 6, 8] x) => (float[n] y) {{ y = {call} }}")
    assert (node.kind, node.out_shapes[0], node.macs, node.params) == (kind, out_shape, 0, 0)
    assert (node.bytes_read, node.bytes_written) == (read, written)


def test_a_slice_reads_what_it_takes_and_a_lookup_its_rows() -> None:
    text = "g (float[1, 100, 8, 8] x, int64[2, 3] i) => (float[n] y, float[n] z)"
    text += "<int64[1] a = {10}, int64[1] b = {14}, int64[1] axis = {1}>"
    text += "{ y = Slice (x, a, b, axis) z = Gather (table, i) }"
    taken, looked_up = graph_ledger(model(text, table=(1000, 16))).rows
    assert taken.out_shapes == ((1, 4, 8, 8),)
    assert (taken.bytes_read, taken.bytes_written) == (1024 + 3 * 8, 1024)
    assert (looked_up.params, looked_up.bytes_written) == (16_000, 6 * 16 * 4)
    assert looked_up.bytes_read == 6 * 8 + 6 * 16 * 4


@pytest.mark.parametrize(("low", "high", "kind"), [("0", "6", "relu6"), ("-1", "1", "clip")])
def test_clip_is_relu6_where_its_bounds_are(low: str, high: str, kind: str) -> None:
    text = f"g (float[4] x) => (float[4] y) <float l = {{{low}}}, float h = {{{high}}}> {{ y = Clip (x, l, h) }}"
    assert only(text).kind == kind


def test_means_over_the_map_are_pools() -> None:
    text = "g (float[1, 4, 6, 8] x) => (float[n] y) <int64[2] axes = {AXES}> { y = ReduceMean (x, axes) }"
    pool = only(text.replace("AXES", "-1, 2"))
    assert (pool.kind, pool.kernel, pool.stride) == ("avg_pool", (6, 8), (6, 8))
    assert only(text.replace("AXES", "1, 2")).kind == "mean"


def test_batch_normalisation_has_params_and_buffers() -> None:
    parts = dict.fromkeys("sbmv", (4,))
    node = only("g (float[1, 4, 6, 8] x) => (float[n] y) { y = BatchNormalization (x, s, b, m, v) }", **parts)
    assert (node.kind, node.params, node.buffers, node.macs) == ("batch_norm", 8, 8, 0)


SHARED = """g (float[1, 4, 8, 8] x) => (float[1, 4, 8, 8] y) {
    a = Conv (x, w)
    r = Relu (a)
    c = Conv (r, w)
    y = Add (c, a)
}"""


def test_a_shared_weight_counts_once_and_is_read_twice() -> None:
    first, _, second, _ = graph_ledger(model(SHARED, w=(4, 4, 1, 1))).rows
    assert (first.params, second.params) == (16, 0)
    assert first.weights == second.weights == 16
    assert first.bytes_read == second.bytes_read == 4 * (256 + 16)


def test_an_activation_overwrites_its_input_only_where_nobody_else_wants_that() -> None:
    costs = graph_ledger(model(SHARED, w=(4, 4, 1, 1)))
    assert not row(costs, "Relu").in_place  # the sum reads what it would overwrite
    costs = graph_ledger(model(SHARED.replace("Add (c, a)", "Add (c, x)"), w=(4, 4, 1, 1)))
    assert row(costs, "Relu").in_place
    assert costs.activation_bytes == costs.bytes_written - 1024


def test_nodes_together_move_only_what_passes_their_border() -> None:
    costs = graph_ledger(model(SHARED, w=(4, 4, 1, 1)))
    conv, relu, *rest = (node.name for node in costs.rows)
    both = costs.together([conv, relu])
    assert (both.read, both.written) == (1024 + 64, 2048)  # the sum reads the convolution's output too
    whole = costs.together([conv, relu, *rest])
    assert (whole.read, whole.written) == (1024 + 2 * 64, 1024)
    with pytest.raises(UnknownNameError, match="no node 'nonsense'"):
        costs.together(["nonsense"])


def test_views_name_a_tensor_anew_and_move_nothing() -> None:
    text = """g (float[1, 4, 8, 8] x) => (float[1, 256] y) {
        a = Relu (x)
        f = Flatten (a)
        g = Identity (f)
        y = Relu (g)
    }"""
    costs = graph_ledger(model(text))
    first, *_, last = costs.rows
    assert (costs.bytes_read, costs.bytes_written) == (2048, 2048)
    assert last.inputs == ("g",)
    assert last.in_place
    assert costs.peak_activation_bytes == 2048  # the image and what the first makes of it
    together = costs.together([first.name, last.name])
    assert (together.read, together.written) == (1024, 1024)


def test_the_peak_is_where_most_is_alive() -> None:
    text = """g (float[1, 1, 10, 10] x) => (float[1, 1, 10, 10] y) {
        a = Tile (x, three)
        b = ReduceSum <keepdims = 1> (a, axis)
        y = Add (b, x)
    }"""
    made = model(text)
    for name, values in (("three", [1, 3, 1, 1]), ("axis", [1])):
        made.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    assert graph_ledger(made).peak_activation_bytes == 400 * (1 + 3 + 1)


def test_what_stands_in_int8_counts_by_its_size() -> None:
    text = """g (float[1, 4, 8, 8] x) => (float[1, 8, 8, 8] y)
        <float s = {0.1}, int8 z = {0}> {
        q = QuantizeLinear (x, s, z)
        d = DequantizeLinear (q, s, z)
        e = DequantizeLinear <axis = 0> (w, ws, wz)
        y = Conv (d, e)
    }"""
    made = model(text, ws=(8,))
    made.graph.initializer.extend(
        numpy_helper.from_array(np.ones(shape, np.int8), name) for name, shape in (("w", (8, 4, 1, 1)), ("wz", (8,)))
    )
    costs = graph_ledger(made)
    conv = row(costs, "Conv")
    assert (conv.macs, conv.params, conv.weights) == (32 * 64, 32, 32)
    assert conv.weight_bytes == 32 + 8 * 4 + 8
    assert [node.kind for node in costs.rows] == [
        "quantize_linear",
        "dequantize_linear",
        "constant",
        "pointwise_conv",
    ]
    assert costs.rows[0].bytes_written == 256
    assert (costs.num_params, costs.at_least) == (32, frozenset())


def test_integer_convolutions_and_products_count_as_the_others() -> None:
    text = """g (uint8[1, 4, 8, 8] x, uint8[3, 6] m) => (int32[n] y, uint8[n] v, int32[n] u)
        <float s = {0.1}, uint8 z = {0}> {
        y = ConvInteger (x, w)
        v = QLinearConv (x, s, z, w, s, z, s, z)
        u = MatMulInteger (m, k)
    }"""
    made = model(text)
    made.graph.initializer.extend(
        numpy_helper.from_array(np.ones(shape, np.uint8), name) for name, shape in (("w", (8, 4, 1, 1)), ("k", (6, 5)))
    )
    first, second, third = graph_ledger(made).rows
    assert [node.macs for node in (first, second, third)] == [2048, 2048, 90]
    assert [node.kind for node in (first, second, third)] == ["pointwise_conv", "pointwise_conv", "linear"]
    assert [node.weight_bytes for node in (first, second, third)] == [32, 32 + 4 * 3 - 4 * 2 + 1, 30]
    assert third.bytes_written == 60


def test_four_bit_weights_take_half_a_byte() -> None:
    made = model(
        "g (float[1, 6] x) => (float[n] y) <float s = {0.1}> { d = DequantizeLinear (w, s) y = MatMul (x, d) }"
    )
    made.graph.initializer.append(helper.make_tensor("w", TensorProto.INT4, (6, 5), [1] * 30))
    product = row(graph_ledger(made), "MatMul")
    assert (product.params, product.weight_bytes) == (30, 15 + 4)
