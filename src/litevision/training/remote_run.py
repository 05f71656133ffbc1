"""A copy of a run at an address (``s3://``, ``gs://`` and so on), which outlives the machine that trains it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from litevision import console
from litevision.errors import FileMissingError, LitevisionError, TrainingError, UsageError, without_secrets
from litevision.files import folder_beside
from litevision.remote import fetch, file_system, names_below, require_remote, scheme_of, told
from litevision.training.checkpoint import NAME as LAST

PLAN = "plan.json"
_MOST_WAITING_S = 600
_UNSHARED = ("cache-", ".", "run.lock")  # what names of files begin with that mean nothing elsewhere


def check_address(address: str) -> None:
    """Return if runs can be copied to an address.

    Raises:
        UsageError: no address, or one with a password or a key in it: for all to see in the recipe.
        MissingExtraError: fsspec is not installed.
    """
    if scheme_of(address) is None:
        raise UsageError(f"run.copy_to is {address!r}; expected an address, such as s3://bucket/runs")
    if without_secrets(address) != address:
        raise UsageError(
            f"run.copy_to is {without_secrets(address)} with a password, a key or a query; expected none, as a run's "
            "recipe shows it. Put them where the address's own library looks for them"
        )
    require_remote(address)


class RunCopy:
    """Copies what is new of a run's folder to an address.

    Attributes:
        address: of the copy, ``ADDRESS/NAME``.
    """

    def __init__(self, folder: Path, address: str) -> None:
        """Takes the run's folder, and the address of the folder that holds runs."""
        self.address = f"{address.rstrip('/')}/{folder.name}"
        self._folder = folder
        self._copied: dict[str, tuple[int, int]] = {}
        self._failure = ""

    def update(self) -> None:
        """Copies every file that is new or has changed, the last checkpoint after what it stands for.

        What fails is told in a line, once for each cause, and is tried again the next time.
        """
        try:
            self._update()
            self._failure = ""
        except LitevisionError as error:
            if str(error) != self._failure:
                console.note(f"{error} The training goes on; what is missing there is copied with the next checkpoint")
            self._failure = str(error)

    def finish(self) -> None:
        """Copies what is left.

        Raises:
            TrainingError: it cannot be copied; the run itself is complete.
        """
        try:
            self._update()
        except LitevisionError as error:
            raise TrainingError(f"{error} The run in {self._folder} is complete; copy that folder by hand") from None

    def _update(self) -> None:
        files, root = file_system(self.address)
        for name, path, state in sorted(self._changed(), key=lambda one: (one[0] == LAST, one[0])):
            with told(f"{self.address}/{name}", done="written", use="write"):
                _put(files, path, f"{root}/{name}")
            self._copied[name] = state

    def _changed(self) -> Iterator[tuple[str, Path, tuple[int, int]]]:
        for folder, folders, files in os.walk(self._folder):
            folders[:] = [name for name in folders if not name.startswith(_UNSHARED)]  # a cache may hold many files
            for path in (Path(folder, name) for name in files if not name.startswith(_UNSHARED)):
                found, name = path.stat(), path.relative_to(self._folder).as_posix()
                state = found.st_size, found.st_mtime_ns
                if self._copied.get(name) != state:
                    yield name, path, state


def run_to_resume(run: str | os.PathLike[str], output: str | os.PathLike[str]) -> Path:
    """The folder of a run to go on with: ``run`` itself, or the copy at this address, fetched into ``output``.

    Of several processes on a machine the first one fetches it.

    Raises:
        FileMissingError: no run at the address.
        UsageError: a folder of its name is here already.
        LitevisionError: it cannot be fetched.
    """
    run = os.fspath(run)
    if scheme_of(run) is None:
        return Path(run)
    require_remote(run)
    folder = Path(output) / PurePosixPath(without_secrets(run).rstrip("/")).name
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        _fetch(run, folder)
    give_up = time.monotonic() + _MOST_WAITING_S
    while not folder.exists():
        if time.monotonic() > give_up:
            raise FileMissingError(f"{folder}: the first process has not fetched it within {_MOST_WAITING_S} s")
        time.sleep(0.1)
    return folder


def _fetch(address: str, folder: Path) -> None:
    """Fetches the copy of a run, whole or not at all."""
    shown = without_secrets(address).rstrip("/")
    if folder.exists():
        raise UsageError(
            f"{folder}: is here already, so {shown} was not fetched; go on with it by --resume {folder}, "
            "or move it away"
        )
    files, root = file_system(address)
    with told(shown):
        found: dict[str, Any] = files.find(root, detail=True) if files.isdir(root) else {}
    names = names_below(root, found, shown)
    if PLAN not in names.values():
        raise FileMissingError(f"{shown}: no run there; expected a folder that run.copy_to filled, with {PLAN}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as partial:
        fetch(files, names, partial, shown)
        partial.chmod(folder.parent.stat().st_mode & 0o777)
        partial.rename(folder)


def _put(files: Any, path: Path, target: str) -> None:
    """Writes a file there whole or not at all: stores of objects do, in others it gets its name at the end."""
    files.makedirs(target.rpartition("/")[0], exist_ok=True)
    if files.async_impl:
        files.put_file(str(path), target)
        return
    files.put_file(str(path), f"{target}.part")
    files.mv(f"{target}.part", target)
