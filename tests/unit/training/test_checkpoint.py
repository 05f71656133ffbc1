"""Checkpoints: whole or not at all."""

from pathlib import Path

import pytest
import torch

from litevision.errors import FileMissingError, LitevisionError, TrainingError
from litevision.training.checkpoint import Progress, read_checkpoint, write_checkpoint


def test_what_is_written_is_read(tmp_path: Path) -> None:
    progress = Progress(epoch=3, batch=7, loss_sum=0.1 + 0.2, epochs=[{"epoch": 1, "lr": 1e-3}])
    states = {"network": {"w": torch.arange(3.0)}, "n": 4}
    write_checkpoint(tmp_path / "a.ckpt", progress, states)
    found, rest = read_checkpoint(tmp_path / "a.ckpt")
    assert found == progress
    assert torch.equal(rest["network"]["w"], states["network"]["w"])
    assert rest["n"] == 4


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "last.ckpt"
    write_checkpoint(file, Progress(epoch=1), {})
    before = file.read_bytes()

    def full(_: object, handle: object) -> None:
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    message = (
        r"last\.ckpt: the checkpoint cannot be written \(No space left on device\); the one before is kept\. Make room"
    )
    with pytest.raises(TrainingError, match=message):
        write_checkpoint(file, Progress(epoch=2), {})
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"last\.ckpt: no checkpoint"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_a_cut_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    write_checkpoint(file, Progress(), {"x": torch.zeros(1000)})
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(TrainingError, match=r"last\.ckpt: cannot be read as a checkpoint .*Start anew"):
        read_checkpoint(file)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("run",))

    torch.save({"format_version": 1, "progress": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match="UnpicklingError"):
        read_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize(
    "change",
    [
        {"network": None},
        {"network": [1]},
        {"network": {"w": 3}},
        {"network": {"w": torch.zeros(1).expand(10**6)}},
        {"progress": {"epoch": -5}},
        {"progress": {"epoch": "x"}},
        {"progress": {"epochs": [1, 2]}},
        {"progress": {"best_score": "x"}},
        {"progress": {"unknown": 1}},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_form_is_one_line(change: dict[str, object], tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last.ckpt", Progress(), {"network": {"w": torch.zeros(2)}})
    states = torch.load(tmp_path / "last.ckpt", weights_only=True)
    if "progress" in change:
        change = {"progress": {**states["progress"], **change["progress"]}}
    torch.save({**states, **change}, tmp_path / "last.ckpt")
    with pytest.raises(LitevisionError, match=r"last\.ckpt"):
        read_checkpoint(tmp_path / "last.ckpt")
