"""Every event of a floor is published as one of its own kind."""

from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest

from carillon_contracts import queue as published
from carillon_contracts.envelope import Event
from carillon_kit.event_store import RawEvent
from carillon_routing.adapters.queue_events import outgoing
from carillon_routing.domain.queues import events as e

pytestmark = pytest.mark.feature("R-10")
AT = datetime(2026, 1, 6, 10, tzinfo=UTC)
SAMPLES: dict[str, object] = {
    "results": {"anna": "busy"},
    "agent_ids": ["anna"],
    "reason": "no_agents",
    "joined_at": 1.0,
    "number": "+41791112233",
}
SAMPLES |= {"skills": {"french": 5}, "skills_for": 60, "pause_seconds": 30.0}


def stored(kind: str, stream: str = "floor/acme") -> RawEvent:
    wanted = e.EVENTS[kind].model_fields if kind in e.EVENTS else {"hunt_group_id": None, "user_id": None}
    data = {name: SAMPLES.get(name, 5 if name in ("at", "priority", "until", "wrap_up_until") else "x") for name in wanted}
    data |= {name: 1 for name in ("position", "waited_seconds") if name in wanted}
    return RawEvent(7, stream, 3, UUID(int=9), kind, orjson.dumps(data).decode(), AT)


@pytest.mark.parametrize("kind", e.EVENTS)
def test_an_event_of_the_floor_is_one_message(kind: str) -> None:
    (message,) = outgoing(stored(kind))
    event = Event.from_json(message.payload)
    of_caller = issubclass(e.EVENTS[kind], e.CallerEvent)
    assert message.message_id == str(event.id) == str(UUID(int=9))
    assert (event.seq, event.tenantid, event.callid) == (3, "acme", "x" if of_caller else None)
    assert message.subject == f"carillon.acme.{'queue' if of_caller else 'agent'}.x.{event.type.split('.')[2]}"


def test_each_kind_has_its_own() -> None:
    kinds = [Event.from_json(outgoing(stored(kind))[0].payload).type for kind in e.EVENTS]
    assert sorted(kinds) == sorted(f"carillon.{each.TYPE}" for each in (*published.QUEUE_EVENTS, *published.AGENT_EVENTS))


@pytest.mark.feature("R-9")
def test_who_comes_to_a_hunt_group_is_told_and_what_is_not_of_queues_is_not() -> None:
    (message,) = outgoing(stored("member_logged_out", "hunting/acme"))
    assert message.subject == "carillon.acme.hunt_group.x.member_logged_out"
    assert outgoing(stored("caller_left", "other/acme")) == []
