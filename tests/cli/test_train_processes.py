"""litevision train with run.devices=2: two processes on one CPU, started by Lightning or by torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from litevision.training.checkpoint import read_checkpoint
from trainings import run_there, settings, write_colours

# What a step does depends on the whole batch alone: no statistics of a part of it, and nothing drawn.
RECIPE: dict[str, dict[str, Any]] = {
    "model": {"dropout": 0.0},
    "schedule": {"epochs": 2, "freeze_backbone_epochs": 1, "warmup_epochs": 0.5},
    "optimizer": {"name": "sgd", "lr": 0.05, "freeze_bn": True, "clip_norm": 0.1},
}
Run = Callable[..., tuple[int, str, str]]

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
    run_there(place, "train", "data", "--name", "alone", *settings(RECIPE, {"schedule": {"batch_size": 8}}))
    return place / "runs/alone"


def assert_same_steps(folder: Path, alone: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()}
    progress, states = read_checkpoint(folder / "last.ckpt")
    expected_progress, expected = read_checkpoint(alone / "last.ckpt")
    for one, other in zip(progress.epochs, expected_progress.epochs, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
    for part in ("network", "average"):
        for name, tensor in expected[part].items():
            torch.testing.assert_close(states[part][name], tensor, rtol=1e-5, atol=1e-5)


def assert_told_once(err: str) -> None:
    lines = err.splitlines()
    for begin in ("3 classes", "network  ", "run      ", "epoch   1", "epoch   2"):
        assert sum(line.startswith(begin) for line in lines) == 1, err
    for word in ("Warning", "Traceback", "GLOBAL_RANK", "find_unused"):
        assert word not in err


TWO = settings(RECIPE, {"schedule": {"batch_size": 4}, "run": {"devices": 2, "checkpoint_minutes": 0}})


@pytest.mark.slow
def test_torchrun(place: Path, alone: Path) -> None:
    found = run(place, TORCHRUN, "data", "--output", "torchrun", *TWO)  # named by the time, which differs
    assert found.returncode == 0, found.stderr
    assert_told_once(found.stderr)
    assert found.stdout.count("test: top-1") == 1
    (folder,) = (place / "torchrun").iterdir()
    assert_same_steps(folder, alone)
    assert len(list((folder / "tensorboard").iterdir())) == 1
    assert json.loads((folder / "results.json").read_text())["recipe"]["run"]["devices"] == 2


def listening_elsewhere(pids: set[int]) -> set[str]:
    """The addresses other than this machine's own on which these processes take connections, as Linux lists them."""
    mine = set()
    for pid in pids:
        for opened in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                mine.add(str(opened.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, state, inode = fields[1], fields[3], fields[9]
            loopback = address.startswith(("0100007F", "00000000000000000000000001000000"))
            if state == "0A" and f"socket:[{inode}]" in mine and not loopback:
                found.add(address)
    return found


@dataclass(frozen=True)
class Stopped:
    """A run of two processes of Lightning that a signal to the first stopped in the middle of an epoch.

    Attributes:
        others: the numbers of the processes that the first had started.
        elsewhere: the addresses other than this machine's own on which they took connections.
    """

    folder: Path
    code: int
    err: str
    others: list[int]
    elsewhere: set[str]


@pytest.fixture(scope="module")
def stopped(place: Path) -> Stopped:
    process = subprocess.Popen(
        command(LIGHTNING, "data", "--output", "lightning", *TWO), cwd=place, stderr=subprocess.PIPE, text=True
    )
    while not any(read_checkpoint(path)[0].batch for path in (place / "lightning").glob("*/last.ckpt")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    process.send_signal(signal.SIGSTOP)  # the others wait for the first, so that all are looked at in the middle
    others, elsewhere = [], set()
    if sys.platform == "linux":
        others = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        elsewhere = listening_elsewhere({process.pid, *others})
    process.send_signal(signal.SIGTERM)  # the first process alone hears it
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=600)
    (folder,) = (place / "lightning").iterdir()
    return Stopped(folder, process.returncode, err, others, elsewhere)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_that_lightning_starts_listen_to_this_machine_alone(stopped: Stopped) -> None:
    assert stopped.others
    assert stopped.elsewhere == set()


@pytest.mark.slow
def test_lightning_starts_the_other_process_and_both_stop_together(place: Path, alone: Path, stopped: Stopped) -> None:
    assert stopped.code == 143
    assert stopped.err.count("go on with: litevision train --resume") == 1
    found = run(place, LIGHTNING, "--resume", str(stopped.folder))
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("test: top-1") == 1
    assert "Warning" not in stopped.err + found.stderr
    assert_same_steps(stopped.folder, alone)


def test_more_processes_than_devices(place: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = litevision("train", str(place / "data"), "--output", str(place / "none"), *settings())
    assert code == 1
    assert err == "error: 2 processes were started, but run.devices is 1; give --set run.devices=2\n"
    assert not (place / "none").exists()
