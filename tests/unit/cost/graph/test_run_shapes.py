"""Shapes and multiply-adds against what onnxruntime computes when the graph runs."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from litevision.cost.graph import GraphLedger, graph_ledger

S, Z8 = np.float32(0.1), np.uint8(128)
RANDOM = np.random.default_rng(0)


def f32(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.standard_normal(shape).astype(np.float32)


def u8(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.integers(0, 255, shape, np.uint8)


Array = np.ndarray[Any, Any]
# operator, domain, inputs in order (a tuple of one: an input of the graph; else a constant), attributes, MACs of the
# shapes of outputs that ran, parameters
Case = tuple[str, str, Sequence[Any], dict[str, Any], Any, int]
MS = "com.microsoft"
CASES: list[Case] = [
    ("FusedConv", MS, [(f32(1, 4, 9, 9),), f32(8, 2, 3, 3), f32(8)], {"group": 2, "activation": "Relu"},
     lambda y: prod(y) * 18, 152),
    ("QGemm", MS, [(u8(3, 12),), S, Z8, u8(5, 12), S, Z8, np.ones(5, np.int32), S, Z8], {"transB": 1},
     lambda y: prod(y) * 12, 65),
    ("QLinearConv", "", [(u8(1, 4, 9, 9),), S, Z8, u8(8, 4, 3, 3), S, Z8, S, Z8, np.ones(8, np.int32)],
     {"strides": [2, 2]}, lambda y: prod(y) * 36, 296),
    ("QLinearConv", MS, [(u8(1, 9, 9, 4),), S, Z8, u8(8, 4, 3, 3), S, Z8, S, Z8], {"channels_last": 1},
     lambda y: prod(y) * 36, 288),
    ("QLinearMatMul", "", [(u8(3, 12),), S, Z8, u8(12, 5), S, Z8, S, Z8], {}, lambda y: prod(y) * 12, 60),
    ("QLinearAdd", MS, [(u8(1, 4, 9, 9),), S, Z8, (u8(1, 4, 1, 1),), S, Z8, S, Z8], {}, lambda y: 0, 0),
    ("QLinearMul", MS, [(u8(2, 4),), S, Z8, (u8(2, 1),), S, Z8, S, Z8], {}, lambda y: 0, 0),
    ("QLinearGlobalAveragePool", MS, [(u8(1, 4, 9, 7),), S, Z8, S, Z8], {}, lambda y: 0, 0),
    ("QLinearGlobalAveragePool", MS, [(u8(1, 9, 7, 4),), S, Z8, S, Z8], {"channels_last": 1}, lambda y: 0, 0),
    ("QLinearAveragePool", MS, [(u8(1, 4, 9, 7),), S, Z8, S, Z8], {"kernel_shape": [2, 2]}, lambda y: 0, 0),
    ("QLinearSigmoid", MS, [(u8(2, 4),), S, Z8, S, Z8], {}, lambda y: 0, 0),
    ("QLinearConcat", MS, [S, Z8, (u8(1, 4, 3),), S, Z8, (u8(1, 2, 3),), S, Z8], {"axis": 1}, lambda y: 0, 0),
    ("FusedMatMul", MS, [(f32(2, 7, 5),), f32(7, 3)], {"transA": 1}, lambda y: prod(y) * 7, 21),
    ("FusedMatMul", MS, [(f32(2, 5, 7),), f32(3, 7)], {"transB": 1, "alpha": 0.5}, lambda y: prod(y) * 7, 21),
    ("FusedGemm", MS, [(f32(5, 7),), f32(7, 3), f32(3)], {"activation": "Relu"}, lambda y: prod(y) * 7, 24),
    ("MatMulIntegerToFloat", MS, [(u8(5, 7),), u8(7, 3), S, S], {}, lambda y: prod(y) * 7, 21),
    ("DynamicQuantizeMatMul", MS, [(f32(5, 7),), u8(7, 3), S], {}, lambda y: prod(y) * 7, 21),
    ("Gelu", MS, [(f32(2, 3, 4),)], {}, lambda y: 0, 0),
    ("FastGelu", MS, [(f32(2, 3, 4),)], {}, lambda y: 0, 0),
    ("GridSample", "", [(f32(1, 4, 9, 9),), (f32(1, 3, 5, 2),)], {}, lambda y: 0, 0),
    ("Einsum", "", [(f32(2, 3, 4),), f32(4, 5)], {"equation": "bij,jk->bik"}, lambda y: prod(y) * 4, 20),
    ("Einsum", "", [(f32(2, 3, 4),), (f32(2, 5, 4),)], {"equation": "...id,...jd->...ij"}, lambda y: prod(y) * 4, 0),
    ("Einsum", "", [(f32(2, 3, 4),)], {"equation": "bij->bji"}, lambda y: 0, 0),
    ("LSTM", "", [(f32(6, 2, 5),), f32(1, 12, 5), f32(1, 12, 3), f32(1, 24)], {"hidden_size": 3},
     lambda y: prod(y) * 4 * (5 + 3), 60 + 36 + 24),
    ("GRU", "", [(f32(6, 2, 5),), f32(2, 9, 5), f32(2, 9, 3)], {"hidden_size": 3, "direction": "bidirectional"},
     lambda y: prod(y) * 3 * (5 + 3), 90 + 54),
    ("RNN", "", [(f32(6, 2, 5),), f32(1, 3, 5), f32(1, 3, 3)], {"hidden_size": 3}, lambda y: prod(y) * (5 + 3), 24),
    ("Attention", MS, [(f32(2, 7, 8),), f32(8, 24), f32(24)], {"num_heads": 2},
     lambda y: prod(y) * 8 * 3 + 2 * prod(y) * 7, 8 * 24 + 24),
    ("MultiHeadAttention", MS, [(f32(2, 7, 8),), (f32(2, 5, 8),), (f32(2, 5, 8),)], {"num_heads": 2},
     lambda y: 2 * prod(y) * 5, 0),
    ("Attention", "", [(f32(2, 4, 7, 8),), (f32(2, 4, 5, 8),), (f32(2, 4, 5, 6),)], {},
     lambda y: 2 * 4 * 7 * 5 * (8 + 6), 0),
]  # fmt: skip


def graph_of(case: Case) -> tuple[onnx.ModelProto, dict[str, Array]]:
    op_type, domain, given, attributes, _, _ = case
    names, constants, feeds = [], [], {}
    for i, value in enumerate(given):
        names.append(f"i{i}")
        if isinstance(value, tuple):
            feeds[names[-1]] = value[0]
        else:
            constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    node = helper.make_node(op_type, names, ["y"], domain=domain, **attributes)
    graph = helper.make_graph([node], "one", inputs, [helper.make_empty_tensor_value_info("y")], constants)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), feeds


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}:{case[0]}")
def test_an_operator_gives_the_shape_that_it_gives_when_it_runs(case: Case) -> None:
    model, feeds = graph_of(case)
    (ran,) = session(model).run(["y"], feeds)
    costs = graph_ledger(model)
    (row,) = costs.rows
    assert row.out_shapes == (ran.shape,)
    assert row.kind != "unknown"
    assert (row.macs, row.params) == (case[4](ran.shape), case[5])
    assert costs.at_least == frozenset()
    assert row.bytes_written == ran.nbytes


def optimised(model: onnx.ModelProto, tmp: Any, level: str) -> onnx.ModelProto:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(tmp / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(tmp / "optimised.onnx")


def small_network() -> onnx.ModelProto:
    text = """<ir_version: 10, opset_import: ["" : 20]> net (float[1, 16, 14, 14] x) => (float[n, 10] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
        r = Relu (a)
        d = Conv <group = 32, strides = [2, 2], pads = [1, 1, 1, 1]> (r, w2)
        s = HardSigmoid (d)
        p = Conv (s, w3)
        q = Conv (s, w4)
        t = Add (p, q)
        g = GlobalAveragePool (t)
        f = Flatten (g)
        y = Gemm <transB = 1> (f, w5, b5)
    }"""
    made = onnx.parser.parse_model(text)
    shapes = {"w1": (32, 16, 3, 3), "b1": (32,), "w2": (32, 1, 3, 3), "w3": (64, 32, 1, 1), "w4": (64, 32, 1, 1)}
    shapes |= {"w5": (10, 64), "b5": (10,)}
    made.graph.initializer.extend(numpy_helper.from_array(f32(*shape), name) for name, shape in shapes.items())
    return made


@pytest.mark.parametrize("level", ["ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
def test_what_onnxruntime_made_of_a_network_costs_as_much(level: str, tmp_path: Any) -> None:
    plain = small_network()
    fused = graph_ledger(optimised(plain, tmp_path, level))
    expected = graph_ledger(plain)
    assert fused.macs == expected.macs > 0
    assert (fused.num_params, fused.at_least) == (expected.num_params, frozenset())


def test_a_branch_that_the_file_takes_costs_what_it_costs() -> None:
    made = small_network()
    twin = small_network()
    del twin.graph.initializer[:]
    branch = twin.graph
    del branch.input[:]
    for node in branch.node:
        node.output[:] = [f"{name}_" if name != "y" else name for name in node.output]
        node.input[:] = [f"{name}_" if f"{name}_" in {o for n in branch.node for o in n.output} else name
                         for name in node.input]  # fmt: skip
    zero = helper.make_node("Constant", [], ["no"], value=numpy_helper.from_array(np.zeros((1, 10), np.float32)))
    other = helper.make_graph([zero], "no", [], [helper.make_empty_tensor_value_info("no")])
    del made.graph.node[:]
    for condition in (True, False):
        made.graph.node.append(
            helper.make_node("If", [f"c{condition}"], [f"y{condition}"], then_branch=branch, else_branch=other)
        )
        made.graph.initializer.append(numpy_helper.from_array(np.array(condition), f"c{condition}"))
    del made.graph.output[:]
    made.graph.output.extend(helper.make_empty_tensor_value_info(f"y{it}") for it in (True, False))
    costs = graph_ledger(made)
    assert costs.macs == graph_ledger(small_network()).macs
    assert "If" not in {row.op_type for row in costs.rows}
    assert costs.at_least == frozenset()


def test_a_branch_that_hangs_on_the_input_is_named(tmp_path: Any) -> None:
    made = small_network()
    y = helper.make_node("Identity", ["x"], ["z"])
    branches = {
        name: helper.make_graph([y], name, [], [helper.make_empty_tensor_value_info("z")])
        for name in ("then_branch", "else_branch")
    }
    made.graph.node.append(helper.make_node("If", ["c"], ["o"], **branches))
    made.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    costs: GraphLedger = graph_ledger(made)
    (row,) = costs.unknown
    assert "which branch runs hangs on the input" in row.note
