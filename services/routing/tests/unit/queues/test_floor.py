"""Queues, sentence by sentence, and what holds under any interleaving."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carillon_contracts.config import User
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import disturbing
from carillon_routing.domain.facts import CallFacts, TraceLine
from carillon_routing.domain.queues import assign
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues import events as e
from carillon_routing.domain.queues.decide import MISSED_OFFERS, Refused, decide
from carillon_routing.domain.queues.floor import Floor, fold
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("R-10")
AGENTS = ("anna", "ben", "carl")


def company(**queue: Any) -> TenantConfig:
    skills = {"anna": [{"name": "french", "level": 8}], "ben": [{"name": "french", "level": 3}], "carl": []}
    members = [{"agent_id": agent} for agent in AGENTS]
    return small_company(
        agents=[{"id": agent, "user_id": agent, "skills": skills[agent]} for agent in AGENTS],
        queues=[{"id": "sales", "members": members, **queue}],
    )


@dataclass
class Hall:
    """A floor with a clock; keeps every event."""

    config: TenantConfig
    floor: Floor = field(default_factory=Floor)
    now: float = 1000.0
    log: list[e.FloorEvent] = field(default_factory=list)

    def do(self, *given: c.Command, after: float = 0.0) -> "Hall":
        for command in given:
            self.now += after
            happened = decide(self.floor, command, self.config, self.now)
            self.log += happened
            self.floor = fold(self.floor, happened)
        return self

    def comes(self, call_id: str, *, priority: int = 0, number: str = "", joined_at: float | None = None) -> "Hall":
        return self.do(c.Join(call_id, "sales", self.now if joined_at is None else joined_at, priority, number), after=0.001)

    def takes(self, call_id: str) -> "Hall":
        """Media fetches the offer, the agent answers."""
        agent_id = self.floor.callers[call_id].offered[0]
        return self.do(c.Fetch(call_id), c.AgentAnswered(call_id, agent_id), c.Bridged(call_id, "b1"))

    def offers(self) -> dict[str, tuple[str, ...]]:
        return {caller.call_id: caller.offered for caller in self.floor.callers.values() if caller.offered}

    def order(self) -> list[str]:
        return [caller.call_id for caller in self.floor.waiting("sales")]


def hall(*on: str, **queue: Any) -> Hall:
    return Hall(company(**queue)).do(*(c.LogIn(agent) for agent in on), after=1.0)


def test_first_come_first_served() -> None:
    here = hall().comes("c1").comes("c2").comes("c3").do(c.LogIn("anna"))
    assert here.offers() == {"c1": ("anna",)}
    assert here.order() == ["c1", "c2", "c3"]


@pytest.mark.feature("M-7")
def test_a_fax_machine_leaves_whether_it_waits_rings_or_talks() -> None:
    here = hall("anna", wrap_up_seconds=0).comes("waits").takes("waits").comes("rings").do(c.Leave("waits", "answered"))
    assert here.offers() == {"rings": ("anna",)}, "the agent is free as soon as the machine is gone"
    here.do(c.Fetch("rings")).comes("c3").do(c.Leave("rings", "fax"))
    assert here.offers() == {"c3": ("anna",)}
    here.comes("c4").do(c.Leave("c4", "fax"))
    assert here.order() == ["c3"]
    reasons = [(event.call_id, event.reason) for event in here.log if isinstance(event, e.CallerLeft)]
    assert reasons == [("waits", "answered"), ("rings", "fax"), ("c4", "fax")]


def test_a_vip_comes_first_by_number_or_by_the_plan() -> None:
    here = hall(priorities=[{"prefixes": ["+4179"], "priority": 5}]).comes("c1").comes("vip", number="+41791112233").comes("c3", priority=9)
    assert here.order() == ["c3", "vip", "c1"]


def test_what_is_asked_for_one_caller_is_asked_of_the_agent_for_so_long_as_it_says() -> None:
    wants = c.Join("c1", "sales", 1000.0, skills={"french": 5}, skills_for=60)
    here = hall("ben", "carl").do(wants).comes("c2")
    assert here.offers() == {"c2": ("ben",)}, "neither knows enough French for the first one"
    assert set(here.do(c.Tick(), after=70).offers()) == {"c1", "c2"}, "now anybody will do"
    here = hall("ben").do(wants).do(c.LogIn("anna"))
    assert here.offers() == {"c1": ("anna",)}


def test_a_call_back_has_as_many_tries_and_as_much_time_as_the_queue_gives() -> None:
    settings = {"tries": 2, "pause_seconds": 20, "expires_seconds": 600}
    here = hall(callback=settings, callback_key="1").comes("c1", number="+41791112233")
    here.do(c.AskCallback("c1", "+41791112233"), c.CallOver("c1"), c.LogIn("anna"), c.StartCallback("c1", "v1"), c.CallOver("v1"))
    assert here.do(c.Tick(), after=19).offers() == {}
    assert here.do(c.Tick(), after=2).offers() == {"c1": ("anna",)}
    assert not here.do(c.StartCallback("c1", "v2"), c.CallOver("v2")).floor.callers, "that was the second try"
    here = hall(callback=settings, callback_key="1").comes("c1", number="+41791112233").do(c.AskCallback("c1", "+41791112233"))
    assert here.do(c.Tick(), after=599).floor.callers
    assert not here.do(c.Tick(), after=2).floor.callers


def test_who_was_not_answered_waits_on_at_the_same_place() -> None:
    here = hall("anna").comes("c1").comes("c2").do(c.Fetch("c1"), c.RingOver("c1", {"anna": "no_answer"}))
    assert here.order() == ["c1", "c2"]
    assert here.do(c.Tick(), after=4).offers() == {"c1": ("anna",)}


def test_an_agent_who_misses_too_many_offers_is_paused() -> None:
    here = hall("anna", missed_offers_to_pause=2).comes("c1")
    for _ in range(2):
        here.do(c.Tick(), c.Fetch("c1"), c.RingOver("c1", {"anna": "no_answer"}), after=4)
    assert here.floor.agents["anna"].paused == MISSED_OFFERS
    assert here.do(c.Tick(), after=60).offers() == {}
    assert here.do(c.Resume("anna")).offers() == {"c1": ("anna",)}


LISTED = [{"id": "nuisance", "callers": [{"prefix": "+41791112233", "exact": True}]}]


def spared(through: bool = False, **anna: Any) -> dict[str, tuple[str, ...]]:
    """Who is offered when a caller comes to a queue whose agents anna (who wants this) and ben are free, anna for longer."""
    config = small_company(
        users=[{"id": "anna", "last_name": "A", **anna}, {"id": "ben", "last_name": "B"}],
        caller_lists=LISTED,
        agents=[{"id": each, "user_id": each} for each in ("anna", "ben")],
        queues=[{"id": "sales", "members": [{"agent_id": "anna"}, {"agent_id": "ben"}], "through_do_not_disturb": through}],
    )
    here = Hall(config).do(c.LogIn("anna"), c.LogIn("ben"), after=1.0)
    return here.comes("c1", number="+41791112233").offers()


@pytest.mark.feature("R-14")
@pytest.mark.parametrize("wish", [{"do_not_disturb": True}, {"quiet_hours": [{"start": "00:00", "end": "23:59"}]}])
def test_an_agent_who_is_not_to_be_disturbed_is_passed_over_unless_the_queue_says_otherwise(wish: dict[str, Any]) -> None:
    assert spared() == {"c1": ("anna",)}
    assert spared(**wish) == {"c1": ("ben",)}
    assert spared(through=True, **wish) == {"c1": ("anna",)}
    assert spared(**wish, screening=[{"caller_list_id": "nuisance", "passes": "always"}]) == {"c1": ("anna",)}


@pytest.mark.feature("R-14")
def test_an_agent_is_not_offered_whom_their_own_list_never_lets_through() -> None:
    never = [{"caller_list_id": "nuisance", "passes": "never"}]
    assert spared(screening=never) == spared(through=True, screening=never) == {"c1": ("ben",)}


@pytest.mark.feature("R-14")
def test_what_agents_want_is_looked_at_once_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def left_alone(config: TenantConfig, call: CallFacts, now: datetime, user: User, *, through: bool) -> tuple[str, tuple[TraceLine, ...]]:
        asked.append((user.id, call.caller_number))
        return disturbing.left_alone(config, call, now, user, through=through)

    monkeypatch.setattr(assign, "left_alone", left_alone)
    never = [{"caller_list_id": "nuisance", "passes": "never"}]
    users = [{"id": "anna", "last_name": "A", "do_not_disturb": True}, {"id": "ben", "last_name": "B", "screening": never}]
    agents = [{"id": each, "user_id": each} for each in ("anna", "ben")]
    queue = {"id": "sales", "members": [{"agent_id": "anna"}, {"agent_id": "ben"}]}
    here = Hall(small_company(users=users, caller_lists=LISTED, agents=agents, queues=[queue])).do(c.LogIn("anna"), c.LogIn("ben"))
    for number in range(5):
        here.comes(f"c{number}", number="+41791112233")
    asked.clear()
    assert here.do(c.Tick()).offers() == {}
    assert asked == [("anna", "+41791112233"), ("ben", "+41791112233")]
    assert here.comes("c9", number="+41791112234").offers() == {"c9": ("ben",)}


def test_an_agent_who_may_be_disturbed_again_is_offered_who_waits() -> None:
    def company_with(*, undisturbed: bool) -> TenantConfig:
        members = [{"agent_id": "anna"}]
        users = [{"id": "anna", "last_name": "A", "do_not_disturb": undisturbed}]
        return small_company(users=users, agents=[{"id": "anna", "user_id": "anna"}], queues=[{"id": "sales", "members": members}])

    here = Hall(company_with(undisturbed=True)).do(c.LogIn("anna")).comes("c1")
    assert here.do(c.Tick(), after=5).offers() == {}
    here.config = company_with(undisturbed=False)
    assert here.do(c.Tick(), after=1).offers() == {"c1": ("anna",)}


def test_longest_idle() -> None:
    assert hall("ben", "anna").comes("c1").comes("c2").offers() == {"c1": ("ben",), "c2": ("anna",)}


def test_fewest_calls() -> None:
    here = hall("anna", "ben", strategy="fewest_calls").comes("c1").takes("c1").do(c.CallOver("c1"), after=5)
    assert here.comes("c2").offers() == {"c2": ("ben",)}


def test_round_robin_follows_the_members() -> None:
    here = hall("carl", "ben", "anna", strategy="round_robin")
    taken = []
    for n in range(4):
        taken.append(here.comes(f"c{n}").offers()[f"c{n}"][0])
        here.takes(f"c{n}").do(c.CallOver(f"c{n}"), after=5)
    assert taken == ["anna", "ben", "carl", "anna"]


def test_all_ring_and_the_others_are_free_again_when_one_answers() -> None:
    here = hall(*AGENTS, strategy="all").comes("c1")
    assert here.offers() == {"c1": AGENTS}
    here.do(c.Fetch("c1"), c.AgentAnswered("c1", "ben")).comes("c2")
    assert here.offers() == {"c2": ("anna", "carl")}


def test_a_higher_tier_rings_only_while_no_lower_one_is_free() -> None:
    members = [{"agent_id": "anna", "tier": 2}, {"agent_id": "ben", "tier": 1}]
    here = hall("anna", "ben", members=members).comes("c1").comes("c2")
    assert here.offers() == {"c1": ("ben",), "c2": ("anna",)}


@pytest.mark.parametrize(("waited", "offered"), [(0.0, ("anna",)), (35.0, ("ben",)), (90.0, ("carl",))])
def test_skills_widen_with_waiting(waited: float, offered: tuple[str, ...]) -> None:
    widenings = [{"after_seconds": 30, "min_level": 2}, {"after_seconds": 60, "min_level": 0}]
    skills = [{"name": "french", "min_level": 5, "widenings": widenings}]
    on = AGENTS if waited == 0 else (("ben", "carl") if waited == 35 else ("carl",))
    here = hall(*on, skills=skills).comes("c1", joined_at=None)
    before = here.offers()
    here.do(c.Tick(), after=waited)
    assert here.offers() == {"c1": offered}
    assert (before == here.offers()) == (waited == 0)


def test_wrap_up_keeps_the_agent_free_of_calls_for_a_while() -> None:
    here = hall("anna", wrap_up_seconds=20).comes("c1").takes("c1").do(c.LegOver("c1", "b1"), after=60).comes("c2")
    assert here.offers() == {}
    assert here.do(c.Tick(), after=19).offers() == {}
    assert here.do(c.Tick(), after=1).offers() == {"c2": ("anna",)}


def test_wrap_up_ends_early_when_the_agent_is_ready() -> None:
    here = hall("anna", wrap_up_seconds=600).comes("c1").takes("c1").do(c.CallOver("c1"), after=60).comes("c2").do(c.Resume("anna"))
    assert here.offers() == {"c2": ("anna",)}


def test_a_full_queue_takes_nobody_but_who_was_there_before() -> None:
    here = hall(max_size=2).comes("c1").comes("c2")
    with pytest.raises(Refused) as refused:
        here.comes("c3")
    assert refused.value.why == "full"
    with pytest.raises(Refused):
        here.comes("late", joined_at=here.now - 100)  # On the way for long, because the database was away.
    here.do(c.Join("back", "sales", 1001.0, back=True))
    assert here.order() == ["c1", "c2", "back"]


def test_no_agents_no_queue() -> None:
    with pytest.raises(Refused) as refused:
        hall(leave_without_agents=True).comes("c1")
    assert refused.value.why == "no_agents"


def test_callers_are_let_go_when_the_last_agent_goes_home() -> None:
    here = hall("anna", leave_without_agents=True).do(c.Pause("anna", "lunch")).comes("c1").do(c.LogOut("anna"), c.Tick())
    assert here.floor.callers["c1"].released == "no_agents"


def test_the_wait_has_an_end() -> None:
    here = hall(max_wait_seconds=60).comes("c1").do(c.Tick(), after=59)
    assert here.floor.callers["c1"].waits
    here.do(c.Tick(), after=1)
    assert here.floor.callers["c1"].released == "waited_too_long"


def test_an_offer_that_media_does_not_come_for_lapses_and_a_ghost_is_gone_in_the_end() -> None:
    here = hall("anna").comes("ghost").comes("c2")
    for _ in range(3):
        here.do(c.Tick(), after=7)
    assert "ghost" not in here.floor.callers
    assert here.offers() == {"c2": ("anna",)}


def test_a_question_of_a_call_that_has_just_ended_does_not_bring_it_back() -> None:
    here = hall().comes("c1").do(c.CallOver("c1"))
    with pytest.raises(Refused):
        here.comes("c1")


def test_who_was_believed_to_have_answered_because_nobody_said_anything_is_free_when_it_comes_out() -> None:
    here = hall("anna").comes("c1").do(c.Fetch("c1")).do(c.Tick(), after=60)
    assert here.floor.callers["c1"].agent_id == "anna"
    here.do(c.RingOver("c1", {"anna": "no_answer"}))
    assert here.order() == ["c1"]
    assert here.do(c.Tick(), after=4).offers() == {"c1": ("anna",)}


def test_each_event_says_where_it_was_and_after_how_long() -> None:
    here = hall("anna").comes("c1").comes("c2").takes("c1").do(c.CallOver("c1"), after=60).do(c.CallOver("c2"), after=5)
    callers = [event for event in here.log if isinstance(event, e.CallerEvent)]
    assert {event.queue_id for event in callers} == {"sales"}
    assert [event.position for event in here.log if isinstance(event, e.CallerJoined)] == [1, 2]
    left = [event for event in here.log if isinstance(event, e.CallerLeft)]
    assert [(event.call_id, event.reason, event.position, round(event.waited_seconds)) for event in left] == [
        ("c1", "answered", 0, 0),
        ("c2", "abandoned", 1, 65),
    ]


def test_a_caller_who_hangs_up_frees_the_agents() -> None:
    here = hall("anna").comes("c1").comes("c2").do(c.Fetch("c1"), c.CallOver("c1"))
    assert here.offers() == {"c2": ("anna",)}


def test_a_call_back_keeps_its_place_and_rings_one_agent_first() -> None:
    here = hall(strategy="all").comes("c1").comes("c2").do(c.AskCallback("c1", "+41791112233"), c.CallOver("c1"))
    assert here.order() == ["c1", "c2"]
    here.do(c.LogIn("anna"), c.LogIn("ben"))
    assert here.offers() == {"c1": ("anna",), "c2": ("ben",)}
    here.do(c.StartCallback("c1", "out"), c.Bridged("out", "b1"), c.CallOver("out"), after=1)
    assert "c1" not in here.floor.callers
    assert here.floor.agents["anna"].call_id == ""


def to_be_called_back(**queue: Any) -> Hall:
    here = hall("anna", **queue).do(c.Pause("anna", "x")).comes("c1").do(c.AskCallback("c1", "+41791112233"), c.CallOver("c1"))
    return here.do(c.Resume("anna"))


def test_a_call_back_that_reaches_nobody_is_tried_three_times_a_minute_apart() -> None:
    here = to_be_called_back()
    for n in range(3):
        assert here.offers() == {"c1": ("anna",)}
        here.do(c.StartCallback("c1", f"out{n}"), c.CallOver(f"out{n}"), after=1)
        assert here.offers() == {}
        here.do(c.Tick(), after=61)
    assert "c1" not in here.floor.callers
    assert [event.reason for event in here.log if isinstance(event, e.CallerLeft)] == ["callback_failed"]


def test_a_call_back_that_could_not_be_begun_is_no_try_and_one_that_is_never_heard_of_again_is() -> None:
    here = to_be_called_back()
    for _ in range(5):
        here.do(c.Tick(), after=7)
    assert here.offers() == {"c1": ("anna",)}
    here.do(c.StartCallback("c1", "lost")).do(c.Tick(), after=121)
    assert (here.floor.callers["c1"].lapses, here.offers()) == (1, {})
    assert here.do(c.Tick(), after=61).offers() == {"c1": ("anna",)}


def test_nobody_is_called_back_hours_later() -> None:
    here = to_be_called_back().do(c.LogOut("anna"), c.Tick(), after=7).do(c.Tick(), after=4 * 3600)
    assert [event.reason for event in here.log if isinstance(event, e.CallerLeft)] == ["callback_failed"]


def test_a_supervisor_moves_a_caller_to_the_front_and_lets_one_go() -> None:
    here = hall().comes("c1").comes("c2").do(c.Rank("c2", priority=9))
    assert here.order() == ["c2", "c1"]
    here.do(c.Remove("c1"))
    assert here.floor.callers["c1"].released == "removed"


@pytest.mark.parametrize("command", [c.LogIn("nobody"), c.Pause("nobody", ""), c.Rank("c9"), c.Remove("c9"), c.Rank("c1", queue_id="no")])
def test_what_is_not_there_is_refused(command: c.Command) -> None:
    here = hall().comes("c1")
    with pytest.raises(Refused):
        here.do(command)


CALLS = st.sampled_from([f"c{n}" for n in range(6)])
WHO = st.sampled_from(AGENTS)
RESULTS = st.sampled_from(["no_answer", "busy", "unreachable", "rejected", "answered"])
COMMANDS = st.one_of(
    st.builds(c.Join, CALLS, st.just("sales"), st.just(0.0), st.integers(0, 2)),
    st.builds(c.Fetch, CALLS),
    st.builds(lambda call, agent, result: c.RingOver(call, {agent: result}), CALLS, WHO, RESULTS),
    st.builds(c.AgentAnswered, CALLS, WHO),
    st.builds(c.Bridged, CALLS, st.sampled_from(["b1", "b2"])),
    st.builds(c.LegOver, CALLS, st.sampled_from(["b1", "b2"])),
    st.builds(c.CallOver, CALLS),
    st.builds(c.Leave, CALLS, st.sampled_from(["left_by_key", "answered", "fax"])),
    st.builds(c.AskCallback, CALLS, st.just("+41791112233")),
    st.builds(c.StartCallback, CALLS, st.sampled_from(["o1", "o2"])),
    st.builds(c.CallOver, st.sampled_from(["o1", "o2"])),
    st.builds(c.LogIn, WHO),
    st.builds(c.LogOut, WHO),
    st.builds(c.Pause, WHO, st.just("lunch")),
    st.builds(c.Resume, WHO),
    st.just(c.Tick()),
)


def check(here: Hall) -> None:
    """Nobody is rung twice, no ghost holds an agent, who stands before gets an agent before."""
    floor = here.floor
    held = [agent_id for caller in floor.callers.values() for agent_id in (*caller.offered, caller.agent_id) if agent_id]
    assert len(held) == len(set(held)), "an agent belongs to two callers"
    for caller in floor.callers.values():
        assert all(floor.agents[agent_id].call_id == caller.call_id for agent_id in (*caller.offered, caller.agent_id) if agent_id)
    for agent in floor.agents.values():
        assert not agent.call_id or agent.agent_id in held, "an agent is held by nobody"
    free = [agent for agent in floor.agents.values() if agent.free(here.now)]
    assert not (free and any(caller.waits and caller.not_before <= here.now for caller in floor.callers.values())), (
        "a caller waits beside a free agent"
    )


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(COMMANDS, st.floats(0, 20)), max_size=60), st.sampled_from(["longest_idle", "all", "round_robin", "fewest_calls"])
)
def test_whatever_happens_in_whatever_order(steps: list[tuple[c.Command, float]], strategy: str) -> None:
    here = Hall(company(strategy=strategy, wrap_up_seconds=5, missed_offers_to_pause=3, max_wait_seconds=100))
    joined: dict[str, tuple[float, int]] = {}
    for command, seconds in steps:
        if isinstance(command, c.Join):
            if command.call_id in here.floor.gone:
                continue
            command = c.Join(command.call_id, "sales", here.now + seconds, command.priority)
        before = here.order()
        here.do(command, after=seconds)
        check(here)
        stayed = [call_id for call_id in here.order() if call_id in before]
        assert stayed == [call_id for call_id in before if call_id in stayed], "the order changed"
        joined.update({caller.call_id: (caller.joined_at, caller.order) for caller in here.floor.callers.values()})
        # A writer that dies leaves its events; the next one is what they say.
        assert fold(Floor(), here.log) == here.floor
