"""What a fuzz target is, and one input of it: made, read, and judged."""

import itertools
import os
import resource
import signal
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import FrameType
from typing import Literal, NoReturn

from fuzz.mutations import Mutation, mutate
from litevision.errors import LitevisionError

CPU_LIMIT_S, WALL_LIMIT_S = 10, 60
MEMORY_LIMIT_MB = 500
ADDRESS_LIMIT_BYTES = 3 * 2**30  # beside what there is at the start: what asks for more gets a MemoryError

Kind = Literal["answer", "refusal", "finding"]


@dataclass(frozen=True)
class Target:
    """A reader, and what it is fed with.

    Attributes:
        name: of the reader.
        prepare: writes whole files into a folder, and gives those to mutate.
        mutations: how.
        read: reads the folder of which a file was mutated.
        count: how many inputs the suite tries.
        needs: the package without which there is nothing to read.
    """

    name: str
    prepare: Callable[[Path], Sequence[Path]]
    mutations: tuple[Mutation, ...]
    read: Callable[[Path, Path], object]
    count: int = 40
    needs: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of an input: an answer, an error as it should be, or a finding.

    Attributes:
        text: the error's.
        is_costly: whether it took more time or memory than it may, so that the process should not go on.
        seconds: of the processor.
        megabytes: of resident memory, beside what there was.
    """

    kind: Kind
    text: str = ""
    is_costly: bool = False
    seconds: float = 0.0
    megabytes: float = 0.0


class _Late(BaseException):
    """More time than an input may take; no reader catches it."""


class Feed:
    """Feeds a target with mutated files in ``folder``; input number N is the same each time.

    Args:
        target: the reader.
        folder: an empty one.
        found: files of earlier findings, each of which takes the place of a file with the same end of its name.
    """

    def __init__(self, target: Target, folder: Path, found: Sequence[Path] = ()) -> None:
        self.target, self.folder = target, folder
        self.files = list(target.prepare(folder))
        self.whole = {file: file.read_bytes() for file in self.files}
        self.seeds = list(self.whole.items())
        for path in found:
            file = next((file for file in self.files if file.suffix == path.suffix), self.files[0])
            self.seeds.append((file, path.read_bytes()))

    def inputs(self, first: int = 0) -> Iterator[tuple[int, Path, bytes]]:
        """The number, the file and its content, without end; the seeds as they are come first."""
        for number in itertools.count(first):
            file, data = self.seeds[number % len(self.seeds)]
            random = Random(zlib.crc32(f"{self.target.name} {number}".encode()))
            yield number, file, data if number < len(self.seeds) else mutate(data, self.target.mutations, random)

    def judge(self, file: Path, data: bytes) -> Verdict:
        """Let the target read ``data`` in the place of ``file``."""
        file.write_bytes(data)
        start_s, start_mb = _cpu_s(), _reset_peak_mb()
        try:
            with _limits():
                self.target.read(self.folder, file)
            verdict = Verdict("answer")
        except LitevisionError as error:
            verdict = Verdict("refusal", str(error))
            if "\n" in verdict.text:
                verdict = Verdict("finding", f"more than a line: {verdict.text!r}")
        except (Exception, _Late) as error:
            verdict = Verdict("finding", _place(error), isinstance(error, _Late | MemoryError))
        finally:
            file.write_bytes(self.whole[file])
        taken_s, taken_mb = _cpu_s() - start_s, _peak_mb() - start_mb
        if taken_s > CPU_LIMIT_S:
            verdict = Verdict("finding", f"{taken_s:.0f} s of the processor, {verdict.text}", True)
        elif taken_mb > MEMORY_LIMIT_MB and len(data) < 1_000_000:
            verdict = Verdict("finding", f"{taken_mb:.0f} MB for {len(data)} bytes, {verdict.text}", True)
        return replace(verdict, seconds=round(taken_s, 2), megabytes=round(taken_mb))


def limit_memory() -> None:
    """Let this process have no more than `ADDRESS_LIMIT_BYTES` beside what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ADDRESS_LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


@contextmanager
def _limits() -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        raise _Late("more time than an input may take")

    before = [signal.signal(one, stop) for one in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, 1.2 * CPU_LIMIT_S)
    signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for one, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(one, handler)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _reset_peak_mb() -> float:
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory begins anew
    return _peak_mb()


def _peak_mb() -> float:
    """The most resident memory of this process, or of a child where one had more."""
    own = next((line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")), "")
    return max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def _place(error: BaseException) -> str:
    """The error's type and text, and the last line of ours that it came through."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        name = Path(trace.tb_frame.f_code.co_filename)
        if "litevision" in name.parts:
            place = f"{name.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:200]}"
