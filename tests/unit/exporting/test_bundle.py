"""From a network to a checked bundle, or to a refusal that leaves nothing behind."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import graph_cache
from exports import LABELS, ODD_HW, export, graph, probabilities
from images import encoded, noise
from litevision.errors import ExportError, ImageError, LitevisionError, UsageError
from litevision.hub import load
from litevision.models import NetworkConfig, build, configure
from litevision.registry import ARCHITECTURES
from litevision.runtime import METADATA_KEY, Score
from litevision.runtime.metadata import NORMALISATIONS
from litevision.tasks import Task
from litevision.tasks.classification.export import RawToProbabilities
from networks import every_form, fill, filled, short

V2 = ("mobilenet_v2", "torchvision")


def assert_answers_as_torch(path: Path, network: nn.Module, size_hw: tuple[int, int]) -> None:
    batch_u8_nhwc = np.stack([noise(*size_hw, seed) // (1 + seed) for seed in range(3)])
    expected = probabilities(network, batch_u8_nhwc)
    classifier = load(path)
    np.testing.assert_allclose(classifier.probabilities(batch_u8_nhwc), expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(classifier.probabilities(batch_u8_nhwc[1:2]), expected[1:2], rtol=0, atol=1e-4)
    assert expected.std() > 0.02, "answers too flat to tell networks apart"
    assert np.ptp(expected, axis=0).max() > 0.01, "the same answer to every image"


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_network(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litevision.exporting.graph.graph_of", graph_cache.graph_of)  # traced with these very weights
    network = filled(name, ARCHITECTURES[name].dialects[0])
    metadata = export(network, tmp_path / "it.onnx")
    assert (metadata.architecture.name, metadata.check.images) == (name, 4)
    assert_answers_as_torch(tmp_path / "it.onnx", network, (64, 64))


@every_form
def test_every_form_at_odd_sizes_with_custom_rows(name: str, dialect: str, tmp_path: Path) -> None:
    network = short(name, dialect)
    metadata = export(network, tmp_path / "it.onnx", ODD_HW)
    assert_answers_as_torch(tmp_path / "it.onnx", network, ODD_HW)
    written = json.loads(metadata.to_json())["architecture"]
    assert NetworkConfig.from_json(json.dumps({"architecture": written.pop("name"), **written})) == network.config


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the export for tests of what follows it; the graph is that of ``short(*V2)``."""

    def to_onnx(
        network: nn.Module, normalisation: object, size_hw: tuple[int, int], options: object
    ) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(graph(*V2, size_hw))
        return model

    monkeypatch.setattr("litevision.exporting.bundle.to_onnx", to_onnx)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "new" / "folder" / "it.onnx"
    score = Score(72.0, 90.5, "tests", 1000, (64, 64), "nobody")
    export(short(*V2), path, score=score)
    return path


def test_says_everything_about_itself(made: Path) -> None:
    model = onnx.load(made)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.key for entry in model.metadata_props] == [METADATA_KEY]
    said = json.loads(model.metadata_props[0].value)
    check = said.pop("check")
    rows = [{"expand_ratio": 1, "out_channels": 8, "repeats": 1, "stride": 1}]
    rows.append({"expand_ratio": 6, "out_channels": 16, "repeats": 2, "stride": 2})
    rows.append({"expand_ratio": 3, "out_channels": 24, "repeats": 1, "stride": 2})
    assert said == {
        "format_version": 1,
        "task": "classification",
        "labels": list(LABELS),
        "preprocess": {"size_hw": [64, 64], "resize_px": 64, "crop": "center", "interpolation": "bilinear"},
        "normalisation": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "architecture": {
            "name": "mobilenet_v2",
            "dialect": "torchvision",
            "width_mult": 1.0,
            "num_classes": 10,
            "output_stride": 32,
            "rows": [["Stage", row] for row in rows],
            "options": {},
        },
        "weights": {"name": "short.test", "provenance": "tests", "licence": "Apache-2.0", "sha256": "0" * 64},
        "training_data": "nothing",
        "score": {
            "top1": 72.0,
            "top5": 90.5,
            "dataset": "tests",
            "count": 1000,
            "size_hw": [64, 64],
            "measured_by": "nobody",
        },
    }
    assert check["engine"].startswith("onnxruntime 1.")
    assert check["images"] == 4
    assert 0 < check["max_abs_diff"] < 1e-4
    assert check["top1_agreement"] == 1.0


def test_is_alone_in_its_folder_and_the_same_again(made: Path, tmp_path: Path) -> None:
    assert list(made.parent.iterdir()) == [made]
    score = Score(72.0, 90.5, "tests", 1000, (64, 64), "nobody")
    returned = export(short(*V2), tmp_path / "again.onnx", score=score)
    assert load(made).bundle.metadata == returned
    assert (tmp_path / "again.onnx").read_bytes() == made.read_bytes()


def test_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = copy.deepcopy(short(*V2)).double().train()
    before = copy.deepcopy(network.state_dict())
    export(network, tmp_path / "it.onnx")  # float64 and training mode are no obstacle
    assert all(part.training for part in network.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert_answers_as_torch(tmp_path / "it.onnx", short(*V2), (64, 64))


@pytest.mark.usefixtures("at_hand")
def test_checks_with_the_photos_that_it_is_given(tmp_path: Path) -> None:
    photos = [encoded(noise(70, 80, seed)) for seed in range(3)]
    assert export(short(*V2), tmp_path / "it.onnx", check_images=photos).check.images == 3


class Forgetful(RawToProbabilities):
    """Normalises with another mean than it was told."""

    def __init__(self, network: nn.Module, normalisation: object) -> None:
        super().__init__(network, NORMALISATIONS["unit"])


def forgetful(task: Task, network: nn.Module, normalisation: object, options: object) -> Forgetful:
    return Forgetful(network, normalisation)


def forget_the_norms(network: nn.Module) -> nn.Module:
    folded = copy.deepcopy(network).eval()
    for part in folded.modules():
        if hasattr(part, "norm"):
            part.norm = nn.Identity()
    return folded


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("litevision.tasks.classification.task.Classification.raw_network", forgetful),
        ("litevision.exporting.graph.fold_batch_norm", forget_the_norms),
    ],
)
def test_a_graph_that_does_not_match_is_refused(
    target: str, fault: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it.onnx"
    path.write_text("an older bundle")
    monkeypatch.setattr(target, fault)
    message = (
        r"does not match its module on 4 images: the largest difference of a probability is 0\.\d+ "
        r"\(at most 0.0001 expected\), the top answer agrees on \d+%; nothing was written"
    )
    with pytest.raises(ExportError, match=message):
        export(short(*V2), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "an older bundle"


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_weights_are_refused(value: float, tmp_path: Path) -> None:
    network = copy.deepcopy(short(*V2))
    with torch.no_grad():
        network.head.classifier.weight[3, 5] = value
    with pytest.raises(ExportError, match="gives no numbers for images: its weights are broken; nothing was written"):
        export(network, tmp_path / "it.onnx")
    assert list(tmp_path.iterdir()) == []


def changed(**changes: Any) -> Callable[[Path], object]:
    config = {"num_classes": 10, "rows": short(*V2).config.rows, **changes}
    return lambda path: export(build(configure("mobilenet_v2", **config)).eval(), path)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda path: export(short(*V2), path, labels=LABELS[:9]), "has 10 classes, got 9 labels; one each is needed"),
        (lambda path: export(short(*V2), path, labels=(*LABELS, "x")), "has 10 classes, got 11 labels"),
        (lambda path: export(short(*V2), path.with_suffix(".pt")), r"a bundle is an \.onnx file, got 'it\.pt'"),
        (changed(num_classes=0), "a bundle needs a classifier: build the network with num_classes"),
        (changed(final_endpoint="block_1"), "a bundle needs a classifier: .* without final_endpoint"),
        (changed(in_channels=2), "takes RGB images, got a network for 2 channels; expected 3, or 1 for grey"),
        (lambda path: export(short(*V2), path, check_images=[]), "the check needs at least one image, got none"),
    ],
)
def test_what_is_no_bundle_is_refused(act: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(LitevisionError, match=message):
        act(tmp_path / "it.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_hand")
def test_a_photo_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not an image"):
        export(short(*V2), tmp_path / "it.onnx", check_images=[b"oops"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_hand")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.onnx").mkdir()
    for path in (tmp_path / "file" / "it.onnx", tmp_path / "folder.onnx"):
        with pytest.raises(
            UsageError, match=rf"{path.name} cannot be written \(.*\); give a file in a folder of yours"
        ):
            export(short(*V2), path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.onnx"]


@pytest.mark.usefixtures("at_hand")
def test_options_are_kept(tmp_path: Path) -> None:
    config = configure("mobilenet_v2", num_classes=10, rows=short(*V2).config.rows, depth_mult=1.0)
    metadata = export(fill(build(config)), tmp_path / "it.onnx")
    assert metadata.architecture.arguments["options"] == {"depth_mult": 1.0}
