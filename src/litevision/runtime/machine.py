"""Description of the machine that figures were measured on."""

import functools
import hashlib
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from litevision import __version__
from litevision.runtime.cpus import available_cpus
from litevision.runtime.engines import ENGINES, installed_engines

_BUSY = 0.25  # of the usable cores at work before the measuring begins


@dataclass(frozen=True, slots=True)
class Machine:
    """Processor, system and versions that a measured time depends on.

    Attributes:
        cpu: the processor, as it names itself.
        cores: the logical cores of the whole machine.
        usable_cpus: those that this process may use: its affinity and quota.
        load: processes at work or waiting for a core, the last minute's average; None where it is not told.
        system: the operating system and its machine type.
        versions: of litevision, Python and every engine that is installed, by name.
    """

    cpu: str
    cores: int
    usable_cpus: int
    load: float | None
    system: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> "Machine":
        """Describe this machine, now."""
        return cls(
            cpu=cpu_name(),
            cores=os.cpu_count() or 1,
            usable_cpus=available_cpus(),
            load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
            system=f"{platform.system()} {platform.machine()}",
            versions={"litevision": __version__, "python": platform.python_version(), **engine_versions()},
        )

    def __str__(self) -> str:
        cores = f"{self.cores} cores" + (f", {self.usable_cpus} usable" if self.usable_cpus < self.cores else "")
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        load = ""
        if self.load is not None:
            busy = self.load > _BUSY * self.usable_cpus
            load = f"; load {self.load:.1f}" + (", so other work disturbs these figures" if busy else "")
        return f"{self.cpu}, {cores}; {self.system}; {versions}{load}"


def engine_versions() -> dict[str, str]:
    """Look up the version of every engine that is installed, importing none."""
    return {name: _version(ENGINES[name].distributions) for name in installed_engines()}


def cpu_name() -> str:
    """Return the processor's name, as it names itself."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpu_instructions() -> str:
    """Digest the processor's instruction sets: virtual machines give many processors one name."""
    fields = _cpuinfo()
    kind = [fields.get(name, "") for name in ("vendor_id", "cpu family", "model", "flags", "Features")]
    return hashlib.sha256("\n".join(kind).encode()).hexdigest()[:16]


def adds_in_32_bits() -> bool:
    """Whether the processor is known to add up products of 8 bits in 32 bits: x86 with VNNI, or an ARM.

    Others use an instruction of AVX2 whose sums saturate at 16 bits, which full 8-bit weights exceed.
    """
    flags = _cpuinfo().get("flags", "").split()
    return platform.machine().lower() in ("aarch64", "arm64") or bool({"avx512_vnni", "avx_vnni"} & set(flags))


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """Read the first processor's fields in Linux' /proc/cpuinfo; none on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    return dict(re.findall(r"^([^\t\n:]+)\t*: (.*)$", text.partition("\n\n")[0], re.MULTILINE))


def _version(distributions: Iterable[str]) -> str:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"  # built by hand
