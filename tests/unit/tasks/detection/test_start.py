"""What a detector starts from: a NanoDet for itself, or its backbone for a CenterNet."""

from pathlib import Path
from typing import Any

import pytest
import torch

from litevision.errors import DownloadError, UsageError, WeightsMismatchError
from litevision.models.centernet import CenterNet
from litevision.models.nanodet import NanoDet, NanoDetConfig
from litevision.tasks import task_of
from litevision.training import start as module
from litevision.training.recipe_file import make_recipe
from litevision.training.start import starting_network
from litevision.training.train import choose_recipe
from litevision.weights.save import save_weights
from networks import fill

TASK = task_of("detection")


@pytest.fixture(scope="module")
def nanodet(tmp_path_factory: pytest.TempPathFactory) -> tuple[NanoDet, Path]:
    network = fill(NanoDetConfig("nanodet_m", 3).build())
    return network, save_weights(network, tmp_path_factory.mktemp("weights") / "it.pth", "nanodet")


def start_of(weights: str | Path, classes: tuple[str, ...], **model: Any) -> tuple[Any, Any]:
    options = {f"model.{key}": value for key, value in model.items()} | {"model.weights": str(weights)}
    recipe = choose_recipe(TASK, None, options, origin="the options").recipe
    return starting_network(TASK, recipe, classes)


def test_a_nanodet_goes_on_with_the_classes_that_it_knows(
    nanodet: tuple[NanoDet, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before, path = nanodet
    network, start = start_of(path, ("class_2", "dog", "class_0"))
    assert isinstance(network, NanoDet)
    assert network.config == NanoDetConfig("nanodet_m", 3)
    assert not start.fresh_head
    assert "it.pth knows 2 of the classes; from scratch: dog" in capsys.readouterr().err
    old, new = before.state_dict(), network.state_dict()
    for name, tensor in new.items():
        if ".output." not in name:
            assert torch.equal(tensor, old[name]) or name.endswith("num_batches_tracked"), name
            continue
        torch.testing.assert_close(tensor[[0, 2, *range(3, 35)]], old[name][[2, 0, *range(3, 35)]], msg=name)
        assert not torch.equal(tensor[1], old[name][1])


def test_its_neck_and_boxes_go_on_where_it_knows_none(
    nanodet: tuple[NanoDet, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    network, start = start_of(nanodet[1], ("dog",))
    old = nanodet[0].state_dict()["heads.0.output.weight"]
    torch.testing.assert_close(network.state_dict()["heads.0.output.weight"][1:], old[3:])
    assert not start.fresh_head
    assert "it.pth knows 0 of the classes; from scratch: dog" in capsys.readouterr().err


def test_the_input_of_a_file_of_others_follows_from_the_data(nanodet: tuple[NanoDet, Path]) -> None:
    chosen = choose_recipe(TASK, None, {"model.weights": str(nanodet[1])}, origin="the options")
    assert (chosen.recipe.model.name, chosen.recipe.model.dialect) == ("nanodet_m", "nanodet")
    assert not {"model.size_hw", "model.crop", "schedule.epochs"} & set(chosen.stated)


def test_its_backbone_starts_a_centernet(nanodet: tuple[NanoDet, Path]) -> None:
    network, start = start_of(nanodet[1], ("dog", "cat"), name="shufflenet_v2_x1_0")
    assert isinstance(network, CenterNet)
    assert (network.config.backbone.dialect, start.fresh_head) == ("nanodet", True)
    ours, theirs = network.backbone.state_dict(), nanodet[0].backbone.state_dict()
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor) or name.endswith("num_batches_tracked"), name


def test_a_nanodet_from_scratch() -> None:
    network, start = start_of("none", ("dog",), name="nanodet_plus_m")
    assert network.config == NanoDetConfig("nanodet_plus_m", 1)
    assert start.weights is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nanodet_plus_m", r"it\.pth holds nanodet_m, expected weights of nanodet_plus_m"),
        ("mobilenet_v2", r"it\.pth holds shufflenet_v2_x1_0 .dialect nanodet"),
    ],
)
def test_weights_of_another_network(name: str, message: str, nanodet: tuple[NanoDet, Path]) -> None:
    with pytest.raises(WeightsMismatchError, match=message):
        start_of(nanodet[1], ("dog",), name=name)


def test_the_authors_weights_that_cannot_be_fetched_by_name() -> None:
    with pytest.raises(WeightsMismatchError, match="no weights of nanodet_m can be fetched by its name"):
        start_of("default", ("dog",), name="nanodet_m")


def test_grey_images_are_not_what_it_has_seen(nanodet: tuple[NanoDet, Path]) -> None:
    with pytest.raises(UsageError, match=r"it\.pth sees images in RGB, got model\.in_channels = 1"):
        start_of(nanodet[1], ("dog",), in_channels=1)


def test_a_backbone_that_was_trained_on_coco_starts_from_that_where_it_can(
    nanodet: tuple[NanoDet, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = module.open_model(nanodet[1])
    asked: list[str] = []
    monkeypatch.setattr(module, "open_model", lambda name: asked.append(name) or opened)
    monkeypatch.setattr(module, "fetch", lambda weight_set, retry: None)

    def model_of(**options: Any) -> Any:
        given = {f"model.{key}": value for key, value in options.items()}
        return choose_recipe(TASK, None, given, origin="the options").recipe.model

    found = model_of(name="shufflenet_v2_x1_0")
    assert (found.weights, found.dialect) == ("nanodet_plus_m.rangilyu_coco_r416", "nanodet")
    assert model_of(name="mobilenet_v2").weights == "default"
    first = model_of()
    assert (first.name, first.weights) == ("nanodet_m", "nanodet_plus_m.rangilyu_coco_r416")  # which holds another here
    for stated in ({"weights": "default"}, {"weights": "none"}, {"width": 0.5}, {"in_channels": 1}):
        assert model_of(**stated).name == "mobilenet_v2"
    of_centernet = choose_recipe(TASK, None, {"detection.neck": "dlaup"}, origin="the options").recipe.model
    assert (of_centernet.name, of_centernet.weights) == ("mobilenet_v2", "default")
    assert model_of(name="shufflenet_v2_x1_0", weights="default").weights == "default"
    assert model_of(name="shufflenet_v2_x1_0", dialect="torchvision").weights == "default"
    assert make_recipe({"model": {"name": "shufflenet_v2_x1_0"}}, task="detection").model.weights == "default"

    def fails(name: str) -> None:
        raise DownloadError("no network")

    monkeypatch.setattr(module, "open_model", fails)
    assert model_of(name="shufflenet_v2_x1_0").weights == "default"
    line = "is not there to start from (no network); the network's default weights take its place"
    assert line in capsys.readouterr().err
    assert model_of().name == "mobilenet_v2"
    assert "(no network); mobilenet_v2 and its default weights take its place" in capsys.readouterr().err


def test_a_nanodet_has_one_width() -> None:
    with pytest.raises(UsageError, match=r"^nanodet_m has one width; got model\.width = 0\.5, leave it out$"):
        start_of("none", ("dog",), name="nanodet_m", width=0.5)
