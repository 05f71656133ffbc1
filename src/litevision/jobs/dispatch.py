"""Batches of a job handed out to the workers of a cluster, and their results in the order of the images."""

import os
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from litevision.errors import LitevisionError, UsageError, reason_of
from litevision.image.decode import DEFAULT_LIMITS
from litevision.jobs.stored import Source, StoredImage, file_of, held_here, name_of
from litevision.jobs.worker import Model, Opened, Worker, versions
from litevision.runtime.results import Result

_MOST_BATCHES = 8  # a call, which costs about a millisecond
_MOST_HELD_BYTES = 8 * 2**20  # likewise, beside one image
_CALLS = 2  # a worker has at once: one is computed, and one waits
_MOST_CALLS = 4  # a worker, with those whose turn to be written has not come
_MOST_TRIES = 4
_LOOK_S = 0.5  # how long nothing else is seen while calls are computed
_PATIENCE_S = 15.0  # before it is said what is waited for


@dataclass(eq=False)
class Call:
    """Batches that a worker computes at once."""

    batches: list[list[Source]]
    results: list[list[Result[Any]]] | None = None
    tries: int = 0
    is_held: bool = False


@dataclass(eq=False)
class _Actor:
    """A worker, which takes calls once it is open."""

    handle: Any
    opened: Opened | None = None
    calls: int = 0


class Dispatch:
    """The workers of a job, and what they have to do.

    Args:
        ray: the package.
        apart: calls a function where Ray may be called.
        note: is told what a person may want to know.
        node: this machine, as Ray counts them.
        cpus: that a worker takes.
        model: what workers open.
    """

    def __init__(
        self,
        ray: Any,
        apart: Callable[..., Any],
        note: Callable[[str], object],
        node: str,
        cpus: float,
        model: Model,
    ) -> None:
        self._ray, self._apart, self._note, self._node = ray, apart, note, node
        self._make = ray.remote(Worker).options(num_cpus=cpus).remote
        self._model = apart(ray.put, model)
        self._versions = versions(model.engine.version)
        self._actors: list[_Actor] = []
        self._refs: dict[Any, tuple[_Actor, Call | None]] = {}  # what is under way; None stands for opening the model
        self._again: deque[Call] = deque()
        self._failures = 0  # of workers, before any was open
        self._sends_files = False

    def run(self, workers: int, calls: Iterator[Call]) -> Generator[list[Result[Any]]]:
        pending: deque[Call] = deque()
        has_more = True
        says_at = time.monotonic() + _PATIENCE_S
        try:
            for _ in range(workers):
                self._apart(self._hire)
            while True:
                while (actor := self._free()) and (has_more or self._again):
                    if self._again:
                        self._apart(self._give, actor, self._again.popleft())
                    elif len(pending) >= _MOST_CALLS * workers:
                        break
                    elif call := next(calls, None):
                        pending.append(call)
                        self._apart(self._give, actor, call)
                    else:
                        has_more = False
                if not has_more and not pending:
                    return
                self._apart(self._look)
                while pending and (results := pending[0].results) is not None:
                    pending.popleft()
                    yield from results
                if says_at and time.monotonic() > says_at:
                    says_at = 0.0
                    if not any(it.opened for it in self._actors):
                        self._note("ray: waiting for CPUs of the cluster, which others use")
        finally:
            self._apart(self._end)

    def _end(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor.handle)

    def _hire(self) -> None:
        actor = _Actor(self._make())
        self._actors.append(actor)
        self._refs[actor.handle.open.remote(self._model)] = (actor, None)

    def _free(self) -> _Actor | None:
        """The worker with least to do, of those that may be given more."""
        free = [it for it in self._actors if it.opened and it.calls < _CALLS]
        return min(free, key=lambda it: it.calls, default=None)

    def _give(self, actor: _Actor, call: Call) -> None:
        if self._sends_files and actor.opened and actor.opened.node != self._node:
            self._hold(call)
        call.tries += 1
        actor.calls += 1
        self._refs[actor.handle.run.remote(call.batches)] = (actor, call)

    def _look(self) -> None:
        """Take what is ready, or wait a moment for it."""
        ready, _ = self._ray.wait(list(self._refs), num_returns=len(self._refs), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(list(self._refs), num_returns=1, timeout=_LOOK_S)
        for ref in ready:
            if ref not in self._refs:  # of a worker that has died
                continue
            actor, call = self._refs[ref]
            try:
                value = self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, LitevisionError) else error from None
            except self._ray.exceptions.RayError as error:
                self._replace(actor, error)
                continue
            del self._refs[ref]
            if call is None:
                self._open(actor, value)
            else:
                actor.calls -= 1
                self._take(call, *value)

    def _open(self, actor: _Actor, opened: Opened) -> None:
        for name, version in self._versions.items():
            if (its := opened.versions.get(name)) != version:
                raise UsageError(
                    f"ray: {name} is {its or 'not installed'} on {opened.host} and {version or 'not installed'} here, "
                    "so that they may answer differently. Install the same on all machines."
                )
        actor.opened = opened
        self._failures = 0

    def _take(self, call: Call, results: list[list[Result[Any]]], unread: list[str]) -> None:
        """Keep the results, unless a machine did not see files that are here."""
        if not call.is_held and any(os.access(file, os.R_OK) for file in unread):
            if not self._sends_files:
                self._note(f"ray: other machines do not see {unread[0]}: files are sent from here")
            self._sends_files = True
            self._hold(call)
            call.tries = 0
            self._again.append(call)
            return
        call.results = [
            [replace(result, source=source) for result, source in zip(found, batch, strict=True)]
            for found, batch in zip(results, call.batches, strict=True)
        ]
        call.batches = []

    def _hold(self, call: Call) -> None:
        if not call.is_held:
            call.batches = [
                [held_here(it, DEFAULT_LIMITS.max_bytes) if file_of(it) else it for it in batch]
                for batch in call.batches
            ]
            call.is_held = True

    def _replace(self, actor: _Actor, error: Exception) -> None:
        """Hire another worker for one that is gone, and take back what it had to do."""
        lost = [call for it, call in self._refs.values() if it is actor and call is not None]
        self._refs = {ref: pair for ref, pair in self._refs.items() if pair[0] is not actor}
        self._actors.remove(actor)
        with suppress(Exception):
            self._ray.kill(actor.handle)  # where only the way to it is lost
        if actor.opened is None:
            self._failures += 1
            if self._failures >= _MOST_TRIES:
                raise UsageError(
                    f"ray: no worker begins ({reason_of(error)}). Look into it on the machines of the cluster."
                )
        else:
            self._note(f"ray: a worker on {actor.opened.host} died; what it had is computed again")
        for call in lost:
            if call is not lost[0]:  # which was not begun
                call.tries -= 1
            elif call.tries >= _MOST_TRIES:
                first, last = call.batches[0][0], call.batches[-1][-1]
                raise UsageError(
                    f"ray: {call.tries} workers died with the images from {name_of(first)} to {name_of(last)}. "
                    "Leave out the one that does it, or give the workers more memory."
                )
        self._again.extend(lost)
        self._hire()


def _cause(error: Exception) -> str:
    """Why a worker is dead, as Ray says it behind what and where it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if "dead because" in line), "")
    named = [line for line in lines if re.match(r"\w+Error: ", line)]
    return (named[-1] if named else said or reason_of(error))[:300].rstrip(".")


def calls_of(sources: Iterable[Source | None], batch_size: int) -> Iterator[Call]:
    """Cut images into batches, and those into calls: small ones first, so that all workers soon have one."""
    batches: list[list[Source]] = []
    batch: list[Source] = []
    most, held_bytes = 1, 0
    for source in sources:
        if source is not None:
            batch.append(source)
            held_bytes += source.held_bytes if isinstance(source, StoredImage) else 0
        if batch and (source is None or len(batch) == batch_size):
            batches.append(batch)
            batch = []
            if source is None or len(batches) == most or held_bytes >= _MOST_HELD_BYTES:
                yield Call(batches)
                batches, most, held_bytes = [], min(2 * most, _MOST_BATCHES), 0
        elif source is None and batches:
            yield Call(batches)
            batches, held_bytes = [], 0
    if batch:
        batches.append(batch)
    if batches:
        yield Call(batches)
