"""A sigmoid is exported as one: of a single logit, of several labels, or where the weights' own description says so."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import litevision
from exports import IMAGENET, LABELS, export
from images import noise
from litevision.errors import BundleError, ExportError, UnknownNameError, UsageError
from litevision.exporting.prepare import MissingLabelsError
from litevision.image import shipped_images
from litevision.models import build, configure
from litevision.models.network import Network
from litevision.models.pretrained import normalise
from litevision.runtime import Bundle, BundleMetadata, Classifier
from litevision.runtime.metadata import are_labels_of
from litevision.tasks.classification.export import RawToProbabilities, check_bundle, expected_probabilities
from litevision.weights.keras_config import output_activation
from litevision.weights.load import load_network, load_weights
from litevision.weights.read import read
from litevision.weights.save import save_weights
from litevision.zoo import BUNDLES
from networks import SHORT_ROWS, fill


def short(num_classes: int, dialect: str = "torchvision") -> Network:
    rows = SHORT_ROWS["mobilenet_v2"][:2]
    return fill(build(configure("mobilenet_v2", dialect=dialect, num_classes=num_classes, rows=rows)))


def logits_of(network: Network, classifier: Classifier) -> np.ndarray[Any, Any]:
    images = torch.from_numpy(classifier.preprocess.batch(shipped_images())).permute(0, 3, 1, 2)
    with torch.inference_mode():
        found: np.ndarray[Any, Any] = network.eval()(normalise(images, IMAGENET)).double().numpy()
    return found


def test_a_single_logit_is_two_answers(tmp_path: Path) -> None:
    network = short(1)
    metadata = export(network, tmp_path / "one.onnx", labels=["cat"])
    assert (metadata.labels, metadata.activation, metadata.is_multi_label) == (("not cat", "cat"), "sigmoid", False)
    assert metadata.architecture.num_classes == 1
    classifier = Classifier(Bundle.open(tmp_path / "one.onnx"))
    logits = logits_of(network, classifier)[:, 0]
    got = classifier.probabilities(classifier.preprocess.batch(shipped_images()))
    np.testing.assert_allclose(got[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-5)
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-6)
    # The bundle is weights again: of one logit, with its names and activation, and exported as it was.
    again = load_network(tmp_path / "one.onnx")
    assert again.config.num_classes == 1
    second = litevision.export(again, tmp_path / "second.onnx")
    assert (second.labels, second.activation) == (metadata.labels, "sigmoid")


def test_several_labels_have_probabilities_of_their_own(tmp_path: Path) -> None:
    network = short(10)
    metadata = export(network, tmp_path / "many.onnx", options={"activation": "sigmoid"})
    assert (metadata.labels, metadata.activation, metadata.is_multi_label) == (LABELS, "sigmoid", True)
    classifier = Classifier(Bundle.open(tmp_path / "many.onnx"))
    got = classifier.probabilities(classifier.preprocess.batch(shipped_images()))
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-logits_of(network, classifier))), atol=1e-5)
    assert not np.allclose(got.sum(1), 1, atol=1e-3)
    with pytest.raises(ExportError, match="does not match its module"):  # the graph is a sigmoid's, the record is not
        check_bundle(renamed(tmp_path, metadata.to_json()), network, IMAGENET, shipped_images())


def renamed(folder: Path, record: str) -> Path:
    """The bundle whose record says softmax."""
    import onnx

    model = onnx.load(folder / "many.onnx")
    onnx.helper.set_model_props(model, {"litevision": record.replace('"sigmoid"', '"softmax"')})
    onnx.save(model, folder / "lying.onnx")
    return folder / "lying.onnx"


@pytest.mark.parametrize(("num_classes", "activation"), [(1, "sigmoid"), (7, "sigmoid"), (7, "softmax")])
def test_what_is_expected_is_what_the_graph_computes(num_classes: int, activation: Any) -> None:
    network, batch = short(num_classes), np.stack([noise(64, 64, seed) for seed in range(3)])
    with torch.inference_mode():
        graph = RawToProbabilities(network.eval(), IMAGENET, activation)(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(graph, expected_probabilities(network, IMAGENET, activation, batch), atol=1e-6)


@pytest.mark.parametrize(
    ("num_classes", "arguments", "error", "message"),
    [
        (1, {"labels": ["cat"], "activation": "softmax"}, UsageError, "one logit, whose softmax is 1 for every image"),
        (1, {}, MissingLabelsError, "one logit: name what it finds, or both answers, with labels"),
        (1, {"labels": ["a", "b", "c"]}, UsageError, "has 1 classes, got 3 labels"),
        (3, {"labels": ["a", "b", "c"], "activation": "sigmoids"}, UnknownNameError, "no activation 'sigmoids'"),
    ],
)
def test_what_cannot_be_exported(
    num_classes: int, arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        litevision.export(short(num_classes), tmp_path / "x.onnx", size=64, normalisation="half", **arguments)
    assert not (tmp_path / "x.onnx").exists()


def test_labels_of_a_network() -> None:
    assert are_labels_of(1, ["cat"])
    assert are_labels_of(1, ["dog", "cat"])
    assert not are_labels_of(2, ["cat"])
    assert not are_labels_of(3, ["dog", "cat"])


def test_a_detector_has_no_activation() -> None:
    text = Bundle.open(BUNDLES["blood-cells"]).metadata.to_json()
    with pytest.raises(BundleError, match="activation is sigmoid for detection"):
        BundleMetadata.from_json(json.dumps({**json.loads(text), "activation": "sigmoid"}))


def dense(units: int, activation: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": "dense", "units": units, "activation": activation}}


CONV = {"class_name": "Conv2D", "config": {"name": "conv", "activation": "linear"}}
POOL = {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}}
SOFTMAX_MODEL = {"class_name": "Functional", "config": {"name": "base", "layers": [CONV, dense(1000, "softmax")]}}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([CONV, POOL, dense(5, "sigmoid")], "sigmoid"),
        ([CONV, POOL, dense(5, "softmax")], "softmax"),
        ([CONV, POOL, dense(5, "linear")], None),
        ([CONV, POOL, dense(5, None)], None),
        ([SOFTMAX_MODEL, POOL, dense(5, "sigmoid")], "sigmoid"),  # a model within the model
        ([CONV, {"class_name": "Activation", "config": {"activation": "sigmoid"}}], "sigmoid"),
        ([CONV, dense(5, "linear"), {"class_name": "Softmax", "config": {"axis": -1}}], "softmax"),
        ([CONV, dense(5, {"class_name": "function", "config": "sigmoid", "registered_name": "sigmoid"})], "sigmoid"),
        ([CONV, dense(5, "sigmoid"), {"class_name": "Reshape", "config": {"target_shape": [5]}}], "sigmoid"),
        ([dense(8, "sigmoid"), dense(5, "relu")], None),
        ([], None),
    ],
)
def test_kerass_own_description(layers: list[Any], expected: str | None) -> None:
    for model in (
        {"class_name": "Sequential", "config": {"name": "m", "layers": layers}},
        {"class_name": "Functional", "config": {"name": "m", "layers": layers, "output_layers": [["dense", 0, 0]]}},
        {"class_name": "Sequential", "config": layers},  # as early Keras 2 wrote it
    ):
        assert output_activation(json.dumps(model)) == expected


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"config": 3}', '{"config": {"layers": [3, null]}}', "[" * 9000])
def test_a_description_that_is_none(text: str) -> None:
    assert output_activation(text) is None


@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_keras_file_that_says_sigmoid(form: str, tmp_path: Path) -> None:
    config = configure("mobilenet_v2", dialect="keras", width_mult=0.35, num_classes=4)
    model = json.dumps({"class_name": "Functional", "config": {"layers": [CONV, dense(4, "sigmoid")]}})
    path = tmp_path / f"pets.{form}"
    if form == "keras":
        inner = save_weights(build(config), tmp_path / "model.weights.h5", "keras")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", model)
            archive.write(inner, "model.weights.h5")
    else:
        import h5py

        save_weights(build(config), path, "keras")
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = model
    assert read(path).activation == "sigmoid"
    loaded = load_weights(path)
    assert loaded.network.pretrained is not None
    assert loaded.network.pretrained.activation == "sigmoid"
    replaced = load_weights(path, num_classes=2, reset_classifier=True).network.pretrained
    assert replaced is not None
    assert replaced.activation is None  # of the classifier that is gone
