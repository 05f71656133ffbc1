"""A training that went wrong is said to have: what is seen, and the cause that can be seen."""

import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import litevision
from litevision.errors import TrainingError
from litevision.evaluation import Evaluation, like_a_constant
from litevision.files import json_text
from litevision.tasks.classification.objective import Validation
from litevision.training.batch_norm import batch_norms
from litevision.training.diagnosis import statistics_in_words
from litevision.training.process import StopRequest
from litevision.training.recipe_file import make_recipe, recipe_tables
from trainings import (
    TINY,
    ColourObjective,
    Quiet,
    coloured,
    tiny_loop,
    tiny_network,
    tiny_recipe,
    write_colours,
)

SETTINGS = {f"{table}.{key}": value for table, keys in TINY.items() for key, value in keys.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("data"), 4)


def train(data: Path, folder: Path, changes: dict[str, Any], **options: Any) -> litevision.Run:
    return litevision.train(data, settings={**SETTINGS, **changes}, name="one", output=folder, quiet=True, **options)


@pytest.mark.parametrize("lr", [1000.0, 100.0, 10.0])
def test_a_training_that_diverges_leaves_no_model(lr: float, data: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            TrainingError, match=rf"diverged, and no model file .* lower optimizer\.lr than {lr:g}\."
        ) as e:
            train(data, tmp_path, {"schedule.freeze_backbone_epochs": 0}, lr=lr, epochs=8)
    assert "fp32" not in str(e.value)
    assert not (tmp_path / "one/model.onnx").exists()


def test_weights_that_never_moved_are_said_to(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(data, tmp_path, {"schedule.freeze_backbone_epochs": 0}, lr=1e-12)
    [warning] = run.results["warnings"]
    assert warning.startswith("the weights never moved (")
    assert warning.endswith("raise optimizer.lr, which is 1e-12.")
    assert f"\n- {warning}" in run.card.read_text().replace("\\", "")
    assert f'<b class="wrong">Warning:</b> {warning}' in run.report.read_text()


def test_statistics_that_no_image_was_measured_with_are_the_cause(data: Path, tmp_path: Path) -> None:
    run = train(data, tmp_path, {"optimizer.freeze_bn": True, "schedule.freeze_backbone_epochs": 0})
    [warning] = run.results["warnings"]
    assert "the same answer" in warning
    assert "optimizer.freeze_bn keeps the statistics of batch normalisation" in warning


class Judging(ColourObjective):
    """Scores on twelve images."""

    def validate(self, network: nn.Module) -> Validation:
        images = torch.stack([torch.from_numpy(coloured(index % 3, index)).permute(2, 0, 1) for index in range(12)])
        truth = torch.arange(12) % 3
        with torch.no_grad():
            logits = network(images / 255)
        top1 = float((logits.argmax(1) == truth).float().mean())
        return Validation(float(nn.functional.cross_entropy(logits, truth)), 100 * top1)


@pytest.mark.parametrize("planted", [True, False])
def test_statistics_that_lag_behind_the_weights_are_said_to(
    planted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch counts 0.0003, as in slim's MobileNetV1; planted: nothing is measured anew."""
    recipe = tiny_recipe(
        {
            "schedule": {"epochs": 6, "freeze_backbone_epochs": 0, "batch_size": 6},
            "optimizer": {"lr": 0.02, "backbone_lr_mult": 1.0},
        },
        {"augment": {"policy": "none", "crop_scale": [0.5, 1.0]}, "run": {"ema_decay": 0.5}},
    )
    network = tiny_network()
    for norm in batch_norms(network).values():
        norm.momentum = 0.0003
    if planted:
        monkeypatch.setattr("litevision.training.loop.Loop._measure_statistics", lambda loop: None)
    loop = tiny_loop(tmp_path, recipe, objective=Judging(), network=network)
    loop.run(Quiet(), StopRequest())
    found = statistics_in_words(recipe, loop.scored_network(), loop.progress, Judging().validate)
    if not planted:
        assert found == ""
        return
    said = re.match(
        r"the statistics of batch normalisation do not fit the weights: the validation loss is (\S+), and (\S+) with "
        "the statistics of these images themselves. Give more epochs or smaller batches",
        found,
    )
    assert said is not None
    assert float(said[1]) > 0.8 * math.log(3)
    assert float(said[2]) < 0.1
    frozen = make_recipe(recipe_tables(recipe), {"optimizer": {"freeze_bn": True}})
    assert statistics_in_words(frozen, loop.scored_network(), loop.progress, Judging().validate) == ""


def test_statistics_that_do_not_fit_are_a_warning(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the cause where the answers say nothing, and by themselves where they say something."""
    monkeypatch.setattr("litevision.training.run.statistics_in_words", lambda *_: "the statistics do not fit")
    [warning] = train(data, tmp_path, {"schedule.freeze_backbone_epochs": 0}).results["warnings"]
    assert warning.endswith("he statistics do not fit.")


def evaluation(labels: list[int], probabilities: list[list[float]]) -> Evaluation:
    paths = tuple(Path(str(place)) for place in range(len(labels)))
    classes = tuple("abc")[: len(probabilities[0])]
    return Evaluation("validation", classes, paths, np.array(labels), np.array(probabilities, np.float32))


def test_answers_that_say_nothing() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200).tolist()
    guessed = random.uniform(0.3, 0.7, 200)
    assert "the same answer, 'a'" in like_a_constant(evaluation([0, 1, 1], [[0.505, 0.495]] * 3))
    assert "no better than one answer" in like_a_constant(evaluation(labels, [[p, 1 - p] for p in guessed]))


@pytest.mark.parametrize("sure", [0.9, 0.51])
def test_answers_that_say_something(sure: float) -> None:
    """Also those that are hardly surer than chance, or far too sure, and right more often than it."""
    labels = [place % 2 for place in range(60)]
    right = [place % 10 != 0 for place in range(60)]
    rows = [
        [sure, 1 - sure] if (label == 0) == is_right else [1 - sure, sure]
        for label, is_right in zip(labels, right, strict=True)
    ]
    assert like_a_constant(evaluation(labels, rows)) == ""
    sure_mistakes = [row if is_right else np.round(row).tolist() for row, is_right in zip(rows, right, strict=True)]
    assert like_a_constant(evaluation(labels, sure_mistakes)) == ""


def test_one_class_alone_says_nothing_of_the_model() -> None:
    assert like_a_constant(evaluation([0, 0], [[0.5, 0.5]] * 2)) == ""


def test_what_is_no_number_is_null_in_json() -> None:
    value = {"a": [float("nan"), (float("inf"), 1.5)], "b": {"c": -float("inf"), "d": "NaN"}, "e": None}
    assert json.loads(json_text(value, indent=1)) == {"a": [None, [None, 1.5]], "b": {"c": None, "d": "NaN"}, "e": None}
