"""Images of several requests are computed together, each gets its own outcome, and nothing is lost."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from litevision.errors import ImageError
from litevision.serving.batcher import Batcher, Lane
from litevision.serving.errors import OverloadedError


class Recorder:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def stage(self, model: str, stage: str, seconds: float) -> None:
        assert seconds >= 0

    def batch(self, model: str, size: int) -> None:
        self.sizes.append(size)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def batcher(recorder: Recorder) -> Iterator[Batcher]:
    made = Batcher(workers=1, max_batch=4, max_wait_s=60, max_queue=20, observer=recorder)
    yield made
    made.close(5)


def decode(value: int) -> int:
    if value < 0:
        raise ImageError("negative")
    return value


def double(values: Sequence[int]) -> list[int]:
    if 13 in values:
        raise ValueError("unlucky")
    return [2 * value for value in values]


def test_requests_that_arrive_together_are_computed_together(batcher: Batcher, recorder: Recorder) -> None:
    lane = Lane("m", decode, double)

    async def all_of_them() -> list[list[Any]]:
        return await asyncio.gather(*(batcher.run(lane, [2 * number, 2 * number + 1]) for number in range(5)))

    found = asyncio.run(all_of_them())
    assert [[it.value for it in outcomes] for outcomes in found] == [[4 * n, 4 * n + 2] for n in range(5)]
    assert sum(recorder.sizes) == 10
    assert max(recorder.sizes) == 4
    assert batcher.waiting == 0


def test_one_alone_does_not_wait_for_company(batcher: Batcher) -> None:
    async def alone() -> int:
        [outcome] = await asyncio.wait_for(batcher.run(Lane("m", decode, double), [4]), 30)  # of 60 that a batch waits
        return int(outcome.value)

    assert asyncio.run(alone()) == 8


def test_each_image_has_its_own_error(batcher: Batcher) -> None:
    outcomes = asyncio.run(batcher.run(Lane("m", decode, double), [1, -1, 13, 2]))
    assert [it.value for it in outcomes] == [2, None, None, 4]
    assert [type(it.error) for it in outcomes] == [type(None), ImageError, ValueError, type(None)]


def test_without_a_network_decoding_is_all(batcher: Batcher) -> None:
    outcomes = asyncio.run(batcher.run(Lane("m", decode, None), [3, -1]))
    assert [(it.value, type(it.error)) for it in outcomes] == [(3, type(None)), (None, ImageError)]


def test_more_than_may_wait_is_refused_and_what_is_cancelled_is_left_out(recorder: Recorder) -> None:
    batcher = Batcher(workers=1, max_batch=4, max_wait_s=0, max_queue=3, observer=recorder)
    started, go_on, decoded = threading.Event(), threading.Event(), []

    def slow(value: int) -> int:
        started.set()
        go_on.wait(60)
        decoded.append(value)
        return value

    lane = Lane("m", slow, double)

    async def fill() -> int:
        first = asyncio.ensure_future(batcher.run(lane, [1]))
        await asyncio.to_thread(started.wait, 60)
        second = asyncio.ensure_future(batcher.run(lane, [2, 3]))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="3 images wait already"):
            await batcher.run(lane, [4])
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        [outcome] = await first
        return int(outcome.value)

    assert asyncio.run(fill()) == 2
    batcher.close(60)
    assert (decoded, batcher.waiting) == ([1], 0)
