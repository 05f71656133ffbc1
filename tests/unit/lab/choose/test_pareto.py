"""Budgets, and the candidates that no other one beats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litevision.errors import UsageError
from litevision.lab.choose.candidates import Candidate
from litevision.lab.choose.pareto import Budget, pareto_front, parse_budget


def candidate(name: str, top1: float, ms: float, num_bytes: int) -> Candidate:
    return Candidate(name, name, "timm", 1.0, (224, 224), top1, ms, num_bytes, 1)


@pytest.mark.parametrize(
    ("text", "budget", "words"),
    [
        ("5ms", Budget("ms", 5.0), "5 ms"),
        (" 2.5 ms ", Budget("ms", 2.5), "2.5 ms"),
        ("800us", Budget("ms", 0.8), "0.8 ms"),
        ("1s", Budget("ms", 1000.0), "1000 ms"),
        ("6MB", Budget("bytes", 6e6), "6 MB"),
        (".5 mb", Budget("bytes", 5e5), "0.5 MB"),
        ("900kB", Budget("bytes", 9e5), "0.9 MB"),
    ],
)
def test_budgets(text: str, budget: Budget, words: str) -> None:
    assert parse_budget(text) == budget
    assert str(budget) == words


@pytest.mark.parametrize("text", ["", "5", "ms", "0ms", "-1ms", "5 parsecs", "1e3ms", "5ms6MB", "infms", "nanms"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected a time or a size above 0 with its unit, such as 5ms, 800us or 6MB"):
        parse_budget(text)


def test_a_budget_is_kept_at_its_end() -> None:
    one = candidate("one", 70.0, 5.0, 6_000_000)
    assert Budget("ms", 5.0).allows(one)
    assert not Budget("ms", 4.999).allows(one)
    assert Budget("bytes", 6e6).allows(one)
    assert not Budget("bytes", 5.9e6).allows(one)


def test_one_that_another_beats_in_all_three_is_left_out() -> None:
    quick = candidate("quick", 60.0, 1.0, 2)
    exact = candidate("exact", 75.0, 3.0, 3)
    small = candidate("small", 50.0, 2.0, 1)
    beaten = candidate("beaten", 60.0, 1.0, 3)
    alike = candidate("alike", 75.0, 3.0, 3)
    assert pareto_front([beaten, exact, alike, small, quick]) == [quick, small, exact]


@given(st.lists(st.tuples(*[st.integers(1, 5)] * 3), max_size=12))
def test_every_other_is_beaten_and_none_of_these_is(figures: list[tuple[int, int, int]]) -> None:
    every = [candidate(str(i), top1, ms, size) for i, (top1, ms, size) in enumerate(figures)]

    def beats(one: Candidate, other: Candidate) -> bool:
        mine, theirs = ((-it.top1, it.ms, it.num_bytes) for it in (one, other))
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))

    kept = pareto_front(every)
    figures_of = [(it.top1, it.ms, it.num_bytes) for it in kept]
    assert len(set(figures_of)) == len(kept)
    assert set(figures_of) == {(it.top1, it.ms, it.num_bytes) for it in every if not any(beats(o, it) for o in every)}
    assert kept == sorted(kept, key=lambda it: it.ms)
