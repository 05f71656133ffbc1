"""Detection in the loop: batches, validation, learning rates by part, and resuming."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litevision.data import DetectionSample, read_boxes
from litevision.image import Preprocess
from litevision.models import configure
from litevision.models.centernet import CenterNet, CenterNetConfig, CenterNetMaps
from litevision.runtime import Normalisation
from litevision.tasks.detection.heads import CenterNetHeads
from litevision.tasks.detection.objective import DetectionImages, DetectionObjective, read_for_training
from litevision.tasks.detection.recipe import Detection
from litevision.tasks.detection.targets import CenterNetTargets, make_targets
from litevision.training import run as run_module
from litevision.training.batches import EpochOrder, load_batches
from litevision.training.image_cache import ImageCache
from litevision.training.optimise import parameter_groups, set_mode
from litevision.training.plan import make_plan, read_plan
from litevision.training.recipe import Optimizer
from litevision.training.recipe_file import make_recipe
from shapes import CLASSES, RECIPE, write_shapes
from trainings import Quiet, checkpoints, differences

PREPROCESS = Preprocess((64, 80), 1, "letterbox")  # the images are 64 x 96: there is grey above and below
IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes", 8, 5, 2, empty=1)


class Oracle(nn.Module):
    """Says what is true of each image, in turn."""

    def __init__(self, samples: tuple[DetectionSample, ...], classes: int = 2, shift: float = 0.0) -> None:
        super().__init__()
        self.anything = nn.Parameter(torch.zeros(1))
        self.samples, self.classes, self.shift, self.seen = list(samples), classes, shift, 0

    def forward(self, x: Tensor) -> CenterNetMaps:
        part = self.samples[self.seen : self.seen + len(x)]
        self.seen += len(x)
        boxes = [torch.from_numpy(PREPROCESS.geometry(one.size_hw).apply_boxes(one.boxes_xyxy)) for one in part]
        labels = [torch.from_numpy(one.labels) for one in part]
        targets = make_targets(boxes, labels, PREPROCESS.size_hw, self.classes, center_radius=1)
        heatmap = torch.full(targets.heatmap.shape, -9.0)
        heatmap.view(-1)[targets.peaks] = 9.0
        size, offset = torch.zeros(len(x), 2, 16, 20), torch.zeros(len(x), 2, 16, 20)
        size.flatten(2)[targets.image, :, targets.cell] = targets.size
        offset.flatten(2)[targets.image, :, targets.cell] = targets.offset + self.shift
        return CenterNetMaps(heatmap, size, offset)


def objective_of(samples: tuple[DetectionSample, ...], folder: Path) -> DetectionObjective:
    store = ImageCache(folder / "cache", [one.path for one in samples], PREPROCESS, 10**7)
    heads = CenterNetHeads(Detection(iou_weight=0.0), len(CLASSES))
    return DetectionObjective(heads, PREPROCESS, IMAGENET, CLASSES, samples, store)


def test_validation_of_the_truth_is_perfect(root: Path, tmp_path: Path) -> None:
    samples = read_boxes(root).of("validation")
    assert sum(not len(one.labels) for one in samples) == 1
    found = objective_of(samples, tmp_path).validate(Oracle(samples))
    assert (found.ap, found.ap50, found.score) == pytest.approx((1.0, 1.0, 1.0))
    assert 0 <= found.loss < 0.01
    assert found.record() == {"validation_loss": found.loss, "validation_ap": found.ap, "validation_ap50": found.ap50}


def test_validation_of_boxes_beside_it_is_worse(root: Path, tmp_path: Path) -> None:
    samples = read_boxes(root).of("validation")
    found = objective_of(samples, tmp_path).validate(Oracle(samples, shift=0.6))
    assert found.ap < 0.9
    assert found.ap < found.ap50
    assert found.loss == pytest.approx(0.6, abs=0.01)  # cells, on both axes


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_do_not_depend_on_who_reads_them(root: Path, tmp_path: Path, workers: int) -> None:
    samples = read_boxes(root).of("train")
    options = Detection(mosaic=0.5, rot90=True)

    def batches(folder: str, processes: int) -> list[tuple[Tensor, CenterNetTargets]]:
        store = ImageCache(
            tmp_path / folder, [one.path for one in samples], lambda path: read_for_training(PREPROCESS, 1.4, path), 0
        )
        images = DetectionImages(store, samples, options, PREPROCESS, CenterNetHeads(options, len(CLASSES)))
        places = EpochOrder(len(samples), 4, 3).batches(epoch=1)
        return list(load_batches(images, places, processes))

    found, again = batches("a", workers), batches("b", 0)
    assert len(found) == len(again) == 2
    for (images, targets), (others, same) in zip(found, again, strict=True):
        assert (images.dtype, tuple(images.shape)) == (torch.uint8, (4, 3, 64, 80))
        assert torch.equal(images, others)
        assert all(torch.equal(one, two) for one, two in zip(targets, same, strict=True))


def detector() -> CenterNet:
    return CenterNet(CenterNetConfig(configure("mobilenet_v1", width_mult=0.25), 2, neck_channels=16))


def test_the_backbone_learns_slower_and_is_frozen_at_first() -> None:
    network = detector()
    groups = parameter_groups(network, Optimizer(lr=1.0, backbone_lr_mult=0.5, layer_decay=0.8))
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
    rates = {id(parameter): group["peak_lr"] for group in groups for parameter in group["params"]}
    for part in (network.neck, network.heads):
        assert {rates[id(parameter)] for parameter in part.parameters()} == {1.0}
    for behind, part in enumerate(reversed(network.backbone.features)):
        assert all(rates[id(parameter)] == pytest.approx(0.5 * 0.8**behind) for parameter in part.parameters())
    set_mode(network, head_alone=True, freeze_bn=False)
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
    assert all(parameter.requires_grad for part in (network.neck, network.heads) for parameter in part.parameters())
    assert (network.backbone.features.training, network.neck.training) == (False, True)
    set_mode(network, head_alone=False, freeze_bn=False)
    assert all(parameter.requires_grad for parameter in network.parameters())


class Killed(BaseException):
    pass


class Killer(Quiet):
    """Ends the run at a step, before its checkpoint."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def on_step(self, images: int, loss: float) -> None:
        super().on_step(images, loss)
        if self.steps == self.at:
            raise Killed


def test_a_resumed_run_ends_with_the_same_weights(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "finish", lambda *_, **__: {"done": True})
    changes: Mapping[str, Mapping[str, Any]] = {
        "schedule": {"epochs": 3},
        "detection": {"mosaic": 0.5},
        "run": {"checkpoint_minutes": 0},
    }
    recipe = make_recipe(RECIPE, changes, task="detection")
    plan, network, _ = make_plan(root, recipe, "mine")
    plan.write(tmp_path / "whole")
    assert run_module.train(plan, network, tmp_path / "whole", Quiet()) == {"done": True}

    plan, network, _ = make_plan(root, recipe, "mine")
    plan.write(tmp_path / "killed")
    with pytest.raises(Killed):
        run_module.train(plan, network, tmp_path / "killed", Killer(at=4))  # in the second of two steps of an epoch
    for at in (2, 9):
        try:
            run_module.train(read_plan(tmp_path / "killed"), None, tmp_path / "killed", Killer(at))
        except Killed:
            assert at == 2
    assert differences(checkpoints(tmp_path / "killed"), checkpoints(tmp_path / "whole")) == []
