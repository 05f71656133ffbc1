"""A run before it begins: what is written is read back, and what cannot work is one clear line."""

import json
from pathlib import Path

import pytest
import torch

from litevision.errors import DataError, FileMissingError, TrainingError, UsageError
from litevision.files import sha256_of
from litevision.image import Preprocess
from litevision.models.network import Network
from litevision.training import plan as module
from litevision.training.console import print_recipe
from litevision.training.plan import PLAN, RECIPE, Plan, first_network, make_plan, read_plan, run_folder
from litevision.weights.create import create
from litevision.weights.save import save_weights
from trainings import CLASSES, tiny_recipe, write_colours


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_colours(tmp_path / "data", 2)


def same(one: Network, other: Network) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


@pytest.fixture
def planned(data: Path) -> tuple[Plan, Network]:
    plan, network, faults = make_plan(data, tiny_recipe({"run": {"precision": "auto"}}), "mine")
    assert faults == ()
    return plan, network


def test_a_written_plan_reads_back_the_same(planned: tuple[Plan, Network], tmp_path: Path) -> None:
    planned[0].write(tmp_path / "runs/mine")
    assert read_plan(tmp_path / "runs/mine") == planned[0]
    assert sorted(path.name for path in (tmp_path / "runs/mine").iterdir()) == [PLAN, RECIPE]


def test_what_is_planned(planned: tuple[Plan, Network]) -> None:
    plan, network = planned
    assert (plan.name, plan.data.classes, plan.start, plan.skipped) == ("mine", CLASSES, None, ())
    assert (plan.config.num_classes, plan.config.width_mult) == (3, 0.25)
    assert network.config == plan.config
    assert all(sample.path.is_absolute() for sample in plan.data.samples)
    assert plan.recipe.run.precision == "fp32"  # small images
    assert (plan.preprocess.size_hw, plan.preprocess.resize_px, plan.preprocess.crop) == ((32, 32), 32, "center")


@pytest.mark.parametrize(("has", "side", "expected"), [(True, 224, "bf16"), (False, 224, "fp32"), (True, 96, "fp32")])
def test_bf16_where_it_is_quicker(
    data: Path, monkeypatch: pytest.MonkeyPatch, has: bool, side: int, expected: str
) -> None:
    monkeypatch.setattr(module, "has_bf16", lambda device: has)
    recipe = tiny_recipe({"run": {"precision": "auto"}, "model": {"size_hw": [224, 224]}, "augment": {"size_px": side}})
    assert make_plan(data, recipe, "mine")[0].recipe.run.precision == expected


def test_the_seed_decides_fresh_weights(planned: tuple[Plan, Network], data: Path) -> None:
    torch.rand(5)
    plan, network = planned
    assert same(first_network(plan), network)
    _, other, _ = make_plan(data, tiny_recipe({"run": {"seed": 1}}), "mine")
    assert not same(other, network)


def test_weights_fill_the_backbone_and_leave_the_head_fresh(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = create("mobilenet_v1", width_mult=0.25, num_classes=7)
    with torch.no_grad():
        for tensor in source.parameters():
            tensor.uniform_(0.1, 0.2)
    save_weights(source, tmp_path / "w.safetensors")
    given = {"weights": str(tmp_path / "w.safetensors"), "dropout": 0.4}
    card = {"weights": "a friend", "weights_licence": "MIT"}
    plan, network, _ = make_plan(data, tiny_recipe({"model": given, "card": card}), "mine")
    found, expected = network.features.state_dict(), source.features.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert network.head.state_dict()["classifier.weight"].shape[0] == 3
    assert plan.fresh_head
    print_recipe(plan, tmp_path)
    assert (
        "from w.safetensors (licence: MIT), with the classifier from scratch for 3 classes\n" in capsys.readouterr().err
    )
    plan.write(tmp_path / "mine")
    assert read_plan(tmp_path / "mine") == plan
    assert plan.config.dropout == 0.4
    assert plan.start is not None
    assert (plan.start.provenance, plan.start.licence) == ("a friend", "MIT")
    assert plan.start.sha256 == sha256_of(tmp_path / "w.safetensors")
    assert same(first_network(plan), network)


def test_weights_of_as_many_classes_fill_the_head_too(data: Path, tmp_path: Path) -> None:
    source = create("mobilenet_v1", width_mult=0.25, num_classes=3)
    save_weights(source, tmp_path / "w.safetensors")
    plan, network, _ = make_plan(data, tiny_recipe({"model": {"weights": str(tmp_path / "w.safetensors")}}), "mine")
    assert same(network, source)
    assert not plan.fresh_head


@pytest.mark.parametrize(("name", "mean"), [("auto", 0.485), ("imagenet", 0.485), ("half", 0.5), ("unit", 0.0)])
def test_normalisation(data: Path, name: str, mean: float) -> None:
    plan, _, _ = make_plan(data, tiny_recipe({"model": {"normalisation": name}}), "mine")
    assert plan.normalisation.mean[0] == mean


def test_the_crop_of_whole_images(data: Path) -> None:
    changed = {"model": {"size_hw": [224, 256], "crop": "stretch", "crop_fraction": 0.875}}
    plan, _, _ = make_plan(data, tiny_recipe(changed), "mine")
    assert plan.preprocess == Preprocess((224, 256), 256, "stretch", "bilinear")


def test_a_teacher_that_is_not_there(data: Path) -> None:
    with pytest.raises(FileMissingError, match=r"none\.onnx"):
        make_plan(data, tiny_recipe({"loss": {"teacher": "none.onnx"}}), "mine")


def test_a_folder_that_holds_a_run(planned: tuple[Plan, Network], tmp_path: Path) -> None:
    planned[0].write(tmp_path / "mine")
    with pytest.raises(
        TrainingError, match=r"mine: holds a run already; choose another --name, or go on with --resume"
    ):
        planned[0].write(tmp_path / "mine")


@pytest.mark.parametrize("name", ["../mine", "a/../../mine", "/mine"])
def test_no_name_leads_out_of_the_output(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError, match=r"^a run's folder lies inside .*, got the name '.*mine'; choose another --outp"
    ):
        run_folder(tmp_path, name)
    assert run_folder(tmp_path, "a/mine") == tmp_path / "a/mine"


def test_a_folder_that_cannot_be_written(planned: tuple[Plan, Network], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot be written \(.*\); give another --output"):
        planned[0].write(tmp_path / "file" / "mine")


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"holds no run; expected the folder of one, with a plan\.json"):
        read_plan(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"format_version": 1}', '{"format_version": 1, "data": []}'])
def test_a_damaged_plan(planned: tuple[Plan, Network], tmp_path: Path, text: str) -> None:
    planned[0].write(tmp_path / "mine")
    (tmp_path / "mine" / PLAN).write_text(text)
    with pytest.raises(TrainingError, match=r"plan\.json: cannot be read as the plan of a run"):
        read_plan(tmp_path / "mine")


def test_a_plan_of_another_version(planned: tuple[Plan, Network], tmp_path: Path) -> None:
    planned[0].write(tmp_path / "mine")
    plain = json.loads((tmp_path / "mine" / PLAN).read_text())
    (tmp_path / "mine" / PLAN).write_text(json.dumps({**plain, "format_version": 9}))
    with pytest.raises(TrainingError, match="of version 9; this litevision reads 1"):
        read_plan(tmp_path / "mine")


def test_images_that_are_gone(planned: tuple[Plan, Network], data: Path, tmp_path: Path) -> None:
    planned[0].write(tmp_path / "mine")
    (data / "train/red/1.png").unlink()
    (data / "test/red/0.png").unlink()
    with pytest.raises(FileMissingError, match=r"1\.png: gone, with 1 more of the run's images; bring them back"):
        read_plan(tmp_path / "mine")


def test_images_that_cannot_be_read_are_left_out(data: Path) -> None:
    (data / "train/red/1.png").write_bytes(b"oops")
    plan, _, faults = make_plan(data, tiny_recipe(), "mine")
    assert [Path(skipped.path).name for skipped in plan.skipped] == ["1.png"]
    assert len(faults) == 1
    assert plan.data.counts("train") == (2, 2, 1)


def test_no_validation_images(data: Path) -> None:
    for path in (data / "validation").rglob("*.png"):
        path.write_bytes(b"oops")
    with pytest.raises(
        DataError, match=r"no validation images; add some.*; 6 could not be read \('litevision check-data'"
    ):
        make_plan(data, tiny_recipe(), "mine")


@pytest.mark.parametrize("label", [77, -1, "x", None, [1]])
def test_a_label_that_no_class_has(planned: tuple[Plan, Network], tmp_path: Path, label: object) -> None:
    planned[0].write(tmp_path / "mine")
    plain = json.loads((tmp_path / "mine" / PLAN).read_text())
    plain["data"]["samples"][0][1] = label
    (tmp_path / "mine" / PLAN).write_text(json.dumps(plain))
    with pytest.raises(TrainingError, match=r"plan\.json: cannot be read as the plan of a run"):
        read_plan(tmp_path / "mine")


def test_a_plan_that_is_nested_without_end(planned: tuple[Plan, Network], tmp_path: Path) -> None:
    planned[0].write(tmp_path / "mine")
    (tmp_path / "mine" / PLAN).write_text("[" * 100_000)
    with pytest.raises(TrainingError, match=r"plan\.json: cannot be read as the plan of a run"):
        read_plan(tmp_path / "mine")
