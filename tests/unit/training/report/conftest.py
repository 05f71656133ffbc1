"""Runs as the trainer leaves them, made up."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from images import encoded, scene
from litevision.evaluation import Evaluation, scores

_IMAGE = encoded(scene(30, 40))


@dataclass
class Run:
    results: dict[str, Any]
    evaluations: dict[str, Evaluation]


def evaluation(
    split: str, classes: Sequence[str], answers: Sequence[tuple[int, int]], folder: Path, certainty: float = 0.9
) -> Evaluation:
    """Images with these truths and answers; the first answer is the surest."""
    probabilities = np.empty((len(answers), len(classes)), np.float32)
    paths = []
    for at, (truth, answer) in enumerate(answers):
        sure = certainty - 0.3 * at / len(answers)
        probabilities[at] = (1 - sure) / (len(classes) - 1)
        probabilities[at, answer] = sure
        paths.append(folder / f"class {truth}" / f"{split} {at}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(_IMAGE)
    return Evaluation(split, tuple(classes), tuple(paths), np.array([t for t, _ in answers]), probabilities)


def epoch(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "epoch": number,
        "phase": "head" if number == 1 else "all",
        "lr": 0.002 / number,
        "train_loss": 2.5 / number,
        "validation_loss": 2.0 / number,
        "validation_top1": 100 - 30 / number,
        "seconds": 90.0,
        "images_per_s": 30.5,
        "data_wait_share": 0.02,
        **changes,
    }


def made_up_run(
    folder: Path,
    classes: Sequence[str] = ("hat", "dress", "shirt"),
    answers: Sequence[tuple[int, int]] = ((0, 1), (0, 0), (1, 1), (1, 1), (1, 2), (2, 2), (2, 2)),
    splits: Sequence[str] = ("validation", "test"),
    epochs: int = 0,
    **changes: Any,
) -> Run:
    """A run whose ``splits`` were answered so; ``changes`` replace parts of its results."""
    evaluations = {split: evaluation(split, classes, answers, folder) for split in splits}
    results = {
        "format_version": 1,
        "task": "classification",
        "name": "garments",
        "created": "2026-11-22 05:21:00+00:00",
        "litevision": "0.1.0",
        "data": {
            "path": "data/garments",
            "description": "Garments on beds.",
            "licence": "CC0-1.0",
            "classes": list(classes),
            "counts": {
                "train": [20 + label for label in range(len(classes))],
                "validation": [5] * len(classes),
                "test": [3 if "test" in splits else 0] * len(classes),
            },
            "made_splits": True,
            "skipped": [],
        },
        "recipe": {
            "schedule": {"epochs": 3, "warmup_epochs": 0.5},
            "augment": {"flip": True, "crop_scale": [0.35, 1.0], "policy": "trivialaugment"},
            "card": {"data": "Garments on beds."},
        },
        "network": {
            "architecture": "mobilenet_v2",
            "dialect": "torchvision",
            "width_mult": 1.0,
            "num_params": 2236682,
            "macs": 299533632,
            "size_hw": [224, 224],
        },
        "start_weights": {
            "name": "mobilenet_v2.tv",
            "provenance": "https://example.org/weights",
            "licence": "Apache-2.0",
            "sha256": "ab" * 32,
        },
        "machine": {"cpu": "a processor", "threads": 2, "precision": "bf16", "versions": {"torch": "2.15.0"}},
        "seed": 4,
        "epochs": [epoch(number) for number in range(1, epochs + 1)],
        "best_epoch": 2 if epochs > 1 else 0,
        "stopped_early": False,
        "scores": {
            split: scores(evaluations[split]).to_dict() if split in splits else None for split in ("validation", "test")
        },
        "bundle": {
            "path": "model.onnx",
            "bytes": 8_912_345,
            "sha256": "cd" * 32,
            "check": {
                "engine": "onnxruntime 1.31.1",
                "images": 8,
                "max_abs_diff": 1.5e-6,
                "top1_agreement": 1.0,
            },
        },
    }
    return Run({**results, **changes}, evaluations)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """``made_up_run`` with its images in this test's folder."""
    return functools.partial(made_up_run, tmp_path)


@pytest.fixture(scope="package")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three epochs. All tests share it and leave it as it is."""
    return made_up_run(tmp_path_factory.mktemp("run"), epochs=3)
