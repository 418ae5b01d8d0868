"""Every kind of node and destination with every outcome: the call ends, decides the same again, and says why in words that are known."""

import json
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import assert_never, get_args

import pytest
from drawn_companies import DESTINATIONS, DRAWN, NODES, RESULTS, calls, companies, entered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from carillon_contracts.config import NODE_KINDS, RESOURCES, Destination, PlanNode
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.adapters.sentences import library
from carillon_routing.domain.advance import decided
from carillon_routing.domain.asks import (
    AnsweredToday,
    Ask,
    BusyUsers,
    CallsOnTrunks,
    CountTry,
    Fetch,
    LastAgent,
    LastCaller,
    LoggedIn,
    NoticeWords,
)
from carillon_routing.domain.cursor import (
    CallBackWait,
    CodeWait,
    Cursor,
    DeskWait,
    ExternalWait,
    FeatureWait,
    GroupWait,
    MenuWait,
    NoticeWait,
    PlayWait,
    QueueWait,
    RefusedWait,
    StickyWait,
    UserWait,
    Wait,
    decode,
)
from carillon_routing.domain.facts import Advance, CallFacts, Gathered, GaveUp, Outcome, Played, Rang
from carillon_routing.domain.feature_steps import NothingTaken, PageOver, ParkOver, SuperviseOver
from carillon_routing.domain.made_of import MadeOf, as_read, encode
from carillon_routing.domain.made_of import decode as decode_record
from carillon_routing.domain.queue_steps import REASONS, QueueOver
from carillon_routing.domain.replay import again
from carillon_routing.domain.sentences import AS_WRITTEN, Table
from carillon_routing.domain.walk import MAX_HOPS

START = datetime(2026, 1, 5, tzinfo=UTC)


def outcomes(wait: Wait) -> st.SearchStrategy[Outcome]:
    """Every outcome that media may bring to what the cursor waits for."""
    match wait:
        case MenuWait(last=True) | PlayWait() | RefusedWait():
            return st.just(Played())
        case MenuWait() | CodeWait() | CallBackWait() | DeskWait() | NoticeWait():
            return st.sampled_from(["", "1", "2", "3", "5", "10", "#", "1234"]).map(lambda pressed: Gathered(pressed, not pressed))
        case QueueWait():
            return st.sampled_from(REASONS).map(QueueOver)
        case FeatureWait():
            rung = st.builds(Rang, st.sampled_from(RESULTS))
            over: tuple[Outcome, ...] = (NothingTaken(), PageOver(0), PageOver(2), SuperviseOver(True), SuperviseOver(False))
            return rung | st.sampled_from([*over, ParkOver("timed_out", "700"), ParkOver("no_slot")])
        case UserWait() | ExternalWait() | GroupWait() | StickyWait():
            rang = st.builds(Rang, st.sampled_from(RESULTS), st.just({}), st.sampled_from([0, 17, 21, 34]))
            return rang | st.just(GaveUp())
        case _:
            assert_never(wait)


ANSWERS: tuple[JsonValue, ...] = (
    None,
    True,
    False,
    0,
    5,
    {"taken": True, "calls": 1, "starts": 2},
    {"taken": False, "calls": 9, "starts": 0},
)


PRESENT: tuple[JsonValue, ...] = ([], ["a"], ["a", "b"], None)
#: By whether the code was right.
TRIES: dict[bool, tuple[JsonValue, ...]] = {
    right: ({"accepted": right, "wrong": int(not right)}, {"accepted": False, "wrong": 99}, None) for right in (False, True)
}
WORDS: tuple[JsonValue, ...] = ({"text": "help", "language": "de"}, None)
COUNTS: tuple[JsonValue, ...] = ({"a": 1, "t": 2, "u": 2}, {}, None)
FETCHED: tuple[JsonValue, ...] = ({"status": 200, "body": {"vip": "yes", "user_id": "b"}}, {"status": 404}, None)


def answered(ask: Ask, seed: int) -> JsonValue:
    """What the outside may say, mostly of the shape that it has."""
    turn = zlib.crc32(ask.key.encode()) + seed
    match ask:
        case BusyUsers() | LoggedIn():
            return PRESENT[turn % len(PRESENT)]
        case LastAgent() | LastCaller():
            return ("", "a", "gone", "+41791112233", None)[turn % 5]
        case CountTry(_, _, right):
            return TRIES[right][turn % 3]
        case NoticeWords():
            return WORDS[turn % 2]
        case AnsweredToday() | CallsOnTrunks():
            return COUNTS[turn % 3]
        case Fetch():
            return FETCHED[turn % len(FETCHED)]
        case _:
            return ANSWERS[turn % len(ANSWERS)]


#: Fields that change no decision: names for people, what others than routing do, and (of queues) what the floor does.
OTHERS = {
    "user": "first_name email title function description login role rights_profile_id function_keys",
    "ring_group": "display_name department_id",
    "hunt_group": "display_name department_id",
    "menu": "display_name department_id",
    "queue": "display_name department_id strategy members skills max_size max_wait_seconds ring_seconds wrap_up_seconds hold_music_id"
    " callback missed_offers_to_pause leave_without_agents leave_key callback_key announcements recording_policy_id through_do_not_disturb",
    "trunk": "display_name transport servers registration trunk_credential_id dialled_format caller_format incoming ping_seconds"
    " silence_seconds media_networks srtp",
    "tenant": "display_name realm park_digits reseller_id",
    "department": "display_name parent_id",
    "site": "display_name address",
    "schedule": "display_name department_id",
    "number": "label number_block_id owner comment ordered_on",
}


def test_every_kind_of_node_and_destination_is_there() -> None:
    assert set(NODES) == set(NODE_KINDS)
    assert set(DESTINATIONS) == set(Destination.model_fields)


def test_every_field_is_drawn_or_changes_no_decision() -> None:
    shapes = {f"node.{kind}": get_args(PlanNode.model_fields[kind].annotation)[0] for kind in NODE_KINDS}
    shapes |= {kind: RESOURCES[kind] for kind in OTHERS}
    assert shapes.keys() == DRAWN.keys()
    for kind, shape in shapes.items():
        assert DRAWN[kind] == set(shape.model_fields) - {"id", "etag"} - set(OTHERS.get(kind, "").split()), kind


@lru_cache(100_000)
def is_known(table: Table, text: str) -> bool:
    return library().recognise(table, text).kind != AS_WRITTEN


def repeated(call: CallFacts, cursor: Cursor | None, outcome: Outcome, now: datetime, answer: Advance, config: TenantConfig) -> Advance:
    """From what is kept of the decision, through its bytes."""
    kept = json.loads(encode(MadeOf(call, cursor, outcome, now, answer.config_seq, as_read(answer.read))))
    return again(config, decode_record(kept, call.tenant_id, call.call_id))


@pytest.mark.feature("R-2", "R-3", "R-20", "R-22")
@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(companies(), calls, st.integers(0, 10_000), st.data())
def test_every_call_ends_is_repeatable_and_is_explained(config: TenantConfig, call: CallFacts, seed: int, data: st.DataObject) -> None:
    now = START + timedelta(minutes=37 * seed)
    cursor: Cursor | None = None
    outcome: Outcome = data.draw(entered)
    for _ in range(4 * MAX_HOPS):
        answer = decided(config, call, cursor, outcome, now, lambda ask: answered(ask, seed))
        assert answer.trace or isinstance(outcome, GaveUp | Rang | SuperviseOver | PageOver)
        assert repeated(call, cursor, outcome, now, answer, config) == answer
        for line in answer.trace:
            assert is_known("subjects", line.subject), line
            assert is_known("reasons", line.reason), line
            assert is_known("ways", line.next or "announcement"), line
        if not answer.cursor:
            return
        cursor = decode(answer.cursor)
        outcome = data.draw(outcomes(cursor.wait))
        now += timedelta(seconds=17)
    raise AssertionError("the call does not end")
