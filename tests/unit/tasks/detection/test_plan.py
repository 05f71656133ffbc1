"""A detection run before it begins: what is written is read back, and what cannot work is one clear line."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from litevision.data import SPLITS, LabelledBoxes
from litevision.errors import DataError, FileMissingError, UsageError
from litevision.models.centernet import CenterNet
from litevision.tasks.detection.recipe import DetectionRecipe
from litevision.training.plan import first_network, make_plan, read_plan
from litevision.training.recipe_file import make_recipe
from litevision.training.same_data import require_same_data
from litevision.weights.create import create
from litevision.weights.save import save_weights
from shapes import CLASSES, RECIPE, write_shapes
from trainings import tiny_recipe


def recipe_of(**changes: dict[str, Any]) -> DetectionRecipe:
    return make_recipe(RECIPE, changes, task="detection")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_shapes(tmp_path / "data", 4, 2, 2, empty=1)


def test_a_written_plan_reads_back_the_same(data: Path, tmp_path: Path) -> None:
    plan, network, faults = make_plan(data, recipe_of(), "mine")
    plan.write(tmp_path / "mine")
    again = read_plan(tmp_path / "mine")
    assert (again.recipe, again.config, again.normalisation, again.start) == (
        plan.recipe,
        plan.config,
        plan.normalisation,
        None,
    )
    assert (again.task.name, again.data.classes, again.data.kind, faults) == ("detection", CLASSES, "Pascal VOC", ())
    for one, other in zip(plan.data.samples, again.data.samples, strict=True):
        assert (one.path, one.split, one.size_hw) == (other.path, other.split, other.size_hw)
        for key in ("boxes_xyxy", "labels", "ignored"):
            assert np.array_equal(getattr(one, key), getattr(other, key))
            assert getattr(one, key).dtype == getattr(other, key).dtype
    states = network.state_dict(), first_network(again).state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_is_planned(data: Path) -> None:
    plan, network, _ = make_plan(data, recipe_of(), "mine")
    assert isinstance(network, CenterNet)
    assert network.config == plan.config
    assert isinstance(plan.data, LabelledBoxes)
    assert (network.config.neck, network.config.neck_channels, network.config.head_channels) == ("light", 16, 16)
    assert (plan.preprocess.size_hw, plan.preprocess.crop) == ((64, 96), "letterbox")
    other = make_plan(data, recipe_of(detection={"neck": "dlaup", "neck_channels": 0, "head_channels": 0}), "mine")[0]
    assert (other.config.neck, other.config.neck_channels, other.config.head_channels) == ("dlaup", None, 0)


def test_weights_fill_the_backbone(data: Path, tmp_path: Path) -> None:
    source = create("mobilenet_v1", width_mult=0.25, num_classes=7)
    save_weights(source, tmp_path / "w.safetensors")
    plan, network, _ = make_plan(data, recipe_of(model={"weights": str(tmp_path / "w.safetensors")}), "mine")
    assert isinstance(network, CenterNet)
    found, expected = network.backbone.state_dict(), source.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert plan.start is not None


def test_excluded_images_are_left_out_and_noted(data: Path) -> None:
    plan, _, _ = make_plan(data, recipe_of(detection={"exclude": ["train1", "val0.png"]}), "mine")
    assert (len(plan.data.of("train")), len(plan.data.of("validation")), len(plan.data.of("test"))) == (3, 1, 2)
    assert {Path(one.path).name for one in plan.skipped if one.rule == "excluded"} == {"train1.png", "val0.png"}


@pytest.mark.parametrize(("most", "train", "validation"), [(0, 4, 2), (2, 2, 2), (3, 3, 2), (9, 4, 2)])
def test_so_many_images_are_taken_at_most(most: int, train: int, validation: int, data: Path) -> None:
    plan, _, _ = make_plan(data, recipe_of(detection={"most_images": most}), "mine")
    assert [len(plan.data.of(split)) for split in SPLITS] == [train, validation, 2]
    assert sum(one.rule == "excluded" for one in plan.skipped) == 6 - train - validation


def test_fewer_images_are_chosen_evenly_of_those_that_are_not_excluded(data: Path) -> None:
    options = {"most_images": 2, "exclude": ["train0"]}
    plan, _, _ = make_plan(data, recipe_of(detection=options), "mine")
    assert [sample.path.stem for sample in plan.data.of("train")] == ["train1", "train2"]


def write_photos(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for place in range(count):
        Image.new("RGB", (40 + place, 30), (place, 90, 40)).save(folder / f"photo{place}.png")
    return folder


def test_backgrounds_are_training_images_without_boxes(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    write_photos(tmp_path / "photos/deeper", 1)
    (tmp_path / "photos/torn.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "photos/notes.md").write_text("of a walk")
    monkeypatch.chdir(tmp_path)
    plan, _, issues = make_plan(data, recipe_of(detection={"backgrounds": "photos"}), "mine")
    assert [len(plan.data.of(split)) for split in SPLITS] == [5, 2, 2]
    (it,) = (sample for sample in plan.data.samples if sample.path.parent.name == "deeper")
    assert (it.split, it.size_hw, it.boxes_xyxy.shape, len(it.labels)) == ("train", (30, 40), (0, 4), 0)
    assert [issue.path.name for issue in issues if issue.path] == ["torn.jpg"]
    assert plan.data.passed_over.counts[".md"] == 1
    plan.write(tmp_path / "mine")
    monkeypatch.chdir("/")  # and the run goes on from there
    again = read_plan(tmp_path / "mine")
    require_same_data(again, tmp_path / "mine")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "photos/deeper/photo0.png")
    with pytest.raises(DataError, match=r"1 image has other content \(such as .*photo0\.png"):
        require_same_data(again, tmp_path / "mine")


def test_at_most_half_as_many_backgrounds_evenly_chosen(data: Path, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 9)
    plan, _, _ = make_plan(data, recipe_of(detection={"backgrounds": str(folder)}), "mine")
    with_boxes = sum(bool(len(sample.labels)) for sample in plan.data.of("train"))
    taken = [sample.path.name for sample in plan.data.of("train") if sample.path.parent == folder]
    assert (with_boxes, taken) == (3, ["photo0.png"])
    assert sum(one.rule == "excluded" for one in plan.skipped) == 8


def test_a_run_goes_on_where_an_image_more_moves_the_choice(data: Path, tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", 9)
    options = {"backgrounds": str(folder), "most_images": 2}
    make_plan(data, recipe_of(detection=options), "mine")[0].write(tmp_path / "mine")
    plan = read_plan(tmp_path / "mine")
    Image.new("RGB", (40, 30), "red").save(folder / "another.png")
    for stem in ("Annotations/train0.xml", "JPEGImages/train0.png"):
        shutil.copy(data / stem, (data / stem).with_stem("another"))
    with (data / "ImageSets/Main/train.txt").open("a") as names:
        names.write("another\n")
    chosen = make_plan(data, plan.recipe, "other")[0].data.samples
    assert {one.path for one in chosen} != {one.path for one in plan.data.samples}
    require_same_data(plan, tmp_path / "mine")
    (folder / "photo0.png").unlink()
    with pytest.raises(DataError, match=r"1 image is not labelled any more|1 image has other content"):
        require_same_data(plan, tmp_path / "mine")


def test_backgrounds_change_neither_size_nor_shape(data: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (30, 3000)).save(photos / "tall.png")
    sizes = [
        make_plan(data, recipe_of(detection={"backgrounds": folder}), "mine", stated=())[0].recipe.model.size_hw
        for folder in ("", str(photos))
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("folder", "error", "message"),
    [
        ("nowhere", DataError, "nowhere: no folder; expected one of images that show none of the objects$"),
        ("empty", DataError, "empty: no image that can be used as background$"),
        ("torn", DataError, r"torn: no image that can be used as background; first of 1: .*torn\.jpg: "),
        ("data/JPEGImages", UsageError, r"test0\.png: one of the images of .*data; expected detection\.backgrounds to"),
    ],
)
def test_no_backgrounds(folder: str, error: type[Exception], message: str, data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/torn.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(error, match=message):
        make_plan(data, recipe_of(detection={"backgrounds": str(tmp_path / folder)}), "mine")


def strip_boxes(data: Path, split: str) -> None:
    for path in (data / "Annotations").glob(f"{split}*.xml"):
        text = path.read_text()
        start, end = text.find("<object>"), text.rfind("</object>") + len("</object>")
        path.write_text(text[:start] + text[end:] if start >= 0 else text)


def test_images_without_boxes_to_learn_from(data: Path) -> None:
    strip_boxes(data, "train")
    with pytest.raises(DataError, match=r"data: no boxes to learn from in the 4 images of train; label some"):
        make_plan(data, recipe_of(), "mine")


def test_images_without_boxes_to_judge_by(data: Path) -> None:
    strip_boxes(data, "val")
    with pytest.raises(DataError, match="no boxes to choose the best epoch by in the 2 images of validation"):
        make_plan(data, recipe_of(), "mine")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detection": {"exclude": ["train1", "trian2"]}}, r"exclude names 'trian2', which no image of train and"),
        ({"detection": {"exclude": ["test1"]}}, r"names 'test1', .*\(1 such in all\); expected names such as"),
        ({"model": {"crop": "center"}}, r"the crop 'center' cuts objects off; expected model\.crop = \"letterbox\""),
        ({"augment": {"mixup": 0.2}}, r"augment\.mixup is an option of classification, and these are images with"),
        ({"loss": {"label_smoothing": 0.2}}, r"loss\.label_smoothing is an option of classification"),
    ],
)
def test_faults_are_one_clear_line(data: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        make_plan(data, recipe_of(**changes), "mine")
    assert "\n" not in str(caught.value)


def test_options_of_detection_for_labelled_images(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"detection\.neck is an option of detection, and these are labelled images"):
        tiny_recipe({"detection": {"neck": "dlaup"}})
    assert tiny_recipe({"detection": {"neck": "light"}}) == tiny_recipe()  # which changes nothing
    message = r"data: images with boxes.*, and a recipe of classification; expected a recipe of detection"
    with pytest.raises(UsageError, match=message):
        make_plan(write_shapes(tmp_path / "data", 4, 2, 2), tiny_recipe(), "mine")


def test_images_that_are_gone(data: Path, tmp_path: Path) -> None:
    make_plan(data, recipe_of(), "mine")[0].write(tmp_path / "mine")
    (data / "JPEGImages/train1.png").unlink()
    with pytest.raises(FileMissingError, match=r"train1\.png: gone"):
        read_plan(tmp_path / "mine")
