import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litevision.data import read_images
from litevision.data.splits import check_fractions, divide
from litevision.errors import UsageError
from training_cases.classes import table

FRACTIONS = (0.8, 0.1, 0.1)
names = st.text("abcdefgh0123456789", min_size=1, max_size=8)
labelled = st.dictionaries(names, st.sampled_from("xyz"), min_size=1, max_size=150)
shares = st.sampled_from([FRACTIONS, (0.7, 0.2, 0.1), (0.5, 0.25, 0.25), (0.9, 0.1, 0.0), (0.9, 0.0, 0.1)])


@given(labelled, st.integers(0, 99), shares)
def test_every_image_is_in_one_split_and_every_class_is_divided_by_the_shares(
    labels: dict[str, str], seed: int, fractions: tuple[float, float, float]
) -> None:
    splits = divide(labels, seed=seed, fractions=fractions)
    assert splits.keys() == labels.keys()
    for label, count in Counter(labels.values()).items():
        found = Counter(splits[name] for name in labels if labels[name] == label)
        assert found["train"] >= 1
        for split, share in zip(("validation", "test"), fractions[1:], strict=True):
            assert abs(found[split] - count * share) <= 1 - (count * share >= 1) / 2
            if count >= 3 and share:
                assert found[split] >= 1


@given(labelled, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(labels: dict[str, str], chance: random.Random) -> None:
    shuffled = list(labels.items())
    chance.shuffle(shuffled)
    assert divide(dict(shuffled), seed=3, fractions=FRACTIONS) == divide(labels, seed=3, fractions=FRACTIONS)


@given(labelled, names, st.sampled_from("xyz"))
def test_one_more_image_moves_at_most_one_other_across_each_border(
    labels: dict[str, str], name: str, label: str
) -> None:
    # With shares that hold exactly, none at all is impossible: what holds for every order and every number of images
    # could only look at each image alone.
    before = divide({other: of for other, of in labels.items() if other != name}, seed=0, fractions=FRACTIONS)
    after = divide(labels | {name: label}, seed=0, fractions=FRACTIONS)
    moved = [(before[other], after[other]) for other in before if before[other] != after[other]]
    assert all(label == labels[other] for other in before if before[other] != after[other])
    assert len({frozenset(move) for move in moved}) == len(moved) <= 2
    assert ("validation", "test") not in moved
    assert ("test", "validation") not in moved


def test_most_images_more_move_no_other() -> None:
    labels = {f"x/{number}.jpg": "x" for number in range(1000)}
    before = divide(labels, seed=0, fractions=FRACTIONS)
    moved = 0
    for number in range(200):
        after = divide(labels | {f"x/new{number}.jpg": "x"}, seed=0, fractions=FRACTIONS)
        moved += any(before[name] != after[name] for name in before)
    assert moved < 0.3 * 200  # one in five lands in validation or test, and pushes one out


def test_another_seed_is_another_split() -> None:
    labels = {f"x/{number}.jpg": "x" for number in range(300)}
    tests = [
        {name for name, split in divide(labels, seed=seed, fractions=FRACTIONS).items() if split == "test"}
        for seed in (0, 0, 1)
    ]
    assert tests[0] == tests[1]
    assert len(tests[0] & tests[2]) < 15  # 3 by chance


def test_the_split_is_this_one_for_good() -> None:
    # A run that is resumed, or scored by a later version, must find the same test images.
    splits = divide({f"x/{number}.jpg": "x" for number in range(20)}, seed=0, fractions=FRACTIONS)
    assert {split: [name for name in splits if splits[name] == split] for split in ("validation", "test")} == {
        "validation": ["x/8.jpg", "x/13.jpg"],
        "test": ["x/4.jpg", "x/15.jpg"],
    }


def test_kept_images_stay_in_train() -> None:
    labels = {f"x/{number}.jpg": "x" for number in range(50)}
    kept = {f"x/{number}.jpg" for number in range(30)}
    splits = divide(labels, seed=0, fractions=(0.5, 0.25, 0.25), keep_in_train=kept)
    assert {splits[name] for name in kept} == {"train"}
    assert Counter(splits.values()) == {"train": 30, "validation": 13, "test": 7}


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((0.8, 0.1, 0.2), r"fractions 0\.8, 0\.1, 0\.2 sum to 1\.1; expected three shares, .* sum to 1, such as"),
        ((0.8, 0.2), r"fractions 0\.8, 0\.2; expected three shares"),
        ((1.2, -0.1, -0.1), r"fractions 1\.2, -0\.1, -0\.1; expected three shares"),
        ((float("nan"), 0.5, 0.5), "fractions nan, 0.5, 0.5; expected"),
        ((0.0, 0.5, 0.5), "leave nothing to train with"),
    ],
)
def test_shares_that_cannot_be(fractions: tuple[float, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_fractions(fractions)


@pytest.mark.parametrize("row", ["{root}/{path},{label}", "./img/../{path},{label}", "ds/{path},{label}"])
def test_a_split_does_not_depend_on_how_paths_are_written(tmp_path: Path, row: str) -> None:
    file = table()(tmp_path)
    plain = read_images(file)
    lines = [line.split(",") for line in file.read_text().splitlines()[1:]]
    rows = [row.format(root=tmp_path, path=path, label=label) for path, label in lines]
    file.write_text("\n".join(["path,label", *rows]))
    assert read_images(file).samples == plain.samples
