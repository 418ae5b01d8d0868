"""Whatever the shapes accept, a call ends: no exception, no endless loop, no answer that differs from itself."""

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.advance import decided
from carillon_routing.domain.asks import Ask
from carillon_routing.domain.cursor import MAX_BYTES, SECRET_WAITS, Cursor, decode
from carillon_routing.domain.facts import (
    Advance,
    CallFacts,
    Delegate,
    Entered,
    Gather,
    Gathered,
    HangUp,
    Outcome,
    Play,
    Played,
    Rang,
    Ring,
    RingResult,
)
from carillon_routing.domain.made_of import MadeOf, as_read, encode, hidden
from carillon_routing.domain.made_of import decode as decode_record
from carillon_routing.domain.replay import again
from carillon_routing.domain.walk import MAX_HOPS, MAX_TRACE
from carillon_routing.testing import config_of

#: Few names, so that references mostly hit; some do not.
ids = st.sampled_from(["a", "b", "c", "gone"])
node_ids = st.sampled_from(["a", "b", "c", "gone", "", "x" * 300])
numbers = st.sampled_from(["+41215550100", "+41215550101", "+41791234567", "+33612345678"])
languages = st.sampled_from(["", "fr", "en", "fr-CH"])
announcements = st.lists(st.fixed_dictionaries({"text": st.just("x"), "language": languages}), max_size=3)
some_announcements = st.lists(st.fixed_dictionaries({"text": st.just("x"), "language": languages}), min_size=1, max_size=3)
clock_times = st.sampled_from(["00:00", "08:00", "12:00", "18:30", "23:59"])
ranges = st.tuples(clock_times, st.just("24:00")).map(lambda pair: {"start": pair[0], "end": pair[1]})

destinations = st.one_of(
    *(st.fixed_dictionaries({kind: ids}) for kind in ("user_id", "ring_group_id", "menu_id", "plan_id", "mailbox_id")),
    numbers.map(lambda n: {"external_number": n}),
    st.just({"announcement": {"text": "x"}}),
    st.sampled_from(["normal", "busy", "rejected"]).map(lambda r: {"hang_up": r}),
)
maybe = st.none() | destinations
ways = st.fixed_dictionaries({}, optional=dict.fromkeys(("answered", "no_answer", "busy", "unreachable", "otherwise"), node_ids))
kinds = st.one_of(
    st.fixed_dictionaries({"destination": st.fixed_dictionaries({"destination": destinations, "ways": ways})}),
    st.fixed_dictionaries(
        {
            "calendar": st.fixed_dictionaries(
                {
                    "entries": st.lists(st.fixed_dictionaries({"schedule_id": ids, "next": node_ids}), min_size=1, max_size=3),
                    "otherwise": node_ids,
                }
            )
        }
    ),
    st.fixed_dictionaries({"ring_group": st.fixed_dictionaries({"ring_group_id": ids, "ways": ways})}),
    st.fixed_dictionaries({"menu": st.fixed_dictionaries({"menu_id": ids, "no_choice": node_ids})}),
    st.fixed_dictionaries({"mailbox": st.fixed_dictionaries({"mailbox_id": ids})}),
    st.fixed_dictionaries({"announcement": st.fixed_dictionaries({"announcements": some_announcements, "next": node_ids})}),
    st.fixed_dictionaries({"hang_up": st.just({})}),
)


def named(strategy: st.SearchStrategy[dict[str, Any]], *names: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """One of each name."""
    many = st.lists(strategy, min_size=len(names), max_size=len(names))
    return many.map(lambda found: [{"id": name, **fields} for name, fields in zip(names, found, strict=True)])


users = st.fixed_dictionaries(
    {
        "last_name": st.just("X"),
        "forwarding": st.fixed_dictionaries({"busy": maybe, "no_answer": maybe, "unreachable": maybe}),
    }
)
members = st.one_of(
    ids.map(lambda i: {"user_id": i}), numbers.map(lambda n: {"external_number": n}), ids.map(lambda i: {"ring_group_id": i})
)
groups = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(["parallel", "sequential", "progressive"]),
        "members": st.lists(members, min_size=1, max_size=4),
        "no_answer": maybe,
    }
)
menus = st.fixed_dictionaries(
    {
        "prompt": some_announcements,
        "introduction": announcements,
        "keys": st.lists(
            st.fixed_dictionaries({"key": st.sampled_from("12*#"), "destination": destinations, "language": languages}),
            min_size=1,
            max_size=3,
            unique_by=lambda key: key["key"],
        ),
        "extension_dialling": st.booleans(),
        "wrong_key": announcements,
        "no_choice": maybe,
        "replays": st.integers(0, 2),
    }
)
trunks = st.fixed_dictionaries(
    {
        "address": st.just("192.0.2.1"),
        "prefixes": st.lists(st.sampled_from(["+41", "+4179", "+"]), max_size=2),
        "priority": st.integers(0, 2),
    }
)
schedules = st.fixed_dictionaries(
    {
        "time_zone": st.sampled_from(["", "America/New_York", "Pacific/Kiritimati"]),
        "ranges": st.lists(ranges.map(lambda r: {**r, "weekdays": [1, 3, 7]}), max_size=2),
        "exceptions": st.lists(
            st.fixed_dictionaries({"date": st.sampled_from(["2026-01-06", "2026-03-29"]), "ranges": st.lists(ranges, max_size=1)}),
            max_size=2,
        ),
    }
)
plans = named(kinds, "a", "b", "c").flatmap(lambda nodes: node_ids.map(lambda entry: {"entry": entry or "a", "nodes": nodes}))
companies = st.fixed_dictionaries(
    {
        "tenant": st.just({"id": "acme", "realm": "acme.example", "main_number": "+41215550100"}),
        "users": named(users, "a", "b", "c"),
        "ring_groups": named(groups, "a", "b"),
        "menus": named(menus, "a", "b"),
        "plans": named(plans, "a", "b"),
        "schedules": named(schedules, "a", "b"),
        "trunks": st.one_of(st.just([]), named(trunks, "a", "b")),
        "mailboxes": st.just([{"id": "a"}]),
        "extensions": named(destinations.map(lambda d: {"destination": d}), "10", "101", "22"),
        "numbers": named(maybe.map(lambda d: {"destination": d}), "+41215550100", "+41215550101"),
    }
)
calls = st.builds(
    CallFacts,
    tenant_id=st.just("acme"),
    call_id=st.just("c"),
    direction=st.sampled_from(["inbound", "from_user"]),
    dialled=st.one_of(numbers, st.sampled_from(["10", "101", "22", "112", "0791234567"]), st.text(max_size=20)),
    caller_number=st.sampled_from(["", "+41791112233", "101"]),
    caller_user_id=st.sampled_from(["", "a", "gone"]),
)
RESULTS: tuple[RingResult, ...] = ("answered", "no_answer", "busy", "unreachable", "congested", "rejected")
results = st.sampled_from(RESULTS)
digits = st.one_of(st.sampled_from(["", "1", "2", "*", "#", "0", "01", "101"]), st.text("0123456789*#", max_size=6))
START = datetime(2026, 1, 5, tzinfo=UTC)


def outcome_of(step: object, data: st.DataObject) -> Outcome:
    match step:
        case Ring():
            return Rang(data.draw(results))
        case Play():
            return Played()
        case Gather():
            pressed = data.draw(digits)
            return Gathered(pressed, not pressed)
    raise AssertionError(f"{step} is the end")


#: What the outside may say to any question, sensible or not.
ANSWERS: tuple[JsonValue, ...] = (None, True, False, 0, 1, 7, -3, "", "anna", [], ["anna"], {}, {"status": 200, "body": {"vip": "yes"}})


def replayed(config: TenantConfig, call: CallFacts, cursor: Cursor | None, outcome: Outcome, now: datetime, answer: Advance) -> Advance:
    """Made again from what is kept of it, through its bytes."""
    made = MadeOf(call, cursor, hidden(cursor, outcome), now, answer.config_seq, as_read(answer.read))
    kept = json.loads(encode(made))
    assert decode_record(kept, call.tenant_id, call.call_id) == made
    return again(config, decode_record(kept, call.tenant_id, call.call_id))


@pytest.mark.feature("R-2")
@pytest.mark.feature("R-22")
@settings(max_examples=100, deadline=None)
@given(companies.map(config_of), calls, st.data())
def test_every_call_through_every_configuration_ends(config: TenantConfig, call: CallFacts, data: st.DataObject) -> None:
    now = START + timedelta(minutes=data.draw(st.integers(0, 527_040)))
    cursor: Cursor | None = None
    outcome: Outcome = Entered()
    seed = data.draw(st.integers(0, 1000))

    def find_out(ask: Ask) -> JsonValue:
        return ANSWERS[(zlib.crc32(ask.key.encode()) + seed) % len(ANSWERS)]

    for _ in range(4 * MAX_HOPS):
        answer = decided(config, call, cursor, outcome, now, find_out)
        assert answer == decided(config, call, cursor, outcome, now, find_out)
        assert answer.config_seq == config.seq
        assert 0 < len(answer.trace) <= MAX_TRACE + 1
        assert len(answer.cursor) < MAX_BYTES
        assert replayed(config, call, cursor, outcome, now, answer) == answer
        if isinstance(answer.step, HangUp | Delegate):
            assert answer.cursor == b""
            return
        if isinstance(answer.step, Ring):
            assert answer.step.targets
            assert all(0 <= target.start_ms < target.stop_ms for target in answer.step.targets)
            assert len({target.target_id for target in answer.step.targets}) == len(answer.step.targets)
        cursor = decode(answer.cursor)
        assert not (isinstance(answer.step, Gather) and answer.step.secret) or isinstance(cursor.wait, SECRET_WAITS)
        outcome = outcome_of(answer.step, data)
        now += timedelta(seconds=17)
    raise AssertionError("the call does not end")
