"""HTTP/1.1 connections with the limits that uvicorn's own lack: on slow headers, on their number, on slow readers."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from litevision.serving.settings import Settings


def protocol_of(settings: Settings, count_error: Callable[[str], None]) -> type[H11Protocol]:
    """Make the class of a server's connections.

    Args:
        settings: its limits.
        count_error: is told the kind of each connection that is cut.
    """

    class LimitedProtocol(H11Protocol):
        _until_headers: asyncio.TimerHandle | None = None
        _has_asked = False  # a whole request at least

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > settings.max_connections:
                self._refuse(503, "overload", "too many connections. Come again later.")
                return
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            if self.transport.is_closing():
                return
            if self._is_between_requests():
                if self._until_headers is None:
                    self._await_headers()
            else:
                self._has_asked = True
                self._stop_waiting()

        def send_400_response(self, msg: str) -> None:
            self._refuse(400, "http", "no HTTP/1.1 request that can be read.")

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._abort_later()

        def shutdown(self) -> None:
            super().shutdown()
            self._stop_waiting()
            if self.transport.is_closing():
                self._abort_later()

        def _is_between_requests(self) -> bool:
            return self.conn.their_state is h11.IDLE

        def _await_headers(self) -> None:
            self._until_headers = self.loop.call_later(settings.body_s, self._cut)

        def _stop_waiting(self) -> None:
            if self._until_headers is not None:
                self._until_headers.cancel()
                self._until_headers = None

        def _cut(self) -> None:
            self._until_headers = None
            if self.transport.is_closing() or not self._is_between_requests():
                return
            if self._has_asked and not self.conn.trailing_data[0]:  # idle: nobody waits for an answer
                self.transport.close()
            else:
                self._refuse(408, "slow headers", f"no whole request after {settings.body_s:g} s.")

        def _refuse(self, status: int, kind: str, text: str) -> None:
            count_error(kind)
            body = json.dumps({"error": text}).encode()
            head = (
                f"HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
            self.transport.close()
            self._abort_later()

        def _abort_later(self) -> None:
            """End a connection whose client does not take what was written."""
            self.loop.call_later(settings.send_s, self.transport.abort)

    return LimitedProtocol
