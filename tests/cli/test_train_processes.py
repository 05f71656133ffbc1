"""litevision train with run.devices=2: two processes on one CPU, started by Lightning or by torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from litevision.train.checkpoint import read_checkpoint
from trainings import settings, write_colours

# What a step does depends on the whole batch alone: no statistics of a part of it, and nothing drawn.
RECIPE: dict[str, dict[str, Any]] = {
    "model": {"dropout": 0.0},
    "schedule": {"epochs": 2, "head_epochs": 1, "warmup_epochs": 0.5},
    "optimizer": {"name": "sgd", "lr": 0.05, "freeze_bn": True, "clip_norm": 0.1},
}
LIGHTNING = ["-m", "litevision"]
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "litevision"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    write_colours(folder / "data", 8)
    return folder


def command(starter: list[str], *arguments: str) -> list[str]:
    return [sys.executable, *starter, "train", *arguments]


def run(place: Path, starter: list[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command(starter, *arguments), cwd=place, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def alone(place: Path) -> Path:
    """The run of one process with the doubled batch."""
    found = run(place, LIGHTNING, "data", "--name", "alone", *settings(RECIPE, {"schedule": {"batch_size": 8}}))
    assert found.returncode == 0, found.stderr
    return place / "runs/alone"


@pytest.mark.slow
@pytest.mark.parametrize("starter", [LIGHTNING, TORCHRUN], ids=["lightning", "torchrun"])
def test_two_processes_take_the_steps_of_one_with_the_doubled_batch(
    place: Path, alone: Path, starter: list[str], request: pytest.FixtureRequest
) -> None:
    output = place / request.node.callspec.id
    two = settings(RECIPE, {"schedule": {"batch_size": 4}, "run": {"devices": 2}})
    found = run(place, starter, "data", "--output", str(output), *two)  # named by the time, which differs
    assert found.returncode == 0, found.stderr
    (folder,) = output.iterdir()
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()}
    assert len(list((folder / "tensorboard").iterdir())) == 1
    for line in ("3 classes", "network  ", "run      ", "epoch   1", "epoch   2"):
        assert sum(one.startswith(line) for one in found.stderr.splitlines()) == 1, found.stderr
    for word in ("Warning", "Traceback", "GLOBAL_RANK", "find_unused"):
        assert word not in found.stderr
    assert found.stdout.count("test: top-1") == 1
    progress, states = read_checkpoint(folder / "last.ckpt")
    expected_progress, expected = read_checkpoint(alone / "last.ckpt")
    for one, other in zip(progress.epochs, expected_progress.epochs, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
    for part in ("network", "average"):
        for name, tensor in expected[part].items():
            torch.testing.assert_close(states[part][name], tensor, rtol=1e-5, atol=1e-5)
    assert json.loads((folder / "results.json").read_text())["recipe"]["run"]["devices"] == 2


@pytest.mark.slow
def test_two_processes_stop_together_and_go_on(place: Path, alone: Path) -> None:
    two = settings(RECIPE, {"schedule": {"batch_size": 4}, "run": {"devices": 2, "checkpoint_minutes": 0}})
    process = subprocess.Popen(
        command(LIGHTNING, "data", "--name", "stopped", *two), cwd=place, stderr=subprocess.PIPE, text=True
    )
    last = place / "runs/stopped/last.ckpt"
    while not (last.exists() and read_checkpoint(last)[0].batch):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # the first process alone hears it
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143
    assert err.count("go on with: litevision train --resume") == 1
    found = run(place, LIGHTNING, "--resume", "runs/stopped")
    assert found.returncode == 0, found.stderr
    _, states = read_checkpoint(last)
    _, expected = read_checkpoint(alone / "last.ckpt")
    for name, tensor in expected["network"].items():
        torch.testing.assert_close(states["network"][name], tensor, rtol=1e-5, atol=1e-5)


def test_more_processes_than_devices(place: Path) -> None:
    environment = {**os.environ, "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    found = subprocess.run(
        command(LIGHTNING, "data", "--output", "none", *settings()),
        cwd=place, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 1
    assert found.stderr == "error: 2 processes were started, but run.devices is 1; give --set run.devices=2\n"
    assert not (place / "none").exists()
