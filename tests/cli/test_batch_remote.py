"""litevision batch: images behind addresses, from servers of this machine; and that no secret is told."""

import io
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from images import encoded
from litevision.errors import without_secrets
from litevision.jobs import remote

Run = Callable[..., tuple[int, str, str]]
SECRETS = ("hunter2", "SIGNED", "maria")


@pytest.fixture
def batch(folder: Path, litevision: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`litevision` with the command, an engine and parts of 5 given."""
    monkeypatch.setattr(remote, "_PAUSES_S", (0.0, 0.0))

    def run(*arguments: str, output: str = "out") -> tuple[int, str, str]:
        given = ("--model", "tiny.onnx", "-o", output, "--workers", "2", "--rows", "5", "--format", "parquet")
        return litevision("batch", *arguments, *given, "--engine", "onnxruntime")

    return run


@pytest.fixture
def plain(folder: Path) -> Path:
    """A folder of images, one of them in a folder in it, an archive and a table."""
    shades = np.random.default_rng(0).integers(0, 256, (7, 3), np.uint8)
    place = Path("plain")
    (place / "deep").mkdir(parents=True)
    images = [encoded(np.full((9, 12, 3), shade, np.uint8)) for shade in shades]
    for number, data in enumerate(images):
        (place / ("deep" if number == 6 else "") / f"{number}.png").write_bytes(data)
    (place / "notes.txt").touch()
    with tarfile.open(place / "all.tar", "w") as archive:
        for number, data in enumerate(images):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    pq.write_table(pa.table({"image": images}), place / "table.parquet")
    return place


def rows_of(output: str) -> list[dict[str, Any]]:
    return pq.read_table(output).to_pylist()


def answers_of(output: str) -> list[tuple[Any, ...]]:
    return [(row["labels"], row["scores"], row["width"], row["error"]) for row in rows_of(output)]


def check_all_inputs(batch: Run, root: str) -> None:
    """The folder, its archive and its table give what the files give, by names with all of their slashes."""
    batch("plain", "--recursive", output="files")
    code, _, err = batch(f"{root}/plain", "--recursive", output="folder")
    assert code == 0, err
    assert answers_of("folder") == answers_of("files")
    assert [row["path"] for row in rows_of("folder")][5:] == [f"{root}/plain/5.png", f"{root}/plain/deep/6.png"]
    assert "3 files passed over (1 .txt, 1 .tar, 1 .parquet)" in err or "3 files passed over" in err
    assert batch(f"{root}/plain/all.tar", output="tar")[0] == 0
    assert batch(f"{root}/plain/*.tar", output="pattern")[0] == 0
    assert batch(f"{root}/plain/table.parquet::image", output="table")[0] == 0
    assert answers_of("tar") == answers_of("pattern") == answers_of("table") == answers_of("files")
    assert rows_of("tar")[0]["path"] == f"{root}/plain/all.tar::0.png"
    assert rows_of("table")[6]["path"] == f"{root}/plain/table.parquet::image[6]"
    code, _, err = batch(f"{root}/plain/nothing.png", f"{root}/plain/0.png", f"{root}/nowhere", output="missing")
    assert code == 3
    assert [row["error_kind"] for row in rows_of("missing")] == ["missing", None, "missing"]
    assert f"error: {root}/plain/nothing.png: no such object" in err
    assert batch(f"{root}/plain", "--recursive", output="folder")[2].count("7 of them by earlier runs") == 1


def test_folders_archives_and_tables_in_memory(batch: Run, plain: Path) -> None:
    files = fsspec.filesystem("memory")
    files.put(str(plain), "/box/plain", recursive=True)
    try:
        check_all_inputs(batch, "memory://box")
    finally:
        files.rm("/box", recursive=True)


def test_a_file_address_is_a_path(batch: Run, plain: Path) -> None:
    assert batch(f"file://{plain.resolve()}/0.png")[0] == 0
    assert rows_of("out")[0]["path"] == f"{plain.resolve()}/0.png"


class Handler(SimpleHTTPRequestHandler):
    """Serves the working folder; ``/busy`` is never there, ``/locked`` for nobody."""

    def do_GET(self) -> None:
        for word, status in (("busy", 503), ("locked", 403)):
            if word in self.path:
                self.send_error(status)
                return
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(plain: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(Path.cwd())))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_images_and_archives_of_the_web(batch: Run, web: str) -> None:
    Path("list.txt").write_text(
        f"http://maria:hunter2@{web}/plain/0.png?X-Amz-Signature=SIGNED\nhttp://{web}/plain/all.tar\n"
        f"http://{web}/no.png?sig=SIGNED\nhttp://maria:hunter2@{web}/busy.png\nhttp://{web}/locked.png?SIGNED\n"
    )
    code, out, err = batch("@list.txt", "--verbose", f"http://maria:hunter2@{web}/plain/1.png?t=SIGNED")
    assert code == 3
    rows = rows_of("out")
    assert rows[0]["path"] == f"http://{web}/plain/0.png"
    assert [row["error_kind"] for row in rows] == [None] * 8 + ["missing", "unreachable", "unreachable", None]
    assert "HTTP 503" in rows[9]["error"]
    assert "HTTP 403" in rows[10]["error"]
    told = out + err + "".join(map(str, rows)) + Path("out/_job.json").read_text()
    assert [secret for secret in SECRETS if secret in told] == []


def test_a_server_that_is_gone_is_told_without_secrets(batch: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, _, err = batch(f"http://maria:hunter2@127.0.0.1:{port}/a.png?SIGNED")
    assert code == 1
    assert f"error: http://127.0.0.1:{port}/a.png: could not be fetched" in err
    assert [secret for secret in SECRETS if secret in err] == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere://maria:hunter2@box/a.png", "nowhere://box/a.png: cannot be read (Protocol not known: nowhere"),
        ("file:///no/such/a.png", "file:///no/such/a.png: No such file"),
    ],
)
def test_addresses_that_cannot_be_are_refused(batch: Run, address: str, words: str) -> None:
    code, _, err = batch(address)
    assert code == 1
    assert err.startswith(f"error: {words}")
    assert not Path("out").exists()


def test_without_fsspec_its_extra_is_named(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "fsspec" else find_spec(name))
    code, _, err = batch("s3://box/a.png")
    assert (code, err.startswith("error: s3://box/a.png: reading addresses needs parts")) == (1, True)
    assert "litevision[remote]" in err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://a/b", "s3://a/b"),
        ("(https://u:p@h/a?b=c) then", "(https://h/a then"),
        ("abfs://box@account.dfs.core.windows.net/a", "abfs://box@account.dfs.core.windows.net/a"),
        ("https://h/a#token", "https://h/a"),
        ("what? no address", "what? no address"),
    ],
)
def test_secrets_of_addresses(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.fixture
def bucket(plain: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a server in a process of its own."""
    if find_spec("moto") is None or find_spec("s3fs") is None or not shutil.which("moto_server"):
        pytest.skip("moto's server or s3fs is not installed: pip install 'moto[s3,server]' s3fs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for name, value in (("ACCESS_KEY_ID", "maria"), ("SECRET_ACCESS_KEY", "hunter2"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for _ in range(600):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.mkdir("box")
    files.put(str(plain), "box/plain", recursive=True)
    yield "s3://box"
    server.terminate()
    server.wait()


def test_folders_archives_and_tables_of_s3(batch: Run, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_all_inputs(batch, bucket)
