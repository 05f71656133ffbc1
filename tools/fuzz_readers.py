"""Feeds readers with damaged files, for as long as asked, and keeps what makes one fail.

    python tools/fuzz_readers.py READER ... | all [--seconds 300] [--out build/fuzz] [--again]

The contract: every file gives an answer or a LitevisionError of one line, within 10 s of processor time, and a file of
under 1 MB within 500 MB of memory. Readers run in a process of their own with a limit of memory, so that a crash or an
endless loop in a library is a finding too. Each finding lies in OUT/READER, the figures in OUT/READER.json; a reader
that has its figures there is not run again without --again.
"""

import argparse
import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

SILENCE_S = 150  # beyond the limits within the child: it hangs where no signal reaches it


@dataclass
class Figures:
    """What came of a reader's inputs."""

    reader: str
    seconds: float = 0.0  # without the starts of processes
    inputs: int = 0
    answers: int = 0
    refusals: int = 0
    findings: int = 0
    worst_s: float = 0.0  # of the processor, for one input
    worst_mb: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        head = (
            f"{self.reader:20} {self.seconds:4.0f} s {self.inputs:7,} inputs {self.answers:7,} answers "
            f"{self.refusals:7,} refusals {self.findings:5,} findings, "
            f"{self.worst_s:.1f} s and {self.worst_mb:,.0f} MB at most"
        )
        return "\n".join([head, *(f"    {count} x {kind}" for kind, count in self.kinds.items())])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="+", metavar="READER")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--child", type=int, metavar="FIRST", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        return feed(options.readers[0], options.child, options.out)
    from fuzz.targets import TARGETS

    unknown = set(options.readers) - {*TARGETS, "all"}
    if unknown:
        sys.exit(f"error: no reader {', '.join(sorted(unknown))}; expected all or some of {', '.join(TARGETS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    findings = 0
    for reader in TARGETS if "all" in options.readers else options.readers:
        summary = options.out / f"{reader}.json"
        if summary.is_file() and not options.again:
            continue
        figures = run(reader, options.seconds, options.out / reader)
        summary.write_text(json.dumps(asdict(figures), indent=1))
        print(figures, flush=True)
        findings += figures.findings
    return int(findings > 0)


def run(reader: str, seconds: float, out: Path) -> Figures:
    """Feed ``reader`` in children, each of which goes on where the last one ended; their start does not count."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    figures, first = Figures(reader), 0
    while figures.seconds < seconds:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
            folder, event, started = Path(name), None, None
            command = [sys.executable, __file__, reader, "--child", str(first), "--out", name]
            errors = out / "stderr.txt"
            with errors.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as child:
                for event in events(child):
                    started = started or time.monotonic()
                    if "kind" in event:
                        count(figures, event, out, folder)
                        if figures.seconds + time.monotonic() - started >= seconds:
                            break
                is_ended = child.poll() is not None
                child.kill()
            if event is None or started is None:
                sys.exit(
                    f"error: {reader}: the child ended with {child.returncode} before its first input, see {errors}"
                )
            figures.seconds += time.monotonic() - started
            if "kind" not in event:
                text = f"its process ended with {child.returncode}" if is_ended else f"silent for {SILENCE_S} s"
                count(figures, {**event, "kind": "finding", "text": text}, out, folder)
            first = event["number"] + 1
    figures.seconds = round(figures.seconds)
    return figures


def events(child: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """What the child says: an input's number before it is read, and once more with the verdict."""
    assert child.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        rest = b""
        while selector.select(SILENCE_S):
            block = os.read(child.stdout.fileno(), 1 << 16)
            if not block:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(SILENCE_S)
                return
            *lines, rest = (rest + block).split(b"\n")
            yield from map(json.loads, lines)


def count(figures: Figures, event: dict[str, Any], out: Path, folder: Path) -> None:
    figures.inputs += 1
    figures.worst_s = max(figures.worst_s, event.get("seconds", 0.0))
    figures.worst_mb = max(figures.worst_mb, event.get("megabytes", 0.0))
    if event["kind"] != "finding":
        figures.answers += event["kind"] == "answer"
        figures.refusals += event["kind"] == "refusal"
        return
    figures.findings += 1
    kind = event["text"][:160]
    figures.kinds[kind] = figures.kinds.get(kind, 0) + 1
    file, kept = folder / event["file"], folder.with_name(f"{folder.name}-kept")  # where the child puts a finding
    if figures.kinds[kind] <= 3:
        shutil.copy(kept if kept.exists() else file, out / f"{event['number']}-{file.name}")
        with (out / "findings.txt").open("a") as notes:
            notes.write(f"{event['number']}-{file.name}: {event['text']}\n")
    kept.unlink(missing_ok=True)


def feed(reader: str, first: int, folder: Path) -> int:
    """The child: read inputs from number ``first`` on, and say what came of each; leave after a costly one."""
    from fuzz.target import Feed, limit_memory
    from fuzz.targets import TARGETS, found_before

    says = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print
    target = TARGETS[reader]
    source = Feed(target, folder, found_before(target))
    limit_memory()
    for number, file, data in source.inputs(first):
        event = {"number": number, "file": str(file.relative_to(folder))}
        print(json.dumps(event), file=says, flush=True)
        verdict = source.judge(file, data)
        if verdict.kind == "finding":
            folder.with_name(f"{folder.name}-kept").write_bytes(data)
        print(json.dumps({**event, **asdict(verdict)}), file=says, flush=True)
        if verdict.is_costly:
            return 0  # what it left behind should not count against the next
    return 0


if __name__ == "__main__":
    sys.exit(main())
