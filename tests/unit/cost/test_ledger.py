"""The ledger against the papers' arithmetic, published counts, and modules written for the purpose."""

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import get_model_weights

from litevision.cost.ledger import LayerCost, Ledger, ledger
from litevision.errors import UsageError
from litevision.models import FeaturePyramid, build, configure
from litevision.registry import ARCHITECTURES

# MobileNetV1's table after the stem: (stride, out_channels).
V1_ROWS = [(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024)]
CONVOLUTIONS = ("conv", "depthwise_conv", "pointwise_conv")


def count(name: str, size_hw: tuple[int, int] = (224, 224), **arguments: Any) -> Ledger:
    return ledger(build(configure(name, **arguments), device="meta"), size_hw)


def convolutions(costs: Ledger) -> list[LayerCost]:
    return [row for row in costs.rows if row.kind in CONVOLUTIONS]


def v1_by_hand(width_mult: float, side: int) -> list[tuple[str, int, int]]:
    """(name, params, MACs) of every convolution, from the table and the closed formulas."""
    side, channels = -(-side // 2), int(32 * width_mult)
    rows = [("Conv2d_0", 9 * 3 * channels, 9 * 3 * channels * side**2)]
    for i, (stride, out) in enumerate(V1_ROWS, start=1):
        side, out = -(-side // stride), int(out * width_mult)
        rows.append((f"Conv2d_{i}_depthwise", 9 * channels, 9 * channels * side**2))
        rows.append((f"Conv2d_{i}_pointwise", channels * out, channels * out * side**2))
        channels = out
    return rows


@pytest.mark.parametrize(
    ("width_mult", "side", "params", "macs"), [(1.0, 224, 3_185_088, 567_716_352), (0.75, 128, 1_800_144, 106_002_432)]
)
def test_the_complete_v1_ledger_row_by_row(width_mult: float, side: int, params: int, macs: int) -> None:
    found = convolutions(count("mobilenet_v1", (side, side), dialect="slim", width_mult=width_mult))
    assert [(row.name, row.params, row.macs) for row in found] == v1_by_hand(width_mult, side)
    assert len(found) == 27
    assert sum(row.params for row in found) == params
    assert sum(row.macs for row in found) == macs


def test_the_published_first_and_last_rows_of_v1() -> None:
    found = convolutions(count("mobilenet_v1", dialect="slim"))
    assert [(row.name, row.params, row.macs) for row in (*found[:3], *found[-2:])] == [
        ("Conv2d_0", 864, 10_838_016),
        ("Conv2d_1_depthwise", 288, 3_612_672),
        ("Conv2d_1_pointwise", 2_048, 25_690_112),
        ("Conv2d_13_depthwise", 9_216, 451_584),
        ("Conv2d_13_pointwise", 1_048_576, 51_380_224),
    ]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_rows_account_for_every_number_of_the_network(name: str) -> None:
    for dialect in ARCHITECTURES[name].dialects:
        network = build(configure(name, dialect=dialect), device="meta")
        costs = ledger(network)
        names = [row.name for row in costs.rows]
        assert sum(row.params for row in costs.rows) == costs.num_params
        assert costs.num_params == sum(parameter.numel() for parameter in network.parameters())
        statistics = sum(2 * part.num_features for part in network.modules() if isinstance(part, nn.BatchNorm2d))
        assert sum(row.buffers for row in costs.rows) == costs.num_buffers == statistics
        assert len(names) == len(set(names))
        assert {source for row in costs.rows for source in row.inputs} <= {*names, "input"}
        assert costs.rows[-1].out_shape == (1000,)


@pytest.mark.parametrize("name", [name for name, row in ARCHITECTURES.items() if row.dialects[0] == "torchvision"])
def test_the_totals_are_those_that_torchvision_publishes(name: str) -> None:
    published = get_model_weights(name).DEFAULT.meta
    costs = count(name)
    assert costs.num_params == published["num_params"]
    # torchvision rounds to 0.001 G.
    assert costs.macs / 1e9 == pytest.approx(published["_ops"], rel=0.01, abs=0.0006)


def test_v2_costs_what_its_paper_says() -> None:
    costs = count("mobilenet_v2")
    assert (costs.num_params, costs.num_buffers, costs.macs) == (3_504_872, 34_112, 300_774_272)
    assert costs.param_bytes == 14_019_488


@pytest.mark.parametrize("size_hw", [(1, 1), (32, 500), (97, 161), (224, 192)])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_shapes_at_any_size_are_those_of_a_real_run(name: str, size_hw: tuple[int, int]) -> None:
    network = build(configure(name, num_classes=7)).eval()
    costs = ledger(network, size_hw)
    shapes = {row.name: row.out_shape for row in costs.rows}
    with torch.inference_mode():
        found = network.forward_endpoints(torch.zeros(1, 3, *size_hw))
    last = network.endpoints[-1].name
    assert shapes[f"{last}.act"] == tuple(found[last].shape[1:])
    assert shapes["avg_pool"][0] == found[last].shape[1]
    assert costs.size_hw == size_hw


def test_keras_stride_2_layers_have_their_padding_as_rows() -> None:
    pads = [row for row in count("mobilenet_v2", (224, 97), dialect="keras").rows if row.kind == "pad"]
    assert [row.name for row in pads][:2] == ["stem.pad", "block_1.depthwise.pad"]
    assert pads[0].out_shape == (3, 225, 99)
    assert all(row.macs == row.params == 0 for row in pads)


def test_dilation_shows_where_the_output_stride_stops_the_strides() -> None:
    dilated = {row.name: row.dilation for row in count("mobilenet_v1", output_stride=8).rows if "depth" in row.name}
    assert dilated["Conv2d_6_depthwise"] == (1, 1)
    assert dilated["Conv2d_7_depthwise"] == (2, 2)
    assert dilated["Conv2d_13_depthwise"] == (4, 4)


def test_what_is_no_module_has_a_row_too() -> None:
    rows = {row.name: row for row in count("mobilenet_v3_small").rows}
    assert rows["block_2.add"].inputs == ("block_1.project.norm", "block_2.project.norm")
    assert rows["block_3.se.avg_pool"].kernel == (14, 14)
    assert rows["block_3.se.mul"].out_shape == (96, 14, 14)
    shuffles = [row for row in count("shufflenet_v2_x1_0").rows if row.kind == "shuffle"]
    assert [row.out_shape for row in shuffles[:4]] == [(116, 28, 28)] * 4
    assert len(shuffles) == 16


def test_the_classifiers_share_and_what_fewer_classes_save() -> None:
    costs = count("mobilenet_v1", dialect="slim")
    assert costs.classifier is not None
    assert costs.classifier.weights == 1_024_000
    assert costs.classifier_params == 1_025_000
    assert costs.classifier_share == 1_024_000 / (1_024_000 + 3_185_088)
    assert costs.classifier_share == pytest.approx(0.244, abs=0.001)
    for classes in (10, 100, 1000, 2000):
        saving = costs.saving(classes)
        assert saving.params == costs.num_params - count("mobilenet_v1", num_classes=classes).num_params
        assert saving.bytes == 4 * saving.params


def test_a_network_without_classes_has_no_classifier_to_save() -> None:
    costs = count("mobilenet_v2", num_classes=0)
    assert costs.classifier is None
    assert costs.classifier_share == costs.classifier_params == costs.saving(10).params == 0
    assert costs.rows[-1].name == "avg_pool"


def test_peak_memory_is_the_widest_expansion_beside_its_neighbour() -> None:
    # block_1: 96 x 112 x 112 from the expansion, 96 x 56 x 56 from the depthwise layer, in fp32.
    assert count("mobilenet_v2").peak_activation_bytes == 4 * 96 * (112 * 112 + 56 * 56)


def test_peak_memory_counts_an_input_that_a_sum_still_needs() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.second(torch.relu(self.first(x)))

    costs = ledger(Residual(), (10, 10))
    assert costs.peak_activation_bytes == 4 * 100 * (3 + 8 + 3)
    assert costs.activation_bytes == 4 * 100 * (8 + 3 + 3)
    assert [row.name for row in costs.rows] == ["first", "relu", "second", "add"]
    assert costs.rows[-1].inputs == ("input", "second")


def test_grouped_transposed_and_unsquare_convolutions() -> None:
    grouped = nn.Conv2d(8, 12, (3, 5), stride=(2, 1), padding=(1, 2), groups=4)
    transposed = nn.ConvTranspose2d(12, 6, 4, stride=2, padding=1, groups=2)
    first, second = ledger(nn.Sequential(grouped, transposed), (10, 7), in_channels=8).rows
    assert (first.kind, first.kernel, first.stride, first.groups) == ("conv", (3, 5), (2, 1), 4)
    assert (first.weights, first.params) == (grouped.weight.numel(), grouped.weight.numel() + 12)
    assert first.macs == 12 * 5 * 7 * 15 * 8 // 4
    # Each input value meets every tap of each of its group's filters once.
    assert (second.kind, second.out_shape) == ("conv_transpose", (6, 10, 14))
    assert second.macs == 12 * 5 * 7 * 16 * 6 // 2
    assert second.weights == transposed.weight.numel()


def test_a_module_that_runs_twice_is_paid_once_in_params_and_twice_in_macs() -> None:
    shared = nn.Conv2d(3, 3, 1)
    once, twice = ledger(nn.Sequential(shared, nn.ReLU(), shared)).rows[::2]
    assert (once.params, twice.params) == (12, 0)
    assert once.macs == twice.macs == 9 * 224 * 224
    assert once.name != twice.name


def test_the_module_itself_is_left_as_it_was() -> None:
    network = build(configure("mobilenet_v3_small", num_classes=3)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ledger(network, (64, 64))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.modules())


def test_half_precision_counts_like_single() -> None:
    network = build(configure("mobilenet_v2"), device="meta")
    assert ledger(network.half()) == ledger(build(configure("mobilenet_v2"), device="meta"))


def test_a_pyramid_is_the_networks_backbone_without_the_last_convolution() -> None:
    network = build(configure("mobilenet_v2"), device="meta")
    whole = [row for row in ledger(network).rows if row.name.split(".")[0] not in {"conv_last", "avg_pool"}][:-1]
    assert list(ledger(FeaturePyramid(network)).rows) == whole


def test_another_number_of_input_channels_is_the_networks_own() -> None:
    assert count("mobilenet_v2", in_channels=1).rows[0].macs * 3 == count("mobilenet_v2").rows[0].macs


@pytest.mark.parametrize("size_hw", [(0, 224), (224, -1)])
def test_a_size_without_pixels_is_an_error(size_hw: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=rf"two sides of 1 pixel or more, got {size_hw[0]}x{size_hw[1]}"):
        count("mobilenet_v2", size_hw)


def test_a_size_that_a_layer_cannot_take_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"cannot take an image of 1x1 pixels: .*Kernel size"):
        count("mobilenet_v1", (1, 1), dialect="keras")
