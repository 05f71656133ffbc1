"""What a run leaves is input wherever a model or a weight file is: nothing has to be named twice."""

import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import litevision
from images import encoded
from labelled import blobs, write_classes
from litevision.cli import main
from litevision.runtime import Bundle, Classifier

CLASSES = ("boot", "coat", "dress")
SETTINGS = ("--set", "model.width=0.25", "--set", "run.precision=fp32", "--set", "run.workers=0")


def command(*arguments: str) -> None:
    """Runs the command line in this process; it must end well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["litevision", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code in (0, None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/first (60 images, an epoch), runs/second (a class more) and its export, second.onnx."""
    folder = tmp_path_factory.mktemp("round_trip")
    seeds = count()
    write_classes(folder / "three", CLASSES, 20, seeds)
    shutil.copytree(folder / "three", folder / "four")
    write_classes(folder / "four", ("hat",), 20, seeds)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        start = ("--model", "mobilenet_v1", "--weights", "none", "--size", "64x48", "--epochs", "1", "--batch", "8")
        command("train", "three", *start, *SETTINGS, "--name", "first")
        command("train", "four", "--weights", "runs/first", "--epochs", "1", "--batch", "8", "--name", "second")
        command("export", "runs/second", "-o", "second.onnx")
    return folder


@pytest.mark.slow
def test_the_second_run_knows_what_the_first_was(place: Path) -> None:
    first, second = (json.loads((place / "runs" / name / "results.json").read_text()) for name in ("first", "second"))
    assert second["data"]["classes"] == [*CLASSES, "hat"]
    for key in ("architecture", "dialect", "width_mult", "size_hw"):
        assert second["network"][key] == first["network"][key]
    assert second["preprocess"] == first["preprocess"]
    assert second["start_weights"]["name"] == "first"


@pytest.mark.slow
def test_its_folder_answers_as_its_bundle_and_as_its_export(place: Path) -> None:
    image = encoded(blobs(1000))
    from_folder = litevision.load_classifier(place / "runs/second").predict(image, top=4)
    from_bundle = Classifier(Bundle.open(place / "runs/second/model.onnx")).predict(image, top=4)
    assert from_folder.to_dict() == from_bundle.to_dict()
    exported = litevision.load_classifier(place / "second.onnx").predict(image, top=4)
    assert exported.labels == from_bundle.labels
    np.testing.assert_allclose(exported.scores, from_bundle.scores, atol=1e-6)


@pytest.mark.slow
def test_a_run_is_a_model_for_every_verb(place: Path) -> None:
    folder = place / "runs/second"
    run = litevision.Run.open(folder)
    network = litevision.create.from_run(folder)
    assert network.config.num_classes == 4
    assert network.pretrained is not None
    assert network.pretrained.labels == (*CLASSES, "hat")
    for model in (folder, run, folder / "model.onnx"):
        assert litevision.evaluate(model, place / "four", split="all").count == 80
    for weights in (folder, folder / "best.ckpt", folder / "last.ckpt", folder / "model.onnx"):
        loaded = litevision.load_weights(weights).network
        assert replace(loaded.config, dropout=network.config.dropout) == network.config  # which no bundle needs
