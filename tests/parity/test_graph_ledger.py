"""The ledger of ONNX files against the ledger of the modules they were made from, and against published counts."""

import io
import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import onnx
import pytest
import timm
import torch
import torchvision
from torch import nn

from exports import IMAGENET, ODD_HW, graph
from litevision.cost.graph import GraphLedger, graph_ledger
from litevision.cost.ledger import Ledger, ledger
from litevision.exporting.graph import to_onnx
from litevision.models import build, configure
from networks import every_form, short
from originals import randomise

pytestmark = pytest.mark.parity

COUNTED = ("conv", "depthwise_conv", "pointwise_conv", "linear")
SIZE_HW = (64, 64)


def traced(
    network: nn.Module, size_hw: tuple[int, int] = (224, 224), *, folded: bool = True, **options: Any
) -> onnx.ModelProto:
    """``network`` as torch's tracing exporter writes it, which is quick, and can leave BN as it is."""
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, *size_hw),),
            data,
            dynamo=False,
            input_names=["x"],
            training=mode,
            do_constant_folding=folded,
            **options,
        )
    return onnx.load_model_from_string(data.getvalue())


def rows(costs: Ledger | GraphLedger) -> list[tuple[int, int, int]]:
    """(weights, params, MACs) of every layer that multiplies."""
    return [(row.weights, row.params, row.macs or 0) for row in costs.rows if row.kind in COUNTED]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width_mult", "side", "params", "macs"), [(1.0, 224, 3_185_088, 567_716_352), (0.75, 128, 1_800_144, 106_002_432)]
)
def test_the_complete_v1_ledger_from_its_bundles_graph(width_mult: float, side: int, params: int, macs: int) -> None:
    network = build(configure("mobilenet_v1", dialect="slim", width_mult=width_mult))
    costs = graph_ledger(to_onnx(network, IMAGENET, (side, side)))
    found = [(node.layer, node.weights, node.macs) for node in costs.rows if node.kind in COUNTED[:3]]
    expected = [row for row in ledger(network, (side, side)).rows if row.kind in COUNTED[:3]]
    assert found == [(row.name, row.params, row.macs) for row in expected]
    assert (len(found), found[0][0], found[-1][0]) == (27, "Conv2d_0", "Conv2d_13_pointwise")
    assert sum(weights for _, weights, _ in found) == params
    assert sum(count or 0 for *_, count in found) == macs
    if side == 224:
        assert found[0][1:] == (864, 10_838_016)
        assert found[1][1:] == (288, 3_612_672)
        assert found[2][1:] == (2_048, 25_690_112)
        assert found[-2][1:] == (9_216, 451_584)
        assert found[-1][1:] == (1_048_576, 51_380_224)


@every_form
def test_a_bundles_graph_multiplies_as_the_network_does(name: str, dialect: str) -> None:
    """BN is folded there: its two numbers for each channel have become the convolution's bias."""
    network = short(name, dialect)
    expected, found = ledger(network, ODD_HW), graph_ledger(graph(name, dialect, ODD_HW))
    assert [(weights, macs) for weights, _, macs in rows(found)] == [
        (weights, macs) for weights, _, macs in rows(expected)
    ]
    assert (found.macs, found.at_least) == (expected.macs, frozenset())
    folded = sum(
        part.num_features * (1 if has_no_bias else 2)
        for has_no_bias, part in zip(without_bias(network), norms(network), strict=True)
    )
    assert found.num_params == expected.num_params - folded


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]


def without_bias(network: nn.Module) -> list[bool]:
    """For each BN whether the convolution before it has no bias."""
    found, last = [], True
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            last = part.bias is None
        elif isinstance(part, nn.BatchNorm2d):
            found.append(last)
    return found


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_x1_0"])
def test_an_unfolded_export_costs_what_the_module_costs(name: str) -> None:
    network = randomise(build(configure(name))).float()  # the exporter would share weights that are equal
    expected, found = ledger(network), graph_ledger(traced(network, folded=False))
    assert rows(found) == rows(expected)
    assert (found.num_params, found.num_buffers, found.macs) == (
        expected.num_params,
        expected.num_buffers,
        expected.macs,
    )
    assert found.peak_activation_bytes == expected.peak_activation_bytes
    # In torch both halves of ShuffleNet's split are views; ONNX has none, and an engine copies them.
    halves = sum(node.bytes_written or 0 for node in found.rows if node.kind in ("slice", "split"))
    assert found.activation_bytes == expected.activation_bytes + halves
    assert (halves > 0) == (name == "shufflenet_v2_x1_0")


THEIRS: list[tuple[Callable[[], nn.Module], float]] = [
    # The published multiply-adds, in millions. torchvision's: the weights' metadata, which round to 0.001 G.
    (lambda: torchvision.models.mobilenet_v2(weights=None), 301),
    (lambda: torchvision.models.mobilenet_v3_large(weights=None), 217),
    (lambda: torchvision.models.mobilenet_v3_small(weights=None), 57),
    (lambda: torchvision.models.shufflenet_v2_x1_0(weights=None), 145),
    # timm's are the papers' and TF-slim's networks.
    (lambda: timm.create_model("mobilenetv1_100", pretrained=False), 569),
    (lambda: timm.create_model("mobilenetv2_100", pretrained=False), 300),
    (lambda: timm.create_model("mobilenetv3_large_100", pretrained=False), 217),
    (lambda: timm.create_model("mobilenetv3_large_075", pretrained=False), 155),
]


@pytest.mark.parametrize(("make", "millions"), THEIRS)
def test_other_peoples_exports_cost_what_they_publish(make: Callable[[], nn.Module], millions: float) -> None:
    network = randomise(make()).float()
    expected, found = ledger(network), graph_ledger(traced(network))
    assert found.macs / 1e6 == pytest.approx(millions, rel=0.01)
    assert found.macs == expected.macs
    assert found.peak_activation_bytes == expected.peak_activation_bytes
    assert (found.unknown, found.at_least) == ((), frozenset())
    biases = sum(part.num_features for part in norms(network))  # each BN's scale and shift have become one bias
    assert found.num_params == expected.num_params - biases


def test_an_export_with_every_axis_open_costs_the_same_at_each_size() -> None:
    network = randomise(torchvision.models.shufflenet_v2_x0_5(weights=None)).float()
    made = traced(network, (64, 64), dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    for size_hw in ((224, 224), (96, 160)):
        found = graph_ledger(made, batch=2, size_hw=size_hw)
        assert found.at_least == frozenset()
        assert found.input_shapes == {"x": (2, 3, *size_hw)}
        assert found.macs == 2 * ledger(network, size_hw).macs


@pytest.mark.slow
@pytest.mark.parametrize("optimise", [True, False])
def test_torchs_newer_exporter_gives_the_same(optimise: bool) -> None:
    network = randomise(torchvision.models.mobilenet_v2(weights=None)).float().eval()
    program = torch.onnx.export(network, (torch.zeros(1, 3, 224, 224),), dynamo=True, optimize=optimise, verbose=False)
    assert program is not None
    expected, found = ledger(network), graph_ledger(program.model_proto)
    assert found.macs == expected.macs
    assert found.activation_bytes == expected.activation_bytes
    assert found.peak_activation_bytes == expected.peak_activation_bytes
    if not optimise:
        assert (found.num_params, found.num_buffers) == (expected.num_params, expected.num_buffers)
    layers = [node.layer for node in found.rows if node.kind in COUNTED]
    assert layers[:2] == ["features.0.0", "features.1.conv.0.0"]


def test_a_graphs_moves_are_those_of_its_shapes() -> None:
    """The sum over nodes is what any reader of the shapes would add up."""
    found = graph_ledger(graph("mobilenet_v2", "torchvision", SIZE_HW))
    written = sum(prod(node.out_shapes[0] or ()) * 4 for node in found.rows if not node.is_view)
    first = found.rows[0]  # transposes bytes
    assert found.bytes_written == written - 3 * prod(first.out_shapes[0] or ())
