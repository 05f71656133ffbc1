"""A network as pieces of work: alike from both ledgers, and told apart by what an engine does with them."""

from collections import Counter

import pytest

from graphs import model
from litevision.cost.graph import graph_ledger
from litevision.cost.ledger import ledger
from litevision.exporting.defaults import NORMALISATIONS
from litevision.exporting.graph import to_onnx
from litevision.lab.latency.workload import Work, works_of_graph, works_of_ledger
from litevision.models import build, configure

NAMES = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x1_0")


@pytest.mark.parametrize("name", NAMES)
def test_a_network_and_its_graph_are_the_same_work(name: str) -> None:
    network = build(configure(name, num_classes=7)).eval()
    graph = to_onnx(network, NORMALISATIONS["imagenet"], (64, 96))
    ours, theirs = works_of_ledger(ledger(network, (64, 96))), works_of_graph(graph_ledger(graph))
    assert Counter(ours) == Counter(theirs)
    assert len(ours) > 20


def works(text: str, **weights: tuple[int, ...]) -> list[Work]:
    """All but the input's."""
    first, *others = works_of_graph(graph_ledger(model(text, **weights)))
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
    (work,) = works(text, w=(out, channels // groups, kernel, kernel))
    assert (work.kind, work.macs) == (kind, macs * 64)
    assert (work.map_bytes, work.out_bytes) == (4 * channels * 64, 4 * out * 64)
    assert work.weight_bytes == 4 * out * channels // groups * kernel * kernel
    assert work.ragged_bytes == (work.out_bytes if out % 16 else 0)


def test_what_is_fused_is_no_work_of_its_own() -> None:
    text = """g (float[1, 16, 8, 8] x) => (float[1, 16, 8, 8] y)
        { a = Conv (x, w)  b = Relu (a)  c = Clip (b)  y = Reshape (c, s) }"""
    graph = model(text, w=(16, 16, 1, 1), s=(4,))
    assert [work.kind for work in works_of_graph(graph_ledger(graph))] == ["input", "pointwise"]


def test_on_one_place_a_convolution_is_a_product() -> None:
    (work,) = works("g (float[1, 16, 1, 1] x) => (float[1, 8, 1, 1] y) { y = Conv (x, w) }", w=(8, 16, 1, 1))
    assert work == Work("linear", macs=128, weight_bytes=512)


def test_sums_pools_and_copies() -> None:
    text = """g (float[1, 24, 8, 8] x) => (float[1, 48, 4, 4] y)
        { a = Conv (x, w)  b = Add (a, x)  c = HardSwish (b)  d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
          y = Concat <axis = 1> (d, d) }"""
    half = 4 * 24 * 16
    assert works(text, w=(24, 24, 1, 1))[1:] == [
        Work("add", map_bytes=4 * half, out_bytes=4 * half),
        Work("hardswish", map_bytes=4 * half, out_bytes=4 * half),
        Work("max_pool", map_bytes=4 * half, out_bytes=half),
        Work("copy", map_bytes=2 * half, out_bytes=2 * half, ragged_bytes=2 * half),
    ]
