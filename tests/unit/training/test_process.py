"""Settings of the whole process."""

import subprocess
import sys

import pytest

from litevision.errors import UsageError
from litevision.training.process import keep_freed_memory, require_processes

PAGES = """
import ctypes, resource, sys
from litevision.training.process import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    raise SystemExit(3)
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use():
    block = libc.malloc(1 << 26)
    ctypes.memset(block, 1, 1 << 26)
    libc.free(block)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PAGES, how], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("another C library")
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_freed_memory_is_used_again_without_new_pages() -> None:
    kept = page_faults("keep")
    assert kept < 50
    assert page_faults("plain") > 3 * kept


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


def test_processes_that_nobody_started_are_lightnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    require_processes(4)


def test_as_many_processes_as_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    require_processes(2)
    with pytest.raises(
        UsageError, match=r"^2 processes were started, but run\.devices is 1; give --set run\.devices=2$"
    ):
        require_processes(1)
