"""Downloads against a server in this process: what arrives, what is refused, and what is left on the disk."""

import contextlib
import dataclasses
import hashlib
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from litevision.errors import DownloadError, HashMismatchError, UnknownNameError, UsageError
from litevision.registry.weight_sets import WeightSet, find_weight_set
from litevision.weights.download import accept_unchecked, cache_folder, cache_path, fetch
from litevision.weights.http_open import Retry
from litevision.weights.http_transfer import progress_display

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
ETAG = '"v1"'

Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


class Site:
    """A server on this machine that answers each path by a list of replies, the last one for good."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                replies = site.replies[self.path]
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
                with contextlib.suppress(ConnectionError):
                    reply(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def serve(self, path: str, *replies: Reply) -> str:
        self.replies[path] = list(replies)
        return self.base + path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LITEVISION_OFFLINE", raising=False)
    monkeypatch.setenv("LITEVISION_UNCHECKED", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for variable in ("KERAS_HOME", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.server.shutdown()
    thread.join()
    site.server.server_close()


class Waits(list[float]):
    """The waits that were asked for, instead of waiting."""

    def retry(self, attempts: int = 3, timeout_s: float = 60.0) -> Retry:
        return Retry(attempts=attempts, timeout_s=timeout_s, sleep=self.append)


@pytest.fixture
def waits() -> Waits:
    return Waits()


def whole(content: bytes = CONTENT, *, etag: str | None = ETAG, length: bool = True, kind: str = "") -> Reply:
    """The file, whatever range was asked for."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(len(content)))
        if etag:
            handler.send_header("ETag", etag)
        if kind:
            handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def cut(num_bytes: int = 300_000, *, etag: str | None = ETAG) -> Reply:
    """The file's headers, and only its first bytes."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        if etag:
            handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(CONTENT[:num_bytes])

    return reply


def ranged(content: bytes = CONTENT, *, etag: str = ETAG, shift: int = 0) -> Reply:
    """A server that knows ranges: 206 where the version is still the same, else the whole file."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        if not asked or handler.headers.get("If-Range", etag) != etag:
            return whole(content, etag=etag)(handler)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) + shift
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("ETag", etag)
        handler.end_headers()
        handler.wfile.write(content[start:])

    return reply


def status(code: int, **headers: str) -> Reply:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return reply


def silent(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Says nothing until the other side hangs up."""
    handler.rfile.read(1)


def weight_set(url: str, *, mirrors: tuple[str, ...] = (), **changes: object) -> WeightSet:
    """A weight set at an address, of which nothing is known but what ``changes`` says."""
    row = find_weight_set("mobilenet_v2.tv_in1k_v2")
    unknown: dict[str, object] = {"num_bytes": None, "sha256": None, "hash_prefix": None, "num_bytes_tolerance": 0}
    return dataclasses.replace(row, url=url, mirrors=mirrors, **(unknown | changes))


def left_in_cache() -> list[str]:
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file() and path.suffix != ".lock")


# What arrives


def test_a_file_is_fetched_once_and_recorded(site: Site, waits: Waits) -> None:
    url = site.serve("/net.pth", whole())
    path = fetch(url, progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    assert path == cache_path(url)
    assert (path.parent / "net.pth.sha256").read_text() == f"{SHA256}  net.pth\n"
    assert left_in_cache() == ["net.pth", "net.pth.sha256"]
    assert fetch(url, progress=False) == path
    assert len(site.requests) == 1
    assert waits == []


def test_a_weight_set_has_a_folder_of_its_own(site: Site) -> None:
    row = weight_set(
        site.serve("/net.pth", whole()), sha256=SHA256, hash_prefix=SHA256[:8], md5=MD5, num_bytes=len(CONTENT)
    )
    path = fetch(row, progress=False)
    assert path == cache_folder() / "weights" / "mobilenet_v2.tv_in1k_v2" / "net.pth"


def test_two_addresses_with_one_file_name_do_not_meet(site: Site) -> None:
    first = fetch(site.serve("/a/model.safetensors", whole()), progress=False)
    second = fetch(site.serve("/b/model.safetensors", whole(CONTENT[:99])), progress=False)
    assert (first.name, first.stat().st_size) == ("model.safetensors", len(CONTENT))
    assert (second.name, second.stat().st_size) == ("model.safetensors", 99)


def test_a_file_without_a_length_arrives(site: Site) -> None:
    assert fetch(site.serve("/net.pth", whole(length=False)), progress=False).read_bytes() == CONTENT


def test_a_redirect_on_this_machine_is_followed(site: Site) -> None:
    target = site.serve("/real.pth", whole())
    path = fetch(site.serve("/net.pth", status(302, Location=target)), progress=False)
    assert path.read_bytes() == CONTENT
    assert path.name == "net.pth"


# Interruptions


def test_a_broken_download_goes_on_where_it_stopped(site: Site, waits: Waits) -> None:
    path = fetch(site.serve("/net.pth", cut(), ranged()), progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    (_, first), (_, second) = site.requests
    assert "range" not in first
    assert (second["range"], second["if-range"]) == ("bytes=300000-", ETAG)
    assert waits == [1.0]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(site: Site, waits: Waits) -> None:
    url = site.serve("/net.pth", cut())
    with pytest.raises(
        DownloadError, match=r"the connection closed after 300,000 of 1,024,000 bytes; download it with"
    ):
        fetch(url, progress=False, retry=waits.retry(attempts=1))
    assert left_in_cache() == ["net.pth.part", "net.pth.part.json"]
    site.serve("/net.pth", ranged())
    assert fetch(url, progress=False).read_bytes() == CONTENT
    assert site.requests[-1][1]["range"] == "bytes=300000-"
    assert left_in_cache() == ["net.pth", "net.pth.sha256"]


def test_a_truncated_file_never_gets_its_name(site: Site, waits: Waits) -> None:
    url = site.serve("/net.pth", cut(etag=None))
    with pytest.raises(DownloadError, match="the connection closed after"):
        fetch(url, progress=False, retry=waits.retry())
    assert not cache_path(url).exists()
    assert len(site.requests) == 3


def test_a_server_without_ranges_starts_again(site: Site, waits: Waits) -> None:
    path = fetch(site.serve("/net.pth", cut(), whole()), progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    assert site.requests[1][1]["range"] == "bytes=300000-"


def test_a_file_that_changed_meanwhile_starts_again(site: Site, waits: Waits) -> None:
    newer = CONTENT[::-1]
    path = fetch(site.serve("/net.pth", cut(), ranged(newer, etag='"v2"')), progress=False, retry=waits.retry())
    assert path.read_bytes() == newer


@pytest.mark.parametrize("wrong", [ranged(shift=7), ranged(CONTENT + b"longer"), status(416)])
def test_a_wrong_continuation_starts_again(site: Site, waits: Waits, wrong: Reply) -> None:
    path = fetch(site.serve("/net.pth", cut(), wrong, whole()), progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    assert "range" not in site.requests[2][1]


def test_a_part_file_of_unknown_origin_is_not_continued(site: Site) -> None:
    url = site.serve("/net.pth", ranged())
    part = cache_path(url).with_name("net.pth.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"somebody else's")
    assert fetch(url, progress=False).read_bytes() == CONTENT
    assert "range" not in site.requests[0][1]


def test_a_complete_part_file_needs_no_second_download(site: Site, waits: Waits) -> None:
    url = site.serve("/net.pth", cut())
    with pytest.raises(DownloadError):
        fetch(url, progress=False, retry=waits.retry(attempts=1))
    cache_path(url).with_name("net.pth.part").write_bytes(CONTENT)
    assert fetch(url, progress=False).read_bytes() == CONTENT
    assert len(site.requests) == 1


# Faults of the server


def test_a_missing_file_is_not_asked_for_twice(site: Site, waits: Waits) -> None:
    url = site.serve("/net.pth", status(404))
    with pytest.raises(DownloadError) as caught:
        fetch(url, progress=False, retry=waits.retry())
    message = str(caught.value)
    assert message.startswith(f"cannot download {url}: the server answered 404 Not Found; download it with a browser")
    assert f"put it at {cache_path(url)}, then run again" in message
    assert "a local weight file in place of the name" in message
    assert "\n" not in message
    assert (len(site.requests), waits) == (1, [])


def test_a_busy_server_is_asked_again(site: Site, waits: Waits) -> None:
    replies = status(503), status(503, Retry_After="7"), whole()
    path = fetch(site.serve("/net.pth", *replies), progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    assert waits == [1.0, 7.0]


def test_waits_double_and_attempts_end(site: Site, waits: Waits) -> None:
    url = site.serve("/net.pth", status(500))
    with pytest.raises(DownloadError, match="500 Internal Server Error"):
        fetch(url, progress=False, retry=waits.retry(attempts=4))
    assert (len(site.requests), waits) == (4, [1.0, 2.0, 4.0])


def test_a_silent_server_is_asked_again(site: Site, waits: Waits) -> None:
    def wait(seconds: float) -> None:
        waits.append(seconds)
        object.__setattr__(retry, "timeout_s", 60.0)  # the second answer may take its time on a busy machine

    retry = Retry(timeout_s=0.1, sleep=wait)
    url = site.serve("/net.pth", silent, whole())
    assert fetch(url, progress=False, retry=retry).read_bytes() == CONTENT
    assert waits == [1.0]


def test_no_server_at_all(site: Site, waits: Waits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_at_once:
        port = closed_at_once.getsockname()[1]
    with pytest.raises(DownloadError, match="Connection refused"):
        fetch(f"http://127.0.0.1:{port}/net.pth", progress=False, retry=waits.retry())
    assert waits == []


def test_a_login_page_is_no_weight_file(site: Site) -> None:
    url = site.serve("/net.pth", whole(b"<html>Welcome to our hotel", kind="text/html; charset=utf-8"))
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        fetch(url, progress=False)
    assert left_in_cache() == []


@pytest.mark.parametrize(
    "page", [b"\xef\xbb\xbf\r\n <!DOCTYPE html><title>Log in</title>", b"<html>" * 9, b"<?xml version='1.0'?><Error/>"]
)
def test_a_web_page_is_known_by_its_content(site: Site, page: bytes) -> None:
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        fetch(site.serve("/net.pth", whole(page, kind="application/octet-stream")), progress=False)
    assert [name for name in left_in_cache() if not name.endswith((".part", ".json"))] == []
    header = b"<\0\0\0\0\0\0\0{}"  # of safetensors, 60 bytes long
    assert fetch(site.serve("/net.pth", whole(header)), progress=False).read_bytes() == header


def test_headers_that_never_end_are_given_up(site: Site, waits: Waits) -> None:
    def drops(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"X")
                time.sleep(0.01)

    retry = dataclasses.replace(waits.retry(attempts=1, timeout_s=0.2), patience_s=0.1)
    with pytest.raises(DownloadError, match="the server is too slow: its headers did not end"):
        fetch(site.serve("/net.pth", drops), progress=False, retry=retry)


@pytest.mark.parametrize("length", ["9" * 5000, "-5", "0x10", "1e3", "\u0661"])
def test_a_length_that_is_none_is_no_traceback(site: Site, waits: Waits, length: str) -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: {ETAG}\r\n\r\n".encode())
        handler.wfile.write(CONTENT[:100])

    with contextlib.suppress(DownloadError):
        assert fetch(site.serve("/net.pth", reply), progress=False, retry=waits.retry()).read_bytes() == CONTENT[:100]


# Refusals


@pytest.mark.parametrize(
    ("claim", "got"),
    [({"sha256": "0" * 64}, SHA256), ({"hash_prefix": "0badf00d"}, SHA256), ({"md5": "0" * 32}, MD5)],
)
def test_a_wrong_hash_leaves_nothing(site: Site, claim: dict[str, str], got: str) -> None:
    row = weight_set(site.serve("/net.pth", whole()), **claim)
    (expected,) = claim.values()
    with pytest.raises(
        HashMismatchError, match=rf"has the wrong (sha256|md5): got {got}, expected {expected}; the down"
    ):
        fetch(row, progress=False)
    assert left_in_cache() == []


def test_the_hash_that_the_caller_asks_for_must_hold(site: Site) -> None:
    url = site.serve("/net.pth", whole())
    with pytest.raises(HashMismatchError):
        fetch(url, sha256="1" * 64, progress=False)
    assert fetch(url, sha256=SHA256.upper(), progress=False).read_bytes() == CONTENT
    with pytest.raises(HashMismatchError, match="the download was removed"):
        fetch(url, sha256="1" * 64, progress=False)
    with pytest.raises(HashMismatchError, match="offline mode is on, so it cannot be fetched anew"):
        fetch(url, sha256="1" * 64, offline=True)
    with pytest.raises(UsageError, match="sha256 must be 64 hexadecimal digits, got 'abc'"):
        fetch(url, sha256="abc")


@pytest.mark.parametrize("length", [True, False])
def test_a_file_over_the_limit_is_refused(site: Site, length: bool) -> None:
    url = site.serve("/net.pth", whole(length=length))
    with pytest.raises(DownloadError, match=r"bytes.*, expected 1 to 1,000"):
        fetch(url, max_bytes=1000, progress=False)
    assert left_in_cache() == []
    with pytest.raises(UsageError, match="max_bytes must be 1 or more, got 0"):
        fetch(url, max_bytes=0)


def test_a_known_size_over_the_limit_needs_no_request(site: Site) -> None:
    row = weight_set(site.serve("/net.pth", whole()), num_bytes=len(CONTENT))
    with pytest.raises(DownloadError, match="the file is larger than max_bytes 1,000"):
        fetch(row, max_bytes=1000, progress=False)
    assert site.requests == []


@pytest.mark.parametrize(("tolerance", "accepted"), [(0, False), (10, True)])
def test_the_size_must_be_the_published_one(site: Site, tolerance: int, accepted: bool) -> None:
    row = weight_set(site.serve("/net.pth", whole()), num_bytes=len(CONTENT) + 10, num_bytes_tolerance=tolerance)
    if accepted:
        assert fetch(row, progress=False).read_bytes() == CONTENT
        return
    with pytest.raises(DownloadError, match="the server offers 1,024,000 bytes, expected 1,024,010"):
        fetch(row, progress=False)


def test_an_empty_file_is_refused(site: Site) -> None:
    with pytest.raises(DownloadError, match="the server offers 0 bytes"):
        fetch(site.serve("/net.pth", whole(b"")), progress=False)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/net.pth", "http://example.com/net.pth"])
def test_a_redirect_elsewhere_is_refused(site: Site, target: str) -> None:
    url = site.serve("/net.pth", status(302, Location=target))
    with pytest.raises(DownloadError, match=r"not allowed|only https addresses are fetched"):
        fetch(url, progress=False)
    assert left_in_cache() == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://example.com/net.pth", "ftp://example.com/x", "https:///x"]
)
def test_an_address_that_is_not_https_is_refused(url: str) -> None:
    with pytest.raises(DownloadError, match="only https addresses are fetched, got"):
        fetch(url)


def test_an_unknown_name_is_no_address() -> None:
    with pytest.raises(UnknownNameError, match=r"no weight set 'mobilenet_v2\.tv_in1k_v9'"):
        fetch("mobilenet_v2.tv_in1k_v9")


# The cache


def test_offline_serves_the_cache_and_nothing_else(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    url = site.serve("/net.pth", whole())
    with pytest.raises(DownloadError, match=r"offline mode is on and the file is not in the cache; download it with a"):
        fetch(url, offline=True)
    path = fetch(url, progress=False)
    monkeypatch.setenv("LITEVISION_OFFLINE", "1")
    assert fetch(url) == path
    with pytest.raises(DownloadError, match="offline mode is on"):
        fetch(site.serve("/other.pth", whole()))
    assert fetch(site.base + "/other.pth", offline=False, progress=False).read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_a_file_that_changed_on_disk_is_fetched_anew(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    url = site.serve("/net.pth", whole())
    path = fetch(url, progress=False)
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    wrong = rf"{path} has the wrong sha256: got .*, expected {SHA256}"
    with pytest.raises(HashMismatchError, match=f"{wrong}; offline mode is on, so it cannot be fetched anew"):
        fetch(url, offline=True)
    assert path.exists()
    capsys.readouterr()
    assert fetch(url, progress=False).read_bytes() == CONTENT
    assert re.fullmatch(f"{wrong}; fetching it anew\n", capsys.readouterr().err)
    path.write_bytes(CONTENT[:-1])
    site.serve("/net.pth", whole(CONTENT[::-1]))
    with pytest.raises(HashMismatchError, match=rf"expected {SHA256} as .*net.pth.sha256 has it from its first downl"):
        fetch(url, progress=False)
    site.serve("/net.pth", status(404))
    with pytest.raises(HashMismatchError, match="and it cannot be fetched anew: the server answered 404"):
        fetch(url, progress=False)
    assert path.read_bytes() == CONTENT[:-1]


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00", b"", b"oops  net.pth\n"])
def test_a_damaged_record_is_no_record(site: Site, damage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    url = site.serve("/net.pth", whole())
    path = fetch(url, progress=False)
    record = path.with_name("net.pth.sha256")
    record.write_bytes(damage)
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(HashMismatchError, match=r"net.pth.sha256 is damaged, so nobody can tell"):
        fetch(url, offline=True)
    assert record.read_bytes() == damage
    assert fetch(url, progress=False).read_bytes() == CONTENT
    assert "fetching it anew" in capsys.readouterr().err
    assert record.read_text() == f"{SHA256}  net.pth\n"
    # Where the full hash is known, the file speaks for itself.
    record.write_bytes(damage)
    assert fetch(url, sha256=SHA256, offline=True) == path
    assert record.read_text() == f"{SHA256}  net.pth\n"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"hash_prefix": SHA256[:8]}, "only the first digits of its sha256 are known"),
        ({"md5": MD5}, "only its md5 is known"),
        ({"num_bytes": len(CONTENT)}, "only its size is known"),
        ({}, "nothing of it is known"),
    ],
)
def test_a_set_without_its_full_hash_is_fetched_only_where_that_is_asked_for(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    known: dict[str, object],
    words: str,
) -> None:
    monkeypatch.delenv("LITEVISION_UNCHECKED")
    row = weight_set(site.serve("/net.pth", whole()), **known)
    assert not row.is_checked
    with pytest.raises(DownloadError) as caught:
        fetch(row, progress=False)
    message = str(caught.value)
    assert message.startswith(f"{row.name} cannot be checked: {words}, so a file that somebody changed would be taken")
    assert "--unchecked (in Python unchecked=True, or LITEVISION_UNCHECKED=1)" in message
    assert site.requests == []
    path = fetch(row, unchecked=True)
    assert f"saved {path}, unchecked: its full sha256 was not known; {SHA256} is recorded" in capsys.readouterr().err
    assert fetch(row) == path  # asked for once; from here on it is held to what was recorded
    path.write_bytes(CONTENT[::-1])
    site.serve("/net.pth", whole(CONTENT[::-1]))
    with pytest.raises(HashMismatchError):
        fetch(row, progress=False)


def test_a_set_with_its_full_hash_needs_no_asking(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LITEVISION_UNCHECKED")
    row = weight_set(site.serve("/net.pth", whole()), sha256=SHA256, num_bytes=len(CONTENT))
    assert fetch(row).read_bytes() == CONTENT
    assert "unchecked" not in capsys.readouterr().err
    assert fetch(weight_set(site.base + "/net.pth"), sha256=SHA256, progress=False).read_bytes() == CONTENT


def test_asking_ends_with_its_block(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITEVISION_UNCHECKED")
    row = weight_set(site.serve("/net.pth", whole()))
    with accept_unchecked(False), pytest.raises(DownloadError, match="cannot be checked"):
        fetch(row)
    with accept_unchecked(True), accept_unchecked(False):
        assert fetch(row, progress=False).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_checked_and_recorded(site: Site) -> None:
    row = weight_set("https://example.com/net.pth", hash_prefix=SHA256[:8])
    path = cache_path(row)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<html>")
    with pytest.raises(HashMismatchError, match=rf"expected {SHA256[:8]}; offline mode is on"):
        fetch(row, offline=True)
    path.write_bytes(CONTENT)
    assert fetch(row) == path
    assert (path.parent / "net.pth.sha256").read_text() == f"{SHA256}  net.pth\n"


def test_a_cached_file_of_the_wrong_size_is_refused(site: Site) -> None:
    row = weight_set("https://example.com/net.pth", num_bytes=5)
    path = cache_path(row)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"1234")
    with pytest.raises(HashMismatchError, match="has 4 bytes, expected 5; offline mode is on"):
        fetch(row, offline=True)


def test_a_cache_that_cannot_be_written(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LITEVISION_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match=r"Not a directory.*, set LITEVISION_CACHE to another folder"):
        fetch(site.serve("/net.pth", whole()), progress=False)


def test_the_cache_lies_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LITEVISION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "litevision"


# Mirrors


def test_mirrors_are_tried_in_turn(site: Site) -> None:
    broken, good = site.serve("/net.pth", status(404)), site.serve("/mirror/net.pth", whole())
    path = fetch(weight_set(broken, mirrors=(good,), sha256=SHA256), progress=False)
    assert path.read_bytes() == CONTENT
    assert [name for name, _ in site.requests] == ["/net.pth", "/mirror/net.pth"]


def test_a_mirror_with_another_container_has_its_own_hash(site: Site) -> None:
    other = b"the same tensors, pickled"
    digits = hashlib.sha256(other).hexdigest()[:8]
    broken = site.serve("/model.safetensors", status(404))
    row = weight_set(broken, mirrors=(site.serve(f"/net-{digits}.pth", whole(other)),), sha256=SHA256, num_bytes=9)
    path = fetch(row, progress=False)
    assert path.name == f"net-{digits}.pth"
    assert fetch(row, offline=True) == path
    wrong = weight_set(broken, mirrors=(site.serve("/net-00000000.pth", whole(other)),))
    with pytest.raises(HashMismatchError, match="expected 00000000"):
        fetch(wrong, progress=False)


def test_every_failed_address_is_named(site: Site) -> None:
    first, second = site.serve("/net.pth", status(404)), site.serve("/mirror/net.pth", status(403))
    with pytest.raises(DownloadError) as caught:
        fetch(weight_set(first, mirrors=(second,)), progress=False)
    message = str(caught.value)
    assert f"cannot download {first}: the server answered 404 Not Found (and from {second}: " in message
    assert "403 Forbidden" in message
    assert "\n" not in message


# Together


def test_threads_share_one_download(site: Site) -> None:
    url = site.serve("/net.pth", lambda handler: (time.sleep(0.1), whole()(handler))[1])
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: fetch(url, progress=False), range(4)))
    assert {path.read_bytes() == CONTENT for path in paths} == {True}
    assert len(site.requests) == 1


def test_processes_share_one_download(site: Site) -> None:
    url = site.serve("/net.pth", lambda handler: (time.sleep(0.5), whole()(handler))[1])
    code = f"from litevision.weights.download import fetch; print(fetch({url!r}, progress=False).stat().st_size)"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in running] == [str(len(CONTENT))] * 3
    assert len(site.requests) == 1
    assert left_in_cache() == ["net.pth", "net.pth.sha256"]


# What a person sees


def test_a_download_says_two_lines_where_there_is_no_terminal(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    path = fetch(weight_set(site.serve("/net.pth", whole()), sha256=SHA256))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"downloading mobilenet_v2.tv_in1k_v2 from 127.0.0.1\nsaved {path}\n"
    fetch(site.serve("/other.pth", whole()), progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress_display("mobilenet_v2", show=True) as on_progress:
        on_progress(500_000, 1_000_000)
    out, err = capsys.readouterr()
    assert out == ""
    assert "mobilenet_v2" in err
    assert "0.5/1.0 MB" in err


def test_fetching_needs_no_torch_and_no_rich_until_used() -> None:
    code = "import sys, litevision.weights.download; print([m for m in ('torch', 'rich', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def other_version(handler: http.server.BaseHTTPRequestHandler) -> None:
    """The rest that was asked for, of another version than was asked for."""
    start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    newer = CONTENT[::-1]
    handler.send_response(206)
    handler.send_header("Content-Length", str(len(newer) - start))
    handler.send_header("Content-Range", f"bytes {start}-{len(newer) - 1}/{len(newer)}")
    handler.send_header("ETag", '"v2"')
    handler.end_headers()
    handler.wfile.write(newer[start:])


def nameless(handler: http.server.BaseHTTPRequestHandler) -> None:
    """The rest that was asked for, of nobody knows what version."""
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.end_headers()
    handler.wfile.write(CONTENT[start:])


def lying(handler: http.server.BaseHTTPRequestHandler) -> None:
    """A part whose two lengths contradict each other."""
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    handler.send_response(206)
    handler.send_header("Content-Length", "10")
    handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    handler.send_header("ETag", ETAG)
    handler.end_headers()
    handler.wfile.write(CONTENT[start : start + 10])


@pytest.mark.parametrize("wrong", [other_version, nameless, lying])
def test_parts_of_two_versions_are_never_joined(site: Site, waits: Waits, wrong: Reply) -> None:
    path = fetch(site.serve("/net.pth", cut(), wrong, whole()), progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    assert "range" not in site.requests[2][1]


def test_what_has_no_name_for_its_version_is_not_continued(site: Site, waits: Waits) -> None:
    path = fetch(site.serve("/net.pth", cut(etag=None), whole(etag=None)), progress=False, retry=waits.retry())
    assert path.read_bytes() == CONTENT
    assert "range" not in site.requests[1][1]


def test_a_part_that_nobody_asked_for_is_no_file(site: Site, waits: Waits) -> None:
    with pytest.raises(DownloadError, match="the server sent a part of the file, which nobody asked for"):
        fetch(site.serve("/net.pth", other_version), progress=False, retry=waits.retry())
    assert left_in_cache() == []


def test_a_server_that_is_too_slow_is_given_up(site: Site, waits: Waits) -> None:
    def drops(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x")
                time.sleep(0.01)

    retry = dataclasses.replace(waits.retry(attempts=1), patience_s=0.05)
    with pytest.raises(DownloadError, match="the server sends less than 4,096 bytes a second"):
        fetch(site.serve("/net.pth", drops), progress=False, retry=retry)


@pytest.mark.parametrize("url", ["https://[", "https://a..b/x.pth", f"https://{'a' * 70}.example/x.pth"])
def test_an_address_that_is_none_is_one_line(url: str) -> None:
    with pytest.raises(DownloadError, match="only https addresses are fetched, got"):
        fetch(url, progress=False)


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("KERAS_HOME/models/{}", "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/{}"),
        ("TORCH_HOME/hub/checkpoints/{}", "https://download.pytorch.org/models/{}"),
        ("HF_HOME/hub/models--timm--net/snapshots/abc/{}", "https://huggingface.co/timm/net/resolve/main/{}"),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_other_libraries_caches_are_looked_into_first(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str, url: str, is_whole: bool
) -> None:
    file = tmp_path / place.format("file-x.pth")
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT if is_whole else CONTENT[:-1] + b"x")
    before = file.stat()
    wanted = dataclasses.replace(
        find_weight_set("mobilenet_v2.tv_in1k_v2"),
        url=url.format("file-x.pth"),
        mirrors=(),
        num_bytes=len(CONTENT),
        sha256=None,
        hash_prefix=None,
        md5=MD5,
    )
    if is_whole:
        assert fetch(wanted, offline=True, unchecked=False) == file
        assert f"note: {wanted.name} from {file}" in capfd.readouterr().err
    else:
        with pytest.raises(DownloadError, match="offline mode is on and the file is not in the cache"):
            fetch(wanted, offline=True, unchecked=False)
        assert f"not used: {file} has the wrong md5" in capfd.readouterr().err
    assert [*file.parent.iterdir()] == [file]
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_a_file_elsewhere_of_which_nothing_is_known_must_be_asked_for(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "TORCH_HOME/hub/checkpoints/plain.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT)
    known = {"mirrors": (), "num_bytes": None, "sha256": None, "hash_prefix": None, "md5": None}
    wanted = dataclasses.replace(
        find_weight_set("mobilenet_v2.tv_in1k_v2"), url="https://example.org/plain.pth", **known
    )
    with pytest.raises(DownloadError):
        fetch(wanted, offline=True, unchecked=False)
    assert fetch(wanted, offline=True, unchecked=True) == file
