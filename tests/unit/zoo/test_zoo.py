"""The bundles that come along: small, whole, and as good as their cards say."""

import re
from pathlib import Path

import pytest

from litevision import zoo
from litevision.data import SPLITS, read_images
from litevision.evaluation import evaluate_bundle, scores, select_split
from litevision.evaluation.coco import detection_scores
from litevision.evaluation.detection import evaluate_detector
from litevision.hub import load
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
        assert f"AP {about.score.ap:.3f}, AP50 {about.score.ap50:.3f}" in card
    assert f"on {about.score.count:,} test images" in card
    assert f"Licence: {licence_in(about)}" in card
    assert about.weights.licence != "unknown"
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
