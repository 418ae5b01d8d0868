"""Calls of a trunk are counted, each once, and let go once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_media.domain.trunk_limits import TrunkCalls

pytestmark = [pytest.mark.feature("M-2"), pytest.mark.feature("D-17")]
KEY = ("dupont", "carrier")


def begin(calls: TrunkCalls, leg: str, now: float = 0.0, *, most: int = 0, rate: int = 0, emergency: bool = False) -> bool:
    return calls.begin(leg, KEY, now, max_calls=most, max_per_second=rate, emergency=emergency)


def test_as_many_as_fit_and_a_call_for_help() -> None:
    calls = TrunkCalls()
    assert [begin(calls, f"c{n}", most=2) for n in range(3)] == [True, True, False]
    assert calls.full(KEY, 2)
    assert begin(calls, "help", most=2, emergency=True)
    assert calls.count(KEY) == 3
    calls.end("c0")
    calls.end("help")
    assert begin(calls, "c4", most=2)
    assert calls.count(("martin", "carrier")) == 0


def test_so_many_a_second() -> None:
    calls = TrunkCalls()
    assert [begin(calls, f"c{n}", n * 0.1, rate=3) for n in range(4)] == [True, True, True, False]
    assert begin(calls, "help", 0.4, rate=3, emergency=True)
    assert [begin(calls, "late", 0.99, rate=3), begin(calls, "later", 1.0, rate=3), begin(calls, "more", 1.05, rate=3)] == [
        False,
        True,
        False,
    ]


def test_what_is_refused_is_not_counted() -> None:
    calls = TrunkCalls()
    begin(calls, "one", most=1)
    begin(calls, "two", most=1)
    calls.end("two")
    assert calls.count(KEY) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans()), max_size=50))
def test_the_count_is_that_of_the_legs_that_began_and_did_not_end(steps: list[tuple[str, bool]]) -> None:
    calls, alive = TrunkCalls(), set()
    for leg, starts in steps:
        if starts:
            begin(calls, leg)
            alive.add(leg)
        else:
            calls.end(leg)
            alive.discard(leg)
        assert calls.count(KEY) == len(alive)
