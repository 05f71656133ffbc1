"""The bundles that come along: small, whole, and as good as their cards say."""

import csv
import re
from pathlib import Path

import pytest
import torch

import litevision
from litevision import zoo
from litevision.data import SPLITS, read_images
from litevision.evaluation import evaluate_bundle, scores, select_split
from litevision.evaluation.coco import detection_scores
from litevision.evaluation.detection import evaluate_detector
from litevision.hub import load
from litevision.models.pretrained import normalise
from litevision.registry.labels import imagenet_labels
from litevision.runtime import BundleMetadata, DetectionScore, Detector, Score
from litevision.tasks.detection.data import read_trainable
from litevision.training.recipe_file import make_recipe, read_recipe
from litevision.zoo import BUNDLES

EXAMPLES = Path(__file__).parents[3] / "examples"
MAX_BYTES = 10_000_000


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_has_its_card_and_its_recipe(name: str) -> None:
    path = BUNDLES[name]
    assert path.stat().st_size <= MAX_BYTES
    about = load(name).bundle.metadata
    card = path.with_suffix(".md").read_text()
    assert about.score is not None
    if isinstance(about.score, Score):
        assert f"top-1 {about.score.top1:.1f} %" in card
    else:
        assert re.search(rf"AP {about.score.ap:.3f} \([^)]*\), AP50 {about.score.ap50:.3f} \(", card)
    assert f"on {about.score.count:,} test images" in card
    assert f"Licence: {licence_in(about)}" in card
    assert about.weights.licence != "unknown"
    if name == "imagenet-1k":
        return  # no run of `litevision train` made it
    recipe = make_recipe(read_recipe(path.with_suffix(".toml")), origin=name, task=about.task)
    assert recipe.model.name == about.architecture.name
    assert recipe.model.size_hw == about.preprocess.size_hw
    assert recipe.model.crop == about.preprocess.crop


def licence_in(about: BundleMetadata) -> str:
    found = re.search(r"\(licence: (.+)\)$", about.training_data)
    assert found
    return found[1]


@pytest.mark.parametrize("name", BUNDLES)
def test_a_card_names_no_place_of_one_machine(name: str) -> None:
    texts = [BUNDLES[name].with_suffix(ending).read_text() for ending in (".md", ".toml")]
    texts.append(load(name).bundle.metadata.to_json())
    assert [found for text in texts for found in re.findall(r"(?<![\w.])/(?:home|tmp|work|root|Users)/\S*", text)] == []


def test_the_garment_in_the_example() -> None:
    assert load("clothing").predict(EXAMPLES / "dress.jpg", top=1)[0].label == "dress"


def test_the_animal_in_the_example() -> None:
    assert BUNDLES["imagenet-1k"].stat().st_size <= 2_500_000
    classifier = load("imagenet-1k")
    assert classifier.labels == imagenet_labels()
    assert classifier.predict(EXAMPLES / "elephant.jpg", top=1)[0].label == "African_elephant"


def test_numbers_in_four_bits_are_the_same_in_torch_and_in_every_engine() -> None:
    """The graph unpacks them; the reader of weights does so on its own."""
    classifier = load("imagenet-1k", threads=1)
    images = [EXAMPLES / "elephant.jpg", EXAMPLES / "dress.jpg"]
    batch = classifier.preprocess.batch(images)
    expected = classifier.probabilities(batch)
    network = litevision.create("mobilenet_v2", weights="imagenet-1k").eval()
    assert network.pretrained.labels == classifier.labels
    assert network.pretrained.calibration == classifier.bundle.metadata.calibration
    with torch.inference_mode():
        logits = network(normalise(torch.from_numpy(batch).permute(0, 3, 1, 2), network.pretrained.normalisation))
    assert logits.softmax(1).numpy() == pytest.approx(expected, abs=1e-5)
    pytest.importorskip("openvino")
    found = load("imagenet-1k", engine="openvino", threads=1).probabilities(batch)
    assert found == pytest.approx(expected, abs=1e-5)


def test_clothing_is_unsure_of_other_things_more_often(shared: Path) -> None:
    """The card says of how many, of all; here a part of either."""
    classifier = load("clothing", threads=1)
    own = sorted((shared / "data/clothing/test").glob("*/*.jpg"))[::12]
    animals = sorted((shared / "data/imagenet500/images").glob("n01*.jpg"))[::2]
    of_own, of_animals = ([it.unsure for it in classifier.predict_batch(images)] for images in (own, animals))
    assert (len(own), len(animals)) == (31, 32)
    assert sum(of_own) / len(own) < 0.15
    assert sum(of_animals) / len(animals) > 0.3


def test_blood_cells_finds_none_in_other_things(shared: Path) -> None:
    """The table of training says in how many of a hundred; here in a part of them."""
    detector = load("blood-cells", threads=1)
    assert isinstance(detector, Detector)
    photos = sorted((shared / "data/imagenet500/images").iterdir())[::20]
    with_cells = [photo for photo in photos if len(detector.predict(photo))]
    assert (len(photos), len(with_cells) <= 2) == (25, True)


@pytest.mark.slow
def test_imagenet_1k_is_as_good_as_it_says(shared: Path) -> None:
    classifier, folder = load("imagenet-1k", threads=1, streams=2), shared / "data/imagenet500"
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = [result.predictions.index for result in classifier.stream([folder / row["path"] for row in rows])]
    right = sum(index[0] == int(row["index"]) for index, row in zip(found, rows, strict=True))
    among_five = sum(int(row["index"]) in index for index, row in zip(found, rows, strict=True))
    claimed = classifier.bundle.metadata.score
    assert isinstance(claimed, Score)
    assert (100 * right / 500, 100 * among_five / 500) == pytest.approx((claimed.top1, claimed.top5), abs=0.5)
    assert (right, among_five) > (0.55 * 500, 0.79 * 500)  # of MobileNetV1 0.25, the smallest that there is


@pytest.mark.slow
def test_clothing_is_as_good_as_it_says(shared: Path) -> None:
    classifier = load("clothing", threads=1, streams=2)
    data = read_images(shared / "data/clothing")
    split, samples = select_split(data, "test")
    found = scores(evaluate_bundle(classifier, samples, data.classes, split=split))
    claimed = classifier.bundle.metadata.score
    assert claimed is not None
    assert found.count == claimed.count == 372
    assert found.top1 == pytest.approx(claimed.top1, abs=0.3)  # one image more or less on another CPU


@pytest.mark.slow
def test_blood_cells_is_as_good_as_it_says(shared: Path) -> None:
    detector = load("blood-cells", threads=1, streams=2)
    assert isinstance(detector, Detector)
    data, _, _ = read_trainable(shared / "data/bccd", ())
    found = detection_scores(evaluate_detector(detector, data.of("test"), data.classes, split="test"))
    claimed = detector.bundle.metadata.score
    assert isinstance(claimed, DetectionScore)
    assert claimed.count == 72
    assert (found.ap, found.ap50) == pytest.approx((claimed.ap, claimed.ap50), abs=0.005)


def test_the_recipe_of_blood_cells_can_be_followed(shared: Path) -> None:
    recipe = make_recipe(read_recipe(Path(zoo.__file__).with_name("blood-cells.toml")), task="detection")
    data, _, excluded = read_trainable(shared / "data/bccd", recipe.detection.exclude)
    assert len(excluded) == len(recipe.detection.exclude) == 9
    assert [len(data.of(split)) for split in SPLITS] == [200, 83, 72]
