"""What concerns the whole process: settings that make training on a CPU quicker, and the processes beside it."""

import ctypes
import os
import sys

from litevision.errors import UsageError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


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


def has_bf16() -> bool:
    """Whether this processor multiplies bf16 itself; elsewhere it is emulated, and slow."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
