"""Every kind of node and destination with every outcome: the call ends, decides the same again, and says why in words that are known."""

import json
import zlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from carillon_contracts.config import NODE_KINDS, Destination
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.adapters.sentences import library
from carillon_routing.domain.advance import decided
from carillon_routing.domain.asks import Ask, BusyUsers, Fetch, LastAgent, LoggedIn
from carillon_routing.domain.cursor import (
    CallBackWait,
    CodeWait,
    Cursor,
    FeatureWait,
    MenuWait,
    PlayWait,
    QueueWait,
    RefusedWait,
    Wait,
    decode,
)
from carillon_routing.domain.facts import Advance, CallFacts, Entered, Gathered, GaveUp, Outcome, Played, Rang, RingResult
from carillon_routing.domain.feature_steps import NothingTaken, PageOver, ParkOver, SuperviseOver
from carillon_routing.domain.made_of import MadeOf, as_read, encode
from carillon_routing.domain.made_of import decode as decode_record
from carillon_routing.domain.queue_steps import REASONS, QueueOver
from carillon_routing.domain.replay import again
from carillon_routing.domain.sentences import AS_WRITTEN, Table
from carillon_routing.domain.walk import MAX_HOPS
from carillon_routing.testing import config_of

RESULTS: tuple[RingResult, ...] = get_args(RingResult)
NUMBERS = ("+41215550100", "+41215550101", "+41791234567", "+33612345678")
START = datetime(2026, 1, 5, tzinfo=UTC)
nodes = st.sampled_from(["n0", "n1", "n2", "n3"])
#: References mostly hit; some do not.
ids = st.sampled_from(["a", "b", "b", "gone"])
some = st.fixed_dictionaries


def maybe(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some({}, optional=optional)


def one(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return some(fields).map(lambda found: {kind: found})


def many(each: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(each, min_size=1, max_size=3)


DESTINATIONS: dict[str, st.SearchStrategy[Any]] = {
    **{kind: ids for kind in Destination.model_fields if kind.endswith("_id")},
    "extension_id": st.sampled_from(["10", "101", "99"]),
    "external_number": st.sampled_from(NUMBERS),
    "announcement": st.just({"text": "x"}),
    "operator": st.just(True),
    "hang_up": st.sampled_from(["normal", "busy", "rejected"]),
}
destinations = st.sampled_from(sorted(DESTINATIONS)).flatmap(lambda kind: DESTINATIONS[kind].map(lambda value: {kind: value}))
ways = maybe(
    **dict.fromkeys((*RESULTS, "gave_up", "otherwise"), nodes),
    causes=st.lists(some({"cause": st.sampled_from([17, 21]), "next": nodes}), max_size=1),
)
variables = st.sampled_from(["vip", "tier"])
texts = many(st.just({"text": "x", "language": "fr"}))
NODES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "destination": one("destination", destination=destinations, ways=ways),
    "calendar": one("calendar", entries=many(some({"schedule_id": ids, "next": nodes})), otherwise=nodes),
    "ring_group": one("ring_group", ring_group_id=ids, ways=ways),
    "menu": one("menu", menu_id=ids, keys=st.just([{"key": "3", "next": "n0"}]), no_choice=st.sampled_from(["", "n1"])),
    "mailbox": one("mailbox", mailbox_id=ids),
    "announcement": one("announcement", announcements=texts, next=st.sampled_from(["", "n1"])),
    "hang_up": one("hang_up", reason=st.just("busy"), cause=st.sampled_from([0, 34])),
    "origin": one(
        "origin",
        entries=many(
            some(
                {"next": nodes, "internal": st.just(True)},
                optional={
                    "numbers": st.just(["+41791112233"]),
                    "prefixes": st.just(["+4179"]),
                    "countries": st.just(["CH"]),
                    "origin_zone_id": ids,
                    "withheld": st.booleans(),
                },
            )
        ),
        otherwise=nodes,
    ),
    "caller_list": one("caller_list", caller_list_id=ids, listed=nodes, otherwise=nodes),
    "mode": one("mode", schedule_id=ids, entries=many(some({"mode": st.sampled_from(["day", "night"]), "next": nodes})), otherwise=nodes),
    "limit": one("limit", max_calls=st.integers(0, 2), max_starts=st.just(3), per_seconds=st.just(60), within=nodes, over=nodes),
    "queue": one("queue", queue_id=ids, ways=maybe(**dict.fromkeys(("answered", "full", "left_by_key", "otherwise"), nodes))),
    "hunt_group": one("hunt_group", hunt_group_id=ids, ways=ways),
    "split": one("split", shares=st.tuples(nodes, nodes).map(lambda p: [{"percent": 30, "next": p[0]}, {"percent": 70, "next": p[1]}])),
    "language": one("language", languages=st.sampled_from([["fr"], ["fr", "de"]]), next=nodes),
    "set_variable": one("set_variable", name=variables, value=st.sampled_from(["yes", "no"]), next=nodes),
    "look_up": one("look_up", look_up_table_id=ids, longest_prefix=st.booleans(), variable=variables, found=nodes, otherwise=nodes),
    "switch": one("switch", variable=variables, entries=many(some({"value": st.just("yes"), "next": nodes})), otherwise=nodes),
    "email": one("email", recipients=st.just(["a@example.com"]), subject=st.just("x"), next=nodes),
    "webhook": one(
        "webhook", url=st.just("http://a.example/x"), variables=st.just(["vip"]), next=nodes, failed=st.sampled_from(["", "n2"])
    ),
    "sticky_agent": one(
        "sticky_agent",
        sources=st.just([{"kind": "history"}, {"kind": "contact_owner"}, {"kind": "http", "url": "http://a.example/y"}]),
        reach=st.sampled_from(["extension", "mobile", "both"]),
        except_caller_list_id=st.sampled_from(["", "a"]),
        next=nodes,
    ),
    "sub_plan": one("sub_plan", plan_id=ids, exits=st.just([{"name": "out", "next": "n3"}]), next=st.sampled_from(["", "n1"])),
    "return_to": one("return_to", exit=st.sampled_from(["", "out"])),
}
some_nodes = st.lists(st.sampled_from(NODE_KINDS).flatmap(lambda kind: NODES[kind]), min_size=4, max_size=4)
hours = [{"start": "08:00", "end": "18:00"}]
users = some(
    {"last_name": st.just("X")},
    optional={
        "mobile": st.just("+41791234567"),
        "do_not_disturb": st.booleans(),
        "quiet_hours": st.just(hours),
        "busy_music_id": st.just("gone"),
        "simultaneous": st.just([{"user_id": "b"}, {"external_number": "+41791234567"}]),
        "screening": st.lists(some({"caller_list_id": ids, "passes": st.sampled_from(["always", "never"])}), max_size=2),
        "secretary": maybe(except_caller_list_id=ids).map(lambda found: {"user_id": "b", **found}),
        "restriction_profile_id": ids,
        "account_code_policy_id": ids,
        "provisioning_profile_id": ids,
        "forwarding": maybe(
            unconditional=destinations,
            busy=destinations,
            no_answer=destinations,
            unreachable=destinations,
            suspended=st.just(["busy"]),
        ),
    },
)
members = st.one_of(
    ids.map(lambda name: {"user_id": name}),
    st.just({"external_number": "+41791234567"}),
    ids.map(lambda name: {"ring_group_id": name}),
    ids.map(lambda name: {"hunt_group_id": name}),
)
wishes = {"through_do_not_disturb": st.booleans(), "follow_forwarding": st.booleans()}
hunted = st.lists(
    some({"user_id": ids, "permanent": st.booleans()}), min_size=1, max_size=3, unique_by=lambda member: str(member["user_id"])
)
menus = some(
    {"prompt": texts, "keys": st.tuples(destinations, st.just("de")).map(lambda p: [{"key": "1", "destination": p[0], "language": p[1]}])},
    optional={
        "extension_dialling": st.booleans(),
        "no_choice": destinations,
        "no_choice_message": texts,
        "schedule_id": ids,
        "out_of_hours": destinations,
        "redirect": destinations,
        "timed_out": destinations,
        "replays": st.integers(0, 1),
        "overall_seconds": st.just(30),
    },
)
FIXED: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example", "main_number": "+41215550100", "country": "CH"},
    "mailboxes": [{"id": "a"}],
    "conference_rooms": [{"id": "a"}],
    "fax_boxes": [{"id": "a"}],
    "caller_lists": [{"id": "a", "callers": [{"prefix": "+4179", "label": "mobiles"}]}, {"id": "b", "withheld": True}],
    "origin_zones": [{"id": "a", "prefixes": ["+4121"], "countries": ["FR"]}],
    "look_up_tables": [{"id": "a", "rows": [{"key": "+41791112233", "value": "yes"}]}],
    "restriction_profiles": [{"id": "a", "barred": ["international"], "pin_needed": ["mobile"]}, {"id": "b", "denied_prefixes": ["+33"]}],
    "account_code_policies": [{"id": "a", "needed": ["mobile"]}],
    "schedules": [{"id": "a", "ranges": [{**hours[0], "weekdays": [1, 3]}]}, {"id": "b", "mode": "night"}],
    "extensions": [{"id": "10", "destination": {"user_id": "a"}}, {"id": "101", "destination": {"hunt_group_id": "a"}}],
    "provisioning_profiles": [{"id": "a", "call_waiting": False}],
    "parking_lots": [{"id": "a", "first_slot": "700", "last_slot": "702"}],
    "pickup_groups": [{"id": "a", "user_ids": ["a", "b"]}],
    "paging_groups": [{"id": "a", "number": "800", "user_ids": ["a", "b"]}],
}


def companies() -> st.SearchStrategy[TenantConfig]:
    pair = st.tuples
    return st.builds(
        lambda people, plans, groups, hunts, queues, answers, trunks, own: config_of(
            {
                **FIXED,
                "users": _named(people),
                "plans": [{"id": name, "entry": "n0", "nodes": _named(found, "n")} for name, found in zip("ab", plans, strict=True)],
                "ring_groups": _named(groups),
                "hunt_groups": _named(hunts),
                "queues": _named(queues),
                "menus": _named(answers),
                "trunks": [{"id": "t", "address": "192.0.2.1", "prefixes": trunks}],
                "numbers": [{"id": "+41215550100", "destination": {"plan_id": "a"}}, {"id": "+41215550101", "destination": own}],
            }
        ),
        pair(users, users),
        pair(some_nodes, some_nodes),
        st.lists(
            some(
                {
                    "strategy": st.sampled_from(["parallel", "sequential", "progressive"]),
                    "order": st.sampled_from(["priority", "random", "round_robin", "least_called"]),
                    "members": many(members),
                },
                optional={"no_answer": destinations, "wrap": st.booleans(), **wishes},
            ),
            min_size=2,
            max_size=2,
        ),
        st.lists(
            some(
                {
                    "strategy": st.sampled_from(["first_idle", "all_idle"]),
                    "members": hunted,
                },
                optional={"no_answer": destinations, "all_busy": destinations, **wishes},
            ),
            min_size=2,
            max_size=2,
        ),
        st.lists(maybe(full=destinations, no_agents=destinations, left_by_key=destinations), min_size=2, max_size=2),
        st.lists(menus, min_size=2, max_size=2),
        st.sampled_from([[], ["+41"]]),
        st.none() | destinations,
    )


def _named(found: Any, prefix: str = "") -> list[dict[str, Any]]:
    return [{"id": f"{prefix}{index}" if prefix else "ab"[index], **each} for index, each in enumerate(found)]


calls = st.one_of(
    st.builds(
        CallFacts,
        st.just("acme"),
        st.just("c"),
        st.just("inbound"),
        st.sampled_from(["+41215550100", "+41215550100", "+41215550101"]),
        st.sampled_from(["", "+41791112233", "+33612345678"]),
    ),
    st.builds(
        CallFacts,
        st.just("acme"),
        st.just("c"),
        st.just("from_user"),
        st.sampled_from(
            [
                "10",
                "101",
                "144",
                "0791234567",
                "+33612345678",
                "*8",
                "*810",
                "700",
                "*43",
                "*45",
                "*78",
                "*21*10#",
                "800",
                "+41215550100",
                "*3710",
                "#37#",
            ]
        ),
        st.just("10"),
        caller_user_id=st.sampled_from(["a", "b"]),
    ),
)


def outcomes(wait: Wait) -> st.SearchStrategy[Outcome]:
    """Every outcome that media may bring to what the cursor waits for."""
    match wait:
        case MenuWait(last=True) | PlayWait() | RefusedWait():
            return st.just(Played())
        case MenuWait() | CodeWait() | CallBackWait():
            return st.sampled_from(["", "1", "2", "3", "5", "10", "#", "1234"]).map(lambda pressed: Gathered(pressed, not pressed))
        case QueueWait():
            return st.sampled_from(REASONS).map(QueueOver)
        case FeatureWait():
            rung = st.builds(Rang, st.sampled_from(RESULTS))
            over: tuple[Outcome, ...] = (NothingTaken(), PageOver(0), PageOver(2), SuperviseOver(True), SuperviseOver(False))
            return rung | st.sampled_from([*over, ParkOver("timed_out", "700"), ParkOver("no_slot")])
        case _:
            rang = st.builds(Rang, st.sampled_from(RESULTS), st.just({}), st.sampled_from([0, 17, 21, 34]))
            return rang | st.just(GaveUp())


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
FETCHED: tuple[JsonValue, ...] = ({"status": 200, "body": {"vip": "yes", "user_id": "b"}}, {"status": 404}, None)


def answered(ask: Ask, seed: int) -> JsonValue:
    """What the outside may say, mostly of the shape that it has."""
    turn = zlib.crc32(ask.key.encode()) + seed
    match ask:
        case BusyUsers() | LoggedIn():
            return PRESENT[turn % len(PRESENT)]
        case LastAgent():
            return ("", "a", "gone", None)[turn % 4]
        case Fetch():
            return FETCHED[turn % len(FETCHED)]
        case _:
            return ANSWERS[turn % len(ANSWERS)]


def test_every_kind_of_node_and_destination_is_there() -> None:
    assert set(NODES) == set(NODE_KINDS)
    assert set(DESTINATIONS) == set(Destination.model_fields)


@lru_cache(100_000)
def is_known(table: Table, text: str) -> bool:
    return library().recognise(table, text).kind != AS_WRITTEN


def repeated(call: CallFacts, cursor: Cursor | None, outcome: Outcome, now: datetime, answer: Advance, config: TenantConfig) -> Advance:
    """From what is kept of the decision, through its bytes."""
    kept = json.loads(encode(MadeOf(call, cursor, outcome, now, answer.config_seq, as_read(answer.read))))
    return again(config, decode_record(kept, call.tenant_id, call.call_id))


@pytest.mark.feature("R-2", "R-3", "R-20", "R-22")
@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(companies(), calls, st.integers(0, 10_000), st.data())
def test_every_call_ends_is_repeatable_and_is_explained(config: TenantConfig, call: CallFacts, seed: int, data: st.DataObject) -> None:
    now = START + timedelta(minutes=37 * seed)
    cursor: Cursor | None = None
    outcome: Outcome = Entered()
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
