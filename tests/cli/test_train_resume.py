"""litevision train --resume: however a run was interrupted, it ends with the same weights, bit for bit."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pausing import PausingRun
from trainings import checkpoints, differences, run_there, settings, write_colours

RECIPE: dict[str, dict[str, Any]] = {
    "schedule": {"epochs": 4, "freeze_backbone_epochs": 1, "batch_size": 4, "patience": 4},
    "augment": {"mixup": 0.4, "cutmix": 0.4},
    # Each step is written, and images are read by a process that outlives the one that is killed.
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
    # What the tests ignore, as in the background of a script, a process of theirs would ignore too.
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGINT, old)


@pytest.fixture(scope="module")
def uninterrupted(place: Path) -> dict[str, Any]:
    """What the checkpoints of the run hold that nobody interrupts."""
    run_there(place, "train", "data", "--name", "whole", *settings(RECIPE))
    return checkpoints(place / "runs/whole")


@pytest.mark.slow
def test_whatever_interrupts_it_it_ends_the_same(place: Path, uninterrupted: dict[str, Any]) -> None:
    run = place / "runs/mine"
    PausingRun(place, "train", "data", "--name", "mine", *settings(RECIPE), before=1).stop(signal.SIGKILL)
    assert (run / "plan.json").exists()
    assert not (run / "last.ckpt").exists()
    for signum, expected in ((signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        code, out, err = PausingRun(place, "train", "--resume", "runs/mine", before=4).stop(signum)
        assert (code, out) == (expected, "")
        assert err.startswith(f"resuming {Path('runs/mine')}\n")
        assert "Traceback" not in err
        if signum != signal.SIGKILL:
            resume = re.escape(f"litevision train --resume {Path('runs/mine')}")
            where = r"(epoch \d, batch \d of 6|the end of epoch \d)"
            assert re.fullmatch(f"stopped at {where}; go on with: {resume}", err.splitlines()[-1])
            left = {path.name for path in run.iterdir()} - {"best.ckpt", "tensorboard"}  # not in the first epoch
            assert left == {"last.ckpt", "plan.json", "recipe.toml"}
    out, _ = run_there(place, "train", "--resume", "runs/mine")
    assert "validation: top-1" in out
    assert differences(checkpoints(run), uninterrupted) == []
    results, whole = (json.loads((place / f"runs/{name}/results.json").read_text()) for name in ("mine", "whole"))
    assert results["scores"] == whole["scores"]
    assert (results["interruptions"], whole["interruptions"]) == (4 - 1, 0)  # the first time nothing was lost
    assert {path.name for path in run.iterdir()} == {path.name for path in (place / "runs/whole").iterdir()}


@pytest.mark.slow
def test_an_error_leaves_no_process_behind(place: Path) -> None:
    """Its workers pass over the signal to end, and Python waits for them."""
    diverging: dict[str, dict[str, Any]] = {
        "schedule": {"freeze_backbone_epochs": 0, "warmup_epochs": 0.0},
        "optimizer": {"name": "sgd", "lr": 1000.0, "weight_decay": 1000.0, "clip_norm": 0.0},
    }
    process = start(place, "data", "--name", "diverging", *settings(RECIPE, diverging))
    out, err = process.communicate(timeout=600)
    assert (process.returncode, out) == (1, "")
    assert re.match(
        r"error: the loss is \S+ in epoch \d, batch \d: the training diverged, and no model file was made",
        err.splitlines()[-1],
    )
    assert "Traceback" not in err


@pytest.fixture
def strangers_run(place: Path, tmp_path: Path, uninterrupted: dict[str, Any]) -> Path:
    """A whole run but for its results, which a resume would write anew; beside it, what its links could lead to."""
    shutil.copytree(place / "data", tmp_path / "data")
    shutil.copytree(place / "runs/whole", tmp_path / "run")
    shutil.copytree(place / "runs/whole", tmp_path / "second")
    (tmp_path / "run/results.json").unlink()
    (tmp_path / "victim/train").mkdir(parents=True)
    (tmp_path / "victim/train/precious.txt").write_text("precious")
    return tmp_path / "run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("cache-0", "../victim"),
        ("model_card.md", "../victim/train/precious.txt"),
        ("recipe.toml", "../victim/train/precious.txt"),
        ("tensorboard/deep", "../../victim"),
        ("report.html", "../not-there"),
        ("run.lock", "../victim/train/precious.txt"),
    ],
)
@pytest.mark.parametrize("command", [("train", "--resume"), ("average", "--name", "x", "second")])
def test_a_strangers_run_is_never_followed_out_of_its_folder(
    strangers_run: Path,
    command: tuple[str, ...],
    name: str,
    target: str,
    litevision: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(strangers_run.parent)
    link = strangers_run / name
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    code, out, err = litevision(*command, "run")
    assert (code, out) == (1, "")
    refusal = "a symbolic link; a run holds plain files alone. Remove it, or copy what it leads to."
    assert err == f"error: {Path('run', name)}: {refusal}\n"
    assert (strangers_run.parent / "victim/train/precious.txt").read_text() == "precious"
    assert not Path("not-there").exists()


HOLD = """
import sys
from pathlib import Path
from litevision.training.process import hold_run
with hold_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_a_run_is_trained_by_one_process_at_a_time(
    strangers_run: Path, litevision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(strangers_run.parent)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "run"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        code, _, err = litevision("train", "--resume", "run")
        holder.kill()
    assert code == 1
    assert err.splitlines()[-1] == (
        f"error: {Path('run')}: process {holder.pid} trains this run; wait for it, or stop it first"
    )
    assert not Path("run/results.json").exists()
    code, out, _ = litevision("train", "--resume", "run")  # of a holder that was killed the file is left, no lock
    assert (code, "report: " in out) == (0, True)
    assert not Path("run/run.lock").exists()
