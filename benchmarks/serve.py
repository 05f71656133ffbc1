"""What `litevision serve` does under load, against its own pipeline and an endpoint as most people write it.

    python benchmarks/serve.py --source FOLDER
    python benchmarks/serve.py --quick

Images are 500x375; the model is ``clothing``, a MobileNetV2 at 224. Rounds of throughput are interleaved: the pipeline,
the server with and without batches and with the engine that suits the machine, the endpoint (FastAPI where it is
installed), and LitServe where that is. Then: latency at half of that load, three times of it, slow clients, malformed
bodies, SIGTERM under load, kill -9 and the next start. The load comes from this process, which takes its part of the
cores; beside the rates stands how much CPU an image takes, which other work on the machine changes less. Exits with 1
where an answer is wrong, lost or 5xx. Takes about 8 minutes.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from _common import Row, conditions, environment, interleaved, parser, python_child, ratios, report, row, workplace
from _http_load import Connections, Outcome, closed_loop, open_loop, request
from _images import make_images, sources
from _malformed import malformed

import litevision
from litevision.zoo import BUNDLES

MODEL = "clothing"
PREDICT = f"/v1/models/{MODEL}:predict"
CLIENTS = 16
CONTENDERS = Path(__file__).with_name("_serve_contenders.py")
LITSERVE_CONTENDER = Path(__file__).with_name("_litserve_contender.py")
OURS, UNBATCHED, PIPELINE = "server", "server, --max-batch 1", "pipeline"
AUTO = "server, --engine auto"
PLAIN, LITSERVE = "plain endpoint", "LitServe"
ENDPOINTS = {PLAIN: (CONTENDERS, "endpoint"), LITSERVE: (LITSERVE_CONTENDER,)}
WAIT_S = 120.0


class Server:
    """A process that serves; ``port`` is where."""

    def __init__(self, place: Path, *options: str, other: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        ours = ("-m", "litevision", "serve", MODEL, "--port", str(self.port), *options)
        theirs = (*map(str, ENDPOINTS.get(other, ())), str(BUNDLES[MODEL]), str(self.port))
        words = theirs if other else ours
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            (sys.executable, *words),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(place),
            start_new_session=True,
        )
        self.ready_s = self._wait()

    def _wait(self) -> float:
        while time.perf_counter() - self.started < WAIT_S:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return time.perf_counter() - self.started
            except OSError:
                time.sleep(0.005)
        sys.exit("error: a server did not start")

    def cpu_s(self) -> float:
        """Seconds of CPU that it and the processes that it started have used."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                ticks += (int(fields[11]) + int(fields[12])) * (int(fields[2]) == self.process.pid)
        return ticks / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """One value of its metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else float("nan")


@contextmanager
def serving(place: Path, *options: str, other: str = "") -> Iterator[Server]:
    """A server, which is ended with the block: litevision's, or one of ``ENDPOINTS``."""
    server = Server(place, *options, other=other)
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):  # LitServe has processes of its own, which are of the same group
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def main() -> None:
    """Measures, checks, reports."""
    options = parser(__doc__, rounds=5, threads=False, weights=False)
    options.add_argument("--source", type=Path, metavar="FOLDER", help="photos to make them of (examples/elephant.jpg)")
    options.add_argument("--seconds", type=float, default=8.0, help="of a measurement; overload takes 60 (%(default)s)")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 0.5
    found = conditions(arguments)
    with workplace() as place:
        folder = place / "images/photos"
        condition = make_images(folder, 4 if arguments.quick else 100, (500, 375), sources(arguments.source))
        images = [path.read_bytes() for path in sorted(folder.iterdir())]
        rows = [*throughput(place, folder, images, condition, arguments)]
        capacity = rows[1].median
        rows += [
            *latency(place, images, capacity / 2, arguments),
            *overload(place, images, 3 * capacity, arguments),
            *hostile(place, images, arguments),
            *ends(place, images, capacity / 2, arguments),
        ]
    report(rows, found, arguments, "serve")


def requests_of(
    images: list[bytes], path: str = PREDICT, *, form: bool = False, engine: str | None = None
) -> list[tuple[bytes, bytes]]:
    """A request for each image, and the best class as the answer should have it."""
    classifier = litevision.load_classifier(MODEL, engine=engine)
    labels = [classifier.predict(data, top=1).labels[0] for data in images]
    start = b'"predictions":[{"label":"%s"'
    return [
        (request(path, data, form=form), start % label.encode() if path == PREDICT else b"label")
        for data, label in zip(images, labels, strict=True)
    ]


def throughput(place: Path, folder: Path, images: list[bytes], condition: str, arguments: Any) -> Iterator[Row]:
    """Images a second: the pipeline's, the server's with batches and without, the endpoint's."""
    raw, forms = requests_of(images), requests_of(images, "/predict", form=True)
    chosen = requests_of(images, engine="auto")

    def ours(*options: str) -> tuple[float, float]:
        with serving(place, *options) as server:
            return loaded(server, chosen if "auto" in options else raw, arguments.seconds)

    def theirs(other: str) -> tuple[float, float]:
        with serving(place, other=other) as server:
            return loaded(server, forms, arguments.seconds)

    def pipeline() -> tuple[float, float]:
        found = python_child(place, CONTENDERS, "pipeline", BUNDLES[MODEL], folder, str(arguments.seconds))
        return found["rate"], found["cpu_ms"]

    contenders = {PIPELINE: pipeline, OURS: ours, UNBATCHED: partial(ours, "--max-batch", "1")}
    contenders |= {AUTO: partial(ours, "--engine", "auto")}
    contenders |= {other: partial(theirs, other) for other in endpoints()}
    rounds = interleaved(contenders, arguments.rounds, warm_up=False)
    for place_of, unit in enumerate(("images/s", "CPU ms/image")):
        values = {name: [one[place_of] for one in found] for name, found in rounds.items()}
        for name, found in values.items():
            yield row("serve", condition, name, unit, found)
        for below in (name for name in values if name != OURS):
            yield row("serve", condition, f"{OURS} / {below}", f"ratio of {unit}", ratios(values[OURS], values[below]))
        above = ratios(values[AUTO], values[PLAIN])
        yield row("serve", condition, f"{AUTO} / {PLAIN}", f"ratio of {unit}", above)


def endpoints() -> list[str]:
    """The others' servers; LitServe where it is installed."""
    return [PLAIN, *([LITSERVE] if find_spec("litserve") else [])]


def loaded(server: Server, requests: list[tuple[bytes, bytes]], seconds: float) -> tuple[float, float]:
    """The rate of a server that clients keep busy, and the CPU of an answer in ms, after a while that warms it up."""
    asyncio.run(closed_loop(server.port, requests, CLIENTS, seconds / 4))
    before = server.cpu_s()
    outcome = asyncio.run(closed_loop(server.port, requests, CLIENTS, seconds))
    check(outcome, {200})
    return outcome.rate, 1e3 * (server.cpu_s() - before) / outcome.statuses[200]


def check(outcome: Outcome, allowed: set[int]) -> None:
    """End the benchmark where an answer is wrong, or of another status."""
    if outcome.wrong or set(outcome.statuses) - allowed:
        sys.exit(f"error: {outcome.wrong} wrong answers, and statuses {dict(outcome.statuses)}")


def latency(place: Path, images: list[bytes], rate: float, arguments: Any) -> Iterator[Row]:
    """Milliseconds at half of the server's own capacity."""
    for name in (OURS, *endpoints()):
        other = "" if name == OURS else name
        requests = requests_of(images, "/predict", form=True) if other else requests_of(images)
        with serving(place, other=other) as server:
            asyncio.run(closed_loop(server.port, requests, CLIENTS, arguments.seconds / 4))
            outcome = asyncio.run(open_loop(server.port, requests, rate, 2 * arguments.seconds))
            check(outcome, {200, 0} if other else {200})
        condition = f"open loop of {rate:.0f} requests/s, half of the server's capacity"
        for share in (50, 99):
            yield row("serve", condition, f"{name}, p{share}", "ms", [float(np.percentile(outcome.ok_ms, share))])


def overload(place: Path, images: list[bytes], rate: float, arguments: Any) -> Iterator[Row]:
    """Three times the capacity: answers are right or 429, and memory stays."""
    seconds = 1.0 if arguments.quick else 60.0
    requests = requests_of(images)
    with serving(place) as server:
        asyncio.run(closed_loop(server.port, requests, CLIENTS, arguments.seconds / 4))
        asyncio.run(open_loop(server.port, requests, rate, seconds / 12))
        before = server.metric("process_resident_memory_bytes")
        outcome = asyncio.run(open_loop(server.port, requests, rate, seconds))
        after = server.metric("process_resident_memory_bytes")
        check(outcome, {200, 429, 503})
    condition = f"open loop of {rate:.0f} requests/s, three times the capacity, {seconds:.0f} s"
    total = sum(outcome.statuses.values())
    yield row("serve", condition, "answered 200", "share", [outcome.statuses[200] / total])
    yield row("serve", condition, "answered 429", "share", [outcome.statuses[429] / total])
    yield row("serve", condition, "answered 503", "share", [outcome.statuses[503] / total])
    yield row("serve", condition, "answered 200, p99", "ms", [float(np.percentile(outcome.ok_ms, 99))])
    yield row("serve", condition, "memory before", "MB", [before / 1e6])
    yield row("serve", condition, "memory after", "MB", [after / 1e6])


def hostile(place: Path, images: list[bytes], arguments: Any) -> Iterator[Row]:
    """Clients that send a byte a second, and bodies that are wrong."""
    requests = requests_of(images)
    with serving(place) as server:
        calm = asyncio.run(closed_loop(server.port, requests, 1, arguments.seconds))
        slow = asyncio.run(beside_slow_clients(server.port, requests, 200, arguments.seconds))
        check(slow, {200})
        for name, outcome in (("alone", calm), ("beside 200 slow clients", slow)):
            yield row("serve", "one client", f"{name}, p50", "ms", [float(np.median(outcome.ok_ms))])
        count = 20 if arguments.quick else 1000
        bodies = malformed(MODEL, (224, 224), images[0], count)
        statuses = asyncio.run(all_of(server.port, [as_bytes(it) for it in bodies]))
        if not all(400 <= status < 500 for status in statuses):
            sys.exit(f"error: malformed bodies were answered {statuses}")
        yield row("serve", f"{count} malformed bodies", "answered 4xx", "share", [1.0])


async def beside_slow_clients(port: int, requests: list[tuple[bytes, bytes]], count: int, seconds: float) -> Outcome:
    """A client's answers while others send a byte a second."""
    head = requests[0][0].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in slow:
        writer.write(head)

    async def drip() -> None:
        while True:
            for _, writer in slow:
                if not writer.is_closing():
                    writer.write(b"\xff")
            await asyncio.sleep(1)

    dripping = asyncio.ensure_future(drip())
    outcome = await closed_loop(port, requests, 1, seconds)
    dripping.cancel()
    for _, writer in slow:
        writer.close()
    return outcome


def as_bytes(one: Any) -> bytes:
    headers = {"Host": "localhost", "Content-Length": str(len(one.body)), **one.headers}
    lines = [f"POST {one.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + one.body


async def all_of(port: int, requests: list[bytes]) -> dict[int, int]:
    """Send each alone; gives how often each status came."""
    pool, statuses = Connections(port), dict[int, int]()
    for sent in requests:
        status, _ = await pool.send(sent)
        statuses[status] = statuses.get(status, 0) + 1
    pool.close()
    return statuses


def ends(place: Path, images: list[bytes], rate: float, arguments: Any) -> Iterator[Row]:
    """SIGTERM under load loses no request, and a server that was killed is soon there again."""
    requests = requests_of(images)
    with serving(place) as server:

        async def until_the_end() -> Outcome:
            load = asyncio.ensure_future(open_loop(server.port, requests, rate, arguments.seconds))
            await asyncio.sleep(arguments.seconds / 2)
            server.process.send_signal(signal.SIGTERM)
            return await load

        outcome = asyncio.run(until_the_end())
        code = server.process.wait(WAIT_S)
        check(outcome, {200, 0})
    accepted, failed = outcome.statuses[200], outcome.statuses[0]
    if code != 0:
        sys.exit(f"error: exit code {code} after SIGTERM")
    yield row("serve", "SIGTERM under load", "answered", "requests", [accepted])
    yield row("serve", "SIGTERM under load", "refused, most after the end", "requests", [failed])
    starts = []
    for _ in range(arguments.rounds):
        with serving(place) as server:
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
        with serving(place) as server:
            asyncio.run(closed_loop(server.port, requests[:1], 1, 0.01))
            starts.append(time.perf_counter() - server.started)
    yield row("serve", "kill -9 and a new start", "first answer", "s", starts)


if __name__ == "__main__":
    main()
