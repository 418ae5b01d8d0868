"""Destinations: users with their forwarding, mailboxes, announcements, hanging up, outside numbers by trunks."""

from typing import Any

import pytest

from carillon_routing.domain.facts import Delegate, Played, Ring, RingResult, TrunkTarget, UserTarget
from carillon_routing.testing import SimulatedCall, small_company, to_plan

TUESDAY = "2026-01-06 10:00"


def anna_with(forwarding: dict[str, Any], *others: dict[str, Any], **changes: Any) -> SimulatedCall:
    """A call to anna, who forwards."""
    users = [{"id": "anna", "last_name": "Anna", "forwarding": forwarding}, *others, {"id": "carl", "last_name": "Carl"}]
    return SimulatedCall.from_outside(small_company(users=users, **changes), "+41215550101", TUESDAY)


@pytest.mark.feature("R-3")
@pytest.mark.parametrize(
    ("result", "end"),
    [
        ("no_answer", (19, 480)),
        ("busy", (17, 486)),
        ("rejected", (21, 603)),
        ("unreachable", (20, 480)),
        ("congested", (42, 503)),
        ("answered", (16, 480)),
    ],
)
def test_a_call_without_another_way_ends_with_its_outcomes_cause(result: RingResult, end: tuple[int, int]) -> None:
    assert SimulatedCall.from_outside(small_company(), "+41215550101", TUESDAY).rang(result).ends == end


@pytest.mark.feature("R-3")
@pytest.mark.parametrize(
    ("result", "rung"),
    [("busy", "ben"), ("rejected", "ben"), ("no_answer", "carl"), ("unreachable", "+41791234567@carrier")],
)
def test_a_user_forwards_by_outcome(result: RingResult, rung: str) -> None:
    ben = {"id": "ben", "last_name": "Ben"}
    forwarding = {"busy": {"user_id": "ben"}, "no_answer": {"user_id": "carl"}, "unreachable": {"external_number": "+41791234567"}}
    assert [who for who, _, _ in anna_with(forwarding, ben).rang(result).rings] == [rung]


@pytest.mark.feature("R-24")
def test_the_trace_says_which_forwarding_was_taken_and_which_not() -> None:
    call = anna_with({"busy": {"mailbox_id": "main"}, "no_answer": {"user_id": "carl"}}).rang("busy")
    assert call.mailbox == "main"
    assert call.trace()[:2] == [
        "+ user/anna forwarding busy: the outcome was busy -> mailbox/main",
        "- user/anna forwarding no_answer: the outcome was busy, not no_answer -> user/carl",
    ]


def test_an_outcome_without_forwarding_goes_back_to_the_node_that_sent_the_call() -> None:
    call = to_plan(
        {"id": "n", "destination": {"destination": {"user_id": "anna"}, "ways": {"busy": "box"}}},
        {"id": "box", "mailbox": {"mailbox_id": "main"}},
    )
    assert call.rang("busy").mailbox == "main"


def test_where_a_forwarded_call_is_not_answered_either_the_node_decides() -> None:
    users = [{"id": "anna", "last_name": "A", "forwarding": {"busy": {"user_id": "ben"}}}, {"id": "ben", "last_name": "B"}]
    call = to_plan(
        {"id": "n", "destination": {"destination": {"user_id": "anna"}, "ways": {"no_answer": "box"}}},
        {"id": "box", "mailbox": {"mailbox_id": "main"}},
        users=users,
        extensions=[],
    )
    assert call.rang("busy").rings == [("ben", 0, 20)]
    assert call.rang("no_answer").mailbox == "main"


def test_users_who_forward_to_each_other_do_not_send_a_call_round_for_ever() -> None:
    call = anna_with({"busy": {"user_id": "ben"}}, {"id": "ben", "last_name": "Ben", "forwarding": {"busy": {"user_id": "anna"}}})
    rung = 1
    while call.rang("busy").ends is None:
        rung += 1
    assert rung == 11
    assert call.ends == (17, 486)
    assert "forwarded 10 times already" in " ".join(call.trace())


def test_the_nodes_ring_time_comes_before_the_users() -> None:
    call = to_plan({"id": "n", "destination": {"destination": {"user_id": "anna"}, "ring_seconds": 7}})
    assert call.rings == [("anna", 0, 7)]


def test_a_mailbox_is_voicemails_business_and_hears_of_the_language() -> None:
    menu = {"id": "m", "prompt": [{"text": "?"}], "keys": [{"key": "2", "destination": {"mailbox_id": "main"}, "language": "en"}]}
    call = to_plan({"id": "n", "menu": {"menu_id": "m"}}, menus=[menu]).pressed("2")
    assert call.last.step == Delegate("voicemail", {"mailbox_id": "main", "language": "en"})


def test_an_announcement_is_spoken_and_then_the_call_ends() -> None:
    config = small_company(numbers=[{"id": "+41215550100", "destination": {"announcement": {"text": "Fermé"}}}])
    call = SimulatedCall.from_outside(config, "+41215550100", TUESDAY)
    assert [(phrase.text, phrase.language) for phrase in call.says] == [("Fermé", "fr")]
    assert call.becomes(Played()).ends == (16, 480)


@pytest.mark.parametrize(("reason", "end"), [("normal", (16, 480)), ("busy", (17, 486)), ("rejected", (21, 603))])
def test_a_destination_may_be_to_hang_up(reason: str, end: tuple[int, int]) -> None:
    config = small_company(numbers=[{"id": "+41215550100", "destination": {"hang_up": reason}}])
    assert SimulatedCall.from_outside(config, "+41215550100", TUESDAY).ends == end


@pytest.mark.parametrize(
    ("destination", "end"),
    [
        ({"user_id": "gone"}, (20, 480)),
        ({"ring_group_id": "gone"}, (25, 500)),
        ({"menu_id": "gone"}, (25, 500)),
        ({"plan_id": "gone"}, (25, 500)),
        ({"mailbox_id": "gone"}, (25, 500)),
    ],
)
def test_a_destination_that_is_not_there_ends_the_call_and_is_said(destination: dict[str, str], end: tuple[int, int]) -> None:
    config = small_company(numbers=[{"id": "+41215550100", "destination": destination}])
    call = SimulatedCall.from_outside(config, "+41215550100", TUESDAY)
    assert call.ends == end
    assert "there is no such" in " ".join(call.trace())


CARRIERS = [
    {"id": "cheap", "address": "192.0.2.1", "priority": 1},
    {"id": "dear", "address": "192.0.2.2", "priority": 2},
    {"id": "swiss", "address": "192.0.2.3", "priority": 9, "prefixes": ["+41"]},
    {"id": "mobile", "address": "192.0.2.4", "priority": 9, "prefixes": ["+33", "+4179"]},
]


@pytest.mark.feature("R-18")
def test_the_longest_prefix_comes_first_then_the_priority() -> None:
    call = SimulatedCall.from_user(small_company(trunks=CARRIERS), "anna", "0791234567")
    tried = [call.rings]
    while call.rang("congested").ends is None:
        tried.append(call.rings)
    assert tried == [[(f"+41791234567@{trunk}", 0, 120)] for trunk in ("mobile", "swiss", "cheap", "dear")]
    assert call.ends == (38, 503)


PRICED = [
    {"id": "dear", "address": "192.0.2.1", "prices": [{"prefix": "+41", "per_minute": 300}, {"prefix": "+4179", "per_minute": 1250}]},
    {"id": "cheap", "address": "192.0.2.2", "prices": [{"prefix": "+", "per_minute": 800}]},
    {"id": "silent", "address": "192.0.2.3", "prices": [{"prefix": "+33", "per_minute": 1}]},
    {"id": "own", "address": "192.0.2.4", "priority": 1, "prices": [{"prefix": "+", "per_minute": 0}]},
    {"id": "french", "address": "192.0.2.5", "priority": 9, "prefixes": ["+33"], "prices": [{"prefix": "+", "per_minute": 9999}]},
]


@pytest.mark.feature("R-18")
@pytest.mark.parametrize(
    ("dialled", "order"),
    [
        ("0791234567", ["cheap", "dear", "silent", "own"]),
        ("0215551234", ["dear", "cheap", "silent", "own"]),
        ("0033145550100", ["french", "silent", "cheap", "dear", "own"]),
    ],
)
def test_of_trunks_with_the_same_prefix_and_priority_the_cheapest_comes_first(dialled: str, order: list[str]) -> None:
    """The next cheapest when one cannot; a trunk without a price for the number after those that have one."""
    call = SimulatedCall.from_user(small_company(trunks=PRICED), "anna", dialled)
    tried = [call.rings[0][0].rpartition("@")[2]]
    while call.rang("congested").ends is None:
        tried.append(call.rings[0][0].rpartition("@")[2])
    assert tried == order


@pytest.mark.feature("R-18")
def test_emergency_calls_do_not_look_at_prices() -> None:
    call = SimulatedCall.from_user(small_company(trunks=PRICED), "anna", "117")
    assert call.rings == [("117@cheap", 0, 120)]


@pytest.mark.feature("R-24")
def test_the_trace_says_what_each_trunk_costs() -> None:
    call = SimulatedCall.from_user(small_company(trunks=PRICED), "anna", "0791234567")
    assert [line for line in call.trace() if "trunk/" in line][1:] == [
        "+ trunk/cheap: takes +41791234567: prefix any, priority 0, 0.0800 a minute to + -> +41791234567 by trunk/cheap",
        "- trunk/dear: comes after trunk/cheap (prefix any, priority 0, 0.1250 a minute to +4179)",
        "- trunk/silent: comes after trunk/cheap (prefix any, priority 0, no price)",
        "- trunk/own: comes after trunk/cheap (prefix any, priority 1, 0.0000 a minute to +)",
    ]
    group = {"id": "g", "members": [{"user_id": "ben"}, {"external_number": "+41791234567"}]}
    config = small_company(trunks=PRICED, ring_groups=[group], extensions=[{"id": "300", "destination": {"ring_group_id": "g"}}])
    of_trunks = [line for line in call.trace() if "trunk/" in line]
    assert [line for line in SimulatedCall.from_user(config, "anna", "300").trace() if "trunk/" in line][: len(of_trunks)] == of_trunks


@pytest.mark.feature("R-24")
def test_the_trace_says_why_each_trunk_was_taken_or_not() -> None:
    call = SimulatedCall.from_user(small_company(trunks=CARRIERS), "anna", "0215551234")
    assert call.trace()[1:5] == [
        "- trunk/mobile: +41215551234 begins with none of +33, +4179",
        "+ trunk/swiss: takes +41215551234: prefix +41, priority 9 -> +41215551234 by trunk/swiss",
        "- trunk/cheap: comes after trunk/swiss (prefix any, priority 1)",
        "- trunk/dear: comes after trunk/swiss (prefix any, priority 2)",
    ]


@pytest.mark.feature("R-18")
@pytest.mark.parametrize(("result", "goes_on"), [("congested", True), ("unreachable", True), ("busy", False), ("no_answer", False)])
def test_only_a_trunk_that_could_not_is_followed_by_the_next(result: RingResult, goes_on: bool) -> None:
    call = SimulatedCall.from_user(small_company(trunks=CARRIERS), "anna", "+33612345678").rang(result)
    assert (call.ends is None) is goes_on


def test_without_a_trunk_for_it_a_number_cannot_be_reached() -> None:
    abroad = [{"id": "abroad", "address": "192.0.2.2", "prefixes": ["+33"]}]
    assert SimulatedCall.from_user(small_company(trunks=[]), "anna", "0791234567").ends == (38, 503)
    assert SimulatedCall.from_user(small_company(trunks=abroad), "anna", "0791234567").ends == (38, 503)


def test_a_plan_has_a_way_for_a_number_that_no_trunk_takes() -> None:
    call = to_plan(
        {"id": "n", "destination": {"destination": {"external_number": "+41791234567"}, "ways": {"unreachable": "box"}}},
        {"id": "box", "mailbox": {"mailbox_id": "main"}},
        trunks=[],
    )
    assert call.mailbox == "main"


def test_an_outside_destination_that_is_our_own_number_needs_no_carrier() -> None:
    call = to_plan({"id": "n", "destination": {"destination": {"external_number": "+41215550101"}}})
    assert call.rings == [("anna", 0, 25)]


def test_an_outside_destination_rings_for_a_minute_or_as_the_node_says() -> None:
    outside = {"destination": {"external_number": "+41791234567"}}
    assert to_plan({"id": "n", "destination": outside}).rings == [("+41791234567@carrier", 0, 60)]
    assert to_plan({"id": "n", "destination": {**outside, "ring_seconds": 33}}).rings == [("+41791234567@carrier", 0, 33)]


@pytest.mark.feature("R-18")
def test_a_users_call_shows_the_users_own_number_or_the_main_one() -> None:
    users = [{"id": "anna", "last_name": "A", "caller_number": "+41215550101"}, {"id": "ben", "last_name": "B"}]
    config = small_company(users=users)
    assert SimulatedCall.from_user(config, "anna", "0791234567").shown == ("+41215550101", "")
    assert SimulatedCall.from_user(config, "ben", "0791234567").shown == ("+41215550100", "")


def test_an_outside_caller_keeps_its_number_when_the_call_is_sent_out_again() -> None:
    call = to_plan({"id": "n", "destination": {"destination": {"external_number": "+41791234567"}}})
    assert call.shown == ("+41791112233", "")


def test_a_withheld_number_stays_withheld_inside_and_outside() -> None:
    config = small_company()
    assert SimulatedCall.from_outside(config, "+41215550101", TUESDAY, caller="").shown == ("", "")
    for dialled in ("102", "0791234567"):
        call = SimulatedCall.from_user(config, "anna", dialled, withheld=True)
        assert call.rings
        assert call.shown == ("", "")


def test_a_user_without_an_extension_is_not_taken_for_withheld() -> None:
    call = SimulatedCall.from_user(small_company(extensions=[]), "anna", "0791234567")
    assert call.shown == ("+41215550100", "")


def test_more_trunks_than_a_call_may_try_are_not_tried() -> None:
    trunks = [{"id": f"t{n}", "address": "192.0.2.1"} for n in range(50)]
    call = SimulatedCall.from_user(small_company(trunks=trunks), "anna", "0791234567")
    tried = 1
    while call.rang("unreachable").ends is None:
        tried += 1
    assert tried == 10


def test_a_trunk_target_carries_the_whole_number() -> None:
    (target,) = SimulatedCall.from_user(small_company(), "anna", "0791234567").last.step.targets  # type: ignore[union-attr]
    assert target == TrunkTarget("trunk:carrier", "carrier", "+41791234567", 0, 120_000)


FAX_BOXES = [{"id": "orders"}, {"id": "annas", "user_id": "anna"}]


@pytest.mark.feature("D-6", "R-3")
def test_a_fax_box_cannot_be_reached_as_long_as_no_service_takes_faxes() -> None:
    fax: dict[str, Any] = {"id": "fax", "destination": {"destination": {"fax_box_id": "orders"}}}
    with_way = {"id": "fax", "destination": {**fax["destination"], "ways": {"unreachable": "box"}}}
    call = to_plan(fax, fax_boxes=FAX_BOXES)
    assert call.ends == (63, 480)
    assert "- fax_box/orders: no fax service answers" in call.trace()
    assert to_plan(with_way, {"id": "box", "mailbox": {"mailbox_id": "main"}}, fax_boxes=FAX_BOXES).mailbox == "main"
    assert to_plan(fax, fax_boxes=[]).ends == (25, 500)


@pytest.mark.feature("D-6", "D-3")
def test_faxes_are_not_offered_to_who_does_not_have_the_service() -> None:
    anna = {"id": "anna", "last_name": "Anna", "services": {"fax": False}}
    call = to_plan({"id": "fax", "destination": {"destination": {"fax_box_id": "annas"}}}, fax_boxes=FAX_BOXES, users=[anna])
    assert call.ends == (20, 480)
    assert "- fax_box/annas: user/anna does not have the service fax" in call.trace()


@pytest.mark.feature("D-6")
def test_forwardings_groups_and_menus_lead_to_fax_boxes_too() -> None:
    to_fax = {"fax_box_id": "orders"}
    assert anna_with({"busy": to_fax}, fax_boxes=FAX_BOXES).rang("busy").ends == (63, 480)
    group = {"id": "team", "members": [{"user_id": "anna"}], "no_answer": to_fax}
    in_plan = to_plan({"id": "n", "ring_group": {"ring_group_id": "team"}}, ring_groups=[group], fax_boxes=FAX_BOXES)
    assert in_plan.rang("no_answer").ends == (63, 480)
    menu = {"id": "main", "prompt": [{"text": "Hello"}], "keys": [{"key": "1", "destination": to_fax}]}
    pressed = to_plan({"id": "n", "menu": {"menu_id": "main"}}, menus=[menu], fax_boxes=FAX_BOXES).pressed("1")
    assert "- fax_box/orders: no fax service answers" in pressed.trace()
    assert pressed.ends == (63, 480)


@pytest.mark.feature("D-15")
@pytest.mark.parametrize("withhold", [False, True])
def test_phones_inside_and_outside_that_ring_together_each_see_what_is_for_them(withhold: bool) -> None:
    also = [{"external_number": "+41791234567"}]
    users = [{"id": "anna", "last_name": "Anna", "withhold": withhold}, {"id": "ben", "last_name": "Ben", "simultaneous": also}]
    members = [{"user_id": "ben"}, {"external_number": "+41791234567"}]
    group = {"id": "g", "members": members}
    extensions = [
        {"id": "101", "destination": {"user_id": "anna"}},
        {"id": "102", "destination": {"user_id": "ben"}},
        {"id": "200", "destination": {"ring_group_id": "g"}},
    ]
    config = small_company(users=users, ring_groups=[group], extensions=extensions)
    for dialled in ("102", "200"):
        call = SimulatedCall.from_user(config, "anna", dialled)
        assert call.shown == ("101", "Anna")
        step = call.last.step
        assert isinstance(step, Ring)
        shown = {type(target): getattr(target, "caller", None) for target in step.targets}
        assert shown == {UserTarget: None, TrunkTarget: ("" if withhold else "+41215550100", "")}
