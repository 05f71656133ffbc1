"""Every reader answers damaged files with an answer or a `LitevisionError`: some inputs of each fuzz target.

`python tools/fuzz_readers.py READER --seconds 300` tries many more.
"""

import importlib.util
import itertools
from pathlib import Path

import pytest

from fuzz.target import Feed, Target
from fuzz.targets import TARGETS, found_before

AVAILABLE = [one for one in TARGETS.values() if one.needs is None or importlib.util.find_spec(one.needs)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", AVAILABLE, ids=lambda target: target.name)
def test_a_damaged_file_is_answered_or_refused(target: Target, tmp_path: Path) -> None:
    feed = Feed(target, tmp_path)
    for number, file, data in itertools.islice(feed.inputs(), len(feed.files) + target.count):
        verdict = feed.judge(file, data)
        assert verdict.kind != "finding", f"input {number}, {file.name}: {verdict.text}"
        if number < len(feed.files):  # as it is; of another format, the error says what is read
            assert verdict.kind == "answer" or "expected JPEG" in verdict.text, f"{file.name}: {verdict.text}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_readers_failed_on_before_is_answered_or_refused(shared: Path, tmp_path: Path) -> None:
    wrong = []
    for target in AVAILABLE:
        if not (found := found_before(target)):
            continue
        folder = tmp_path / target.name
        folder.mkdir()
        feed = Feed(target, folder, found)
        for path, (file, data) in zip(found, feed.seeds[len(feed.files) :], strict=True):
            verdict = feed.judge(file, data)
            wrong += [f"{path.name}: {verdict.text}"] * (verdict.kind == "finding")
    assert not wrong, "\n".join(wrong)


def test_input_number_n_is_the_same_each_time(tmp_path: Path) -> None:
    feeds = [Feed(TARGETS["recipe"], tmp_path) for _ in range(2)]
    first, second = (list(itertools.islice(feed.inputs(), 50)) for feed in feeds)
    assert first == second
    assert len({data for _, _, data in first}) > 40
