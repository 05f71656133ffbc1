"""Litevision's own output is input: run folders, checkpoints, bundles and runs wherever a weight file is accepted."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import litevision
from exports import LABELS, ODD_HW, export, probabilities
from images import noise
from litevision.errors import BundleError, FileMissingError, UnknownNameError, WeightsError, WeightsMismatchError
from litevision.image import Preprocess, shipped_images
from litevision.models import Network, NetworkConfig, configure
from litevision.models.centernet import CenterNet, CenterNetConfig
from litevision.models.nanodet import NanoDetConfig
from litevision.models.pretrained import normalise
from litevision.runtime import Bundle, Classifier, Normalisation
from litevision.weights.create import create
from litevision.weights.load import load_weights
from litevision.weights.trained import open_trained
from litevision.zoo import BUNDLES
from networks import SHORT_ROWS, fill, short
from weight_files import assert_same_weights

RECIPE = """[model]
size_hw = [64, 96]
crop = "{crop}"
crop_fraction = 0.8
[schedule]
head_epochs = 1
"""
NORMALISATION = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}


def write_run(
    folder: Path,
    network: Network | CenterNet,
    labels: tuple[str, ...],
    *,
    best: bool = True,
    last: dict[str, Any] | None = None,
) -> Path:
    """A run's folder as version 0.1.0 leaves it, less what no weights are read from."""
    is_detection = isinstance(network, CenterNet)
    plan = {
        "format_version": 1,
        "name": "first",
        "task": "detection" if is_detection else "classification",
        "data": {"root": "gone", "classes": labels, "samples": [["gone.jpg", 0, "train"]], "made_splits": False},
        "network": network.config.to_dict(),
        "normalisation": NORMALISATION,
        "start": {"name": "base", "provenance": "somebody", "licence": "MIT", "sha256": "0" * 64},
    }
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps(plan), "utf-8")
    (folder / "recipe.toml").write_text(RECIPE.format(crop="letterbox" if is_detection else "center"), "utf-8")
    if best:
        state = {"format_version": 1, "progress": {}, "network": network.state_dict()}
        torch.save(state, folder / "best.ckpt")
    if last is not None:
        torch.save({"format_version": 1, "progress": {}, **last}, folder / "last.ckpt")
    return folder


@pytest.fixture
def network() -> Network:
    made = copy.deepcopy(short("mobilenet_v2", "torchvision"))
    for name, tensor in made.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()  # it counts batches; nothing reads it, and no layout keeps it
    return made


@pytest.fixture
def run(tmp_path: Path, network: Network) -> Path:
    return write_run(tmp_path / "first", network, LABELS)


@dataclass
class Run:
    folder: Path


@pytest.mark.parametrize("form", ["folder", "text", "checkpoint", "run"])
def test_a_run_brings_all_that_is_known_of_it(form: str, run: Path, network: Network) -> None:
    source = {"folder": run, "text": str(run), "checkpoint": run / "best.ckpt", "run": Run(run)}[form]
    made = create("mobilenet_v2", weights=source)
    assert_same_weights(made, network)
    assert (made.config, made.training) == (network.config, True)
    facts = made.pretrained
    assert facts is not None
    assert facts.labels == LABELS
    assert facts.preprocess == Preprocess((64, 96), 80, "center", "bilinear")
    assert facts.normalisation == Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (facts.name, facts.licence, facts.source) == ("first", "MIT", "trained by litevision from base: somebody")


def test_the_last_checkpoint_counts_where_there_is_no_best(tmp_path: Path, network: Network) -> None:
    averaged = {"n_averaged": torch.tensor(3), **{f"module.{name}": t for name, t in network.state_dict().items()}}
    spoilt = {name: tensor * 0 for name, tensor in network.state_dict().items()}
    run = write_run(tmp_path / "run", network, LABELS, best=False, last={"network": spoilt, "average": averaged})
    assert_same_weights(load_weights(run).network, network)
    assert_same_weights(load_weights(run / "last.ckpt").network, network)


def test_a_classifier_for_one_class_more_starts_without_labels(run: Path, network: Network) -> None:
    made = create("mobilenet_v2", weights=run, num_classes=11, reset_classifier=True)
    assert made.config.num_classes == 11
    assert_same_weights(made, made, but=("head.classifier",))
    assert torch.equal(
        made.get_parameter("features.stem.conv.weight"), network.get_parameter("features.stem.conv.weight")
    )
    assert made.pretrained is not None
    assert (made.pretrained.labels, made.pretrained.score) == (None, None)
    assert made.pretrained.preprocess.size_hw == (64, 96)


def test_a_detectors_run(tmp_path: Path) -> None:
    detector = fill(CenterNet(CenterNetConfig(configure("mobilenet_v2", rows=SHORT_ROWS["mobilenet_v2"]), 2)))
    run = write_run(tmp_path / "cells", detector, ("red", "white"))
    trained = open_trained(run)
    assert trained is not None
    made = trained.network()
    assert isinstance(made, CenterNet)
    assert made.config == detector.config
    assert all(torch.equal(t, detector.state_dict()[name]) for name, t in made.state_dict().items())
    assert made.pretrained is not None
    assert (made.pretrained.labels, made.pretrained.preprocess.crop) == (("red", "white"), "letterbox")
    with pytest.raises(
        WeightsMismatchError, match=r"cells is a detector on mobilenet_v2, expected a classifier; .*from_run"
    ):
        load_weights(run)
    backbone = create("mobilenet_v2", weights=run, features_only=True)
    weight = "features.stem.conv.weight"
    assert torch.equal(backbone.get_parameter(weight), detector.get_parameter(f"backbone.{weight}"))


def test_a_detectors_export_gives_as_many_boxes_as_its_recipe_says(tmp_path: Path) -> None:
    detector = fill(CenterNet(CenterNetConfig(configure("mobilenet_v2", rows=SHORT_ROWS["mobilenet_v2"]), 2)))
    run = write_run(tmp_path / "cells", detector, ("red", "white"))
    assert create.from_run(run).pretrained.top_k is None
    with (run / "recipe.toml").open("a") as file:
        file.write("[detection]\ntop_k = 20\n")
    again = tmp_path / "again.onnx"
    sources = {"run.onnx": run, "network.onnx": create.from_run(run), again.name: tmp_path / "run.onnx"}
    for name, source in sources.items():
        litevision.export(source, tmp_path / name)
        bundle = Bundle.open(tmp_path / name)
        assert {output.name: output.shape[1] for output in bundle.engine.outputs}["scores"] == 20, name
        assert bundle.metadata.top_k == 20
    recipe = (run / "recipe.toml").read_text("utf-8")
    (run / "recipe.toml").write_text(recipe.replace("20", '"many"'), "utf-8")
    with pytest.raises(WeightsError, match=r"detection\.top_k is 'many'; expected a whole number"):
        open_trained(run)


@pytest.mark.parametrize("task", ["segmentation", 3, []])
def test_a_run_of_a_task_that_there_is_not(task: Any, run: Path) -> None:
    plan = json.loads((run / "plan.json").read_text("utf-8"))
    (run / "plan.json").write_text(json.dumps({**plan, "task": task}), "utf-8")
    with pytest.raises(WeightsError, match=r"plan\.json cannot be read as that of a run"):
        open_trained(run)


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("mobilenet_v1", "keras"),
        ("mobilenet_v2", "tutorial"),
        ("mobilenet_v3_large", "timm"),
        ("shufflenet_v2_x0_5", "tutorial"),
        ("dla34", "timm"),
    ],
)
def test_a_bundle_gives_back_its_network(name: str, dialect: str, tmp_path: Path) -> None:
    """Not the weights bit by bit, which were folded, but what they compute."""
    network = short(name, dialect)
    export(network, tmp_path / "it.onnx", ODD_HW)
    loaded = load_weights(tmp_path / "it.onnx").network.eval()
    assert loaded.config == network.config
    batch = np.stack([noise(*ODD_HW, seed=seed) for seed in range(4)])
    np.testing.assert_allclose(probabilities(loaded, batch), probabilities(network, batch), rtol=0, atol=1e-5)
    facts = loaded.pretrained
    assert facts is not None
    assert (facts.labels, facts.preprocess.size_hw, facts.training_data) == (LABELS, ODD_HW, "nothing")


def _cut(weight: onnx.TensorProto) -> None:
    weight.raw_data = weight.raw_data[:-4]


def _of_no_kind(weight: onnx.TensorProto) -> None:
    weight.data_type = 77


def _single_number(weight: onnx.TensorProto) -> None:
    weight.CopyFrom(onnx.numpy_helper.from_array(np.float32(1), weight.name))


@pytest.mark.parametrize("damage", [_cut, _of_no_kind, _single_number])
def test_a_bundle_whose_weights_cannot_be_read_is_one_line(
    damage: Callable[[onnx.TensorProto], None], tmp_path: Path
) -> None:
    path = tmp_path / "it.onnx"
    graph = onnx.load(BUNDLES["clothing"])
    damage(next(one for one in graph.graph.initializer if one.name.endswith(".conv.weight")))
    onnx.save(graph, path)
    with pytest.raises(WeightsError, match=r"conv\.weight") as caught:
        open_trained(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("graph", [b"\x5a\x01\x07", b"\x6a\x02\x12\x80"], ids=["input", "value_info"])
def test_a_bundle_whose_graph_is_no_protobuf_further_in_is_one_line(graph: bytes, tmp_path: Path) -> None:
    """Where the header's reader does not look, as no tensor lies there; two fields of one message count as one."""
    path = tmp_path / "it.onnx"
    path.write_bytes(BUNDLES["clothing"].read_bytes() + b"\x3a" + bytes([len(graph)]) + graph)
    with pytest.raises(WeightsError, match="its graph is damaged") as caught:
        open_trained(path)
    assert "\n" not in str(caught.value)


def test_a_bundles_network_can_be_trained_on(tmp_path: Path) -> None:
    """In training mode, too, it answers about as it did: its normalisation has real statistics again."""
    network = short("mobilenet_v2", "torchvision")
    export(network, tmp_path / "it.onnx", preprocess=Preprocess((64, 64), 64))
    loaded = load_weights(tmp_path / "it.onnx").network
    norms = [part for part in loaded.modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(float(norm.get_buffer("running_mean").abs().max()) > 0 for norm in norms)
    assert loaded.pretrained is not None
    batch = torch.from_numpy(loaded.pretrained.preprocess.batch(shipped_images())).permute(0, 3, 1, 2)
    x = normalise(batch, loaded.pretrained.normalisation)
    loaded.head.dropout = nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(loaded.train()(x), network(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_that_come_along(name: str) -> None:
    trained = open_trained(name)
    assert trained is not None
    network = trained.network()
    bundle = Bundle.open(BUNDLES[name])
    assert trained.pretrained.labels == bundle.metadata.labels
    assert trained.pretrained.preprocess == bundle.metadata.preprocess
    assert network.pretrained == trained.pretrained
    assert isinstance(network.config, NanoDetConfig if name == "blood-cells" else NetworkConfig)


def test_the_shipped_classifier_answers_as_its_bundle() -> None:
    network = load_weights("clothing").network.eval()
    assert network.pretrained is not None
    classifier = Classifier(Bundle.open(BUNDLES["clothing"]))
    batch = classifier.preprocess.batch(shipped_images())
    with torch.inference_mode():
        x = normalise(torch.from_numpy(batch).permute(0, 3, 1, 2), network.pretrained.normalisation)
        answers = network(x).softmax(-1).numpy()
    np.testing.assert_allclose(answers, classifier.probabilities(batch), rtol=0, atol=1e-5)


def test_facts_survive_copies_and_pickles_and_stay_out_of_the_state(run: Path) -> None:
    network = load_weights(run).network
    for made in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert made.pretrained == network.pretrained
    assert all(isinstance(value, Tensor) for value in network.state_dict().values())
    assert create("mobilenet_v2").pretrained is None


def test_what_is_no_run_is_refused(tmp_path: Path, network: Network) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileMissingError, match=r"empty is a folder that holds no run and no weight file; expected"):
        load_weights(tmp_path / "empty")
    early = write_run(tmp_path / "early", network, LABELS, best=False)
    with pytest.raises(FileMissingError, match=r"early: a run without best.ckpt or last.ckpt; train it first"):
        load_weights(early)
    (early / "best.ckpt").write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightsError, match=r"best.ckpt: cannot be read as the checkpoint of a run"):
        load_weights(early)
    (early / "plan.json").write_text("{}", "utf-8")
    with pytest.raises(WeightsError, match=r"early: its plan.json cannot be read as that of a run"):
        load_weights(early)
    (tmp_path / "foreign.onnx").write_bytes(b"nothing")
    with pytest.raises(BundleError, match="not an ONNX file"):
        load_weights(tmp_path / "foreign.onnx")


def test_a_checkpoint_of_another_network_is_told_before_it_is_built(run: Path) -> None:
    plan = json.loads((run / "plan.json").read_text("utf-8"))
    plan["network"]["num_classes"] = 999_999
    (run / "plan.json").write_text(json.dumps(plan), "utf-8")
    with pytest.raises(WeightsError, match=r"best.ckpt: holds other weights .* .2 tensors .* head.class"):
        load_weights(run)


def test_a_checkpoint_that_would_run_code_or_is_a_bomb_is_refused(run: Path) -> None:
    torch.save({"network": {"x": Path("x")}}, run / "best.ckpt")
    with pytest.raises(WeightsError, match=r"best.ckpt holds a PurePosixPath at 'x', expected a tensor"):
        load_weights(run)
    torch.save({"network": {"x": torch.zeros(1).expand(10**9)}}, run / "best.ckpt")
    with pytest.raises(WeightsError, match=r"stands for more numbers than it holds"):
        load_weights(run)


def test_a_folder_called_as_a_network_hides_it_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mobilenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_trained("mobilenet") is None


def test_a_run_of_another_network_is_refused(run: Path) -> None:
    with pytest.raises(WeightsMismatchError, match=r"first holds mobilenet_v2 \(dialect torchvision, width 1\)"):
        create("mobilenet_v3_large", weights=run)
    with pytest.raises(UnknownNameError):
        load_weights("no-such-run")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("plan.json", '{"task": "classification", "network": ' + "[" * 9000 + "]" * 9000 + "}"),
        ("recipe.toml", "[model]\nsize_hw = " + "[" * 3000 + "]" * 3000),
        ("recipe.toml", "a." * 20_000 + "a = 1"),
        ("recipe.toml", "#" * 300_000),
    ],
    ids=["deep plan", "deep recipe", "key of 20,000 parts", "300 kB of recipe"],
)
def test_a_plan_or_recipe_that_nobody_writes_is_one_line(file: str, text: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", short("mobilenet_v1", "timm"), LABELS)
    (run / file).write_text(text)
    with pytest.raises(WeightsError, match=r"its plan.json cannot be read as that of a run \(.*\)\. Train it anew"):
        open_trained(run)


def test_an_endpoint_that_is_no_name_is_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", short("mobilenet_v1", "timm"), LABELS)
    plan = json.loads((run / "plan.json").read_text())
    plan["network"]["final_endpoint"] = {"a": 1}
    (run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(WeightsError):
        open_trained(run)
