"""Bundles of published weights made without torch, from graph templates."""

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import numpy_helper

from litevision.errors import WeightsMismatchError
from litevision.exporting import published
from litevision.exporting.graph import fold_batch_norm
from litevision.exporting.published import write_published
from litevision.exporting.templates import FILE, Network, Template, find_template, templates
from litevision.hub import load_classifier
from litevision.image import shipped_images
from litevision.models import Network as TorchNetwork
from litevision.models import build, configure
from litevision.registry import DETECTORS
from litevision.registry.weight_sets import WeightSet, find_weight_set, weight_sets
from litevision.tasks.classification.export import RawToProbabilities
from litevision.weights.convert import extract
from litevision.weights.convert.layout import tensor_mappings
from litevision.weights.layouts import layout_named
from litevision.weights.published import normalisation_of
from networks import fill
from template_tool import assert_kept, tool

TOLERANCE = 1e-5  # torch and onnxruntime round apart; the weights themselves are compared more closely

SETS = [
    "mobilenet_v1.keras_in1k_a025_r128",
    "mobilenet_v1.timm_ra4_e3600_r224_in1k",
    "mobilenet_v2.tv_in1k_v2",
    "mobilenetv2_110d.ra_in1k",
    "mobilenet_v2.keras_in1k_a035_r96",
    "mobilenet_v3_small.tv_in1k_v1",
    "mobilenetv3_small_050.lamb_in1k",
    "tf_mobilenetv3_small_minimal_100.in1k",
    "mobilenet_v3_small.keras_in1k_a075_r224",
    "mobilenetv4_conv_small_050.e3000_r224_in1k",
    "shufflenet_v2_x0_5.tv_in1k_v1",
]
"""One for each family in each dialect that publishes it."""


def layout_of(row: WeightSet) -> str:
    return row.dialect.partition("_")[0]


def network_for(row: WeightSet) -> TorchNetwork:
    config = configure(row.architecture, dialect=row.dialect, width_mult=row.width_mult, **row.options)
    network = fill(build(config))
    with torch.no_grad():
        network.head.classifier.weight *= 0.02  # logits as those of trained weights, which float32 keeps apart
    return network


def template_of(row: WeightSet) -> Template:
    found = find_template(row)
    assert found is not None
    return found


def arrays_of(network: TorchNetwork, row: WeightSet) -> dict[str, npt.NDArray[np.float32]]:
    return {name: tensor.numpy() for name, tensor in extract(network, layout_named(layout_of(row))).items()}


def written(
    row: WeightSet, arrays: dict[str, npt.NDArray[np.float32]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    file = path.with_suffix(".safetensors")
    file.write_bytes(b"")
    monkeypatch.setattr(published, "fetch", lambda _: file)
    monkeypatch.setattr(published, "read_arrays", lambda _: arrays)
    write_published(row, template_of(row), path)
    return path


def exact_probabilities(
    network: TorchNetwork, row: WeightSet, images_u8_nhwc: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Of raw images, in float64: float32 in torch's order is itself 2e-5 off where SE multiplies what it rounded."""
    front = RawToProbabilities(network, normalisation_of(row))
    pixels = torch.from_numpy(images_u8_nhwc).permute(0, 3, 1, 2).double()
    with torch.inference_mode():
        logits = copy.deepcopy(network).double().eval()(pixels * front.scale.double() + front.shift.double())
        return torch.softmax(logits, 1).numpy()


@pytest.mark.parametrize("name", SETS)
def test_weights_and_answers_are_an_exports(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = find_weight_set(name)
    network = network_for(row)
    bundle = written(row, arrays_of(network, row), tmp_path / "model.onnx", monkeypatch)
    classifier = load_classifier(bundle)
    assert classifier.preprocess.size_hw == row.input.size_hw
    images = classifier.preprocess.batch(shipped_images())
    expected = exact_probabilities(network, row, images)
    assert expected.std() > 1e-5, "answers too flat to tell networks apart"
    assert np.abs(classifier.probabilities(images) - expected).max() <= TOLERANCE
    folded = {f"network.{key}": tensor.numpy() for key, tensor in fold_batch_norm(network).state_dict().items()}
    graph = onnx.load(bundle).graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer if one.name in folded}
    assert weights.keys() == {key for key, tensor in folded.items() if tensor.ndim and "norm" not in key}
    for key, weight in weights.items():
        np.testing.assert_allclose(weight, folded[key], rtol=1e-6, atol=1e-7, err_msg=key)
    check = classifier.bundle.metadata.check
    assert check.images == 4
    assert check.max_abs_diff <= 1e-4


CLASSIFIERS = [row for row in dict.fromkeys(weight_sets()) if row.architecture not in DETECTORS]


@pytest.mark.parametrize("row", CLASSIFIERS, ids=lambda row: row.name)
def test_each_published_classifier_has_a_template_that_takes_its_tensors(row: WeightSet) -> None:
    if row.num_classes != 1000:
        assert find_template(row) is None
        return
    config = configure(row.architecture, dialect=row.dialect, width_mult=row.width_mult, **row.options)
    wanted = {mapping.theirs for mapping in tensor_mappings(build(config, device="meta"), layout_named(layout_of(row)))}
    taken = set()
    for weight in template_of(row).plain["weights"]:
        taken |= {tuple(weight[part]["names"]) for part in ("weight", "bias") if part in weight}
        taken |= {tuple(names) for names in weight.get("norm", ())}
    assert taken == wanted


def test_the_templates_are_those_of_the_networks() -> None:
    assert set(templates()) == set(tool().wanted())
    network = Network("mobilenet_v3_small", "timm", 0.5, ())
    assert_kept(tool().template(network), network)


def test_all_templates_are_small() -> None:
    assert FILE.stat().st_size <= 1_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lacks", r"the file lacks conv_stem\.weight"),
        ("has more", "the file has 1 tensors more than the network: other"),
        ("has another shape", r"becomes \(16, 1, 3, 3\) of the file, expected"),
    ],
)
def test_another_file_is_refused(change: str, message: str) -> None:
    row = find_weight_set("mobilenetv3_small_050.lamb_in1k")
    arrays = arrays_of(network_for(row), row)
    if change == "lacks":
        del arrays["conv_stem.weight"]
    elif change == "has more":
        arrays["other"] = np.zeros(3, np.float32)
    else:
        arrays["conv_stem.weight"] = np.zeros((1, 1, 3, 3), np.float32)
    metadata = load_classifier("clothing").bundle.metadata
    with pytest.raises(WeightsMismatchError, match=message):
        template_of(row).bundle(arrays, metadata)


WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchvision", "onnx", "onnxscript", "safetensors")))
from pathlib import Path
from litevision.exporting import published
from litevision.exporting.cached import bundle_for
from litevision.hub import load_classifier
published.fetch = lambda row: Path(sys.argv[2])
print(load_classifier(bundle_for(sys.argv[1])).predict(sys.argv[3], top=1)[0].label)
"""


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mobilenet_v2.tv_in1k_v1", "mobilenet_v2_in1k_torchvision.pth"),
        ("mobilenet_v2.tv_in1k_v1", "mobilenet_v2_in1k_torchvision.safetensors"),
        ("mobilenet_v2.keras_in1k_a100_r224", "mobilenet_v2_in1k_keras_legacy.h5"),
        ("mobilenet_v1.keras_in1k_a025_r224", "mobilenet_v1_025_in1k.weights.h5"),
    ],
)
def test_real_weights_answer_without_torch(
    name: str, file: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path))
    image = shared / "data/photos/elephant.jpg"
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, name, str(shared / "weights" / file), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "African_elephant\n"
