"""litevision serve as a process: it starts, answers, cuts who is slow, and ends in order at SIGTERM."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bundles import write_bundle
from images import encoded, noise

LIMIT_S = 60  # for what should happen at once


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """A server of one tiny model, as ``process`` at ``port``; its standard output goes into ``log``."""
    bundle, log = write_bundle(tmp_path / "colour.onnx"), tmp_path / "access.log"
    command = (
        sys.executable,
        "-m",
        "litevision",
        "serve",
        bundle,
        "--port",
        "0",
        "--body-s",
        "0.5",
        "--drain-s",
        "0.3",
    )
    with log.open("w") as stdout:
        process = subprocess.Popen(
            [*map(str, command), "--log-format", "json"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LITEVISION_TOKEN": "secret"},
        )
    try:
        assert process.stderr
        line = process.stderr.readline()
        address = re.fullmatch(r"serving colour at http://127\.0\.0\.1:(\d+)\n", line)
        assert address, line
        yield SimpleNamespace(process=process, port=int(address[1]), log=log)
    finally:
        process.kill()
        process.communicate()


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    connection.request(method, path, body, {"Authorization": "Bearer secret"})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def rest_of(connection: socket.socket) -> bytes:
    connection.settimeout(LIMIT_S)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_answers_cuts_who_is_slow_and_ends_in_order(server: Any) -> None:
    image, path = encoded(noise(8, 8)), "/v1/models/colour:predict"
    assert ask(server.port, "POST", path, image)[1]["model"] == "colour"
    status, answer = ask(server.port, "POST", path, bytes(25_000_000))  # is read, though nothing of it is kept
    assert (status, answer["error"][:20]) == (413, "a body of more than ")

    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\nContent-Length: {len(image)}\r\n\r\n"
    wrong = {head.encode()[:40]: 408, head.encode() + b"x": 408, b"\x16\x03\x01 no HTTP\r\n\r\n": 400}
    slow = {sent: socket.create_connection(("127.0.0.1", server.port)) for sent in wrong}
    for sent, connection in slow.items():
        connection.sendall(sent)
    for sent, connection in slow.items():
        with connection:
            assert rest_of(connection).startswith(f"HTTP/1.1 {wrong[sent]} ".encode())

    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode())
        assert ask(server.port, "GET", "/readyz") == (200, {"ready": True})  # so that the other one has come, too
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr.readline() == "stopping\n"
        connection.sendall(image)
        assert b'"predictions"' in rest_of(connection)
    assert server.process.wait(LIMIT_S) == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [it["status"] for it in lines] == [200, 413, 408, 200, 200]
    assert "secret" not in server.log.read_text()


def test_a_taken_port_is_said_in_one_line(litevision: Callable[..., tuple[int, str, str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = litevision("serve", "clothing", "--port", port)
    assert (code, out) == (1, "")
    assert re.fullmatch(rf"error: 127\.0\.0\.1 port {port} cannot be opened \(.+\)\. Give another --port\.\n", err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("clothing", "a=clothing", "--host", "nowhere.invalid"), "--host nowhere.invalid: no address of this machine"),
        (("clothing", "clothing"), "two models are called 'clothing'. Give one another name: other=clothing."),
        (("no.onnx",), "no.onnx: no such bundle."),
        (("clothing", "--token-file", "none.txt"), "none.txt: no such file. Write the token into it."),
        (("clothing", "--max-queue", "3"), "--max-queue 3 is less than --max-images 16"),
    ],
)
def test_what_cannot_be_served(litevision: Callable[..., tuple[int, str, str]], words: Any, said: str) -> None:
    port = () if "--host" in words else ("--port", "0")
    code, out, err = litevision("serve", *words, *port)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"error: {said}")


def test_a_token_file_must_hold_one(litevision: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    file = tmp_path / "token"
    for text in ("", "two words", "zweiwörter"):
        file.write_text(text, "utf-8")
        code, _, err = litevision("serve", "clothing", "--port", "0", "--token-file", str(file))
        assert code == 1
        assert f"{file}: no token; expected one line" in err
