"""A simulation is asked for any moment and state: the hand on schedules, who talks, who is there, what the call brings along."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import InvalidArgument
from carillon_kit.pins import hash_pin
from carillon_routing.grpc_simulate import simulated
from carillon_routing.testing import small_company, with_plan

pytestmark = pytest.mark.feature("R-21")
NOW = datetime(2026, 1, 6, 9, tzinfo=UTC)
OFFICE = {"id": "office", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "08:00", "end": "18:00"}]}
TEAM = {"id": "team", "strategy": "all_idle", "members": [{"user_id": "anna"}, {"user_id": "ben"}], "timeout_seconds": 30}
NODES: tuple[dict[str, Any], ...] = (
    {"id": "vip", "switch": {"variable": "vip", "entries": [{"value": "yes", "next": "carl"}], "otherwise": "hours"}},
    {"id": "hours", "calendar": {"entries": [{"schedule_id": "office", "next": "team"}], "otherwise": "box"}},
    {"id": "team", "hunt_group": {"hunt_group_id": "team", "ways": {"otherwise": "box"}}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
    {"id": "carl", "destination": {"destination": {"user_id": "carl"}, "ways": {"unreachable": "box"}}},
)
CONFIG = with_plan(*NODES, schedules=[OFFICE], hunt_groups=[TEAM])


def steps(**request: Any) -> list[tuple[str, list[str]]]:
    """Kind of each step, and who rings."""
    answer = simulated(CONFIG, pb.SimulateRequest(dialled="+41215550100", caller="+41791112233", **request), NOW)
    return [(str(turn.step.WhichOneof("kind")), [target.user_id for target in turn.step.ring.targets]) for turn in answer.turns]


def test_schedules_set_by_hand_beat_the_clock() -> None:
    assert steps() == [("ring", ["anna", "ben"])]
    assert steps(schedule_modes={"office": "night"}) == [("delegate", [])]
    night = pb.SimulateRequest()
    night.at.FromDatetime(datetime(2026, 1, 6, 21, tzinfo=UTC))
    assert steps(at=night.at) == [("delegate", [])]
    assert steps(at=night.at, schedule_modes={"office": "day"}) == [("ring", ["anna", "ben"])]


def test_who_talks_or_is_logged_out_is_not_rung() -> None:
    assert steps(busy_user_ids=["anna"]) == [("ring", ["ben"])]
    assert steps(logged_out_user_ids=["ben"]) == [("ring", ["anna"])]
    assert steps(busy_user_ids=["anna"], logged_out_user_ids=["ben"]) == [("delegate", [])]


def test_the_call_brings_variables_and_who_has_no_phone_is_unreachable() -> None:
    assert steps(variables={"vip": "yes"}) == [("ring", ["carl"])]
    assert steps(variables={"vip": "yes"}, unregistered_user_ids=["carl"]) == [("ring", ["carl"]), ("delegate", [])]
    # What is said of the outcome counts before the state.
    assert steps(variables={"vip": "yes"}, unregistered_user_ids=["carl"], results={"carl": "answered"}) == [("ring", ["carl"])]


def test_the_state_is_nothing_that_stays() -> None:
    steps(schedule_modes={"office": "night"}, busy_user_ids=["anna"])
    assert steps() == [("ring", ["anna", "ben"])]


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"schedule_modes": {"nowhere": "day"}}, "schedule_modes.nowhere"),
        ({"schedule_modes": {"office": "party"}}, "schedule_modes"),
        ({"busy_user_ids": ["nobody"]}, "busy_user_ids"),
        ({"unregistered_user_ids": ["nobody"]}, "unregistered_user_ids"),
        ({"logged_out_user_ids": ["nobody"]}, "logged_out_user_ids"),
        ({"variables": {"caller_number": "1"}}, "variables.caller_number"),
        ({"variables": {"vip": "x" * 201}}, "variables.vip"),
        ({"variables": {f"v{index}": "" for index in range(17)}}, "variables"),
        ({"trunk_id": "nowhere"}, "trunk_id"),
        ({"caller_user_id": "anna", "trunk_id": "carrier"}, "trunk_id"),
        ({"language": "xx"}, "language"),
        ({"results": {"anna": "gone"}}, "results.anna"),
        ({"queue_result": "gone"}, "queue_result"),
        ({"causes": {"anna": 128}}, "causes.anna"),
        ({"talk_seconds": 86_401}, "talk_seconds"),
        ({"gives_up_at_seconds": -1}, "gives_up_at_seconds"),
        ({"queues": {"nowhere": pb.SimulatedQueue()}}, "queues.nowhere"),
        ({"limits": {"nowhere": pb.SimulatedCount()}}, "limits"),
        ({"limits": {"tenant/acme in": pb.SimulatedCount(calls=-1)}}, "limits.tenant/acme in"),
        ({"shares": {"nowhere": 1}}, "shares"),
        ({"web_answers": {"https://x.example": pb.SimulatedAnswer(status=200)}}, "web_answers"),
        ({"last_agent_user_id": "nobody"}, "last_agent_user_id"),
        ({"answered_today": {"anna": -1}}, "answered_today.anna"),
        ({"trunk_calls": {"nowhere": 1}}, "trunk_calls"),
        ({"wrong_codes": -1}, "wrong_codes"),
        ({"keys": [""] * 1001}, "keys"),
        ({"at": Timestamp(seconds=-62_135_596_800)}, "at"),
        ({"at": Timestamp(seconds=253_402_300_799)}, "at"),
        ({"at": Timestamp(seconds=2**62)}, "at"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(state: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        steps(**state)
    assert field in refused.value.violations


# -- the course of time ------------------------------------------------------------------------------------------------

AFTER_WAYS = {"answered": "told", "gave_up": "told", "no_answer": "hours", "busy": "hours"}
LUNCH = {"id": "lunch", "ranges": [{"weekdays": [1, 2, 3, 4, 5], "start": "10:00", "end": "10:01"}]}
AFTER: tuple[dict[str, Any], ...] = (
    {"id": "first", "destination": {"destination": {"user_id": "anna"}, "ways": AFTER_WAYS}},
    {"id": "hours", "calendar": {"entries": [{"schedule_id": "lunch", "next": "ben"}], "otherwise": "box"}},
    {"id": "ben", "destination": {"destination": {"user_id": "ben"}}},
    {"id": "told", "email": {"recipients": ["a@acme.example"], "subject": "x", "text": "y", "next": "end", "failed": "box"}},
    {"id": "end", "hang_up": {"reason": "normal"}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
)
LATER = with_plan(*AFTER, schedules=[LUNCH])


def turns(config: TenantConfig = LATER, **request: Any) -> list[tuple[str, str, int]]:
    """Kind of each step, what becomes of it, and the second when it is decided."""
    answer = simulated(config, pb.SimulateRequest(dialled="+41215550100", caller="+41791112233", **request), NOW)
    return [(str(each.step.WhichOneof("kind")), each.outcome, int(each.at.seconds - NOW.timestamp())) for each in answer.turns]


def test_the_clock_goes_on_while_it_rings() -> None:
    """Anna rings for 25 s; at 10:00:50 it is lunch still, and at 10:01:15 not any more."""
    in_vain = {"anna": "no_answer", "ben": "no_answer"}
    assert turns(results=in_vain)[:2] == [("ring", "ring_ended", 0), ("ring", "ring_ended", 25)]
    at = pb.SimulateRequest()
    at.at.FromDatetime(datetime(2026, 1, 6, 9, 0, 50, tzinfo=UTC))
    assert turns(results=in_vain, at=at.at)[1][0] == "delegate"
    assert turns(results={"anna": "busy"}, at=at.at)[1][0] == "ring"


def test_who_comes_next_rings_at_once_when_nobody_rings_any_more() -> None:
    group = {
        "id": "g",
        "strategy": "sequential",
        "members": [{"user_id": "anna", "ring_seconds": 10}, {"user_id": "ben", "ring_seconds": 10}],
    }
    nodes = ({"id": "g", "ring_group": {"ring_group_id": "g", "ways": {"otherwise": "box"}}}, AFTER[-1])
    config = with_plan(*nodes, ring_groups=[group])
    assert turns(config, results={"anna": "no_answer", "ben": "no_answer"})[1] == ("delegate", "", 20)
    assert turns(config, results={"anna": "busy", "ben": "no_answer"})[1] == ("delegate", "", 10)
    assert turns(config, results={"anna": "busy", "ben": "unreachable"})[1] == ("delegate", "", 0)


def test_a_call_goes_on_after_the_talk_by_the_way_of_who_was_answered() -> None:
    assert turns() == [("ring", "answered", 0)]
    assert turns(answer_seconds=4, talk_seconds=90) == [("ring", "answered", 0), ("hang_up", "", 94)]
    assert turns(talk_seconds=90, mails_fail=True)[-1] == ("delegate", "", 90)


def test_a_caller_who_gives_up_while_it_rings_is_written_about_and_one_who_talks_is_not() -> None:
    assert turns(answer_seconds=10, gives_up_at_seconds=4) == [("ring", "gave_up", 0), ("hang_up", "", 4)]
    assert turns(answer_seconds=3, gives_up_at_seconds=4) == [("ring", "answered", 0)]
    assert turns(talk_seconds=90, gives_up_at_seconds=4) == [("ring", "answered", 0)]
    # Ben's node has no way for it.
    assert turns(results={"anna": "busy", "ben": "no_answer"}, gives_up_at_seconds=3)[1:] == [("ring", "gave_up", 0)]


def test_whoever_releases_with_a_cause_takes_the_way_of_the_cause() -> None:
    ways = {"causes": [{"cause": 27, "next": "box"}], "rejected": "ben"}
    config = with_plan({"id": "first", "destination": {"destination": {"user_id": "anna"}, "ways": ways}}, AFTER[2], AFTER[-1])
    assert turns(config, results={"anna": "rejected"})[1][0] == "ring"
    assert turns(config, results={"anna": "rejected"}, causes={"anna": 27})[1][0] == "delegate"


# -- what others count and answer --------------------------------------------------------------------------------------

STICKY = [{"kind": "history", "days": 30}, {"kind": "http", "url": "https://crm.example/agent"}]
COUNTED: tuple[dict[str, Any], ...] = (
    {"id": "few", "limit": {"max_calls": 2, "max_starts": 5, "per_seconds": 60, "within": "share", "over": "end"}},
    {"id": "share", "split": {"shares": [{"percent": 50, "next": "crm"}, {"percent": 50, "next": "box"}]}},
    {"id": "crm", "webhook": {"url": "https://crm.example/who", "variables": ["vip"], "next": "vip", "failed": "box"}},
    {"id": "vip", "switch": {"variable": "vip", "entries": [{"value": "yes", "next": "known"}], "otherwise": "box"}},
    {"id": "known", "sticky_agent": {"sources": STICKY, "next": "ben"}},
    *AFTER[2:],
)
OTHERS = with_plan(*COUNTED)
VIP = pb.SimulatedAnswer(status=200, fields={"vip": "yes"})


def rung(**request: Any) -> list[str]:
    """Who rings in the end, or the kind of the step."""
    answer = simulated(OTHERS, pb.SimulateRequest(dialled="+41215550100", caller="+41791112233", **request), NOW)
    step = answer.turns[-1].step
    return [target.user_id for target in step.ring.targets] or [str(step.WhichOneof("kind"))]


def test_counters_stand_where_the_request_says() -> None:
    vip = {"https://crm.example/who": VIP}
    assert rung(web_answers=vip) == ["ben"]
    assert rung(web_answers=vip, limits={"p/few": pb.SimulatedCount(calls=1, starts=4)}) == ["ben"]
    assert rung(web_answers=vip, limits={"p/few": pb.SimulatedCount(calls=2)}) == ["hang_up"]
    assert rung(web_answers=vip, limits={"p/few": pb.SimulatedCount(starts=5)}) == ["hang_up"]
    assert rung(web_answers=vip, shares={"plan/p node share": 1}) == ["delegate"]
    assert rung(web_answers=vip, shares={"plan/p node share": 2}) == ["ben"]


def test_trunks_have_as_many_calls_as_the_request_says() -> None:
    trunks = [{"id": "carrier", "address": "192.0.2.1:5060", "max_calls_in": 2, "max_calls_out": 3}]
    mobile = [{"id": "+41215550100", "destination": {"external_number": "+41791234567"}}]
    config = small_company(trunks=trunks, numbers=mobile)

    def last(**calls: int) -> str:
        limits = {f"trunk/carrier {way}": pb.SimulatedCount(calls=count) for way, count in calls.items()}
        request = pb.SimulateRequest(dialled="+41215550100", caller="+41791112233", trunk_id="carrier", limits=limits)
        return str(simulated(config, request, NOW).turns[-1].step.WhichOneof("kind"))

    assert [last(), last(**{"in": 1, "out": 2}), last(**{"in": 2}), last(out=3)] == ["ring", "ring", "hang_up", "hang_up"]


def test_web_addresses_answer_what_the_request_says() -> None:
    agent = {"https://crm.example/agent": pb.SimulatedAnswer(status=200, fields={"user_id": "carl"})}
    vip = {"https://crm.example/who": VIP}
    assert rung() == ["delegate"]
    assert rung(web_answers={"https://crm.example/who": pb.SimulatedAnswer(status=503)}) == ["delegate"]
    assert rung(web_answers=vip | agent) == ["carl"]
    assert rung(web_answers=vip | agent, last_agent_user_id="anna") == ["anna"]


def test_a_queue_is_found_as_the_request_says() -> None:
    queue = {"id": "q", "max_size": 3, "max_wait_seconds": 90, "leave_without_agents": True, "full": {"user_id": "anna"}}
    queue |= {"no_agents": {"user_id": "ben"}, "waited_too_long": {"user_id": "carl"}, "leave_key": "*"}
    agents = [{"id": user_id, "user_id": user_id} for user_id in ("anna", "ben", "carl")]
    queue["members"] = [{"agent_id": each["id"]} for each in agents]
    config = with_plan({"id": "q", "queue": {"queue_id": "q"}}, queues=[queue], agents=agents)

    def ends(**found: int) -> list[tuple[str, str, int]]:
        return turns(config, queues={"q": pb.SimulatedQueue(**found)})

    assert ends(waiting=2, agents_idle=3) == [("ring", "answered", 0)]
    assert ends(waiting=3) == [("ring", "answered", 0)]
    assert ends(agents_logged_in=0) == [("ring", "answered", 0)]
    assert ends(waiting=1, agents_idle=1)[-1] == ("ring", "answered", 90)
    assert turns(config, queue_result="left_by_key", queue_seconds=7) == [("wait", "digits", 0), ("hang_up", "", 7)]
    assert turns(config, talk_seconds=30, queue_seconds=5)[1:] == [("ring", "answered", 5), ("hang_up", "", 35)]
    assert turns(config, gives_up_at_seconds=5, queue_seconds=9) == [("wait", "gave_up", 0)]


PINNED = {"id": "anna", "last_name": "Anna", "outbound_pin_hash": hash_pin("4711", "salt"), "restriction_profile_id": "strict"}
LOCKED = small_company(users=[PINNED], extensions=[], restriction_profiles=[{"id": "strict", "pin_needed": ["mobile"]}])


def test_a_wrong_pin_fails_as_it_does_in_a_call() -> None:
    def asked(*keys: str, **state: Any) -> list[str]:
        request = pb.SimulateRequest(caller_user_id="anna", dialled="0791112233", keys=keys, **state)
        return [str(each.step.WhichOneof("kind")) for each in simulated(LOCKED, request, NOW).turns]

    assert asked("4711") == ["gather", "ring"]
    assert asked("1234", "4711") == ["gather", "gather", "ring"]
    assert asked("1", "2", "3") == ["gather", "gather", "gather", "play", "hang_up"]
    # The tenth wrong one in a row blocks it; a right one is none then.
    assert asked("4711", wrong_codes=9) == ["gather", "ring"]
    assert asked("1234", "4711", wrong_codes=9) == ["gather", "play", "hang_up"]
    assert asked("4711", wrong_codes=10) == ["gather", "play", "hang_up"]


def test_what_becomes_of_each_step_is_told_in_words() -> None:
    request = pb.SimulateRequest(dialled="+41215550100", results={"anna": "busy"}, gives_up_at_seconds=3, answer_seconds=9, language="de")
    said = [each.outcome_sentence for each in simulated(LATER, request, NOW).turns]
    assert said == ["Das Klingeln ist vorbei: besetzt", "Der Anrufer gibt auf"]
