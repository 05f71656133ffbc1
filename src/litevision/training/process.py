"""The training process: signals that stop it, memory settings, bf16, and the processes beside it."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from litevision import console
from litevision.errors import TrainingError, UsageError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What a run ends in order for; SIGHUP comes when the terminal is closed."""


def keep_freed_memory() -> bool:
    """Stops glibc from handing big freed blocks back to the kernel, which zeroes their pages again at every step.

    Gives whether it did: False where the C library is another.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _NEVER))


def require_processes(devices: int) -> None:
    """Raises a `UsageError` where something like torchrun started another number of processes than there are devices.

    Lightning starts those that are missing itself, where nobody else has.
    """
    started = os.environ.get("WORLD_SIZE", str(devices))
    if started != str(devices):
        raise UsageError(
            f"{started} processes were started, but run.devices is {devices}; give --set run.devices={started}"
        )


@contextlib.contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Keeps other processes from training the run in ``folder``; the system lets go of it when this one ends.

    Of several processes that train together, the first one holds it for all.

    Raises:
        TrainingError: another process holds it, or the folder cannot be written.
    """
    from lightning_fabric.utilities.rank_zero import rank_zero_only

    if sys.platform == "win32" or getattr(rank_zero_only, "rank", None):
        yield
        return
    path = folder / "run.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(path)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


if sys.platform != "win32":
    import fcntl

    def _locked(path: Path) -> int:
        """The opened file, which holds this process's number and is locked by it."""
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                # lockf, not flock: a reader of images that outlives its killed parent for a moment inherits no lock.
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                holder = os.read(handle, 20).decode("ascii", "replace").strip()
                os.close(handle)
                raise TrainingError(
                    f"{path.parent}: process {holder or '?'} trains this run; wait for it, or stop it first"
                ) from None
            except OSError:  # a file system without locks
                return handle
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):  # else its last holder has just removed it
                    os.truncate(handle, 0)
                    os.write(handle, f"{os.getpid()}\n".encode())
                    return handle
            os.close(handle)


def resolve_device(device: str) -> str:
    """The device that training computes on: ``auto`` is a CUDA GPU where there is one, else the CPU.

    Raises:
        UsageError: a device that is not there.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        if torch.version.cuda is None:
            raise UsageError(
                f"device cuda: this torch build has no CUDA ({torch.__version__}). Install one that has, as "
                "https://pytorch.org/get-started/locally says, or use --device cpu"
            )
        raise UsageError(
            f"device cuda: torch {torch.__version__} finds no GPU here. Check the driver with nvidia-smi, or use "
            "--device cpu"
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            f"device mps: torch {torch.__version__} finds no Apple GPU here; it needs macOS on Apple silicon. "
            "Use --device cpu"
        )
    return device


def has_bf16(device: str = "auto") -> bool:
    """Whether the device multiplies bf16 itself; elsewhere it is emulated, and slow."""
    import torch

    device = resolve_device(device)
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class StopRequest:
    """While it is entered, the first signal sets ``signum``; a second one ends the process as it would have."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            # What is ignored already, nohup and "&" in a script have their reasons for.
            heard = [signum for signum in SIGNALS if signal.getsignal(signum) is not signal.SIG_IGN]
            self._old = {signum: signal.signal(signum, self._arrived) for signum in heard}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _arrived(self, signum: int, _: FrameType | None) -> None:
        self.signum = signum
        console.leave_closed_terminal()
        self._restore()

    def _restore(self) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)
        self._old = {}


class RunStopped(BaseException):
    """A run that a signal stopped, its checkpoint written; no error, so it passes by whoever catches those."""

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(where)
        self.signum = signum
        self.where = where
