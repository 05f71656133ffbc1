"""Which nodes of a file stand behind the kernels of the graph that onnxruntime makes of it."""

from onnx import TensorProto, helper

from litevision.cost.graph import GraphLedger, graph_ledger
from litevision.lab.profile.fused import nodes_of_kernels

NCHWC = "com.microsoft.nchwc"
Node = tuple[str, list[str], list[str]]


def ledger(*nodes: Node, outputs: tuple[str, ...]) -> GraphLedger:
    """Of a graph of maps with four channels; a node is named after what it writes, in capitals."""
    shape = [1, 4, 8, 8]
    made = [helper.make_node(op, inputs, outs, name=outs[0].upper()) for op, inputs, outs in nodes]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", *outputs)]
    weights = [helper.make_tensor(name, TensorProto.FLOAT, [4, 4, 1, 1], [0.0] * 16) for name in ("w1", "w2")]
    graph = helper.make_graph(made, "test", values[:1], values[1:], weights)
    return graph_ledger(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def kernels(costs: GraphLedger, *nodes: tuple[str, str, list[str], list[str], str]) -> list[tuple[str, ...]]:
    """For each (name, operator, inputs, outputs, domain) the nodes behind it."""
    made = [helper.make_node(op, inputs, outs, name=name, domain=domain) for name, op, inputs, outs, domain in nodes]
    return nodes_of_kernels(helper.make_graph(made, "optimised", [], []), costs)


def test_an_activation_is_fused_into_the_convolution_before_it() -> None:
    costs = ledger(("Conv", ["x", "w1"], ["a"]), ("Relu", ["a"], ["b"]), outputs=("b",))
    assert kernels(costs, ("fused a", "FusedConv", ["x", "w1"], ["b"], "com.microsoft")) == [("A", "B")]


def test_layouts_have_kernels_of_their_own_and_their_tensors_belong_to_the_convolutions() -> None:
    costs = ledger(
        ("Conv", ["x", "w1"], ["a"]),
        ("Relu", ["a"], ["b"]),
        ("Conv", ["b", "w2"], ["c"]),
        ("Add", ["b", "c"], ["d"]),
        ("Sigmoid", ["d"], ["e"]),
        outputs=("e",),
    )
    found = kernels(
        costs,
        ("in", "ReorderInput", ["x"], ["t0"], NCHWC),
        ("b_nchwc", "Conv", ["t0", "w1"], ["t1"], NCHWC),
        ("c_nchwc_token_7", "Conv", ["t1", "w2", "", "t1"], ["t2"], NCHWC),  # and adds its own input
        ("out", "ReorderOutput", ["t2"], ["d"], NCHWC),
        ("E", "Sigmoid", ["d"], ["e"], ""),
    )
    assert found == [(), ("A", "B"), ("C", "D"), (), ("E",)]


def test_what_a_convolution_of_the_file_takes_in_is_not_told_by_the_next_one() -> None:
    costs = ledger(
        ("Conv", ["x", "w1"], ["a"]), ("HardSwish", ["a"], ["b"]), ("Conv", ["b", "w2"], ["c"]), outputs=("c",)
    )
    found = kernels(
        costs, ("a_nchwc", "Conv", ["x", "w1"], ["t1"], NCHWC), ("c_nchwc", "Conv", ["t1", "w2"], ["c"], NCHWC)
    )
    assert found == [("A", "B"), ("C",)]


def test_two_nodes_that_become_one_are_known_by_the_last() -> None:
    costs = ledger(("Sigmoid", ["x"], ["a"]), ("Mul", ["x", "a"], ["b"]), outputs=("b",))
    assert kernels(costs, ("quick", "QuickGelu", ["x"], ["b"], "com.microsoft")) == [("A", "B")]


def test_the_parts_of_one_node_are_all_that_node() -> None:
    costs = ledger(("HardSwish", ["x"], ["a"]), ("Sigmoid", ["a"], ["b"]), outputs=("b",))
    found = kernels(
        costs,
        ("", "HardSigmoid", ["x"], ["inside"], ""),
        ("", "Mul", ["x", "inside"], ["a"], ""),
        ("B", "Sigmoid", ["a"], ["b"], ""),
    )
    assert found == [("A",), ("A",), ("B",)]


def test_a_transpose_of_the_file_is_a_layer_and_one_of_the_engine_is_not() -> None:
    costs = ledger(("Transpose", ["x"], ["a"]), ("Sigmoid", ["a"], ["b"]), outputs=("b",))
    found = kernels(
        costs,
        ("A", "Transpose", ["x"], ["a"], ""),
        ("B", "Sigmoid", ["a"], ["t"], ""),
        ("new", "Transpose", ["t"], ["b"], ""),
    )
    assert found == [("A",), ("B",), ()]
