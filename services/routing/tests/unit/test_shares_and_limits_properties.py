"""Shares and limits while several replicas decide by turns, and one dies after it has counted: what callers get is exact all the same.

A replica keeps nothing; what it counts by is shared (`World`, the twin in memory of the database, which a component test holds against it).
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_routing.domain.branches import share_of
from carillon_routing.testing import SimulatedCall, World, small_company, with_plan

NUMBER, AT = "+41215550100", "2026-01-06 10:00"
WAYS = ("anna", "ben", "carl")
NODES: list[dict[str, Any]] = [{"id": who, "destination": {"destination": {"user_id": who}}} for who in WAYS]


@st.composite
def percents(draw: st.DrawFn) -> list[int]:
    cuts = sorted(draw(st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True)))
    return [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]


@pytest.mark.feature("R-26")
@settings(max_examples=50, deadline=None)
@given(percents(), st.integers(1, 250))
def test_any_shares_hold_over_any_run_of_calls(shares: list[int], calls: int) -> None:
    given = [0] * len(shares)
    for n in range(calls):
        given[share_of(shares, n)] += 1
    assert all(abs(count * 100 - percent * calls) < 100 for count, percent in zip(given, shares, strict=True))


def decide(config: Any, world: World, call_id: str, answers: int, number: str = NUMBER) -> str:
    """Where the call goes. The first `answers` replicas die before they can say it; media asks the next one."""
    rung = ""
    for _ in range(answers + 1):
        call = SimulatedCall.from_outside(config, number, AT, world=world, call_id=call_id)
        rung = call.rings[0][0] if call.rings else ""
    return rung


@pytest.mark.feature("R-26")
@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=60))
def test_shares_are_exact_however_often_a_replica_dies_after_it_has_counted(deaths: list[int]) -> None:
    shares = [{"percent": percent, "next": who} for percent, who in zip((20, 30, 50), WAYS, strict=True)]
    config, world = with_plan({"id": "s", "split": {"shares": shares}}, *NODES), World()
    rung = [decide(config, world, f"c{n}", died) for n, died in enumerate(deaths)]
    for percent, who in zip((20, 30, 50), WAYS, strict=True):
        assert abs(rung.count(who) * 100 - percent * len(deaths)) < 100


@pytest.mark.feature("R-16")
@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.booleans()), max_size=60))
def test_a_limit_is_never_exceeded_and_a_place_never_lost(most: int, steps: list[tuple[int, int, bool]]) -> None:
    limit = {"id": "l", "limit": {"max_calls": most, "within": "anna", "over": "ben"}}
    config, world, up = with_plan(limit, *NODES), World(), set[str]()
    for number, died, ends in steps:
        call_id = f"c{number}"
        if ends:
            up.discard(call_id)
            for held in world.places.values():
                held.discard(call_id)
            continue
        within = decide(config, world, call_id, died) == "anna"
        assert within == (call_id in up or len(up) < most), "a call is let through above the limit, or kept out below it"
        if within:
            up.add(call_id)
        assert len(up) <= most


@pytest.mark.feature("R-16")
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 3), st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.integers(0, 2), st.booleans()), max_size=50))
def test_a_counter_that_two_plans_share_counts_each_call_once_and_to_its_end(most: int, steps: list[tuple[int, bool, int, bool]]) -> None:
    """Whichever of them it comes by, and however often; by the way of who did not answer it is still there."""
    other = "+41215550109"
    ways = {"ways": {"no_answer": "ben"}}
    ring = {"id": "anna", "destination": {"destination": {"user_id": "anna"}, **ways}}
    limit = {"id": "l", "limit": {"max_calls": most, "counter": "door", "within": "anna", "over": "carl"}}
    plans = [{"id": name, "entry": "l", "nodes": [limit, ring, *NODES[1:]]} for name in ("p", "q")]
    numbers = [{"id": NUMBER, "destination": {"plan_id": "p"}}, {"id": other, "destination": {"plan_id": "q"}}]
    config, world, up = small_company(plans=plans, numbers=numbers), World(), set[str]()
    for number, elsewhere, died, ends in steps:
        call_id = f"c{number}"
        if ends:
            up.discard(call_id)
            for held in world.places.values():
                held.discard(call_id)
            continue
        dialled = other if elsewhere else NUMBER
        within = decide(config, world, call_id, died, dialled) == "anna"
        assert within == (call_id in up or len(up) < most)
        if within:
            up.add(call_id)
            call = SimulatedCall.from_outside(config, dialled, AT, world=world, call_id=call_id).rang("no_answer")
            assert call.rings[0][0] == "ben"
        assert world.places.get("door", set()) == up
        assert len(up) <= most
