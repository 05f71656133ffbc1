"""`litevision.train` and what it gives: the same as the command line, as objects that stand wherever a model does."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import litevision
from litevision.errors import FileMissingError, LitevisionError, UnknownNameError, UsageError
from litevision.training.plan import first_network, read_plan
from trainings import PROMISED, TINY, settings, train_there, write_colours

SETTINGS = {f"{table}.{key}": value for table, keys in TINY.items() for key, value in keys.items()}


class Heard(litevision.Callback):
    def __init__(self) -> None:
        self.epochs: list[Mapping[str, Any]] = []
        self.phases: list[str] = []
        self.steps = 0

    def on_epoch_start(self, epoch: int, phase: str, batches: int, first: int) -> None:
        self.phases.append(phase)

    def on_step(self, images: int, loss: float) -> None:
        self.steps += 1

    def on_epoch_end(self, record: Mapping[str, Any]) -> None:
        self.epochs.append(record)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("train")
    write_colours(place / "data", 4)
    return place


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def first(folder: Path, heard: Heard) -> litevision.Run:
    """Two epochs of three steps, by Python."""
    return litevision.train(
        folder / "data",
        settings=SETTINGS,
        epochs=2,
        seed=3,
        name="first",
        output=folder / "runs",
        callbacks=[heard],
        quiet=True,
    )


@pytest.mark.slow
def test_it_leaves_what_the_command_line_leaves(first: litevision.Run, folder: Path) -> None:
    assert first.folder == folder / "runs/first"
    assert {path.name for path in first.folder.iterdir()} == PROMISED - {"tensorboard"}
    assert first.results == json.loads((first.folder / "results.json").read_text())
    assert (first.task, first.name, first.split) == ("classification", "first", "test")
    assert first.metrics["top1"] == first.results["scores"]["test"]["top1"]
    assert first.report.is_file()
    assert first.card.read_text().startswith("# first\n")


def test_the_same_weights_as_the_command_line(first: litevision.Run, folder: Path) -> None:
    train_there(folder, *settings({"schedule": {"epochs": 2}, "run": {"seed": 3}}))
    other = litevision.Run.open(folder / "runs/mine")
    ours, theirs = first.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_callbacks_hear_every_step(first: litevision.Run, heard: Heard) -> None:
    assert heard.phases == ["head", "all"]
    assert heard.steps == 6
    assert [record["epoch"] for record in heard.epochs] == [1, 2]
    assert heard.epochs == first.results["epochs"]


def test_a_run_is_a_model(first: litevision.Run, folder: Path, tmp_path: Path) -> None:
    image = folder / "data/test/red/0.png"
    found = litevision.load_classifier(first).predict(image)
    assert found.labels == litevision.load_classifier(first.bundle).predict(image).labels
    scores = litevision.evaluate(first, folder / "data", split="test")
    assert scores.to_dict() == first.results["scores"]["test"]
    metadata = litevision.export(first, tmp_path / "again.onnx")
    again = litevision.load_classifier(tmp_path / "again.onnx").predict(image)
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-5)
    assert metadata.labels == litevision.load_classifier(first).labels


def test_a_run_can_be_opened_again(first: litevision.Run, tmp_path: Path) -> None:
    assert litevision.Run.open(str(first.folder)).metrics == first.metrics
    with pytest.raises(FileMissingError, match="holds no finished run; expected the folder of one, with a results"):
        litevision.Run.open(tmp_path)


def test_going_on_with_one_class_more(first: litevision.Run, folder: Path, tmp_path: Path) -> None:
    """Nothing is named twice: the network, its width and its input come from the run."""
    data = write_colours(tmp_path / "data", 4)
    for split in ("train", "validation", "test"):
        (data / split / "blue").rename(data / split / "azure")  # a class that the run does not know
        (data / split / "extra").mkdir()
        for path in (data / split / "red").iterdir():
            (data / split / "extra" / path.name).write_bytes(path.read_bytes())
    second = litevision.train(
        data,
        weights=first,
        epochs=1,
        settings={"schedule": {"freeze_backbone_epochs": 0, "batch_size": 4}, "run": TINY["run"]},
        name="second",
        output=tmp_path,
        quiet=True,
    )
    plan = read_plan(second.folder)
    assert (plan.config.width_mult, plan.preprocess.size_hw) == (0.25, (32, 32))
    assert plan.data.classes == ("azure", "extra", "green", "red")
    begun, before = first_network(plan).state_dict(), first.network.state_dict()
    labels = litevision.load_classifier(first).labels
    weight = "head.classifier.weight"
    for name in ("green", "red"):
        row, old = plan.data.classes.index(name), labels.index(name)
        assert torch.equal(begun[weight][row], before[weight][old])
    kept = [name for name in before if not name.startswith("head.classifier")]
    assert all(torch.equal(begun[name], before[name]) for name in kept)
    assert plan.start is not None
    assert plan.start.name == "first"
    assert not plan.fresh_head


def test_another_network_than_that_of_the_weights(first: litevision.Run, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LitevisionError, match=r"holds mobilenet_v1 .*, got architecture 'mobilenet_v2': leave it out"):
        litevision.train(folder / "data", weights=first, model="mobilenet_v2", output=tmp_path, quiet=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epoch": 3}, r"no argument of train 'epoch'\. Did you mean 'epochs'"),
        ({"mixup": 0.2}, r"train has no argument 'mixup'; it is an option: settings=\{\"augment\.mixup\": \.\.\.\}"),
        ({"batch_size": 3}, r"it is an option: settings=\{\"schedule\.batch_size\": \.\.\.\}"),
    ],
)
def test_an_unknown_argument(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        litevision.train("data", **wrong)


def test_settings_without_a_table() -> None:
    with pytest.raises(UsageError, match=r"settings takes options as 'table\.key', such as 'augment\.mixup'; got 'a'"):
        litevision.train("data", settings={"a": 1})


def test_no_data() -> None:
    with pytest.raises(UsageError, match="give the data to train on"):
        litevision.train()


def test_a_device_that_is_not_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", None)
    with pytest.raises(
        UsageError, match=r"^device cuda: this torch build has no CUDA \(.*\)\. Install .*--device cpu$"
    ):
        litevision.train(folder / "data", device="cuda", settings=SETTINGS, output=tmp_path, quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_resumed(first: litevision.Run) -> None:
    with pytest.raises(UsageError, match="this run is finished; its report is"):
        litevision.train(resume=first.folder)
    with pytest.raises(UsageError, match="resume goes on with a run as it was planned; give nothing else"):
        litevision.train(resume=first.folder, epochs=3)
