"""Call-backs: offered when every trunk is busy, by code when a colleague talks; and when a call that routing owes is made."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import OrderCallBack
from carillon_routing.domain.call_orders import (
    EXPIRES,
    LONGEST_CALL,
    MAX_TRIES,
    NEVER_BEGUN,
    Missed,
    Order,
    Over,
    TrunkNow,
    due,
    for_a_line,
    missed,
    places_for,
    settled,
    trunks_for,
)
from carillon_routing.domain.facts import Gather
from carillon_routing.testing import SimulatedCall, World, small_company

NUMBER = "+41791112233"
NOW = datetime(2026, 1, 6, 9, 0, tzinfo=UTC)
TRUNKS = [{"id": "carrier", "address": "192.0.2.1", "max_calls": 2}, {"id": "spare", "address": "192.0.2.2", "priority": 9}]


def dial(digits: str, world: World, *, user: str = "anna", transferred: bool = False, **changes: Any) -> SimulatedCall:
    config = small_company(**{"trunks": TRUNKS, **changes})
    return SimulatedCall.from_user(config, user, digits, world=world, transferred=transferred)


def says(call: SimulatedCall) -> str:
    return call.says[0].text if call.says else ""


# -- every trunk is busy ----------------------------------------------------------------------------------------------


@pytest.mark.feature("R-18")
def test_who_finds_every_trunk_busy_is_offered_a_call_back() -> None:
    world = World(on_trunks={})
    call = dial("0791112233", world).rang("congested", 41).rang("unreachable")
    assert isinstance(call.last.step, Gather)
    assert "appuyez sur le cinq" in says(call)
    assert "rappelé" in says(call.pressed("5"))
    assert world.call_backs == [OrderCallBack("anna", NUMBER, "", "carrier")]


@pytest.mark.feature("R-18")
def test_a_trunk_that_has_as_many_calls_as_it_may_is_busy() -> None:
    world = World(on_trunks={"carrier": 2})
    dial("0791112233", world).rang("unreachable").rang("unreachable").pressed("5")
    assert world.call_backs == [OrderCallBack("anna", NUMBER, "", "limit")]


@pytest.mark.feature("R-18")
def test_who_does_not_want_it_hears_that_no_line_is_free() -> None:
    world = World(on_trunks={})
    for digits in ("", "4"):
        call = dial("0791112233", world).rang("congested", 34).rang("congested", 34)
        assert call.pressed(digits).ends == (38, 503)
    assert not world.call_backs


@pytest.mark.feature("R-18")
@pytest.mark.parametrize("why", ["a trunk is silent", "nobody can be called back", "the code is off", "sent on", "help"])
def test_nothing_is_offered_where_it_makes_no_sense(why: str) -> None:
    world = World(on_trunks=None if why == "nobody can be called back" else {})
    more: dict[str, Any] = {}
    if why == "the code is off":
        more["tenant"] = {"id": "acme", "realm": "a.example", "country": "CH", "feature_codes": [{"feature": "call_back"}]}
    call = dial("117" if why == "help" else "0791112233", world, transferred=why == "sent on", **more)
    call.rang("unreachable" if why == "a trunk is silent" else "congested", 0 if why == "a trunk is silent" else 34).rang("unreachable")
    assert call.ends == (38, 503)


@pytest.mark.feature("R-18")
def test_who_is_told_no_line_because_it_cannot_be_kept_is_not_told_that_it_is() -> None:
    world = World(on_trunks={})
    call = dial("0791112233", world).rang("congested", 34).rang("congested", 34)
    world.dark = True
    assert says(call.pressed("5")) == "Ce n'est pas possible pour le moment."


# -- by code ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature("R-18", "R-19")
def test_a_colleague_who_talks_is_waited_for() -> None:
    world = World(busy={"ben"})
    assert "rappelé" in says(dial("*37102", world))
    assert world.call_backs == [OrderCallBack("anna", "102", "ben", "colleague")]
    assert "ne serez plus" in says(dial("#37#", world))
    assert not world.call_backs


@pytest.mark.feature("R-18", "R-19")
def test_who_does_not_talk_is_called_at_once() -> None:
    assert dial("*37102", World()).rings == [("ben", 0, 25)]
    assert dial("*370791112233", World()).rings[0][0] == f"{NUMBER}@carrier"


@pytest.mark.feature("R-19")
def test_nobody_is_made_to_wait_for_help_or_for_what_is_not_there() -> None:
    world = World(busy={"ben"})
    assert says(dial("*37117", world)) == "Vous n'y êtes pas autorisé."
    assert says(dial("*37199", world)) == "Ce numéro n'existe pas."
    assert not world.call_backs


# -- when it is made --------------------------------------------------------------------------------------------------


def order(name: str = "o1", who: str = "anna", **fields: Any) -> Order:
    first = Order("acme", name, "call_back", who, NUMBER, NOW, NOW, NOW + EXPIRES["call_back"], "limit")
    return replace(first, **fields)


CONFIG = small_company(trunks=TRUNKS[:1])
FREE, FULL = {"carrier": TrunkNow(True)}, {"carrier": TrunkNow(False)}


def names(orders: list[Order], busy: set[str], trunks: dict[str, TrunkNow] | None, after: float = 5.0) -> list[str]:
    lines = {each.order_id: trunks_for(CONFIG, each) for each in orders if for_a_line(each)}
    return [each.order_id for each in due(CONFIG, orders, busy, trunks, NOW + timedelta(seconds=after), lines)]


@pytest.mark.feature("R-18")
def test_the_one_who_asked_first_gets_the_free_line_and_the_others_wait() -> None:
    late = order("late", "ben", asked_at=NOW + timedelta(seconds=1))
    assert names([late, order()], set(), FULL) == []
    assert names([late, order()], set(), None) == []
    assert names([late, order()], set(), FREE) == ["o1"]
    assert names([late, order()], {"anna"}, FREE) == ["late"], "who talks keeps nobody else waiting"
    assert names([late, order(via="c9")], set(), FREE) == [], "a line at a time"


@pytest.mark.feature("R-18")
def test_a_busy_carrier_is_asked_again_after_a_minute_or_when_one_of_its_calls_is_over() -> None:
    waits = order(blocked="carrier", not_before=NOW + timedelta(minutes=1))
    assert names([waits], set(), FREE) == []
    assert names([waits], set(), {"carrier": TrunkNow(True, NOW - timedelta(seconds=9))}) == []
    assert names([waits], set(), {"carrier": TrunkNow(True, NOW + timedelta(seconds=4))}) == ["o1"]
    assert names([waits], set(), FREE, 61) == ["o1"]


@pytest.mark.feature("R-18")
def test_two_colleagues_are_connected_when_both_are_free() -> None:
    both = order(number="102", watched="ben", blocked="colleague")
    assert names([both], {"ben"}, None) == names([both], {"anna"}, None) == []
    assert names([both], set(), None) == ["o1"]
    twice = [both, order("o2", "carl", number="102", watched="ben", blocked="colleague", asked_at=NOW + timedelta(seconds=1))]
    assert names(twice, set(), None) == ["o1"]


@pytest.mark.feature("R-18")
def test_who_is_called_or_waited_for_is_not_called_for_another_order_and_lines_are_begun_beside() -> None:
    later = NOW + timedelta(seconds=1)
    for_ben = order("ben1", "anna", number="102", watched="ben", blocked="colleague", via="c9")
    also_ben = order("ben2", "carl", number="102", watched="ben", blocked="colleague", asked_at=later)
    assert names([for_ben, also_ben], set(), None) == [], "they would call ben a tick apart"
    line = order("line", "carl", asked_at=later)
    notice = order("help", "+41795550911", kind="emergency_notice", blocked="", number="117")
    assert names([replace(for_ben, via=""), line], set(), FREE) == ["ben1", "line"]
    assert names([notice, line], set(), FREE) == ["help", "line"]


@pytest.mark.feature("D-16", "D-24")
def test_a_suspended_tenant_calls_nobody_back_and_tells_of_calls_for_help() -> None:
    tenant = {"id": "acme", "realm": "acme.example", "country": "CH", "subscription": {"suspended": True}}
    config = small_company(tenant=tenant, trunks=TRUNKS[:1])
    notice = order("help", "+41795550911", kind="emergency_notice", blocked="", number="117")
    both = order("both", number="102", watched="ben", blocked="colleague")
    found = due(config, [order("line", "carl"), both, notice], set(), FREE, NOW + timedelta(seconds=5), {"line": ("carrier",)})
    assert [each.order_id for each in found] == ["help"]


def limited(**limits: int) -> TenantConfig:
    """Anna is in sales; a trunk takes two calls out."""
    users = [{"id": name, "last_name": name, "department_id": "sales" if name == "anna" else ""} for name in ("anna", "ben", "carl")]
    tenant = {"id": "acme", "realm": "acme.example", "country": "CH", "limits": limits}
    departments = [{"id": "sales", "limits": {"max_calls_out": 1}}]
    return small_company(tenant=tenant, users=users, departments=departments, trunks=[{**TRUNKS[0], "max_calls_out": 2}])


@pytest.mark.feature("R-18", "D-17")
@pytest.mark.parametrize(
    ("standing", "begun"),
    [
        ({}, ["anna", "help"]),
        ({"limit trunk/carrier out": (1, 0)}, ["anna", "help"]),
        ({"limit trunk/carrier out": (2, 0)}, ["help"]),
        ({"limit department/sales out": (1, 0)}, ["ben", "help"]),
        ({"limit tenant/acme": (5, 0)}, ["help"]),
        ({"limit tenant/acme": (1, 9)}, ["help"]),
        ({"limit tenant/acme out": (4, 0)}, ["help"]),
    ],
    ids=str,
)
def test_a_call_back_is_a_call_like_any_other_for_limits_and_calls_for_help_are_none(
    standing: dict[str, tuple[int, int]], begun: list[str]
) -> None:
    config = limited(max_calls=5, max_calls_out=4, max_calls_per_minute=9)
    notice = order("help", "+41795550911", kind="emergency_notice", blocked="", number="117")
    orders = [order("anna", "anna"), order("ben", "ben", asked_at=NOW + timedelta(seconds=1)), notice]
    lines = {each.order_id: trunks_for(config, each) for each in orders if for_a_line(each)}
    known = {place.counter for each in orders for place in places_for(config, each, lines.get(each.order_id, ()))}
    assert known == {"limit trunk/carrier out", "limit department/sales out", "limit tenant/acme", "limit tenant/acme out"}
    found = due(config, orders, set(), FREE, NOW + timedelta(seconds=5), lines, standing)
    assert sorted(each.order_id for each in found) == begun


@pytest.mark.feature("R-18", "D-17")
def test_a_colleague_is_waited_for_whatever_leads_out_and_not_above_the_tenants_calls() -> None:
    config, both = limited(max_calls=5), order("both", number="102", watched="ben", blocked="colleague")
    for standing, begun in (({"limit department/sales out": (1, 0)}, [both]), ({"limit tenant/acme": (5, 0)}, list[Order]())):
        assert due(config, [both], set(), None, NOW + timedelta(seconds=5), {}, standing) == begun


@pytest.mark.feature("R-18", "D-17")
def test_as_many_are_called_back_at_once_as_there_is_room_for() -> None:
    config, standing = limited(max_calls=5), {"limit tenant/acme": (4, 0)}
    both = [order("anna", number="102", watched="ben", blocked="colleague"), order("carl", "carl", asked_at=NOW + timedelta(seconds=1))]
    lines = {"carl": trunks_for(config, both[1])}
    for room, begun in ((standing, ["anna"]), ({}, ["anna", "carl"])):
        found = due(config, both, set(), FREE, NOW + timedelta(seconds=5), lines, room)
        assert [each.order_id for each in found] == begun


@pytest.mark.feature("R-18", "D-17")
def test_who_finds_every_trunk_full_by_its_limit_is_called_back_when_it_has_room() -> None:
    world = World(on_trunks={})
    world.places["limit trunk/carrier out"] = {"another"}
    dial("0791112233", world, trunks=[{"id": "carrier", "address": "192.0.2.1", "max_calls_out": 1}]).pressed("5")
    assert world.call_backs == [OrderCallBack("anna", NUMBER, "", "limit")]


@pytest.mark.feature("R-18")
def test_who_may_not_call_the_number_any_more_is_not_called_back() -> None:
    assert names([order(who="gone")], set(), FREE) == []


@pytest.mark.feature("R-18")
def test_what_became_of_a_try() -> None:
    under_way = order(via="c1", via_at=NOW)
    soon, later = NOW + timedelta(seconds=1), NOW + NEVER_BEGUN
    assert settled(under_way, soon) is None
    assert settled(under_way, later) == Missed(under_way, later + timedelta(minutes=1), counted=False)
    begun = replace(under_way, via_accepted=True)
    assert settled(begun, later) is None, "its events are late"
    assert settled(begun, NOW + LONGEST_CALL) == Over(begun, "not_reached")
    ringing = replace(under_way, via_seen=True)
    assert settled(ringing, later) is None
    assert settled(replace(ringing, via_reached=True), soon) == Over(replace(ringing, via_reached=True), "reached")
    over = replace(ringing, via_ended=True)
    assert settled(over, soon) == Missed(over, soon + timedelta(minutes=1), counted=True)
    last = replace(over, tries=MAX_TRIES["call_back"] - 1)
    assert settled(last, soon) == Over(last, "not_reached")
    assert settled(order(), NOW + EXPIRES["call_back"]) == Over(order(), "expired")


@pytest.mark.feature("R-18")
@given(st.lists(st.sampled_from(["begun", "lost", "in vain"]), min_size=1, max_size=400))
def test_every_order_ends_whatever_becomes_of_its_tries(happens: list[str]) -> None:
    """A clock that goes on by a minute a try: at the latest when its time is over."""
    now, found = NOW, order()
    for what in happens * 80:
        now += timedelta(minutes=1)
        tried = replace(found, via="c", via_at=now - timedelta(minutes=1), via_seen=what != "lost", via_ended=what == "in vain")
        outcome = settled(tried, now) if what != "begun" else missed(tried, now, counted=False)
        if isinstance(outcome, Over):
            assert found.tries + 1 >= MAX_TRIES["call_back"] or now >= order().expires_at
            return
        assert isinstance(outcome, Missed)
        found = replace(found, tries=found.tries + outcome.counted)
    raise AssertionError("it never ends")
