"""What a bundle says of weights when nobody says otherwise."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from exports import LABELS
from litevision.errors import UnknownNameError, UsageError
from litevision.exporting.defaults import NORMALISATIONS, describe
from litevision.image import Preprocess
from litevision.models import build, configure
from litevision.registry.labels import imagenet_labels
from litevision.registry.weight_sets import find_weight_set
from litevision.runtime import Normalisation, Score, Weights
from litevision.weights.load import Loaded, load_weights
from litevision.weights.save import save_weights
from networks import SHORT_ROWS, short


def stored(folder: Path, name: str, dialect: str, layout: str = "litevision", num_classes: int = 1000) -> Loaded:
    config = configure(name, dialect=dialect, num_classes=num_classes, rows=SHORT_ROWS[name])
    ending = ".weights.h5" if layout == "keras" else ".safetensors"
    return load_weights(save_weights(build(config), folder / f"mine{ending}", layout))


@pytest.fixture
def mine(tmp_path: Path) -> Loaded:
    return stored(tmp_path, "mobilenet_v2", "torchvision")


def test_a_file_of_ones_own(mine: Loaded) -> None:
    found = describe(mine)
    digest = hashlib.sha256(mine.source.path.read_bytes()).hexdigest()
    assert found["labels"] == imagenet_labels()
    assert found["preprocess"] == Preprocess((224, 224), 256, "center", "bilinear")
    assert found["weights"] == Weights("mine.safetensors", "a local file in litevision's layout", "unknown", digest)
    assert (found["training_data"], found["score"]) == ("unknown", None)


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
    assert describe(stored(tmp_path, name, dialect))["normalisation"] == NORMALISATIONS[normalisation]


def test_normalisations() -> None:
    """To [-1, 1], to [0, 1], and by ImageNet's mean and deviation: the pixel 255 * mean becomes 0."""
    for name, black, white in (("half", -1, 1), ("unit", 0, 1), ("imagenet", -0.485 / 0.229, (1 - 0.485) / 0.229)):
        red = NORMALISATIONS[name]
        assert (0 - red.mean[0]) / red.std[0] == pytest.approx(black)
        assert (1 - red.mean[0]) / red.std[0] == pytest.approx(white)


def test_what_is_asked_for_comes_first(mine: Loaded) -> None:
    names = tuple(f"class {i}" for i in range(1000))
    found = describe(mine, size_hw=(96, 160), normalisation="unit", labels=names)
    assert found["preprocess"] == Preprocess((96, 160), 110, "center", "bilinear")  # 96 / 0.875
    assert found["normalisation"] == Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert found["labels"] == names


def test_a_registered_set_brings_its_own(mine: Loaded) -> None:
    weight_set = find_weight_set("mobilenet_v2.tv_in1k_v2")
    known = replace(mine, source=replace(mine.source, label=weight_set.name, weight_set=weight_set))
    found, elsewhere = describe(known), describe(known, size_hw=(160, 160))
    assert found["preprocess"] == Preprocess((224, 224), 232, "center", "bilinear")
    assert found["normalisation"] == NORMALISATIONS["imagenet"]
    assert found["weights"].name == "mobilenet_v2.tv_in1k_v2"
    assert found["weights"].provenance == weight_set.url
    assert found["training_data"] == "ImageNet-1k"
    score = Score(72.154, 90.822, "ImageNet-1k val", 50_000, (224, 224), "its publisher; not measured here")
    assert found["score"] == score
    assert elsewhere["score"] is None  # it was measured at 224
    assert elsewhere["preprocess"] == Preprocess((160, 160), 183, "center", "bilinear")


def test_classes_without_names(tmp_path: Path) -> None:
    loaded = stored(tmp_path, "mobilenet_v2", "torchvision", num_classes=10)
    with pytest.raises(UsageError, match="the network has 10 classes: name them, one a line, with --labels FILE"):
        describe(loaded)
    assert describe(loaded, labels=LABELS)["labels"] == LABELS


def test_an_unknown_normalisation(mine: Loaded) -> None:
    with pytest.raises(UnknownNameError, match=r"no normalisation 'imagnet'\. Did you mean 'imagenet'\? Known: imag"):
        describe(mine, normalisation="imagnet")


def test_short_rows_are_what_was_stored(mine: Loaded) -> None:
    assert mine.network.config.rows == short("mobilenet_v2", "torchvision").config.rows
