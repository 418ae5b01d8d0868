"""Nodes of a plan and their ways."""

from typing import Any

import pytest

from carillon_routing.domain.facts import Played, Ring, RingResult
from carillon_routing.testing import SimulatedCall, small_company, to_plan

BOX: dict[str, Any] = {"id": "box", "mailbox": {"mailbox_id": "main"}}
ANNA: dict[str, Any] = {"user_id": "anna"}


def ways(**named: str) -> SimulatedCall:
    """A call to anna by a node with these ways; nodes w1 to w5 ring carl for so many seconds."""
    nodes = [{"id": f"w{n}", "destination": {"destination": {"user_id": "carl"}, "ring_seconds": n}} for n in range(1, 6)]
    return to_plan({"id": "n", "destination": {"destination": ANNA, "ways": named}}, *nodes)


@pytest.mark.feature("R-3")
@pytest.mark.parametrize(
    ("result", "way"),
    [("no_answer", 2), ("busy", 3), ("rejected", 3), ("unreachable", 4), ("congested", 4), ("answered", 1)],
)
def test_each_outcome_has_its_way(result: RingResult, way: int) -> None:
    call = ways(answered="w1", no_answer="w2", busy="w3", unreachable="w4", otherwise="w5").rang(result)
    assert call.rings == [("carl", 0, way)]


@pytest.mark.feature("R-3")
@pytest.mark.parametrize("result", ["no_answer", "busy", "rejected", "unreachable", "congested"])
def test_otherwise_is_the_way_of_what_has_none(result: RingResult) -> None:
    assert ways(otherwise="w5").rang(result).rings == [("carl", 0, 5)]


@pytest.mark.feature("R-3")
def test_a_call_that_was_answered_never_goes_otherwise() -> None:
    assert ways(otherwise="w5").rang("answered").ends == (16, 480)


def test_media_asks_again_after_an_answer_only_if_there_is_a_way_for_it() -> None:
    for named, asked in (({"answered": "w1"}, True), ({"otherwise": "w5"}, False), ({}, False)):
        step = ways(**named).last.step
        assert isinstance(step, Ring)
        assert step.ask_after_answer is asked


@pytest.mark.feature("R-24")
def test_the_trace_names_the_ways_that_were_not_taken() -> None:
    assert ways(no_answer="w2", busy="w3", otherwise="w5").rang("busy").trace()[1:4] == [
        "- plan/p node n no_answer: the outcome was busy, not no_answer -> node w2",
        "+ plan/p node n busy: the outcome was busy -> node w3",
        "- plan/p node n otherwise: the outcome was busy; another way was taken -> node w5",
    ]


def calendar(at: str) -> SimulatedCall:
    """Office 8 to 12 on weekdays, then all Tuesday, then a schedule that is not there."""
    entries = [{"schedule_id": s, "next": n} for s, n in (("office", "anna"), ("tuesday", "ben"), ("gone", "carl"))]
    return to_plan(
        {"id": "n", "calendar": {"entries": entries, "otherwise": "box"}},
        *({"id": name, "destination": {"destination": {"user_id": name}}} for name in ("anna", "ben", "carl")),
        BOX,
        at=at,
        schedules=[
            {"id": "office", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "12:00"}]},
            {"id": "tuesday", "ranges": [{"weekdays": [2], "start": "00:00", "end": "24:00"}]},
        ],
    )


@pytest.mark.feature("R-5")
@pytest.mark.parametrize(("at", "rung"), [("2026-01-06 09:00", "anna"), ("2026-01-06 13:00", "ben")])
def test_the_first_schedule_that_is_open_wins(at: str, rung: str) -> None:
    assert calendar(at).rings == [(rung, 0, 25)]


@pytest.mark.feature("R-5")
def test_when_none_is_open_the_calendar_goes_otherwise() -> None:
    assert calendar("2026-01-07 13:00").mailbox == "main"


@pytest.mark.feature("R-20")
def test_the_trace_of_a_calendar_has_every_entry_and_why() -> None:
    assert calendar("2026-01-06 09:00").trace()[2:5] == [
        "+ schedule/office: Tue 2026-01-06 09:00 Europe/Zurich is inside 08:00-12:00 of Tue -> node anna",
        "- schedule/tuesday: not looked at: an entry before it holds -> node ben",
        "- schedule/gone: not looked at: an entry before it holds -> node carl",
    ]
    assert "- schedule/gone: there is no such schedule -> node carl" in calendar("2026-01-07 13:00").trace()


@pytest.mark.feature("R-2")
def test_an_announcement_goes_on_to_its_next_node_or_ends() -> None:
    spoken = {"id": "n", "announcement": {"announcements": [{"text": "Un instant"}], "next": "box"}}
    call = to_plan(spoken, BOX)
    assert [phrase.text for phrase in call.says] == ["Un instant"]
    assert call.becomes(Played()).mailbox == "main"
    last = {"id": "n", "announcement": {"announcements": [{"text": "Au revoir"}]}}
    assert to_plan(last).becomes(Played()).ends == (16, 480)


@pytest.mark.feature("R-2")
@pytest.mark.parametrize(("reason", "end"), [("normal", (16, 480)), ("busy", (17, 486)), ("rejected", (21, 603))])
def test_a_node_may_hang_up(reason: str, end: tuple[int, int]) -> None:
    assert to_plan({"id": "n", "hang_up": {"reason": reason}}).ends == end


@pytest.mark.feature("R-2")
def test_a_plan_may_send_a_call_to_another_plan() -> None:
    main = {"id": "p", "entry": "n", "nodes": [{"id": "n", "destination": {"destination": {"plan_id": "q"}}}]}
    other = {"id": "q", "entry": "box", "nodes": [BOX]}
    assert to_plan(BOX).mailbox == "main"
    assert SimulatedCall.from_outside(small_company(plans=[main, other]), "+41215550100", "2026-01-06 10:00").mailbox == "main"


def test_a_plan_that_goes_round_without_waiting_ends_the_call() -> None:
    call = to_plan({"id": "n", "destination": {"destination": {"plan_id": "p"}}})
    assert call.ends == (25, 482)
    assert "hop budget" in call.trace()[-1]
    assert len(call.trace()) == 151


def test_a_plan_that_rings_in_a_circle_ends_the_call_some_day() -> None:
    call = to_plan({"id": "n", "destination": {"destination": ANNA, "ways": {"otherwise": "n"}}})
    rung = 1
    while call.rang("no_answer").ends is None:
        rung += 1
    assert 40 < rung < 200
    assert call.ends == (25, 482)


def test_a_node_that_is_not_there_ends_the_call_and_is_said() -> None:
    call = to_plan({"id": "n", "destination": {"destination": ANNA, "ways": {"busy": "gone"}}}).rang("busy")
    assert call.ends == (25, 500)
    assert "- plan/p node gone: there is no such node -> hang_up" in call.trace()
