"""A network as pieces of work: alike from both ledgers, and told apart by what an engine does with them."""

from collections import Counter

import pytest

from exports import IMAGENET, ODD_HW, graph
from graphs import model
from litevision.cost.graph import graph_ledger
from litevision.cost.ledger import ledger
from litevision.exporting.graph import to_onnx
from litevision.lab.latency.workload import Op, graph_workload, ledger_workload
from litevision.models import build, configure
from networks import short


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("mobilenet_v1", "timm"), ("mobilenet_v2", "torchvision"), ("shufflenet_v2_x0_5", "torchvision")],
)
def test_a_network_and_its_graph_are_the_same_work(name: str, dialect: str) -> None:
    ours = ledger_workload(ledger(short(name, dialect), ODD_HW))
    theirs = graph_workload(graph_ledger(graph(name, dialect, ODD_HW)))
    assert Counter(ours) == Counter(theirs)
    assert len(ours) > 5


def test_a_whole_network_and_its_graph_are_the_same_work() -> None:
    network = build(configure("mobilenet_v3_small", num_classes=7)).eval()
    theirs = graph_workload(graph_ledger(to_onnx(network, IMAGENET, (64, 96))))
    ours = ledger_workload(ledger(network, (64, 96)))
    assert Counter(ours) == Counter(theirs)
    assert len(ours) > 20


def workload(text: str, **weights: tuple[int, ...]) -> list[Op]:
    """All but the input's."""
    first, *others = graph_workload(graph_ledger(model(text, **weights)))
    assert first.kind == "input"
    return others


@pytest.mark.parametrize(
    ("channels", "out", "groups", "kernel", "kind", "macs"),
    [
        (32, 64, 1, 1, "pointwise", 32 * 64),
        (24, 40, 1, 1, "pointwise", 32 * 48),  # filled up to vectors of 16
        (24, 58, 1, 1, "pointwise, plain", 32 * 64),
        (24, 24, 24, 3, "depthwise", 32 * 9),
        (58, 58, 58, 3, "depthwise, plain", 64 * 9),
        (32, 32, 2, 1, "pointwise", 2 * 16 * 16),
        (32, 16, 1, 3, "conv", 32 * 16 * 9),
        (3, 24, 1, 3, "stem", 3 * 32 * 9),
    ],
)
def test_convolutions(channels: int, out: int, groups: int, kernel: int, kind: str, macs: int) -> None:
    pads = ", ".join([str(kernel // 2)] * 4)
    text = f"""g (float[1, {channels}, 8, 8] x) => (float[1, {out}, 8, 8] y)
        {{ y = Conv <group = {groups}, pads = [{pads}]> (x, w) }}"""
    (op,) = workload(text, w=(out, channels // groups, kernel, kernel))
    assert (op.kind, op.macs) == (kind, macs * 64)
    assert (op.map_bytes, op.out_bytes) == (4 * channels * 64, 4 * out * 64)
    assert op.weight_bytes == 4 * out * channels // groups * kernel * kernel
    assert op.ragged_bytes == (op.out_bytes if out % 16 else 0)


def test_what_is_fused_is_no_work_of_its_own() -> None:
    text = """g (float[1, 16, 8, 8] x) => (float[1, 16, 8, 8] y)
        { a = Conv (x, w)  b = Relu (a)  c = Clip (b)  y = Reshape (c, s) }"""
    graph = model(text, w=(16, 16, 1, 1), s=(4,))
    assert [op.kind for op in graph_workload(graph_ledger(graph))] == ["input", "pointwise"]


def test_on_one_place_a_convolution_is_a_product() -> None:
    (op,) = workload("g (float[1, 16, 1, 1] x) => (float[1, 8, 1, 1] y) { y = Conv (x, w) }", w=(8, 16, 1, 1))
    assert op == Op("linear", macs=128, weight_bytes=512)


def test_sums_pools_and_copies() -> None:
    text = """g (float[1, 24, 8, 8] x) => (float[1, 48, 4, 4] y)
        { a = Conv (x, w)  b = Add (a, x)  c = HardSwish (b)  d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
          y = Concat <axis = 1> (d, d) }"""
    half = 4 * 24 * 16
    assert workload(text, w=(24, 24, 1, 1))[1:] == [
        Op("add", map_bytes=4 * half, out_bytes=4 * half),
        Op("hardswish", map_bytes=4 * half, out_bytes=4 * half),
        Op("max_pool", map_bytes=4 * half, out_bytes=half),
        Op("copy", map_bytes=2 * half, out_bytes=2 * half, ragged_bytes=2 * half),
    ]
