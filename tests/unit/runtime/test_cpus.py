import os
from pathlib import Path

import pytest

from litevision.runtime.cpus import available_cpus


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_affinity_alone(root: Path) -> None:
    assert available_cpus(root) == 16


@pytest.mark.parametrize(
    ("cpu_max", "cpus"),
    [("max 100000\n", 16), ("400000 100000\n", 4), ("250000 100000\n", 2), ("50000 100000\n", 1), ("damaged", 16)],
)
def test_version_2_quota(root: Path, cpu_max: str, cpus: int) -> None:
    write(root / "proc/self/cgroup", "0::/\n")
    write(root / "sys/fs/cgroup/cpu.max", cpu_max)
    assert available_cpus(root) == cpus


def test_a_parents_quota_holds(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/pods/one/app\n")
    write(root / "sys/fs/cgroup/pods/one/app/cpu.max", "max 100000\n")
    write(root / "sys/fs/cgroup/pods/one/cpu.max", "300000 100000\n")
    write(root / "sys/fs/cgroup/pods/cpu.max", "800000 100000\n")
    assert available_cpus(root) == 3


@pytest.mark.parametrize(("quota", "cpus"), [("-1\n", 16), ("600000\n", 6)])
def test_version_1_quota(root: Path, quota: str, cpus: int) -> None:
    write(root / "proc/self/cgroup", "9:name=systemd:/\n4:cpu,cpuacct:/host/path\n0::/\n")
    write(root / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", quota)
    write(root / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert available_cpus(root) == cpus


def test_this_machine_has_one() -> None:
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)
