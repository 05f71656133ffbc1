"""From kernels to rows: what belongs together, what is taken off, and which bound is near."""

import pytest
from onnx import TensorProto, helper

from litevision.cost.graph import GraphLedger, graph_ledger
from litevision.lab.profile.layers import BETWEEN, not_run, rows_of
from litevision.lab.profile.timings import Kernel, Peaks, ProfilerCost, Recording, TimeStats

PEAKS = Peaks(gmacs_per_s=100.0, bandwidths=((1_000, 50.0), (1_000_000, 10.0)))
NO_COST = ProfilerCost()


@pytest.fixture
def costs() -> GraphLedger:
    """A depthwise and a pointwise convolution, each with a ReLU, of 16 channels at 32x32; then a Sigmoid."""
    nodes = [
        helper.make_node("Conv", ["x", "net.deep.weight"], ["a"], name="A", group=16, pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="B"),
        helper.make_node("Conv", ["b", "net.point.weight"], ["c"], name="C"),
        helper.make_node("Relu", ["c"], ["d"], name="D"),
        helper.make_node("Sigmoid", ["d"], ["e"], name="E"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 32, 32]) for name in ("x", "e")]
    weights = [
        helper.make_tensor("net.deep.weight", TensorProto.FLOAT, [16, 1, 3, 3], [0.0] * 144),
        helper.make_tensor("net.point.weight", TensorProto.FLOAT, [16, 16, 1, 1], [0.0] * 256),
    ]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], weights)
    return graph_ledger(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def recording(*kernels: tuple[str, str, tuple[str, ...], tuple[float, ...]], whole: tuple[float, ...]) -> Recording:
    return Recording(tuple(Kernel(*kernel) for kernel in kernels), whole)


def test_the_rows_add_up_to_the_run(costs: GraphLedger) -> None:
    found = recording(
        ("deep", "Conv", ("A", "B"), (2.0, 2.2, 9.0)),
        ("layout", "ReorderOutput", (), (0.5, 0.5, 0.5)),
        ("point", "Conv", ("C", "D"), (1.0, 1.0, 1.0)),
        ("sigmoid", "Sigmoid", ("E",), (0.25, 0.25, 0.25)),
        ("new", "Cast", (), (0.25, 0.25, 0.25)),
        whole=(4.3, 4.5, 11.3),
    )
    rows = rows_of(found, costs, PEAKS, NO_COST)
    assert [(row.kind, row.nodes) for row in rows] == [
        ("layer", ("A", "B")),
        ("reorder", ()),
        ("layer", ("C", "D")),
        ("layer", ("E",)),
        ("engine", ()),
        ("between", ()),
    ]
    assert [row.name for row in rows[-2:]] == ["new", BETWEEN]
    assert sum(row.time.ms for row in rows) == pytest.approx(4.5)
    assert rows[0].time == TimeStats.of((2.0, 2.2, 9.0))
    assert rows[-1].time.ms == pytest.approx(0.3)


def test_what_recording_costs_is_taken_off_inside_and_between(costs: GraphLedger) -> None:
    found = recording(("deep", "Conv", ("A", "B"), (2.0,)), ("point", "Conv", ("C", "D"), (0.1,)), whole=(3.0,))
    rows = rows_of(found, costs, PEAKS, ProfilerCost(inside_ms=0.2, between_ms=0.3))
    assert [row.time.ms for row in rows] == pytest.approx([1.8, 0.0, 3.0 - 2.1 - 0.6])  # no kernel takes less than 0


def test_a_layer_tells_its_operation_block_and_map(costs: GraphLedger) -> None:
    found = recording(("deep", "Conv", ("A", "B"), (1.0,)), ("s", "Sigmoid", ("E",), (1.0,)), whole=(2.0,))
    deep, sigmoid, _ = rows_of(found, costs, PEAKS, NO_COST)
    assert (deep.name, deep.operation, deep.category) == ("net.deep", "dw 3x3 +ReLU", "depthwise_conv")
    assert (deep.block, deep.size) == ("net", "32x32")
    assert (sigmoid.name, sigmoid.block) == ("E", "net")  # without a weight: where the layer before it lies


def test_rates_count_what_passes_the_fused_layers_ends(costs: GraphLedger) -> None:
    (row, _) = rows_of(recording(("k", "Conv", ("C", "D"), (0.1,)), whole=(0.1,)), costs, PEAKS, NO_COST)
    map_bytes = 16 * 32 * 32 * 4
    assert row.macs == 16 * 16 * 32 * 32
    assert row.moved_bytes == 2 * map_bytes + 16 * 16 * 4
    assert row.gmacs_per_s == pytest.approx(row.macs / 0.1e-3 / 1e9)
    assert row.gb_per_s == pytest.approx(row.moved_bytes / 0.1e-3 / 1e9)


def test_kernels_of_one_layer_are_one_row(costs: GraphLedger) -> None:
    found = recording(("one", "Conv", ("C",), (1.0, 3.0)), ("two", "Relu", ("C",), (0.5, 0.5)), whole=(1.5, 3.5))
    row, between = rows_of(found, costs, PEAKS, NO_COST)
    assert (row.kernels, row.time.ms, between.time.ms) == (("one", "two"), 2.5, 0.0)


def test_the_nearer_bound_is_the_one_that_takes_longer() -> None:
    assert PEAKS.bound(macs=100_000_000, moved_bytes=1_000) == ("compute", 1.0)
    assert PEAKS.bound(macs=0, moved_bytes=1_000_000) == ("memory", pytest.approx(0.1))
    assert PEAKS.gb_per_s == 10.0
    assert [PEAKS.gb_per_s_of(size) for size in (0, 1_000, 10**9)] == [50.0, 50.0, 10.0]
    assert 10.0 < PEAKS.gb_per_s_of(30_000) < 50.0


def test_a_row_says_how_near_its_bound_it_is(costs: GraphLedger) -> None:
    (row, _) = rows_of(recording(("k", "Conv", ("C", "D"), (0.1,)), whole=(0.1,)), costs, PEAKS, NO_COST)
    bound, least_ms = PEAKS.bound(row.macs or 0, row.moved_bytes or 0)
    assert (row.bound, row.of_bound) == (bound, pytest.approx(least_ms / 0.1))


def test_nodes_without_a_kernel_are_named(costs: GraphLedger) -> None:
    assert not_run(recording(("k", "Conv", ("A", "B", "C"), (1.0,)), whole=(1.0,)), costs) == ("D", "E")


def test_what_ran_too_quickly_for_the_engine_s_clock_is_time_between_kernels(costs: GraphLedger) -> None:
    [between] = rows_of(recording(whole=(0.1, 0.3, 0.2)), costs, PEAKS, NO_COST)
    assert (between.name, between.time.ms) == ("between kernels", 0.2)
