"""Names sorted in bounded memory."""

import os
from pathlib import Path

import numpy as np
import pytest

from litevision.image import find_images, sorted_names
from litevision.image.sorted_names import SortedNames


@pytest.mark.parametrize("page", [1, 3, 100])
def test_pages_merge_into_the_order_of_one_list(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(sorted_names, "_PAGE", page)
    given = ["b", "a-c", "a/", "\udce9x", "é", "z\n", "A", "a.", "10", "9"]
    names = SortedNames()
    for name in np.random.default_rng(page).permutation(given).tolist():
        names.add(name)
    assert list(names) == sorted(given, key=lambda name: name.rstrip("/"))


def test_a_walk_is_the_same_however_long_a_page_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("", "a", "a/deep", "a-b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for number in range(5):
            (tmp_path / folder / f"{number}.png").touch()
        (tmp_path / folder / os.fsdecode(b"\xe9.png")).touch()
    whole = list(find_images(tmp_path, recursive=True))
    monkeypatch.setattr(sorted_names, "_PAGE", 2)
    assert list(find_images(tmp_path, recursive=True)) == whole
    assert len(whole) == 24
