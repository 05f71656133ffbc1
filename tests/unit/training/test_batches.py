"""Batches follow from the seed, the epoch and the place alone."""

import multiprocessing
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from litevision.errors import ImageError, TrainingError
from litevision.tasks.classification.objective import image_transform
from litevision.tasks.classification.recipe import Augment
from litevision.training.balance import class_chances
from litevision.training.batches import EpochOrder, TrainingImages, derived_seed, load_batches
from litevision.training.image_cache import ImageCache


@given(st.integers(1, 90), st.integers(1, 40), st.integers(1, 4), st.integers(0, 3))
def test_an_epoch_shows_each_image_at_most_once(count: int, batch_size: int, ranks: int, epoch: int) -> None:
    orders = [EpochOrder(count, batch_size, seed=7, rank=rank, ranks=ranks) for rank in range(ranks)]
    shown = [index for order in orders for batch in order.batches(epoch) for index, _ in batch]
    assert len(set(shown)) == len(shown) == len(orders[0]) * orders[0].images_per_step
    assert len(shown) > count - orders[0].images_per_step
    assert {len(order.batches(epoch)) for order in orders} == {len(orders[0])}


def test_epochs_and_seeds_differ_and_repeat() -> None:
    order = EpochOrder(64, 8, seed=1)
    assert order.batches(0) == EpochOrder(64, 8, seed=1).batches(0)
    assert order.batches(0) != order.batches(1)
    assert order.batches(0) != EpochOrder(64, 8, seed=2).batches(0)


def test_an_epoch_can_begin_anywhere() -> None:
    order = EpochOrder(64, 8, seed=1)
    assert order.batches(3, first=5) == order.batches(3)[5:]


def test_a_balanced_order_shows_classes_equally_often() -> None:
    labels = [0] * 900 + [1] * 100
    shown = Counter(
        labels[index]
        for epoch in range(10)
        for batch in EpochOrder(len(labels), 10, seed=0, chances=class_chances(labels)).batches(epoch)
        for index, _ in batch
    )
    assert shown[0] / sum(shown.values()) == pytest.approx(0.5, abs=0.02)


def test_a_image_shown_twice_is_not_augmented_alike() -> None:
    places = [
        place for batch in EpochOrder(6, 6, seed=0, chances=class_chances([0] * 5 + [1])).batches(0) for place in batch
    ]
    assert len({seed for _, seed in places}) == len(places)


def test_fewer_images_than_a_batch_are_one_batch() -> None:
    assert len(EpochOrder(3, 32, seed=0)) == 1


def test_derived_seeds_differ_where_their_parts_do() -> None:
    seeds = {derived_seed(a, b) for a in range(30) for b in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**63 for seed in seeds)


def _images(folder: Path) -> TrainingImages:
    def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return np.random.default_rng(int(path.name)).integers(0, 256, (40, 50, 3), np.uint8)

    store = ImageCache(folder, [Path(str(number)) for number in range(12)], read, 10**6)
    transform_to = partial(image_transform, Augment(erasing=0.5))
    return TrainingImages(store, [number % 3 for number in range(12)], transform_to, (24, 32))


def test_workers_change_nothing(tmp_path: Path) -> None:
    batches = EpochOrder(12, 4, seed=3).batches(2)
    found = [list(load_batches(_images(tmp_path / str(workers)), batches, workers)) for workers in (0, 2)]
    for (images, classes), (others, other_classes) in zip(*found, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(classes, other_classes)
        assert images.shape == (4, 3, 24, 32)
        assert images.dtype == torch.uint8
    assert found[0][0][1].tolist() == [index % 3 for index, _ in batches[0]]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_cannot_be_read_is_one_line_and_leaves_no_worker(tmp_path: Path, workers: int) -> None:
    def read(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        raise ImageError(f"{path}: damaged. Copy it again.")

    store = ImageCache(tmp_path / "cache", [Path(f"{number}.jpg") for number in range(8)], read, 10**6)
    images = TrainingImages(store, [0] * 8, partial(image_transform, Augment()), (24, 32))
    message = r"^\d\.jpg: damaged\. Copy it again\. Or remove it, then start anew; 'litevision check-data' "
    with pytest.raises(TrainingError, match=message):
        list(load_batches(images, EpochOrder(8, 4, seed=0).batches(0), workers))
    assert multiprocessing.active_children() == []


def test_workers_end_with_the_batches(tmp_path: Path) -> None:
    loaded = load_batches(_images(tmp_path / "cache"), EpochOrder(12, 4, seed=3).batches(0), workers=2)
    next(loaded)
    assert len(multiprocessing.active_children()) == 2
    loaded.close()
    assert multiprocessing.active_children() == []


@given(st.integers(1, 5), st.integers(1, 4), st.booleans())
def test_what_is_done_to_an_image_depends_on_no_number_of_processes(
    batch_size: int, ranks: int, balanced: bool
) -> None:
    labels = [index % 3 for index in range(40)]
    chances = class_chances(labels) if balanced else None
    (alone,) = [EpochOrder(len(labels), batch_size * ranks, seed=5, chances=chances).batches(1)]
    together = [
        EpochOrder(len(labels), batch_size, seed=5, chances=chances, rank=rank, ranks=ranks).batches(1)
        for rank in range(ranks)
    ]
    for number, batch in enumerate(alone):
        assert sorted(batch) == sorted(place for batches in together for place in batches[number])


def test_reading_leaves_the_process_own_draws_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(load_batches(_images(tmp_path / "cache"), EpochOrder(12, 4, seed=3).batches(0), workers=0))
    assert torch.equal(torch.rand(3), expected)


RAISING = """
import os, sys
from litevision.training import batches
for error in (ConnectionResetError(), ValueError("x")):
    if not os.fork():
        batches._start_worker(0)
        raise error
    os.wait()
    print("next", file=sys.stderr)
"""


def test_a_worker_says_nothing_of_a_run_that_hung_up() -> None:
    done = subprocess.run([sys.executable, "-c", RAISING], capture_output=True, text=True, check=True)
    of_connection, of_value, rest = done.stderr.split("next\n")
    assert (of_connection, rest) == ("", "")
    assert of_value.endswith("ValueError: x\n")
