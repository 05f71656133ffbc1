"""Every option of detection does something that can be measured, and defaults that differ from a classifier's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litevision.data import DetectionSample, read_boxes
from litevision.errors import UsageError
from litevision.image import Preprocess
from litevision.models.centernet import CenterNetMaps
from litevision.runtime import Normalisation
from litevision.tasks.detection.heads import CenterNetHeads
from litevision.tasks.detection.objective import DetectionImages, DetectionObjective, read_for_training
from litevision.tasks.detection.recipe import Detection, DetectionRecipe
from litevision.training.image_cache import ImageCache
from litevision.training.recipe_file import make_recipe, recipe_tables, recipe_toml
from shapes import CLASSES, write_shapes

PREPROCESS = Preprocess((64, 96), 1, "letterbox")
IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[DetectionSample, ...]:
    return read_boxes(write_shapes(tmp_path_factory.mktemp("data") / "d", 4, 1, 1)).of("train")


def images_of(samples: tuple[DetectionSample, ...], options: Detection, folder: Path) -> DetectionImages:
    store = ImageCache(
        folder, [one.path for one in samples], lambda path: read_for_training(PREPROCESS, 1.4, path), 10**7
    )
    return DetectionImages(store, samples, options, PREPROCESS, CenterNetHeads(options, len(CLASSES)))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("flip", False),
        ("flip_vertical", True),
        ("rot90", True),
        ("scale", (0.3, 0.4)),
        ("aspect_jitter", 2.0),
        ("colour", 0.9),
        ("hue", 0.5),
        ("mosaic", 1.0),
    ],
)
def test_what_is_done_to_images(samples: tuple[DetectionSample, ...], tmp_path: Path, option: str, value: Any) -> None:
    usual = images_of(samples, Detection(), tmp_path / "a")
    other = images_of(samples, replace(Detection(), **{option: value}), tmp_path / "b")
    pairs = [(usual[0, seed], other[0, seed]) for seed in range(4)]
    assert any(not torch.equal(one.image, two.image) for one, two in pairs)


def test_min_visible_ignores_what_is_cut_off(samples: tuple[DetectionSample, ...], tmp_path: Path) -> None:
    zoomed = Detection(scale=(3.0, 3.0), min_visible=0.0)
    kept = images_of(samples, zoomed, tmp_path / "a")
    strict = images_of(samples, replace(zoomed, min_visible=1.0), tmp_path / "b")
    counts = [sum(int(one[0, seed].ignored.sum()) for seed in range(8)) for one in (kept, strict)]
    assert counts[0] < counts[1]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("radius", "reference"),
        ("center_radius", 0),
        ("size_weight", 0.5),
        ("offset_weight", 0.0),
        ("iou_weight", 2.0),
    ],
)
def test_what_is_made_small(samples: tuple[DetectionSample, ...], tmp_path: Path, option: str, value: Any) -> None:
    losses = []
    for options in (Detection(), replace(Detection(), **{option: value})):
        images = images_of(samples, options, tmp_path / str(len(losses)))
        batch = images.collate([images[0, 1], images[1, 2]])
        task = DetectionObjective(CenterNetHeads(options, 2), PREPROCESS, IMAGENET, CLASSES, (), images._store)
        maps = CenterNetMaps(torch.zeros(2, 2, 16, 24), torch.zeros(2, 2, 16, 24), torch.zeros(2, 2, 16, 24))
        losses.append(float(task.loss(lambda _, maps=maps: maps, batch)))
    assert losses[0] != losses[1]


def test_detection_has_its_own_defaults() -> None:
    recipe = make_recipe(task="detection")
    assert (recipe.model.size_hw, recipe.model.crop) == ((416, 416), "letterbox")
    assert recipe.detection == Detection()
    assert make_recipe({"model": {"size_hw": [64, 96]}}, task="detection").model.size_hw == (64, 96)
    assert make_recipe().model.size_hw == (224, 224)


def test_a_recipe_tells_what_its_task_has() -> None:
    tables = recipe_tables(DetectionRecipe())
    assert "detection" in tables
    assert "augment" not in tables
    assert set(tables["loss"]) == {"class_weights", "sampler"}
    assert "[detection]" not in recipe_toml(make_recipe())


def test_the_names_of_0_1_0_are_still_read() -> None:
    old = {"detection": {"turn": True, "stretch": 1.5, "spread": 2}}
    new = {"detection": {"rot90": True, "aspect_jitter": 1.5, "center_radius": 2}}
    assert make_recipe(old, task="detection") == make_recipe(new, task="detection")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"detection": {"nek": "light"}}, r"no key in \[detection\] of the recipe: 'nek'\. Did you mean 'neck'"),
        ({"detection": {"neck": "heavy"}}, r"detection\.neck is 'heavy', expected 'light' or"),
        (
            {"detection": {"scale": [1.4, 0.6]}},
            r"detection\.scale is \[1\.4, 0\.6\]; expected two factors",
        ),
        ({"detection": {"mosaic": 2}}, r"detection\.mosaic is 2; expected a number from 0 to 1"),
        ({"detection": {"top_k": 0}}, r"detection\.top_k is 0; expected"),
    ],
)
def test_faults_are_one_clear_line(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_recipe(tables, task="detection")


def test_images_are_kept_as_large_as_they_are_used(tmp_path: Path) -> None:
    root = write_shapes(tmp_path / "d", 1, 1, 1)
    path = root / "JPEGImages/train0.png"  # 64 x 96
    assert read_for_training(PREPROCESS, 1.4, path).shape == (64, 96, 3)
    assert read_for_training(Preprocess((32, 32), 1, "letterbox"), 1.0, path).shape == (21, 32, 3)
    assert read_for_training(Preprocess((32, 32), 1, "stretch"), 1.0, path).shape == (32, 32, 3)
    assert np.asarray(read_for_training(Preprocess((32, 32), 1, "stretch"), 9.0, path)).shape == (48, 48, 3)
