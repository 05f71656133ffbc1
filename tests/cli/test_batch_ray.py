"""litevision batch --ray: the bytes of the local run, whatever dies; and what is refused."""

import os
import signal
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from images import write_many
from litevision.errors import LitevisionError
from litevision.hub import load
from litevision.jobs import cluster, dispatch
from litevision.jobs.cluster import Cluster
from litevision.jobs.job import Compute, Job, Shard
from litevision.jobs.listing import Listing
from litevision.jobs.manifest import EngineRecord
from litevision.jobs.stored import Source, StoredImage
from litevision.runtime.pipeline import stream_batches

Run = Callable[..., tuple[int, str, str]]
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (pip install 'litevision[ray]')")
ROWS = 5
ENGINE = f"onnxruntime {metadata.version('onnxruntime')}"


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """One cluster of this machine for all tests; whoever connects in this process then uses it."""
    with closing(Cluster(cluster.HERE, 1, 1.0, print)):
        import ray

        yield ray


@pytest.fixture
def many(folder: Path) -> Path:
    """23 images, the seventh of them broken, and five of them once more in archives."""
    write_many()
    for name in ("plain.tar", "packed.tar.gz"):
        with tarfile.open(name, "w:gz" if name.endswith("gz") else "w") as archive:
            for number in range(5, 10):
                archive.add(f"many/{number:02}.png", f"{number}.png")
    return folder


@pytest.fixture
def batch(many: Path, litevision: Run) -> Run:
    """`litevision` with the command, an engine and parts of 5 given."""

    def run(*arguments: str, output: str) -> tuple[int, str, str]:
        given = ("--model", "tiny.onnx", "-o", output, "--rows", str(ROWS))
        return litevision("batch", *arguments, *given, "--engine", "onnxruntime")

    return run


def contents_of(output: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(output).iterdir())}


@needs_ray
def test_ray_writes_what_one_process_writes(batch: Run, ray: Any) -> None:
    Path("list.txt").write_text("many\nplain.tar\npacked.tar.gz\ngone.png\n")
    here = batch("@list.txt", output="here")
    code, out, err = batch(
        "@list.txt", "--ray", "--ray-cpus", "0.5", "--workers", "1", "--shard", "2/2", output="there"
    )
    assert code == here[0] == 3
    assert "ray: 1 worker on 1 machine, each with 0.5 CPU" in err
    assert contents_of("there").items() < contents_of("here").items()
    code, _, err = batch("@list.txt", "--ray", "local", output="there")
    assert (code, out) == (3, "")
    assert contents_of("there") == contents_of("here")
    assert (
        "34 images in 7 parts in there, 15 of them by earlier runs, 4 could not be read (3 unreadable, 1 missing)"
        in err
    )


@needs_ray
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc, to read the environment of a process")
def test_what_ray_starts_reports_nothing_to_anybody(ray: Any) -> None:
    from ray._common.usage.usage_lib import usage_stats_enabled

    assert not usage_stats_enabled()
    node = ray._private.worker._global_node
    (process, *_) = node.all_processes["gcs_server"]
    assert b"RAY_USAGE_STATS_ENABLED=0" in Path(f"/proc/{process.process.pid}/environ").read_bytes().split(b"\0")
    assert not list(Path(node.get_session_dir_path()).rglob("usage_stats.json"))


def job_in(folder: str) -> Job:
    Path(folder).mkdir(exist_ok=True)
    return Job(Path(folder), "jsonl", ROWS, Shard(), load("tiny.onnx").row_types)


def compute_here() -> Compute:
    return partial(stream_batches, load("tiny.onnx").inference().run, workers=1, batch_size=4, first_batch_size=4)


@contextmanager
def compute_there(notes: list[str] | None = None, **settings: str) -> Iterator[Compute]:
    with closing(Cluster("", 1, 1.0, print if notes is None else notes.append)) as found:
        vars(found).update(settings)
        yield partial(found.compute, Path("tiny.onnx"), EngineRecord("onnxruntime", "fp32", "cpu", ENGINE), {}, 4)


def with_a_trap(times: int) -> Iterator[Source]:
    """The images; one of them ends the process that reads it, so many times."""
    folder, data = Path.cwd(), Path("many/12.png").read_bytes()

    def read(most: int) -> bytes:
        for number in range(times):
            with suppress(FileExistsError):
                Path(f"{folder}/death-{number}").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return data[:most]

    for number, source in enumerate(Listing(["many"])):
        yield StoredImage("trap.png", read) if number == 12 else source


@needs_ray
def test_a_worker_that_dies_costs_no_row(
    many: Path, ray: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    list(job_in("here").run(compute_here(), with_a_trap(0)))
    capfd.readouterr()
    with compute_there(notes) as compute:
        with monkeypatch.context() as patch:
            patch.setattr(dispatch, "_MOST_TRIES", 1)
            with pytest.raises(
                LitevisionError, match=r"1 workers? died with the images from many.10\.png to many.14\.png\."
            ):
                list(job_in("there").run(compute, with_a_trap(2)))
        assert 0 < len(contents_of("there")) < 5
        list(job_in("there").run(compute, with_a_trap(2)))
    assert contents_of("there") == contents_of("here")
    assert sorted(Path().glob("death-*")) == [Path("death-0"), Path("death-1")]
    assert [note.partition(" died")[2] for note in notes] == ["; what it had is computed again"] * 2
    assert capfd.readouterr() == ("", "")  # Ray's own paragraphs would be among them


@needs_ray
def test_files_that_other_machines_do_not_see_are_sent(many: Path, ray: Any) -> None:
    notes: list[str] = []
    inputs = ["many", "plain.tar", "gone.png"]
    Path("list").write_text("\n".join(inputs))
    list(job_in("here").run(compute_here(), Listing(["@list"])))
    with compute_there(notes, node="another", folder="/nowhere") as compute:
        list(job_in("there").run(compute, Listing(["@list"])))
    assert contents_of("there") == contents_of("here")
    assert notes == ["ray: other machines do not see many/00.png: files are sent from here"]


@needs_ray
def test_another_version_on_a_machine_is_refused(many: Path, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {**dispatch.versions(ENGINE), "numpy": "0.9"}
    monkeypatch.setattr(dispatch, "versions", lambda _: here)
    words = r"^ray: numpy is [\d.]+ on .* and 0\.9 here, so that they may answer"
    with compute_there() as compute, pytest.raises(LitevisionError, match=words):
        list(job_in("there").run(compute, Listing(["many"])))


@pytest.fixture
def with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Ray were installed, and named no cluster."""
    monkeypatch.setattr(cluster, "find_spec", lambda _: find_spec("pathlib"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def port_of_another() -> Iterator[int]:
    """A port behind which something else answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError), server.accept()[0] as line:
                line.recv(100)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1]


def test_ray_is_an_extra(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda _: ModuleSpec("ray", None))  # as of a folder of that name
    code, out, err = batch("many", "--ray", output="out")
    assert (code, out) == (1, "")
    assert err == (
        "error: --ray needs parts that are not installed. Install them with: pip install 'litevision[ray]'\n"
    )
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("many", "--ray many: expected the address of a Ray cluster as host:port, local, or none. Put --ray behind"),
        ("ray://127.0.0.1:10001", "--ray ray://127.0.0.1:10001: expected the address"),
        ("127.0.0.1:77777", "--ray 127.0.0.1:77777: expected the address"),
        (
            "127.0.0.1:1",
            "--ray 127.0.0.1:1: no Ray cluster there (Connection refused). Begin one with: ray start --head",
        ),
    ],
)
def test_where_no_cluster_can_be_a_line_says_so(batch: Run, with_ray: None, address: str, words: str) -> None:
    code, out, err = batch("many", "--ray", address, output="out")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"error: {words}")
    assert not Path("out").exists()


def test_where_another_server_answers_a_line_says_so(
    batch: Run, with_ray: None, port_of_another: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port_of_another}")
    code, _, err = batch("many", "--ray", output="out")
    assert (code, err.count("\n")) == (1, 1)
    assert f"RAY_ADDRESS=127.0.0.1:{port_of_another}: no Ray cluster there (what answers there is no Ray)" in err


def test_ray_computes_on_cpus(batch: Run, with_ray: None) -> None:
    code, _, err = batch("many", "--ray", "--device", "auto", output="out")
    assert (code, err) == (1, "error: --device auto: --ray computes on CPUs. Leave out one of them.\n")
