import threading
import time

import pytest

from litevision.data.image_stats import in_threads


def test_results_come_in_order_from_several_threads() -> None:
    seen = set()

    def slow_first(number: int) -> int:
        seen.add(threading.current_thread().name)
        time.sleep(0.01 if number < 16 else 0)
        return number * number

    assert list(in_threads(slow_first, range(100), workers=3)) == [number * number for number in range(100)]
    assert len(seen) > 1
    assert list(in_threads(slow_first, [])) == []


def test_few_are_under_way_at_a_time() -> None:
    begun = []
    results = in_threads(begun.append, range(10_000), workers=2)
    next(results)
    results.close()
    assert len(begun) < 200


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda number: 1 // number, [2, 1, 0], workers=1))
