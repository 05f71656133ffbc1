"""What is known of weights: of a file, by its dialect; of a registered set, by its publisher."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from litevision.errors import UnknownNameError
from litevision.image import Preprocess
from litevision.models import build, configure
from litevision.registry.labels import imagenet_labels
from litevision.registry.weight_sets import find_weight_set
from litevision.runtime import Score
from litevision.runtime.metadata import NORMALISATIONS
from litevision.weights.facts import facts_of, normalisation_named, resized
from litevision.weights.load import Loaded, load_weights
from litevision.weights.save import save_weights
from networks import SHORT_ROWS


def stored(folder: Path, name: str, dialect: str, layout: str = "litevision", num_classes: int = 1000) -> Loaded:
    config = configure(name, dialect=dialect, num_classes=num_classes, rows=SHORT_ROWS[name])
    ending = ".weights.h5" if layout == "keras" else ".safetensors"
    return load_weights(save_weights(build(config), folder / f"mine{ending}", layout))


@pytest.fixture
def mine(tmp_path: Path) -> Loaded:
    return stored(tmp_path, "mobilenet_v2", "torchvision")


def test_a_file_of_ones_own(mine: Loaded) -> None:
    facts = mine.network.pretrained
    assert facts is not None
    assert facts.labels == imagenet_labels()
    assert facts.preprocess == Preprocess((224, 224), 256, "center", "bilinear")
    digest = hashlib.sha256(mine.source.path.read_bytes()).hexdigest()
    assert (facts.name, facts.source) == ("mine.safetensors", "a local file in litevision's layout")
    assert (facts.licence, facts.sha256, facts.training_data) == ("unknown", digest, "unknown")
    assert facts.score is None


@pytest.mark.parametrize(
    ("name", "dialect", "normalisation"),
    [
        ("mobilenet_v2", "torchvision", "imagenet"),
        ("mobilenet_v2", "timm", "imagenet"),
        ("mobilenet_v2", "keras", "half"),
        ("mobilenet_v2", "slim", "half"),
        ("mobilenet_v2", "tutorial", "half"),
        ("mobilenet_v3_large", "timm_tf", "half"),
    ],
)
def test_the_dialect_tells_the_normalisation(name: str, dialect: str, normalisation: str, tmp_path: Path) -> None:
    facts = stored(tmp_path, name, dialect).network.pretrained
    assert facts is not None
    assert facts.normalisation == NORMALISATIONS[normalisation]


def test_normalisations() -> None:
    """To [-1, 1], to [0, 1], and by ImageNet's mean and deviation: the pixel 255 * mean becomes 0."""
    for name, black, white in (("half", -1, 1), ("unit", 0, 1), ("imagenet", -0.485 / 0.229, (1 - 0.485) / 0.229)):
        red = normalisation_named(name)
        assert (0 - red.mean[0]) / red.std[0] == pytest.approx(black)
        assert (1 - red.mean[0]) / red.std[0] == pytest.approx(white)
    with pytest.raises(UnknownNameError, match=r"no normalisation 'imagnet'\. Did you mean 'imagenet'\? Known: imag"):
        normalisation_named("imagnet")


def test_a_registered_set_brings_its_own(mine: Loaded) -> None:
    weight_set = find_weight_set("mobilenet_v2.tv_in1k_v2")
    source = replace(mine.source, label=weight_set.name, weight_set=weight_set)
    facts = facts_of(source, mine.network.config, mine.layout.name)
    assert facts.preprocess == Preprocess((224, 224), 232, "center", "bilinear")
    assert facts.normalisation == NORMALISATIONS["imagenet"]
    assert (facts.name, facts.source) == ("mobilenet_v2.tv_in1k_v2", weight_set.url)
    assert (facts.licence, facts.training_data) == ("BSD-3-Clause", "ImageNet-1k")
    score = Score(72.154, 90.822, "ImageNet-1k val", 50_000, (224, 224), "its publisher; not measured here")
    assert facts.score == score
    assert resized(facts, (224, 224)) == facts
    elsewhere = resized(facts, (160, 192))
    assert elsewhere.preprocess == Preprocess((160, 192), 166, "center", "bilinear")  # 160 * 232 / 224
    assert elsewhere.score is None  # it was measured at 224


def test_classes_without_names(tmp_path: Path) -> None:
    facts = stored(tmp_path, "mobilenet_v2", "torchvision", num_classes=10).network.pretrained
    assert facts is not None
    assert facts.labels is None
