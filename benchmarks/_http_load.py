"""A load of HTTP requests from one process: as fast as they are answered (closed), or at a given rate (open).

In an open loop each request is due at its own time, whether or not those before it are answered, and its latency counts
from then: what a server that falls behind makes its clients wait is seen.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_LIMIT_S = 120.0  # a machine with other work may need it for a queue that is full


@dataclass
class Outcome:
    """What became of a load.

    Attributes:
        statuses: how often each HTTP status came; 0 stands for a connection that failed or broke.
        ok_ms: milliseconds of each answer with status 200.
        wrong: answers with status 200 that do not say what they should.
        seconds: that it took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    ok_ms: list[float] = field(default_factory=list)
    wrong: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second with status 200."""
        return self.statuses[200] / self.seconds


def request(path: str, body: bytes, *, form: bool = False) -> bytes:
    """The bytes of a POST, raw or as the file of a form."""
    kind = b"image/jpeg"
    if form:
        head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg'
        body, kind = head + b"\r\n\r\n" + body + b"\r\n--edge--\r\n", b"multipart/form-data; boundary=edge"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"Content-Type: " + kind + b"\r\n\r\n" + body


class Connections:
    """Connections to one port, kept for the next request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, sent: bytes) -> tuple[int, bytes]:
        """Send a request; gives status and body, and status 0 where there is no answer."""
        try:
            async with asyncio.timeout(_LIMIT_S):
                return await self._exchange(sent)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            return 0, b""

    async def _exchange(self, sent: bytes) -> tuple[int, bytes]:
        while self._idle and self._idle[-1][0].at_eof():  # the server has closed one that was idle
            self._idle.pop()[1].close()
        pair = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = pair
        is_kept = False
        try:
            writer.write(sent)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            is_kept = b"connection: close" not in head
            return int(head[9:12]), body
        finally:
            if is_kept:
                self._idle.append(pair)
            else:
                writer.close()

    def close(self) -> None:
        for _, writer in self._idle:
            with suppress(OSError):
                writer.close()


async def closed_loop(port: int, requests: Sequence[tuple[bytes, bytes]], clients: int, seconds: float) -> Outcome:
    """So many clients, each of which sends its next request when the last one is answered.

    Args:
        port: of the server.
        requests: each with a part of the right answer; sent in turn.
        clients: how many.
        seconds: how long.
    """
    found, pool, turn = Outcome(), Connections(port), iter(range(10**9))
    start = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() - start < seconds:
            await _one(found, pool, requests[next(turn) % len(requests)], time.perf_counter())

    await asyncio.gather(*(client() for _ in range(clients)))
    found.seconds = time.perf_counter() - start
    pool.close()
    return found


async def open_loop(port: int, requests: Sequence[tuple[bytes, bytes]], rate: float, seconds: float) -> Outcome:
    """Requests at even distances, ``rate`` a second; arguments as for `closed_loop`."""
    found, pool = Outcome(), Connections(port)
    start, under_way = time.perf_counter(), set()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.ensure_future(_one(found, pool, requests[number % len(requests)], due))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    found.seconds = time.perf_counter() - start
    pool.close()
    return found


async def _one(found: Outcome, pool: Connections, request: tuple[bytes, bytes], since: float) -> None:
    sent, expected = request
    status, body = await pool.send(sent)
    found.statuses[status] += 1
    if status == 200:
        found.ok_ms.append(1e3 * (time.perf_counter() - since))
        found.wrong += expected not in body
