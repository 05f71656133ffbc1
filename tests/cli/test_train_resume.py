"""litevision train --resume: however a run was interrupted, it ends with the same weights, bit for bit."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainings import checkpoints, differences, settings, write_colours

RECIPE: dict[str, dict[str, Any]] = {
    "schedule": {"epochs": 3, "head_epochs": 1, "batch_size": 4, "patience": 3},
    "augment": {"mixup": 0.4, "cutmix": 0.4},
    # Each step is written, and pictures are read by a process that outlives the one that is killed.
    "run": {"checkpoint_minutes": 0, "workers": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data."""
    folder = tmp_path_factory.mktemp("resume")
    write_colours(folder / "data", 8)
    return folder


def start(place: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "litevision", "train", *arguments]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begin(place: Path, name: str) -> "subprocess.Popen[str]":
    return start(place, "data", "--name", name, *settings(RECIPE))


@pytest.fixture(scope="module")
def uninterrupted(place: Path) -> dict[str, Any]:
    """What the checkpoints of the run hold that nobody interrupts."""
    process = begin(place, "whole")
    _, err = process.communicate()
    assert process.returncode == 0, err
    return checkpoints(place / "runs/whole")


def wait_for(process: "subprocess.Popen[str]", happens: Callable[[], bool]) -> None:
    """Returns as soon as it happens; the process must still run then."""
    while not happens():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)


def versions(path: Path, count: int) -> Callable[[], bool]:
    """Whether a file was seen in so many versions; each is another file."""
    seen: set[int] = set()

    def happened() -> bool:
        if path.exists():
            seen.add(path.stat().st_mtime_ns)
        return len(seen) >= count

    return happened


def end(place: Path, name: str) -> str:
    """Resumes the run to its end; what it says on its error output."""
    process = start(place, "--resume", f"runs/{name}")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "validation: top-1" in out
    return err


@pytest.mark.slow
def test_killed_again_and_again(place: Path, uninterrupted: dict[str, Any]) -> None:
    run = place / "runs/killed"
    process = begin(place, "killed")
    wait_for(process, (run / "plan.json").exists)  # before its first checkpoint
    process.kill()
    process.communicate()
    assert not (run / "last.ckpt").exists()
    for steps in (4, 9):
        process = start(place, "--resume", "runs/killed")
        wait_for(process, versions(run / "last.ckpt", steps))
        process.kill()
        process.communicate()
    err = end(place, "killed")
    assert err.startswith(f"resuming {Path('runs/killed')}\n")
    assert differences(checkpoints(run), uninterrupted) == []
    results, whole = (json.loads((place / f"runs/{name}/results.json").read_text()) for name in ("killed", "whole"))
    assert results["scores"] == whole["scores"]
    assert (results["interruptions"], whole["interruptions"]) == (3, 0)
    assert {path.name for path in run.iterdir()} == {path.name for path in (place / "runs/whole").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order(
    place: Path, uninterrupted: dict[str, Any], signum: signal.Signals, code: int
) -> None:
    name = f"stopped-{code}"
    run = place / "runs" / name
    process = begin(place, name)
    wait_for(process, versions(run / "last.ckpt", 5))
    process.send_signal(signum)
    out, err = process.communicate()
    assert (process.returncode, out) == (code, "")
    last = err.splitlines()[-1]
    resume = re.escape(f"litevision train --resume {Path('runs') / name}")
    assert re.fullmatch(rf"stopped at (epoch \d, batch \d of 6|the end of epoch \d); go on with: {resume}", last)
    assert "Traceback" not in err
    left = {path.name for path in run.iterdir()} - {"best.ckpt", "tensorboard"}  # which the first epoch has not
    assert left == {"last.ckpt", "plan.json", "recipe.toml"}
    end(place, name)
    assert differences(checkpoints(run), uninterrupted) == []


def test_an_error_leaves_no_process_behind(place: Path) -> None:
    """A picture that is damaged behind its header, read by a worker that passes over the signal to end."""
    write_colours(place / "damaged", 8)
    for path in sorted((place / "damaged/train").rglob("*.png")):
        data = bytearray(path.read_bytes())
        start_of_pixels = data.index(b"IDAT") + 30
        data[start_of_pixels : start_of_pixels + 60] = bytes(60)
        path.write_bytes(data)
    process = start(place, "damaged", "--name", "damaged", *settings(RECIPE))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.match(r"error: .*\d\.png: .*'litevision check-data' finds all such\.$", err.splitlines()[-1])
    assert "Traceback" not in err
