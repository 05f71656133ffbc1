"""``litevision.export``: everything comes from the network, the weights or the run, unless it is given."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

import litevision
from exports import LABELS
from litevision.errors import UsageError, WeightsMismatchError
from litevision.exporting.prepare import ExportedModel
from litevision.image import Preprocess, shipped_images
from litevision.models import build, configure
from litevision.models.network import Network
from litevision.runtime import Bundle, BundleMetadata, Classifier, Normalisation
from litevision.weights.load import load_weights
from litevision.zoo import BUNDLES
from networks import SHORT_ROWS


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[ExportedModel]:
    """What the writer of bundles would be given; nothing is written."""
    models: list[ExportedModel] = []

    def write(model: ExportedModel, path: Path, check_images: object) -> BundleMetadata:
        models.append(model)
        return Bundle.open(BUNDLES["clothing"]).metadata

    monkeypatch.setattr(ExportedModel, "write", write)
    return models


@pytest.fixture
def clothing() -> Network:
    """The shipped classifier as a network."""
    return load_weights("clothing").network


def small(num_classes: int = 10) -> Network:
    return build(configure("mobilenet_v2", num_classes=num_classes, rows=SHORT_ROWS["mobilenet_v2"][:2]))


def test_a_bundle_through_a_network_and_back(clothing: Network, tmp_path: Path) -> None:
    metadata = litevision.export(clothing, tmp_path / "again.onnx")
    first, second = (Classifier(Bundle.open(path)) for path in (BUNDLES["clothing"], tmp_path / "again.onnx"))
    expected = first.bundle.metadata
    assert metadata == second.bundle.metadata
    assert replace(metadata, check=expected.check) == expected
    batch = first.preprocess.batch(shipped_images())
    np.testing.assert_allclose(second.probabilities(batch), first.probabilities(batch), rtol=0, atol=1e-5)


def test_a_network_that_was_trained_on_says_so(clothing: Network, written: list[ExportedModel]) -> None:
    known = clothing.pretrained
    assert known is not None
    clothing.train()
    optimizer = torch.optim.SGD(clothing.parameters(), 0.01)
    clothing(torch.randn(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    litevision.export(clothing, "it.onnx")
    [model] = written
    assert model.labels == known.labels
    assert model.facts.preprocess == known.preprocess
    assert model.facts.name == "clothing, fine-tuned"
    assert model.facts.source == f"fine-tuned from clothing: {known.source}"
    assert model.facts.training_data == f"{known.training_data}, then unknown data"
    assert model.facts.score is None
    assert model.facts.sha256 != known.sha256
    assert clothing.training


def test_a_classifier_that_the_user_replaced(clothing: Network, written: list[ExportedModel]) -> None:
    clothing.head.classifier = nn.Linear(clothing.num_features, 2)
    with pytest.raises(UsageError, match="the network has 2 classes: name them with labels"):
        litevision.export(clothing, "it.onnx")
    litevision.export(clothing, "it.onnx", labels=["cat", "dog"], training_data="my photos", licence="MIT", name="pets")
    [model] = written
    assert (model.labels, model.network.config.num_classes) == (("cat", "dog"), 2)
    facts = model.facts
    assert (facts.name, facts.training_data, facts.licence, facts.score) == ("pets", "my photos", "MIT", None)
    assert clothing.config.num_classes == 10


def test_from_scratch_everything_is_asked_for_at_once(written: list[ExportedModel]) -> None:
    message = r"trained from scratch, .*: give size \(px .*\) or preprocess and normalisation \(\"imagenet\", "
    with pytest.raises(UsageError, match=message):
        litevision.export(small(), "it.onnx", labels=LABELS)
    with pytest.raises(UsageError, match=r"give normalisation \("):
        litevision.export(small(), "it.onnx", labels=LABELS, size=64)
    with pytest.raises(UsageError, match="the network has 10 classes: name them with labels"):
        litevision.export(small(), "it.onnx", size=64, normalisation="half")
    litevision.export(small(), "mine.onnx", labels=LABELS, size=64, normalisation="half")
    [model] = written
    assert model.facts.preprocess == Preprocess((64, 64), 73, "center", "bilinear")
    assert model.facts.normalisation == Normalisation((0.5,) * 3, (0.5,) * 3)
    assert (model.facts.name, model.facts.source) == ("mine", "trained from scratch")


def test_what_is_given_comes_first(clothing: Network, written: list[ExportedModel]) -> None:
    labels = [f"garment {number}" for number in range(10)]
    plain = Normalisation((0.0,) * 3, (1.0,) * 3)
    litevision.export(clothing, "it.onnx", size=(96, 160), normalisation=plain, labels=labels)
    litevision.export(clothing, "it.onnx", preprocess=Preprocess((80, 80), 80, "letterbox"))
    sized, boxed = written
    assert (sized.labels, sized.facts.normalisation) == (tuple(labels), plain)
    assert sized.facts.preprocess == Preprocess((96, 160), 96, "center", "bilinear")  # all of the shorter side
    assert sized.facts.score is None
    assert boxed.facts.preprocess.crop == "letterbox"
    with pytest.raises(UsageError, match="give preprocess, or size, crop, crop_fraction and interpolation, not both"):
        litevision.export(clothing, "it.onnx", size=64, preprocess=Preprocess((80, 80), 80))


def test_wrappers_of_torch_are_looked_through(clothing: Network, written: list[ExportedModel]) -> None:
    litevision.export(AveragedModel(clothing), "it.onnx")
    litevision.export(nn.DataParallel(copy.deepcopy(clothing)), "it.onnx")
    assert [model.network.config for model in written] == [clothing.config] * 2
    with pytest.raises(UsageError, match=r"exports the networks of litevision\.create, got a Linear"):
        litevision.export(nn.Linear(1, 1), "it.onnx")


def test_detectors_and_names(written: list[ExportedModel]) -> None:
    litevision.export("blood-cells", "it.onnx")
    litevision.export(litevision.create.from_run("blood-cells"), "it.onnx")
    for model in written:
        assert model.labels == ("Platelets", "RBC", "WBC")
        assert model.facts.score_thresholds is not None
    with pytest.raises(WeightsMismatchError, match="blood-cells holds shufflenet_v2_x1_0"):
        litevision.export("blood-cells", "it.onnx", model="mobilenet_v1")
    with pytest.raises(UsageError, match="the source is a network already"):
        litevision.export(small(), "it.onnx", model="mobilenet_v1")


def test_an_unknown_ending_lists_the_formats() -> None:
    with pytest.raises(UsageError, match=r"no export format is written to 'it\.xyz'; .* ends with \.onnx \(bundle: "):
        litevision.export("clothing", "it.xyz")
