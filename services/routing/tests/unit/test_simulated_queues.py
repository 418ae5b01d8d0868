"""A simulated call goes through a queue as a live one does: what is said and when, whom it is offered to in order, and every way out."""

from asyncio import create_task
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import SystemClock
from carillon_kit.errors import InvalidArgument, Unavailable
from carillon_kit.testing import eventually
from carillon_routing import grpc_routing
from carillon_routing.grpc_simulate import simulated
from carillon_routing.testing import with_plan

pytestmark = pytest.mark.feature("R-10", "R-21")
NOW = datetime(2026, 1, 6, 9, tzinfo=UTC)
AGENTS: list[dict[str, Any]] = [{"id": f"agent-{user_id}", "user_id": user_id} for user_id in ("anna", "ben", "carl")]
MEMBERS = [{"agent_id": each["id"]} for each in AGENTS]
WAYS = {"full": {"mailbox_id": "main"}, "no_agents": {"hang_up": "busy"}, "waited_too_long": {"external_number": "+41791234567"}}
NODE = {"id": "q", "queue": {"queue_id": "q", "ways": {"answered": "end"}}}
END = {"id": "end", "hang_up": {"reason": "normal"}}
SAID = {
    "welcome": [{"text": "Welcome"}],
    "periodic": [{"text": "Please hold"}],
    "position": True,
    "first_in_line": [{"text": "You are next"}],
}


def company(agents: Any = AGENTS, **queue: Any) -> TenantConfig:
    return with_plan(NODE, END, queues=[{"id": "q", "members": MEMBERS, **WAYS, **queue}], agents=agents)


def asked(config: TenantConfig, **request: Any) -> pb.SimulateResponse:
    return simulated(config, pb.SimulateRequest(dialled="+41215550100", caller="+41791112233", **request), NOW)


def told(config: TenantConfig, **request: Any) -> list[str]:
    """The second of each step, what is said or who is rung, and what becomes of it."""
    found = []
    for turn in asked(config, **request).turns:
        kind = str(turn.step.WhichOneof("kind"))
        phrases = " ".join(each.speech.text for each in turn.step.wait.prompts)
        rung = " ".join(target.user_id or target.trunk.number for target in turn.step.ring.targets)
        after = int(turn.at.seconds - NOW.timestamp())
        found.append(" ".join(filter(None, (f"{after}", kind, rung, phrases, f"> {turn.outcome}" if turn.outcome else ""))))
    return found


def found(**fields: Any) -> dict[str, pb.SimulatedQueue]:
    return {"q": pb.SimulatedQueue(**fields)}


KEYS: dict[str, Any] = {"leave_key": "*", "callback_key": "1", "max_wait_seconds": 100}
FIRST, SECOND, LATER = (
    "0 wait Welcome Vous êtes en position 1.",
    "30 wait You are next Please hold Vous êtes en position 1.",
    "wait Please hold Vous êtes en position 1.",
)


@pytest.mark.parametrize(
    ("request_", "turns"),
    [
        ({}, ["0 ring anna > answered"]),
        ({"talk_seconds": 60, "answer_seconds": 4}, ["0 ring anna > answered", "64 hang_up"]),
        ({"queue_seconds": 70}, [f"{FIRST} > waited", f"{SECOND} > waited", f"60 {LATER} > signalled", "70 ring anna > answered"]),
        (
            {"queue_result": "waited_too_long"},
            [
                f"{FIRST} > waited",
                f"{SECOND} > waited",
                f"60 {LATER} > waited",
                f"90 {LATER} > signalled",
                "100 ring +41791234567 > answered",
            ],
        ),
        ({"queue_result": "left_by_key", "queue_seconds": 37}, [f"{FIRST} > waited", f"{SECOND} > digits", "37 hang_up"]),
        ({"queue_result": "called_back"}, [f"{FIRST} > digits", "0 play > play_ended", "4 hang_up"]),
        ({"queue_result": "removed", "queue_seconds": 9}, [f"{FIRST} > signalled", "9 hang_up"]),
        ({"queue_result": "full"}, ["0 delegate"]),
        ({"queues": found(waiting=10)}, ["0 delegate"]),
        ({"queue_seconds": 40, "gives_up_at_seconds": 35}, [f"{FIRST} > waited", f"{SECOND} > gave_up"]),
    ],
)
def test_a_queue_is_followed_from_the_welcome_to_the_answer_or_a_way_out(request_: dict[str, Any], turns: list[str]) -> None:
    assert told(company(announcements=SAID, **KEYS), **request_) == turns


def test_without_agents_the_caller_leaves_where_the_queue_says_so_and_waits_where_not() -> None:
    assert told(company(leave_without_agents=True), queue_result="no_agents") == ["0 hang_up"]
    assert told(company(leave_without_agents=True), logged_out_user_ids=["anna", "ben", "carl"]) == ["0 hang_up"]
    assert told(company(leave_without_agents=True), queues=found(agents_logged_in=0)) == ["0 hang_up"]
    assert told(company(max_wait_seconds=20), queue_result="no_agents") == ["0 wait > signalled", "20 ring +41791234567 > answered"]


def test_callers_before_are_answered_first_and_agents_talk_as_long_with_them() -> None:
    """Ben and Carl are busy: Anna takes the two before, 60 s each."""
    turns = told(company(announcements={"position": True}), queues=found(waiting=2, agents_idle=1), talk_seconds=60, answer_seconds=5)
    place = "wait Vous êtes en position"
    assert turns[:3] == [f"0 {place} 3. > waited", f"30 {place} 2. > waited", f"60 {place} 2. > waited"]
    assert turns[-2:] == ["130 ring anna > answered", "195 hang_up"]


def test_a_caller_of_a_higher_priority_comes_before_those_who_wait() -> None:
    config = company(priorities=[{"prefixes": ["+4179"], "priority": 5}])
    assert told(config, queues=found(waiting=3, agents_idle=0), talking_seconds={"anna": 12})[-1] == "12 ring anna > answered"
    assert told(company(), queues=found(waiting=3, agents_idle=0), talking_seconds={"anna": 12})[-1].endswith("> not_followed")


def test_agents_are_offered_in_the_queues_order_until_one_answers() -> None:
    """Anna lets it ring, Ben talks on his phone, Carl rejects; each is left alone for a while after that."""
    results = {"anna": "no_answer", "ben": "busy", "carl": "rejected"}
    turns = [each for each in told(company(), results=results, gives_up_at_seconds=40) if "ring" in each]
    assert [each.split()[2] for each in turns] == ["anna", "ben", "carl", "anna", "ben", "carl", "anna"]
    assert told(company(), results={"anna": "no_answer"}, answers_after_seconds={"ben": 3}, talk_seconds=1)[-1] == "19 hang_up"
    assert told(company(), idle_seconds={"carl": 60, "ben": 5}) == ["0 ring carl > answered"]
    assert told(company(strategy="all")) == ["0 ring anna ben carl > answered"]
    tiers = [{"agent_id": "agent-anna", "tier": 2}, {"agent_id": "agent-ben"}]
    assert told(company(members=tiers), results={"ben": "no_answer"})[:2] == ["0 ring ben > ring_ended", "15 ring anna > answered"]


def test_agents_who_talk_elsewhere_are_passed_over_and_that_is_said() -> None:
    (turn,) = asked(company(), busy_user_ids=["anna"]).turns
    lines = [f"{line.subject}: {line.reason}" for line in turn.trace][-2:]
    assert lines == ["queue/q user/anna: user/anna talks or is being rung", "queue/q: longest_idle: offered to agent-ben after 0 s"]
    assert told(company(max_wait_seconds=20), busy_user_ids=["anna", "ben", "carl"])[0] == "0 wait > signalled"


def test_skills_are_asked_less_of_the_longer_the_caller_waits() -> None:
    german = [{"name": "german", "min_level": 5, "widenings": [{"after_seconds": 45, "min_level": 2}]}]
    agents = [{**AGENTS[0], "skills": [{"name": "german", "level": 2}]}, *AGENTS[1:]]
    assert told(company(agents, skills=german)) == ["0 wait > waited", "30 wait > signalled", "45 ring anna > answered"]


def test_being_called_back_is_offered_after_a_while_and_the_key_counts_from_then_on() -> None:
    config = company(callback_key="1", callback={"offer_after_seconds": 45, "offer": [{"text": "Press 1"}]})
    assert told(config, queue_result="called_back", queue_seconds=10) == [
        "0 wait > waited",
        "30 wait > waited",
        "45 wait Press 1 > digits",
        "45 play > play_ended",
        "49 hang_up",
    ]


def test_each_step_has_the_trace_of_a_live_one_and_words() -> None:
    answer = asked(company(announcements=SAID), queue_seconds=20, language="en")
    lines = [[f"{line.subject}: {line.reason}" for line in turn.trace] for turn in answer.turns]
    assert lines[0][-2:] == ["queue/q: the caller waits for an agent, priority 0", "queue/q: position 1, priority 0, waiting 0 s"]
    assert lines[1] == ["queue/q: longest_idle: offered to agent-anna after 20 s"]
    assert answer.turns[0].explained.step_sentence == ("“Welcome Vous êtes en position 1.” is spoken; the caller waits for 30 s at most")
    assert [turn.outcome_sentence for turn in answer.turns] == ["The queue has somebody or something for the caller", "user Anna answers"]


def test_a_call_that_leads_from_one_queue_to_the_next_takes_its_time_along() -> None:
    second = {"id": "r", "members": MEMBERS, "max_wait_seconds": 30}
    first = {"id": "q", "members": MEMBERS, "max_wait_seconds": 20, "waited_too_long": {"queue_id": "r"}}
    config = with_plan({"id": "q", "queue": {"queue_id": "q"}}, queues=[first, second], agents=AGENTS)
    turns = told(config, queue_seconds=41)
    assert turns == ["0 wait > signalled", "20 wait > signalled", "41 ring anna > answered"]


def test_a_caller_for_whom_nobody_ever_comes_is_not_followed_for_ever() -> None:
    turns = told(company(announcements={"every_seconds": 10}), queue_result="waited_too_long")
    assert (len(turns), turns[-1]) == (400, "3990 wait > not_followed")


def test_it_ends_when_it_has_taken_long_enough() -> None:
    request = pb.SimulateRequest(dialled="+41215550100", queue_result="waited_too_long")
    answer = simulated(company(), request, NOW, lambda: True)
    assert [turn.outcome for turn in answer.turns] == ["not_followed"]


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"queues": {"q": pb.SimulatedQueue(waiting=101)}}, "queues.q.waiting"),
        ({"talking_seconds": {"nobody": 1}}, "talking_seconds.nobody"),
        ({"idle_seconds": {"anna": -1}}, "idle_seconds.anna"),
        ({"answers_after_seconds": {"anna": 86_401}}, "answers_after_seconds.anna"),
        ({"answers_after_seconds": {f"{number}": 1 for number in range(1001)}}, "answers_after_seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(state: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        asked(company(max_size=500), **state)
    assert field in refused.value.violations
    assert told(company(max_size=500), queues=found(waiting=500)) == ["0 delegate"]


async def test_one_call_is_simulated_at_a_time_and_no_longer_than_somebody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended, go_on = list[str](), list[str](), Event()

    def slowly(config: TenantConfig, request: pb.SimulateRequest, now: datetime, is_over: Callable[[], bool]) -> pb.SimulateResponse:
        begun.append(request.dialled)
        while not (is_over() or go_on.wait(0.01)):
            pass
        ended.append(request.dialled)
        return pb.SimulateResponse()

    monkeypatch.setattr(grpc_routing, "simulated", slowly)
    monkeypatch.setattr(grpc_routing, "TURN_SECONDS", 60)
    monkeypatch.setattr(grpc_routing, "SIMULATE_SECONDS", 60)
    monkeypatch.setattr(grpc_routing.Routing, "_config", lambda routing, draft_id: company())
    nothing: Any = None
    routing = grpc_routing.Routing(nothing, SystemClock(), nothing, nothing)
    first, second = (create_task(routing.Simulate(pb.SimulateRequest(dialled=dialled), None)) for dialled in ("1", "2"))
    try:
        await eventually(lambda: bool(begun))
        monkeypatch.setattr(grpc_routing, "TURN_SECONDS", 0)
        with pytest.raises(Unavailable, match="other calls are being simulated"):
            await routing.Simulate(pb.SimulateRequest(dialled="3"), None)
        first.cancel()
        await eventually(lambda: (begun, ended) == (["1", "2"], ["1"]), 30)
    finally:
        go_on.set()
    assert await second == pb.SimulateResponse()
