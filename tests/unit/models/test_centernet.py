"""Detectors: their sizes, their maps on every backbone, and a decoder that a slow one confirms."""

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from litevision.cost.ledger import ledger
from litevision.errors import InputShapeError, UsageError, WeightsMismatchError
from litevision.models import NetworkConfig, build, configure
from litevision.models.centernet import CenterNet, CenterNetConfig, CenterNetMaps, decode
from litevision.models.mobilenet_v1 import DepthSepConv
from litevision.models.necks import ReshapeNeck, enlarger
from litevision.registry import ARCHITECTURES
from networks import SHORT_ROWS, every_form, fill, images, short


def detector(name: str, dialect: str | None = None, neck: str = "light", num_classes: int = 10) -> CenterNet:
    """With random weights, on few rows."""
    backbone = configure(name, dialect=dialect, rows=SHORT_ROWS[name])
    return fill(CenterNet(CenterNetConfig(backbone, num_classes, neck)))


def num_params(name: str, neck: str, dialect: str | None = None, width_mult: float = 1.0) -> int:
    config = CenterNetConfig(configure(name, dialect=dialect, width_mult=width_mult), 10, neck)
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in CenterNet(config).parameters())


def test_the_published_detectors_have_their_sizes() -> None:
    assert num_params("mobilenet_v2", "reshape", "tutorial") == 4_314_190
    # 15,229,104 of DLA-34; projections, nodes and up-convolutions of DLASeg; three heads of 256 channels.
    steps = sum(
        9 * given * out + 9 * out * out + 4 * out + 16 * out
        for out, given in ((256, 512), (128, 256), (128, 256), (64, 128), (64, 128), (64, 128))
    )
    last = 9 * 64 * (128 + 256) + 2 * 9 * 64 * 64 + 2 * 4 * 64 + (16 + 64) * 64
    heads = sum(9 * 64 * 256 + 256 + 256 * out + out for out in (10, 2, 2))
    backbone = sum(p.numel() for p in build(configure("dla34", num_classes=0), device="meta").parameters())
    assert num_params("dla34", "dlaup") == backbone + steps + last + heads
    assert 3.15e6 < num_params("mobilenet_v1", "reshape") < 3.25e6


def test_the_light_neck_costs_little() -> None:
    with torch.device("meta"):
        backbone = build(configure("mobilenet_v2", final_endpoint="conv_last"))
        ours = CenterNet(CenterNetConfig(configure("mobilenet_v2"), 10))
        tutorial = CenterNet(CenterNetConfig(configure("mobilenet_v2", dialect="tutorial"), 10, "reshape"))
    costs = [ledger(network, (512, 512)) for network in (backbone, ours, tutorial)]
    assert costs[1].macs < 1.25 * costs[0].macs
    assert costs[1].macs < 0.75 * costs[2].macs
    assert costs[1].num_params == sum(layer.params for layer in costs[1].rows) < 2e6


@pytest.mark.parametrize("neck", ["light", "dlaup", "reshape"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_backbone_at_every_size(name: str, neck: str) -> None:
    with torch.device("meta"):
        network = CenterNet(CenterNetConfig(configure(name), 3, neck)).eval()
        for height, width in ((96, 160), (1, 75)):
            maps = network(torch.zeros(2, 3, height, width))
            cells = (-(-height // 4), -(-width // 4))
            assert [part.shape[1:] for part in maps] == [(3, *cells), (2, *cells), (2, *cells)]


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2_x1_0"])
@pytest.mark.parametrize("stride", [8, 16])
def test_dilated_backbones_and_other_widths(name: str, stride: int) -> None:
    with torch.device("meta"):
        for neck in ("light", "dlaup"):
            backbone = configure(name, width_mult=0.5, output_stride=stride)
            network = CenterNet(CenterNetConfig(backbone, 3, neck)).eval()
            assert network.stride == stride
            assert network(torch.zeros(1, 3, 72, 40)).heatmap.shape == (1, 3, 18, 10)


@every_form
def test_learns_in_every_part(name: str, dialect: str) -> None:
    network = detector(name, dialect).train()
    maps = network(images(2, (48, 80)))
    sum(part.square().mean() for part in maps).backward()
    still = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert [key for key in still if "conv.bias" not in key] == []  # a bias before BN has no effect


def test_begins_at_a_score_of_a_tenth() -> None:
    network = CenterNet(CenterNetConfig(configure("mobilenet_v2"), 4)).eval()
    with torch.inference_mode():
        maps = network(images(2, (64, 64)))
    torch.testing.assert_close(maps.heatmap.sigmoid(), torch.full_like(maps.heatmap, 0.1), atol=0.005, rtol=0)
    assert maps.size.abs().max() < 0.2
    assert maps.offset.abs().max() < 0.2


def test_what_lies_outside_of_the_image_is_the_mean_colour() -> None:
    network = detector("mobilenet_v2")
    x = images(1, (40, 61))
    with torch.inference_mode():
        got, padded = network(x), network(torch.nn.functional.pad(x, (0, 3)))
    assert network.stride == 8
    for mine, whole in zip(got, padded, strict=True):
        # The heads' 3x3 layers see nothing beyond the last column of cells, where a wider map goes on.
        torch.testing.assert_close(mine[..., :-1], whole[..., : mine.shape[-1] - 1])


def test_the_reshape_is_a_plain_view() -> None:
    x = torch.arange(2 * 32 * 3 * 5).reshape(2, 32, 3, 5)
    seen = ReshapeNeck(32, 16)(x)
    assert seen.shape == (2, 2, 12, 20)
    assert torch.equal(seen.flatten(), x.flatten())


def test_enlarging_begins_as_bilinear_interpolation() -> None:
    x = torch.rand(2, 3, 6, 7)
    for ratio in (2, 4, 8):
        expected = torch.nn.functional.interpolate(x, scale_factor=ratio, mode="bilinear", align_corners=False)
        got = enlarger(3, ratio)(x)
        assert got.shape == expected.shape
        inner = (..., slice(ratio, -ratio), slice(ratio, -ratio))  # at the border it fades to 0 instead
        torch.testing.assert_close(got[inner], expected[inner])


def test_takes_the_backbone_of_a_classifier() -> None:
    classifier = short("mobilenet_v2", "torchvision")
    for neck in ("light", "reshape"):
        network = CenterNet(CenterNetConfig(classifier.config, 3, neck)).eval()
        network.take_backbone(classifier)
        x = images(2, (32, 64))
        with torch.inference_mode():
            last = network.backbone(x)
            expected = classifier.features[:5](x) if neck == "light" else classifier.forward_features(x)
        torch.testing.assert_close(last[-1] if neck == "light" else last, expected)
    with pytest.raises(
        WeightsMismatchError, match=r"another backbone than the detector: \d+ of \d+ tensors are missing"
    ):
        network.take_backbone(short("mobilenet_v1", "timm"))


def test_copies_and_memory_formats_and_precisions() -> None:
    network = detector("mobilenet_v2")
    x = images(2, (40, 56))
    with torch.inference_mode():
        expected = network(x)
        twin = copy.deepcopy(network).to(memory_format=torch.channels_last)
        for mine, same in zip(expected, twin(x.contiguous(memory_format=torch.channels_last)), strict=True):
            torch.testing.assert_close(same, mine, atol=1e-4, rtol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
            found = decode(rough, 5)
    assert rough.heatmap.dtype == torch.bfloat16
    assert (found.boxes.dtype, found.scores.dtype) == (torch.float32, torch.float32)
    for mine, near in zip(expected, rough, strict=True):
        assert (near - mine).abs().mean() < 0.1 * mine.abs().mean()


@pytest.mark.parametrize(("name", "neck"), [("mobilenet_v2", "light"), ("shufflenet_v2_x0_5", "dlaup")])
def test_is_traced_for_any_batch(name: str, neck: str) -> None:
    class Decoded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = detector(name, neck=neck)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return decode(self.network(x), 7)

    module = Decoded().eval()
    program = torch.export.export(module, (images(2, (36, 60)),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    x = images(3, (36, 60))
    with torch.inference_mode():
        for got, expected in zip(program.module()(x), module(x), strict=True):
            torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_its_costs_are_counted() -> None:
    network = detector("dla34")
    costs = ledger(network, (50, 70))
    assert costs.num_params == sum(parameter.numel() for parameter in network.parameters())
    outputs = [layer for layer in costs.rows if layer.name.startswith("heads.") and layer.name.endswith("output")]
    assert [(layer.kind, layer.out_shape) for layer in outputs] == [
        ("pointwise_conv", (channels, 13, 18)) for channels in (10, 2, 2)
    ]


@pytest.mark.parametrize(
    "config",
    [
        CenterNetConfig(configure("mobilenet_v2", width_mult=0.75), 3),
        CenterNetConfig(configure("dla34", rows=SHORT_ROWS["dla34"]), 1, "dlaup", None, 32),
        CenterNetConfig(configure("mobilenetv2_110d", output_stride=16), 2, "light", 48, 0),
    ],
)
def test_a_configuration_as_text(config: CenterNetConfig) -> None:
    assert CenterNetConfig.from_json(config.to_json()) == config
    assert NetworkConfig.from_json(json.dumps(config.to_dict()["backbone"])) == config.backbone


V2 = configure("mobilenet_v2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "num_classes must be a whole number, 1 or more, got 0"),
        ({"neck": "ligth"}, "no neck 'ligth'. Did you mean 'light'"),
        ({"neck": "dlaup", "neck_channels": 32}, "neck_channels belongs to the neck 'light', got 32 with 'dlaup'"),
        ({"neck_channels": 0}, "neck_channels must be 1 or more, got 0"),
        ({"head_channels": -1}, r"head_channels must be 0 \(no hidden layer\) or more, got -1"),
        (
            {"backbone": configure("mobilenet_v2", final_endpoint="stem")},
            r"a map at stride 4, got a backbone with .* \(2,\)",
        ),
        (
            {
                "backbone": configure("mobilenet_v1", dialect="slim", rows=[DepthSepConv(3, 2, 70)] * 3),
                "neck": "reshape",
            },
            "the neck 'reshape' needs a last map whose channels divide by 4, got 70",
        ),
        (
            {"backbone": configure("mobilenet_v1", rows=[DepthSepConv(3, 2, 16)] * 2), "neck": "dlaup"},
            "the neck 'dlaup' aggregates two maps or more, got 1; take 'light'",
        ),
    ],
)
def test_what_cannot_be_built(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message), torch.device("meta"):
        CenterNet(CenterNetConfig(**{"backbone": V2, "num_classes": 3, **arguments}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"backbone": {}, "num_classes": 3}', '{"num_classes": 3}'])
def test_what_is_no_configuration(text: str) -> None:
    with pytest.raises(UsageError, match="no detector's configuration of this version"):
        CenterNetConfig.from_json(text)


def test_an_input_of_another_shape() -> None:
    with pytest.raises(InputShapeError, match=r"rank 4, \[N, 3, H, W\], got \[2, 1, 32, 32\]"):
        detector("mobilenet_v2")(torch.zeros(2, 1, 32, 32))


def slowly_decoded(maps: CenterNetMaps, image: int) -> list[tuple[float, int, list[float]]]:
    """(score, class, box) of every peak, best first."""
    heatmap = maps.heatmap[image].tolist()
    size, offset = maps.size[image].tolist(), maps.offset[image].tolist()
    rows, columns = len(heatmap[0]), len(heatmap[0][0])
    found = []
    for label, plane in enumerate(heatmap):
        for y in range(rows):
            for x in range(columns):
                around = [
                    plane[v][u]
                    for v in range(max(0, y - 1), min(rows, y + 2))
                    for u in range(max(0, x - 1), min(columns, x + 2))
                ]
                if plane[y][x] < max(around):
                    continue
                w, h = max(0.0, size[0][y][x]), max(0.0, size[1][y][x])
                cx, cy = x + offset[0][y][x], y + offset[1][y][x]
                box = [4 * (cx - w / 2), 4 * (cy - h / 2), 4 * (cx + w / 2), 4 * (cy + h / 2)]
                found.append((1 / (1 + 2.718281828459045 ** -plane[y][x]), label, box))
    return sorted(found, reverse=True)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    top_k=st.integers(1, 30),
)
@settings(max_examples=40)
def test_decodes_as_a_slow_loop_does(seed: int, shape: tuple[int, int, int, int], top_k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    count, classes, rows, columns = shape
    maps = CenterNetMaps(
        torch.randn(count, classes, rows, columns, generator=generator, dtype=torch.float64).float(),
        3 * torch.randn(count, 2, rows, columns, generator=generator),
        torch.rand(count, 2, rows, columns, generator=generator),
    )
    got = decode(maps, top_k)
    kept = min(top_k, classes * rows * columns)
    assert [tuple(part.shape) for part in got] == [(count, kept, 4), (count, kept), (count, kept)]
    for image in range(count):
        expected = slowly_decoded(maps, image)[:kept]
        for k, (score, label, box) in enumerate(expected):
            assert abs(float(got.scores[image, k]) - score) < 1e-6
            assert int(got.classes[image, k]) == label
            torch.testing.assert_close(got.boxes[image, k], torch.tensor(box), atol=1e-5, rtol=1e-6)
        assert (got.scores[image, len(expected) :] == 0).all()
        assert all(one >= other for one, other in pairwise(got.scores[image].tolist()))


def test_strong_peaks_keep_their_order() -> None:
    heatmap = torch.zeros(1, 1, 1, 7)
    heatmap[0, 0, 0, [1, 3, 5]] = torch.tensor([30.0, 32.0, 31.0])  # whose scores are all 1 in float32
    found = decode(CenterNetMaps(heatmap, torch.ones(1, 2, 1, 7), torch.zeros(1, 2, 1, 7)), 3)
    assert found.boxes[0, :, 0].tolist() == [10.0, 18.0, 2.0]


def test_heads_begin_with_weights_that_adams_first_steps_do_not_drown() -> None:
    """As torch draws them: of 64 channels, evenly within 1/8. A hundred times smaller, all learned the same."""
    detector = CenterNet(CenterNetConfig(configure("mobilenet_v2", width_mult=0.25), 3))
    for head in detector.heads.values():
        weight = head.get_parameter("output.weight")
        assert weight.shape[1] == 64
        assert float(weight.detach().std()) == pytest.approx(1 / 8 / 3**0.5, rel=0.2)
