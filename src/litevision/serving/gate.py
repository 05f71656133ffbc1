"""What every request passes: its id, the token, the time that its answer may take, the log, and errors as JSON.

Behind the gate a route finds what all routes of the server share: its `State`.
"""

import asyncio
import hmac
import json
import re
import sys
import time
import traceback
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from litevision.serving.batcher import Batcher
from litevision.serving.bodies import HeldBytes
from litevision.serving.errors import RequestError
from litevision.serving.metrics import Metrics
from litevision.serving.served import ServedModel
from litevision.serving.settings import Settings
from litevision.tables import escape, escape_lines

_ID = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_ID = 64
_LONGEST_PATH = 200
_LINGER_S = 2.0
_OPEN = frozenset({"/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""Paths that ask for no token: a load balancer has none, and the page asks its reader for one."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAILED = "the server failed; its log says why, under the request id of this answer."


@dataclass
class State:
    """What the routes share.

    Attributes:
        models: by the names that clients call them.
        settings: the limits.
        batcher: computes.
        metrics: counts.
        held: the bytes of all bodies that are under way.
        is_ready: whether requests are welcome; not so from SIGTERM on.
    """

    models: Mapping[str, ServedModel]
    settings: Settings
    batcher: Batcher
    metrics: Metrics
    held: HeldBytes = field(init=False)
    is_ready: bool = True

    def __post_init__(self) -> None:
        self.held = HeldBytes(self.settings.max_held_bytes)


def state_of(request: Request) -> State:
    """What the server shares that a request came to."""
    state: State = request.app.serving
    return state


class Gate:
    """The outermost part of the application.

    Attributes:
        serving: what the routes share; they find it as ``request.app.serving``.
    """

    def __init__(self, app: ASGIApp, serving: State, log: TextIO | None = None) -> None:
        self.serving = serving
        self._app = app
        self._settings = serving.settings
        self._metrics = serving.metrics
        self._log = log
        self._token = None if serving.settings.token is None else serving.settings.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self  # so that Starlette raises its errors, which become JSON here
        await _Exchange(self, scope, send).run(receive)

    def admit(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Refuse a request without the token.

        Raises:
            RequestError: it has none, or a wrong one.
        """
        if self._token is None or scope["path"] in _OPEN or scope["method"] == "OPTIONS":
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            message = "a token is needed: send it as 'Authorization: Bearer TOKEN'."
            raise RequestError(401, "token", message, {"WWW-Authenticate": "Bearer"})

    def write(self, facts: dict[str, Any]) -> None:
        """Write a line of the access log."""
        stream = self._log or sys.stdout
        if self._settings.log_format == "json":
            line = json.dumps(facts)
        else:
            line = (
                f"{facts['time']} {facts['client']} {facts['method']} {escape(facts['path'])} {facts['status']} "
                f"{facts['ms']:.1f} ms {facts['bytes']} B {facts['request_id']}"
            )
        try:
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError):  # nobody reads it any more; the answers are what matters
            return


class _Exchange:
    """One request and its answer."""

    def __init__(self, gate: Gate, scope: Scope, send: Send) -> None:
        self._gate = gate
        self._scope = scope
        self._send_on = send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        given = _ID.sub("", self._headers.get(b"x-request-id", b"").decode("latin-1"))[:_LONGEST_ID]
        self._id = given or uuid.uuid4().hex
        self._status = 0
        self._sent_bytes = 0
        scope.setdefault("state", {})["request_id"] = self._id

    async def run(self, receive: Receive) -> None:
        gate, scope, start = self._gate, self._scope, time.perf_counter()
        gate._metrics.began()
        try:
            await self._answer(receive)
        finally:
            gate.serving.held.give(scope["state"].get("held_bytes", 0))
            seconds = time.perf_counter() - start
            endpoint = scope.get("endpoint")
            route = getattr(endpoint, "__name__", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            gate._metrics.ended(route, method, self._status, seconds)
            gate.write(
                {
                    "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "client": (scope.get("client") or ("-", 0))[0],
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": self._status,
                    "ms": round(1e3 * seconds, 3),
                    "bytes": self._sent_bytes,
                    "request_id": self._id,
                }
            )

    async def _answer(self, receive: Receive) -> None:
        gate = self._gate
        try:
            gate.admit(self._scope, self._headers)
            await gate._app(self._scope, receive, self._send)
        except RequestError as error:
            gate._metrics.error(error.kind)
            await self._refuse(error.status, str(error), error.headers, receive)
        except HTTPException as error:
            gate._metrics.error("no such route")
            method, path = self._scope["method"], self._scope["path"][:_LONGEST_PATH]
            text = f"{method} {path!r}: {error.detail}. /openapi.json lists what there is."
            await self._refuse(error.status_code, text, dict(error.headers or {}), receive)
        except TimeoutError:
            gate._metrics.error("slow reader")
        except Exception:
            gate._metrics.error("failure")
            print(f"error: request {self._id} failed:\n{escape_lines(traceback.format_exc())}", file=sys.stderr)
            await self._refuse(500, _FAILED, {}, receive)

    async def _refuse(self, status: int, text: str, headers: dict[str, str], receive: Receive) -> None:
        if status == 413 and b"expect" not in self._headers:
            await self._discard(receive)
        if self._status == 0:
            await JSONResponse({"error": text}, status, headers)(self._scope, receive, self._send)

    async def _discard(self, receive: Receive) -> None:
        """Take the rest of a body that is too long: a client that is still sending it would not read the answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (await receive()).get("more_body", False):
                    continue

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            extra = [(b"x-request-id", self._id.encode()), (b"x-content-type-options", b"nosniff")]
            if not self._gate.serving.is_ready:  # it is about to end: the next request should find another
                extra.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        else:
            self._sent_bytes += len(message.get("body", b""))
        async with asyncio.timeout(self._gate._settings.send_s):
            await self._send_on(message)
