"""Number of CPUs that this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """Count the CPUs that this process may use, by its affinity and the quotas of its cgroups, rounded down.

    More threads than quota would be stopped in the middle of a batch, and the others would wait for them.

    Args:
        root: where ``proc`` and ``sys`` are looked for.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, int(min(_quotas(root), default=cpus))))


def _quotas(root: Path) -> Iterator[float]:
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            for folder in _upwards(root / "sys/fs/cgroup", path):
                quota, _, period = _read(folder / "cpu.max").partition(" ")
                yield from _ratio(quota, period)
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "sys/fs/cgroup" / controllers, path):
                yield from _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """Iterate over the cgroup's folder and those above it; in a container, some are outside and cannot be read."""
    parts = Path(path.lstrip("/")).parts
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _ratio(quota: str, period: str) -> Iterator[float]:
    # "max" (version 2) and "-1" (version 1) stand for no quota.
    if quota.strip().isdigit() and period.strip().isdigit() and int(period) > 0:
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
