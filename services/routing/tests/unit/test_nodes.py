"""Nodes that look at something, tell or ask the outside, and run other plans."""

from typing import Any

import pytest

from carillon_routing.domain.branches import share_of
from carillon_routing.domain.cursor import QueueWait
from carillon_routing.domain.facts import GaveUp, HangUp
from carillon_routing.domain.queue_steps import EnterQueue
from carillon_routing.domain.queueing import wanted
from carillon_routing.testing import SimulatedCall, World, small_company, to_plan, with_plan

BYE: dict[str, Any] = {"id": "bye", "hang_up": {"reason": "busy"}}


def ring(node: str, user_id: str, **ways: Any) -> dict[str, Any]:
    return {"id": node, "destination": {"destination": {"user_id": user_id}, "ways": ways}}


ANNA, BEN, CARL = ring("anna", "anna"), ring("ben", "ben"), ring("carl", "carl")


def rung(call: SimulatedCall) -> list[str]:
    return [who for who, _, _ in call.rings]


@pytest.mark.feature("R-4")
@pytest.mark.parametrize(
    ("caller", "who"), [("+41791112233", "anna"), ("+33140000000", "ben"), ("", "carl"), ("+41215550000", "ben"), ("+491700000", "carl")]
)
def test_a_call_goes_by_where_it_comes_from(caller: str, who: str) -> None:
    entries = [{"prefixes": ["+4179"], "next": "anna"}, {"countries": ["FR"], "numbers": ["+41215550000"], "next": "ben"}]
    origin = {"id": "o", "origin": {"entries": [*entries, {"withheld": True, "next": "carl"}], "otherwise": "carl"}}
    assert rung(to_plan(origin, ANNA, BEN, CARL, caller=caller)) == [who]


@pytest.mark.feature("R-2")
def test_a_white_list_lets_its_callers_through() -> None:
    lists = [{"id": "vip", "callers": [{"prefix": "+4179", "label": "mobiles"}, {"prefix": "+33", "exact": True}]}]
    node = {"id": "l", "caller_list": {"caller_list_id": "vip", "listed": "anna", "otherwise": "ben"}}
    assert rung(to_plan(node, ANNA, BEN, caller_lists=lists)) == ["anna"]
    assert rung(to_plan(node, ANNA, BEN, caller="+33140000000", caller_lists=lists)) == ["ben"]


@pytest.mark.feature("D-12")
def test_a_mode_set_by_hand_beats_the_ranges_and_a_plan_can_tell_it() -> None:
    schedules = [{"id": "day", "ranges": [{"weekdays": [1, 2, 3, 4, 5, 6, 7], "start": "00:00", "end": "24:00"}], "mode": "night"}]
    mode = {"id": "m", "mode": {"schedule_id": "day", "entries": [{"mode": "night", "next": "cal"}], "otherwise": "anna"}}
    calendar = {"id": "cal", "calendar": {"entries": [{"schedule_id": "day", "next": "anna"}], "otherwise": "ben"}}
    assert rung(to_plan(mode, calendar, ANNA, BEN, schedules=schedules)) == ["ben"]


@pytest.mark.feature("R-5")
def test_a_holiday_closes_beside_opening_hours_and_an_exception_beats_it() -> None:
    day: dict[str, Any] = {"id": "day", "ranges": [{"weekdays": [2], "start": "08:00", "end": "18:00"}]}
    day["holidays"] = [{"date": "2026-01-06", "label": "Epiphany", "country": "CH"}]
    calendar = {"id": "cal", "calendar": {"entries": [{"schedule_id": "day", "next": "anna"}], "otherwise": "ben"}}
    assert rung(to_plan(calendar, ANNA, BEN, schedules=[day])) == ["ben"]
    day["exceptions"] = [{"date": "2026-01-06", "ranges": [{"start": "09:00", "end": "11:00"}]}]
    assert rung(to_plan(calendar, ANNA, BEN, schedules=[day])) == ["anna"]


@pytest.mark.feature("R-26")
@pytest.mark.parametrize("percents", [[30, 70], [1, 99], [33, 33, 34], [50, 25, 25], [5] * 20, [100]])
def test_shares_hold_over_any_run_of_calls(percents: list[int]) -> None:
    given = [0] * len(percents)
    for n in range(300):
        given[share_of(percents, n)] += 1
        for count, percent in zip(given, percents, strict=True):
            assert abs(count * 100 - percent * (n + 1)) < 100


@pytest.mark.feature("R-26")
def test_a_split_says_its_count() -> None:
    split = {"id": "s", "split": {"shares": [{"percent": 30, "next": "anna"}, {"percent": 70, "next": "ben"}]}}
    config, world = with_plan(split, ANNA, BEN), World()
    calls = [SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", world=world, call_id=f"c{n}") for n in range(10)]
    assert sum(rung(call) == ["anna"] for call in calls) == 3
    assert "70 % of the calls, of which this is number 10" in "\n".join(calls[-1].trace())


@pytest.mark.feature("R-16")
def test_calls_above_a_limit_go_another_way() -> None:
    limit = {"id": "l", "limit": {"max_calls": 2, "within": "anna", "over": "ben"}}
    config, world = with_plan(limit, ANNA, BEN), World()
    calls = [SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", world=world, call_id=f"c{n}") for n in range(3)]
    assert [rung(call) for call in calls] == [["anna"], ["anna"], ["ben"]]
    assert rung(SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", world=World(dark=True))) == ["anna"]


@pytest.mark.feature("R-17")
def test_a_language_is_set_and_two_are_spoken_in_the_calls_order() -> None:
    says = [{"text": "fr", "language": "fr"}, {"text": "en", "language": "en"}, {"text": "de", "language": "de"}]
    nodes = [{"id": "l", "language": {"languages": ["fr", "en"], "next": "say"}}, {"id": "say", "announcement": {"announcements": says}}]
    config = with_plan(*nodes)
    orders = {
        tuple(phrase.text for phrase in SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", call_id=f"c{n}").says)
        for n in range(30)
    }
    assert orders == {("fr", "en"), ("en", "fr")}


@pytest.mark.feature("R-2")
def test_a_variable_is_looked_up_and_decides() -> None:
    tables = [{"id": "vip", "rows": [{"key": "+4179", "value": "gold"}, {"key": "+41", "value": "plain"}]}]
    find = {"look_up_table_id": "vip", "longest_prefix": True, "variable": "rank", "found": "w", "otherwise": "bye"}
    switch = {"id": "w", "switch": {"variable": "rank", "entries": [{"value": "gold", "next": "anna"}], "otherwise": "ben"}}
    nodes = ({"id": "f", "look_up": find}, switch, ANNA, BEN, BYE)
    assert rung(to_plan(*nodes, look_up_tables=tables)) == ["anna"]
    assert rung(to_plan(*nodes, caller="+41215551111", look_up_tables=tables)) == ["ben"]
    assert to_plan(*nodes, caller="+33140000000", look_up_tables=tables).ends == (17, 486)


@pytest.mark.feature("R-2")
def test_a_web_hook_sets_variables_and_its_failure_has_a_way() -> None:
    hook = {"id": "h", "webhook": {"url": "https://crm.example/x", "variables": ["rank"], "next": "w", "failed": "ben"}}
    switch = {"id": "w", "switch": {"variable": "rank", "entries": [{"value": "gold", "next": "anna"}], "otherwise": "ben"}}
    world = World(web={"https://crm.example/x": {"status": 200, "body": {"rank": "gold", "other": "x"}}})
    call = to_plan(hook, switch, ANNA, BEN, world=world)
    assert rung(call) == ["anna"]
    assert call.last.read[0].key.startswith("fetch https://crm.example/x")
    assert world.fetched[0].body is not None
    assert world.fetched[0].body["caller_number"] == "+41791112233"
    assert rung(to_plan(hook, switch, ANNA, BEN)) == ["ben"]


@pytest.mark.feature("R-2")
def test_an_email_is_filled_in_and_its_failure_has_a_way() -> None:
    mail = {"recipients": ["a@acme.example"], "subject": "Call of {caller_number}", "next": "anna", "failed": "ben"}
    world = World()
    assert rung(to_plan({"id": "m", "email": mail}, ANNA, BEN, world=world)) == ["anna"]
    assert world.mails is not None
    assert world.mails[0].subject == "Call of +41791112233"
    assert rung(to_plan({"id": "m", "email": mail}, ANNA, BEN, world=World(mails=None))) == ["ben"]


@pytest.mark.feature("R-15")
def test_a_known_caller_goes_to_who_last_talked_with_them_and_else_the_plan_goes_on() -> None:
    sticky = {"id": "s", "sticky_agent": {"sources": [{"kind": "history"}], "reach": "extension", "next": "ben"}}
    call = to_plan(sticky, BEN, world=World(agents={"+41791112233": "anna"}))
    assert rung(call) == ["anna"]
    assert rung(call.rang("no_answer")) == ["ben"]
    assert rung(to_plan(sticky, BEN)) == ["ben"]
    assert rung(to_plan(sticky, BEN, world=World(agents={"+41791112233": "gone"}))) == ["ben"]


@pytest.mark.feature("R-14", "R-15")
@pytest.mark.parametrize(("passes", "who"), [("never", ["ben"]), ("always", ["anna", "+41795550101@carrier"])])
def test_screening_lists_of_who_last_talked_with_a_caller_count(passes: str, who: list[str]) -> None:
    screening = [{"caller_list_id": "known", "passes": passes}]
    anna = {"id": "anna", "last_name": "A", "mobile": "+41795550101", "do_not_disturb": True, "screening": screening}
    sticky = {"id": "s", "sticky_agent": {"sources": [{"kind": "history"}], "reach": "both", "next": "ben"}}
    lists = [{"id": "known", "callers": [{"prefix": "+4179"}]}]
    world = World(agents={"+41791112233": "anna"})
    users = [anna, {"id": "ben", "last_name": "B"}]
    assert rung(to_plan(sticky, BEN, world=world, users=users, caller_lists=lists)) == who


@pytest.mark.feature("R-2")
def test_a_sub_plan_returns_by_its_exits() -> None:
    nodes = [
        {"id": "s", "sub_plan": {"plan_id": "part", "exits": [{"name": "no", "next": "ben"}], "next": "anna"}},
        ANNA,
        BEN,
    ]
    part = {"id": "part", "entry": "r", "nodes": [{"id": "r", "return_to": {"exit": "no"}}]}
    plans = [{"id": "p", "entry": "s", "nodes": nodes}, part]
    assert rung(SimulatedCall.from_outside(small_company(plans=plans), "+41215550100", "2026-01-06 10:00")) == ["ben"]
    endless = [{"id": "p", "entry": "s", "nodes": [{"id": "s", "sub_plan": {"plan_id": "p"}}]}]
    assert SimulatedCall.from_outside(small_company(plans=endless), "+41215550100", "2026-01-06 10:00").ends == (25, 482)


@pytest.mark.feature("R-3")
def test_every_outcome_has_its_own_way_and_a_cause_comes_first() -> None:
    ways = {"busy": "ben", "rejected": "carl", "causes": [{"cause": 34, "next": "bye"}], "otherwise": "carl"}

    def call() -> SimulatedCall:
        return to_plan(ring("anna", "anna", **ways), BEN, CARL, BYE)

    assert rung(call().rang("busy")) == ["ben"]
    assert rung(call().rang("rejected")) == ["carl"]
    assert call().rang("congested", cause=34).ends == (17, 486)
    assert rung(call().rang("congested")) == ["carl"]
    without = to_plan(ring("anna", "anna", busy="ben"), BEN).rang("rejected")
    assert rung(without) == ["ben"]


@pytest.mark.feature("R-3")
def test_a_caller_who_gives_up_leaves_a_notice() -> None:
    mail = {"id": "m", "email": {"recipients": ["a@acme.example"], "subject": "Missed", "next": "bye"}}
    world = World()
    call = to_plan(ring("anna", "anna", gave_up="m"), mail, BYE, world=world).becomes(GaveUp())
    assert isinstance(call.last.step, HangUp)
    assert world.mails is not None
    assert [each.subject for each in world.mails] == ["Missed"]


@pytest.mark.feature("R-10")
def test_a_plan_gives_a_caller_priority_and_wanted_skills_by_variables() -> None:
    def entered(priority: str, skills: str) -> tuple[EnterQueue, list[str]]:
        call = to_plan(
            {"id": "set", "set_variable": {"name": "level", "value": "7", "next": "product"}},
            {"id": "product", "set_variable": {"name": "product", "value": "printers:3", "next": "wait"}},
            {"id": "wait", "queue": {"queue_id": "q", "priority": priority, "skills": skills, "skills_for_seconds": 60}},
            queues=[{"id": "q", "priorities": [{"prefixes": ["+4179"], "priority": 4}]}],
        )
        assert isinstance(call.last.step, EnterQueue)
        assert call.last.at is not None
        wait = call.last.at.wait
        assert isinstance(wait, QueueWait)
        assert (wait.priority, wait.skills, wait.skills_for) == (call.last.step.priority, call.last.step.skills, 60 if wait.skills else 0)
        return call.last.step, call.trace()

    step, trace = entered("{level}", "french:5, {product}")
    assert (step.priority, step.skills) == (7, "french:5,printers:3")
    assert wanted(step.skills) == {"french": 5, "printers": 3}
    assert "+ queue/q priority: the node gives '7'" in trace
    assert "+ queue/q skills: the agent must know french:5,printers:3, in the first 60 s" in trace
    assert entered("2", "")[0] == EnterQueue("q", 4), "what the queue gives by the number is more"
    step, trace = entered("{nothing}9x", "French, {nothing}, french:11")
    assert step == EnterQueue("q", 4)
    assert "- queue/q priority: '9x' is no priority from 0 to 9" in trace
    assert [line for line in trace if "is no skill" in line] == [
        f"- queue/q skills: {odd!r} is no skill" for odd in ("French", "french:11")
    ]
