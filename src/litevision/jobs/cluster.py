"""A Ray cluster whose workers compute a job's batches, while this process lists images and writes the parts."""

import math
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litevision.errors import MissingExtraError, UsageError, reason_of
from litevision.jobs.dispatch import Dispatch, calls_of
from litevision.jobs.manifest import EngineRecord
from litevision.jobs.stored import Source
from litevision.jobs.worker import Model
from litevision.runtime.bundle import files_of
from litevision.runtime.cpus import available_cpus
from litevision.runtime.results import Result

HERE = "local"
"""The address of a cluster that is started on this machine, for the job alone."""

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+):(?P<port>\d{1,5})")
_TOKEN = "Set RAY_AUTH_MODE=token where the cluster asks for a token, and disabled where it does not."
_PROBE_S = 5.0
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # and no settings
_HTTP2_HEADER_BYTES = 9
_HTTP2_SETTINGS = 4
_MOST_PORT = 65_535
_VARIABLE = "RAY_ADDRESS"


class Cluster:
    """A connection to a Ray cluster.

    Args:
        address: as `check_address` gives it: ``host:port``, `HERE`, or empty for the cluster of this machine, and where
            there is none, one that is started for the job.
        workers: how many processes compute; None for as many as the cluster's CPUs are enough for.
        cpus: how many CPUs each of them takes, which may be a fraction.
        note: is told what a person may want to know.

    Attributes:
        workers: how many processes compute.
        machines: how many machines the cluster has.
        node: this machine, as Ray counts them.
        folder: where relative paths begin.

    Raises:
        UsageError: the cluster cannot be joined, or none of its machines has so many CPUs.
    """

    def __init__(self, address: str, workers: int | None, cpus: float, note: Callable[[str], object]) -> None:
        self._cpus, self._note = cpus, note
        # Ray is called in one thread, which lives as long as what Ray starts: it takes signals for itself wherever it
        # is called in the main thread, and what it starts ends with the thread that did so.
        self._thread = ThreadPoolExecutor(1, "ray")
        self._ray = _silent_ray()
        self._is_ours = not self._ray.is_initialized()
        try:
            if self._is_ours:
                self._apart(_connect, self._ray, address, workers, cpus)
                _take_back_sigterm()
            sizes = self._apart(_cpus_of_machines, self._ray)
            self.node = self._apart(lambda: self._ray.get_runtime_context().get_node_id())
            if max(sizes, default=0.0) < cpus:
                raise UsageError(
                    f"--ray-cpus {cpus:g}: no machine of the cluster has so many; expected at most {max(sizes):g}."
                )
        except BaseException:
            self.close()
            raise
        self.workers = workers or sum(int(size / cpus) for size in sizes)
        self.machines = len(sizes)
        self.folder = str(Path.cwd())

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._is_ours:
            self._apart(self._ray.shutdown)
        self._thread.shutdown()

    def _apart(self, call: Callable[..., Any], *arguments: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._thread.submit(call, *arguments).result()
        except errors.RayTaskError:  # of our own code
            raise
        except errors.RayError as error:
            raise UsageError(f"--ray: {reason_of(error).rstrip('.')}. {_TOKEN}") from error

    def compute(
        self,
        model: Path,
        engine: EngineRecord,
        options: Mapping[str, Any],
        batch_size: int,
        sources: Iterable[Source | None],
    ) -> Generator[list[Result[Any]]]:
        """Compute images in their order; a `litevision.jobs.job.Compute` once the model is given.

        What is under way of them is bounded by the number of workers, however many images there are. Of a worker that
        dies, the batches are computed again, by others.

        Args:
            model: a bundle.
            engine: what opens it, the same on all machines.
            options: of the model's ``inference``.
            batch_size: how many images the network sees at once.
            sources: the images; behind a None begins another batch.

        Raises:
            LitevisionError: the model cannot be opened on a machine, or one image kills one worker after another.
        """
        record = Model(
            model.name, {file.name: file.read_bytes() for file in files_of(model)}, engine, dict(options), self.folder
        )
        dispatch = Dispatch(self._ray, self._apart, self._note, self.node, self._cpus, record)
        return dispatch.run(self.workers, calls_of(sources, batch_size))


def _silent_ray() -> Any:
    """Ray, told to be silent and to report nothing."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # also for the cluster that is started here
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # without it, Ray warns of what will change
    import ray

    with suppress(AttributeError):  # without it, it prints a paragraph for each worker that dies
        ray._private.worker._worker_logs_enabled = False
    return ray


def check_address(address: str) -> str:
    """The address of a cluster, that of ``RAY_ADDRESS`` where none is given; empty for any.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: another form, or no cluster answers there.
    """
    spec = find_spec("ray")
    if spec is None or spec.origin is None:  # a folder of that name, which anybody may have
        raise MissingExtraError.of("--ray", "ray")
    said = f"--ray {address}" if address else f"RAY_ADDRESS={os.environ.get(_VARIABLE, '')}"
    address = address or os.environ.get(_VARIABLE, "")
    if address in ("", "auto", HERE):
        return "" if address == "auto" else address
    found = _ADDRESS.fullmatch(address)
    if not found or int(found["port"]) > _MOST_PORT:
        raise UsageError(
            f"{said}: expected the address of a Ray cluster as host:port, {HERE}, or none. Put --ray behind the inputs."
        )
    try:
        with socket.create_connection((found["host"].strip("[]"), int(found["port"])), _PROBE_S) as line:
            line.settimeout(_PROBE_S)
            line.sendall(_HTTP2)
            answer = line.recv(_HTTP2_HEADER_BYTES)
        reason = "" if answer[3:4] == bytes((_HTTP2_SETTINGS,)) else "what answers there is no Ray"
    except OSError as error:
        reason = error.strerror or reason_of(error)
    if reason:
        raise UsageError(f"{said}: no Ray cluster there ({reason}). Begin one with: ray start --head")
    return address


def _connect(ray: Any, address: str, workers: int | None, cpus: float) -> None:
    """Join the cluster at an address that was checked, or start one."""
    quiet = {"log_to_driver": False, "logging_level": "CRITICAL"}
    here = {"num_cpus": math.ceil(workers * cpus) if workers else available_cpus(), "include_dashboard": False}
    with _silenced():
        try:
            if address not in ("", HERE):
                ray.init(address, **quiet)
                return
            if not address and _is_running(ray, quiet):
                return
            ray.init(HERE, **here, **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise UsageError(f"--ray {address}: {reason_of(error).rstrip('.')}. {_TOKEN}") from error


def _is_running(ray: Any, quiet: dict[str, Any]) -> bool:
    """Whether this machine is part of a cluster, which is then joined."""
    try:
        ray.init("auto", **quiet)
    except ConnectionError as error:
        if "Could not find any running" not in str(error):
            raise
        return False
    return True


@contextmanager
def _silenced() -> Iterator[None]:
    """Send away what Ray's core writes on standard error while it tries to connect."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _take_back_sigterm() -> None:
    """Give SIGTERM back to whom it belonged: Ray's core prints a trace of the process before it passes it on."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _cpus_of_machines(ray: Any) -> list[float]:
    return [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
