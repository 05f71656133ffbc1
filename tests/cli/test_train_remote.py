"""litevision train with a copy at an address, which it goes on from anywhere, and with data at an address."""

import io
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest

import litevision as lv
from litevision.errors import FileMissingError, TrainingError, UsageError
from litevision.training.callbacks import Callback
from trainings import checkpoints, differences, tiny_recipe, write_colours

Run = Callable[..., tuple[int, str, str]]
ADDRESS = "memory://bucket/runs"


class Stop(Callback):
    """Ends a training behind its first epoch."""

    def on_epoch_end(self, record: Mapping[str, Any]) -> None:
        raise ConnectionAbortedError("the machine goes away")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with data."""
    monkeypatch.chdir(tmp_path)
    fsspec.filesystem("memory").store.clear()
    write_colours(tmp_path / "data", 8)
    return tmp_path


def train(name: str, copy_to: str = "", **others: Any) -> lv.Run:
    recipe = tiny_recipe({"run": {"copy_to": copy_to}})
    return lv.train("data", name=name, recipe=recipe, quiet=True, **others)


def copied(name: str) -> dict[str, bytes]:
    files, root = fsspec.filesystem("memory"), f"/bucket/runs/{name}/"
    return {path.removeprefix(root): files.cat_file(path) for path in files.find(root)}


def left(name: str) -> dict[str, bytes]:
    folder = Path("runs", name)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_that_lost_its_machine_goes_on_from_its_copy_and_ends_the_same(litevision: Run) -> None:
    with pytest.raises(ConnectionAbortedError):
        train("mine", ADDRESS, callbacks=[Stop()])
    assert {"plan.json", "last.ckpt", "best.ckpt"} <= set(copied("mine"))
    shutil.rmtree("runs")
    code, _, err = litevision("train", "--resume", f"{ADDRESS}/mine")
    assert code == 0, err
    assert f"resuming {Path('runs/mine')}" in err
    assert copied("mine") == left("mine")
    assert b"bucket" in left("mine")["recipe.toml"]
    assert [name for name in ("results.json", "model_card.md", "report.html") if b"bucket" in left("mine")[name]] == []
    train("whole")
    assert differences(checkpoints(Path("runs/mine")), checkpoints(Path("runs/whole"))) == []


def test_an_address_that_fails_costs_a_line_and_the_run_is_complete(capfd: pytest.CaptureFixture[str]) -> None:
    blocked = Path("blocked")
    blocked.touch()  # where a folder would be
    with pytest.raises(TrainingError) as caught:
        train("mine", blocked.absolute().as_uri())
    assert str(caught.value).startswith(f"{blocked.absolute().as_uri()}/mine/best.ckpt: could not be written (")
    assert str(caught.value).endswith(f"The run in {Path('runs/mine')} is complete; copy that folder by hand")
    told = [line for line in capfd.readouterr().err.splitlines() if "copied with the next checkpoint" in line]
    assert len(told) == 2  # what was first to be copied was the plan, then the best checkpoint
    assert (Path("runs/mine") / "results.json").is_file()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("bucket/runs", "run.copy_to is 'bucket/runs'; expected an address, such as s3://bucket/runs"),
        ("https://maria:hunter2@host/runs", "run.copy_to is https://host/runs with a password"),
        ("nonsense://host/runs", "nonsense://host/runs: cannot be read (Protocol not known: nonsense)"),
    ],
)
def test_what_is_no_address_of_a_copy_is_refused_before_anything_is_read(address: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        train("mine", address)
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)
    assert not Path("runs").exists()


def test_what_is_no_copy_of_a_run_is_refused() -> None:
    with pytest.raises(FileMissingError, match="memory://bucket/none: no run there; expected a folder that"):
        lv.train(resume="memory://bucket/none")
    files = fsspec.filesystem("memory")
    files.pipe({"/bucket/runs/evil/plan.json": b"{}", "/bucket/runs/evil/../../outside": b""})
    with pytest.raises(UsageError, match=r"holds '../../outside', which is no name of a file; expected none such"):
        lv.train(resume=f"{ADDRESS}/evil")
    assert not Path("runs").exists()
    Path("runs/evil").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"is here already, so memory://bucket/runs/evil was not fetched"):
        lv.train(resume=f"{ADDRESS}/evil")


def put_shards(place: Path, address: str) -> None:
    """The images of the data as a tar archive for each split."""
    files = fsspec.filesystem("memory")
    for split in ("train", "validation", "test"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path in sorted((place / "data" / split).rglob("*.png")):
                archive.add(path, path.relative_to(place / "data" / split).as_posix())
        files.pipe(f"{address}/{split}-000.tar", packed.getvalue())


def test_shards_at_an_address_are_fetched_once_for_each_state_of_them(
    place: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(place / "cache"))
    put_shards(place, "/bucket/shards")
    recipe = tiny_recipe({"schedule": {"epochs": 1, "freeze_backbone_epochs": 0}})
    code, _, err = litevision("train", "memory://bucket/shards", "--show-recipe")
    assert code == 0, err
    assert "fetching memory://bucket/shards: 3 files, 0.3 MB" in err
    run = lv.train("memory://bucket/shards", name="mine", recipe=recipe, quiet=True)
    assert "fetching" not in capfd.readouterr().err
    assert run.results["data"]["path"] == "shards"
    assert run.results["data"]["counts"] == {"train": [8] * 3, "validation": [2] * 3, "test": [2] * 3}
    assert "memory" not in (run.bundle.parent / "model_card.md").read_text()

    fsspec.filesystem("memory").rm("/bucket/shards/test-000.tar")
    run = lv.train("memory://bucket/shards/", name="later", recipe=recipe, quiet=True)
    assert "fetching memory://bucket/shards: 2 files" in capfd.readouterr().err
    assert run.results["data"]["counts"]["validation"] == [2] * 3
    assert run.results["data"]["counts"] != {"train": [8] * 3, "validation": [2] * 3, "test": [2] * 3}


def test_what_is_no_data_at_an_address_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITEVISION_CACHE", str(place / "cache"))
    with pytest.raises(FileMissingError, match=r"^memory://bucket/none: no files there\. Check the address\.$"):
        lv.train("memory://bucket/none")
    fsspec.filesystem("memory").pipe({"/bucket/evil/a/1.png": b"", "/bucket/evil/../../outside.png": b""})
    with pytest.raises(UsageError, match=r"holds '\.\./\.\./outside\.png', which is no name of a file"):
        lv.train("memory://bucket/evil")
    with pytest.raises(UsageError, match=r"nonsense://host/data: cannot be read \(Protocol not known: nonsense\)"):
        lv.train("nonsense://maria:hunter2@host/data")
    assert not list((place / "cache").rglob("*.png"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    put_shards(place, "/bucket/shards")
    with pytest.raises(UsageError, match=r"no room for 0\.0 GB in .*cache; make some, or set LITEVISION_CACHE"):
        lv.train("memory://bucket/shards")
