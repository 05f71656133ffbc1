"""NanoDets: their parameters, the places of their cells, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch

import litevision
from litevision.cost.info import info
from litevision.errors import UnknownNameError, UsageError
from litevision.models.kinds import config_from_architecture, config_from_dict
from litevision.models.nanodet import BINS, FORMS, NanoDet, NanoDetConfig, NanoDetMaps, decode_cells
from litevision.weights.any_model import NetworkForm, open_any


@pytest.mark.parametrize(
    ("name", "params"), [("nanodet_m", 950_036), ("nanodet_plus_m", 1_197_924), ("nanodet_plus_m_x1_5", 2_477_792)]
)
def test_every_form_has_its_parameters(name: str, params: int) -> None:
    """0.95 M, 1.17 M and 2.44 M are published; those of a Plus count no BN's scale of what is folded."""
    network = NanoDetConfig(name).build(device="meta")
    assert sum(parameter.numel() for parameter in network.parameters()) == params
    assert network.backbone.strides == (8, 16, 32)
    assert any(isinstance(part, torch.nn.LeakyReLU) and part.negative_slope == 0.1 for part in network.modules())


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("size_hw", [(64, 96), (50, 70)])
def test_there_is_a_point_for_every_cell_at_any_size(name: str, size_hw: tuple[int, int]) -> None:
    network = NanoDetConfig(name, num_classes=3).build().eval()
    with torch.inference_mode():
        maps = network(torch.zeros(2, 3, *size_hw))
    points = network.points(size_hw)
    assert maps.logits.shape == (2, len(points), 3)
    assert maps.edges.shape == (2, len(points), 4, BINS)
    assert points[:, 2].unique().tolist() == list(FORMS[name].strides)


def test_points_are_the_middle_of_a_cell_or_its_first_pixel() -> None:
    middle, first = (NanoDetConfig(name).build(device="meta") for name in ("nanodet_m", "nanodet_plus_m"))
    assert middle.points((32, 32))[:2].tolist() == [[3.5, 3.5, 8], [11.5, 3.5, 8]]
    assert middle.points((32, 32))[-1].tolist() == [15.5, 15.5, 32]
    assert first.points((64, 64))[1].tolist() == [8, 0, 8]
    assert first.points((64, 64))[-1].tolist() == [0, 0, 64]


def test_a_distance_is_the_mean_of_its_distribution_in_strides() -> None:
    edges = torch.full((1, 1, 4, BINS), -30.0)
    for side, bin_ in enumerate((1, 2, 3, 7)):
        edges[0, 0, side, bin_] = 30.0
    edges[0, 0, 0, 2] = 30.0  # as likely as 1: 1.5 strides
    maps = NanoDetMaps(torch.tensor([[[0.0, -2.0]]]), edges)
    boxes, scores = decode_cells(maps, torch.tensor([[40.0, 24.0, 8.0]]), (64, 80))
    np.testing.assert_allclose(boxes[0, 0], [40 - 12, 24 - 16, 40 + 24, 64], atol=1e-4)  # the bottom edge is clipped
    np.testing.assert_allclose(scores[0, 0], [0.5, 1 / (1 + np.exp(2))], atol=1e-6)


def test_the_configuration_comes_back_from_what_was_written() -> None:
    config = NanoDetConfig("nanodet_plus_m", 7, in_channels=1)
    assert config_from_dict("detection", config.to_dict()) == config
    assert config_from_architecture("detection", config.to_architecture()) == config
    assert config.as_network().dialect == "nanodet"
    assert NanoDetConfig.default_preprocess((320, 320)).padding == 0


def test_create_makes_one_by_name() -> None:
    network = litevision.create("nanodet_m", num_classes=4, in_channels=1)
    assert isinstance(network, NanoDet)
    assert network.config == NanoDetConfig("nanodet_m", 4, 1)
    assert litevision.create("NanoDet_Plus_M").config.num_classes == 80


def test_every_command_finds_it_by_name() -> None:
    for name in ("nanodet_m", "nanodet_plus_m.rangilyu_coco_r416"):
        assert isinstance(open_any(name, device="meta"), NanoDet)
    with pytest.raises(UsageError, match="width_mult builds another network, and nanodet_m is as its authors built it"):
        open_any("nanodet_m", NetworkForm(width=0.5), device="meta")
    assert info("nanodet_plus_m", size=64, classes=3).num_params < info("nanodet_plus_m", size=64).num_params


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"width_mult": 0.5}, UsageError, "width_mult builds another network, and nanodet_m is as its authors built"),
        ({"backbone": "mobilenet_v2"}, UsageError, "backbone builds another network, and nanodet_m"),
        ({"num_classes": 0}, UsageError, "num_classes must be a whole number from 1 to 1,000,000, got 0"),
        ({"num_clases": 5}, UnknownNameError, "no argument of create for nanodet_m: 'num_clases'. Did you mean 'num_c"),
    ],
)
def test_create_refuses_what_a_nanodet_does_not_have(given: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        litevision.create("nanodet_m", **given)


def test_a_nanodet_is_no_backbone() -> None:
    with pytest.raises(UsageError, match="'nanodet_m' is a detector as its authors built it"):
        litevision.create("centernet", backbone="nanodet_m")
    with pytest.raises(UnknownNameError, match="no NanoDet 'nanodet_l'"):
        NanoDetConfig("nanodet_l")
