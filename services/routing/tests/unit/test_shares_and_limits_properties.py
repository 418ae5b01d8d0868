"""Shares and limits while several replicas decide by turns, and one dies after it has counted: what callers get is exact all the same.

A replica keeps nothing; what it counts by is shared (`World`, the twin in memory of the database, which a component test holds against it).
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_routing.domain.advance import decided
from carillon_routing.domain.branches import share_of
from carillon_routing.domain.cursor import Cursor
from carillon_routing.domain.facts import Advance, CallFacts, Entered, Outcome, Rang, Ring, RingResult, UserTarget
from carillon_routing.testing import SimulatedCall, World, small_company, with_plan

NUMBER, AT = "+41215550100", "2026-01-06 10:00"
NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)
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


class Door:
    """Calls to a number that lets `most` through to anna, by a counter that another number's plan shares; who she does not answer goes to
    ben. Media may ask every question again, of another replica or much later, when the answer is of no use any more."""

    NUMBERS = (NUMBER, "+41215550109")

    def __init__(self, most: int) -> None:
        ring = {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"no_answer": "ben", "answered": "l"}}}
        limit = {"id": "l", "limit": {"max_calls": most, "counter": "door", "within": "anna", "over": "carl"}}
        plans = [{"id": name, "entry": "l", "nodes": [limit, ring, *NODES[1:]]} for name in ("p", "q")]
        numbers = [{"id": number, "destination": {"plan_id": plan}} for number, plan in zip(self.NUMBERS, ("p", "q"), strict=True)]
        users = [{"id": f"10{n}", "destination": {"user_id": who}} for n, who in enumerate(WAYS, 1)]
        self.config = small_company(plans=plans, numbers=numbers, extensions=[*users, {"id": "900", "destination": {"plan_id": "q"}}])
        self.world, self.most = World(), most
        self.calls: dict[str, tuple[CallFacts, Advance]] = {}
        self.asked: list[tuple[CallFacts, Cursor | None, Outcome]] = []

    def decide(self, facts: CallFacts, cursor: Cursor | None, outcome: Outcome, died: int = 0) -> str:
        """Who rings."""
        self.asked.append((facts, cursor, outcome))
        for _ in range(died + 1):
            found = self._ask(facts, cursor, outcome)
        self.calls[facts.call_id] = facts, found
        return self.rings(facts.call_id)

    def _ask(self, facts: CallFacts, cursor: Cursor | None, outcome: Outcome) -> Advance:
        return decided(self.config, facts, cursor, outcome, NOON, lambda ask: self.world.find(facts, ask))

    def rings(self, call_id: str) -> str:
        """Whom the call rings."""
        step = self.calls[call_id][1].step
        return step.targets[0].user_id if isinstance(step, Ring) and isinstance(step.targets[0], UserTarget) else ""

    def comes(self, number: str, died: int = 0) -> tuple[str, str]:
        """A new call, and whom it rings."""
        call_id = f"c{len(self.asked)}"
        return call_id, self.decide(
            CallFacts("acme", call_id, "inbound", number, "+41791112233", trunk_id="carrier"), None, Entered(), died
        )

    def goes_on(self, call_id: str, result: RingResult, died: int = 0) -> str:
        """The ring step is over."""
        facts, last = self.calls[call_id]
        return self.decide(facts, last.at, Rang(result), died)

    def sent(self, call_id: str, dialled: str, died: int = 0, side: str = "") -> str:
        """Who was rung talks, and sends the caller away; or, `side` caller, is sent."""
        facts, last = self.calls[call_id]
        facts = replace(facts, direction="from_user", dialled=dialled, caller_user_id=self.rings(call_id) or "carl")
        assert last.at is not None
        arguments = {"transferred_by": facts.caller_user_id} | ({"sent_by": side} if side else {})
        return self.decide(facts, None, Entered(arguments, last.at.places, last.at.visits), died)

    def again(self, place: int) -> None:
        """A question of long ago is still on its way, and its answer comes too late for anybody."""
        if self.asked:
            facts, cursor, outcome = self.asked[place % len(self.asked)]
            if facts.call_id in self.calls:
                self._ask(facts, cursor, outcome)

    def ends(self, call_id: str) -> None:
        """Somebody hangs up."""
        del self.calls[call_id]
        self.world.over(call_id)

    @property
    def inside(self) -> set[str]:
        """Who holds a place."""
        return self.world.places.get("door", set())


DOING = ("comes", "no_answer", "answered", "sent back", "sent away", "ends", "late")


@pytest.mark.feature("R-16")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from(DOING), st.integers(0, 30), st.integers(0, 2)), max_size=50))
def test_a_limit_is_never_exceeded_and_a_place_is_free_as_soon_as_its_call_has_left(most: int, steps: list[tuple[str, int, int]]) -> None:
    """By whichever of two plans it came, whatever became of its step, and however often and late each question is asked."""
    door, with_anna = Door(most), set[str]()
    for what, number, died in steps:
        at_anna = sorted(with_anna)[number % len(with_anna)] if with_anna else ""
        room = len(with_anna - {at_anna}) < most
        if what == "comes":
            call_id, rung = door.comes(Door.NUMBERS[number % 2], died)
            assert (rung == "anna") == (len(with_anna) < most), "a call is let through above the limit, or kept out below it"
            with_anna |= {call_id} if rung == "anna" else set()
        elif what == "late":
            door.again(number)
        elif at_anna and what == "no_answer":
            assert door.goes_on(at_anna, "no_answer", died) == "ben"
            with_anna.discard(at_anna)
        elif at_anna and what == "answered":
            # She has hung up, and the plan leads back to the limit: there the call is like any other.
            assert (door.goes_on(at_anna, "answered", died) == "anna") == room
        elif at_anna and what == "sent back":
            assert (door.sent(at_anna, "900", died) == "anna") == room
        elif at_anna and what == "sent away":
            assert door.sent(at_anna, "103", died) == "carl"
            with_anna.discard(at_anna)
        elif what == "ends" and door.calls:
            call_id = sorted(door.calls)[number % len(door.calls)]
            with_anna.discard(call_id)
            door.ends(call_id)
        assert door.inside == with_anna
        assert len(with_anna) <= most


@pytest.mark.feature("R-16")
def test_who_is_sent_away_by_the_caller_is_still_there() -> None:
    door = Door(1)
    call_id, rung = door.comes(NUMBER)
    assert rung == "anna"
    assert door.sent(call_id, "102", side="caller") == "ben"
    assert door.inside == {call_id}
    assert door.comes(NUMBER)[1] == "carl"


@pytest.mark.feature("R-16")
def test_a_place_that_cannot_be_given_back_now_is_given_back_later() -> None:
    door = Door(1)
    call_id, _ = door.comes(NUMBER)
    door.world.dark = True
    assert door.goes_on(call_id, "no_answer") == "ben"
    assert door.inside == {call_id}
    door.world.dark = False
    door.sent(call_id, "103")
    assert door.inside == set()


@pytest.mark.feature("R-16", "R-12")
@pytest.mark.parametrize("way", ["unconditional", "no_answer"])
def test_a_call_that_is_forwarded_has_left(way: str) -> None:
    limit = {"id": "l", "limit": {"max_calls": 1, "within": "anna", "over": "carl"}}
    users = [{"id": who, "last_name": who, "forwarding": {way: {"user_id": "ben"}} if who == "anna" else {}} for who in WAYS]
    config = with_plan(limit, *NODES, users=users)
    world = World()
    call = SimulatedCall.from_outside(config, NUMBER, AT, world=world)
    if way == "no_answer":
        assert world.places == {"p/l": {"c1"}}
        call.rang("no_answer")
    assert call.rings[0][0] == "ben"
    assert world.places == {"p/l": set()}


@pytest.mark.feature("R-16")
def test_a_call_is_within_from_the_limit_through_what_is_spoken_and_asked_to_the_end_of_the_first_ringing() -> None:
    nodes = [
        {"id": "l", "limit": {"max_calls": 1, "within": "hello", "over": "carl"}},
        {"id": "hello", "announcement": {"announcements": [{"text": "Hello."}], "next": "anna"}},
        {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"no_answer": "ben"}}},
    ]
    config, world = with_plan(*nodes, *NODES[1:]), World()
    call = SimulatedCall.from_outside(config, NUMBER, AT, world=world)
    for _ in ("spoken", "rings"):
        assert world.places == {"p/l": {"c1"}}
        call = call.played() if call.says else call
    assert call.rings[0][0] == "anna"
    call.rang("no_answer")
    assert world.places == {"p/l": set()}
    assert any(line.subject == "counter p/l" and line.matched for line in call.last.trace)
