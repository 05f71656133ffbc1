"""The process of a server: its socket, its threads, and the signals that end it."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from types import FrameType

from uvicorn import Config, Server

from litevision.console import note
from litevision.errors import UsageError
from litevision.runtime.cpus import available_cpus
from litevision.serving.app import application
from litevision.serving.batcher import Batcher
from litevision.serving.gate import State
from litevision.serving.metrics import Metrics
from litevision.serving.protocol import protocol_of
from litevision.serving.served import ServedModel
from litevision.serving.settings import Settings

_BACKLOG = 2048
_KEEP_ALIVE_S = 30
_LEAST_GRACE_S = 0.1


def bind(host: str, port: int) -> socket.socket:
    """Open the socket that requests come to.

    Raises:
        UsageError: the address does not exist here, or is taken.
    """
    try:
        (family, _, _, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # Only of a socket that is known to be TCP's does asyncio send answers at once: else each waits 40 ms for the
        # client to acknowledge its head.
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise UsageError(f"--host {host}: no address of this machine ({error.strerror or error}).") from None
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise UsageError(f"{host} port {port} cannot be opened ({error.strerror}). Give another --port.") from None
    return opened


def address_of(bound: socket.socket) -> str:
    """The address of a socket, as browsers take it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(models: Mapping[str, ServedModel], settings: Settings, bound: socket.socket) -> int:
    """Answer requests until a signal ends the process; gives the exit code: 1 where requests had to be cut.

    Args:
        models: by the names that clients call them.
        settings: the limits.
        bound: where requests come to; closed at the end.
    """
    metrics = Metrics()
    batcher = Batcher(
        workers=available_cpus(),
        max_batch=settings.max_batch,
        max_wait_s=settings.max_wait_s,
        max_queue=settings.max_queue,
        observer=metrics,
    )
    state = State(models, settings, batcher, metrics)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what it would say is in the access log and the metrics
    config = Config(
        application(state),
        http=protocol_of(settings, metrics.error),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(_LEAST_GRACE_S, settings.grace_s - settings.drain_s),  # type: ignore[arg-type]
    )
    server = _Server(config, state)
    bound.listen(_BACKLOG)  # before it is said: whoever comes now waits for the loop
    note(f"serving {', '.join(models)} at {address_of(bound)}")
    asyncio.run(server.serve([bound]))
    batcher.close(_LEAST_GRACE_S)
    if server.cut:
        print(f"error: {server.cut} requests were not finished after {settings.grace_s:g} s.", file=sys.stderr)
    return 1 if server.cut else 0


class _Server(Server):
    """A server that says that it is not ready before it stops, and counts the requests that it had to cut.

    Attributes:
        cut: how many those are.
    """

    def __init__(self, config: Config, state: State) -> None:
        super().__init__(config)
        self.cut = 0
        self._state = state

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While it runs, SIGINT and SIGTERM end it in order, and a second one at once."""
        loop = asyncio.get_running_loop()

        def arrived(signum: int, _: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._stop)

        signals = (signal.SIGINT, signal.SIGTERM)
        before = [(it, signal.signal(it, arrived)) for it in signals]
        try:
            yield
        finally:
            for signum, handler in before:
                signal.signal(signum, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self.cut = len(self.server_state.tasks)

    def _stop(self) -> None:
        if not self._state.is_ready:
            self.should_exit = self.force_exit = True
            return
        self._state.is_ready = False
        note("stopping")
        asyncio.get_running_loop().call_later(self._state.settings.drain_s, setattr, self, "should_exit", True)
