"""The envelope is CloudEvents 1.0 JSON and every published type is listed once."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from carillon_contracts.call import CALL_EVENTS, LegAnswered
from carillon_contracts.envelope import Event

EVENT = Event(
    id=UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    source="carillon/media/node-1",
    type="carillon.call.leg_answered.v1",
    subject="call-1",
    time=datetime(2026, 11, 22, 9, 0, 0, 123456, tzinfo=UTC),
    data=LegAnswered(codec="PCMA").model_dump(mode="json"),
    tenantid="dupont",
    callid="call-1",
    legid="b1",
    seq=4,
)


@pytest.mark.feature("P-2")
def test_an_event_is_cloudevents_json_without_the_attributes_it_has_not() -> None:
    body = json.loads(EVENT.to_json())
    assert body["specversion"] == "1.0"
    assert body["time"] == "2026-11-22T09:00:00.123456Z"
    assert body["data"] == {"codec": "PCMA"}
    assert "causationid" not in body


def test_what_was_written_reads_back_the_same() -> None:
    assert Event.from_json(EVENT.to_json()) == EVENT


def test_attributes_of_a_newer_writer_are_ignored() -> None:
    body = json.loads(EVENT.to_json()) | {"newextension": "x"}
    assert Event.from_json(json.dumps(body)) == EVENT


def test_a_time_without_offset_is_refused() -> None:
    body = json.loads(EVENT.to_json()) | {"time": "2026-11-22T09:00:00"}
    with pytest.raises(ValidationError, match="offset"):
        Event.from_json(json.dumps(body))


def test_call_types_are_named_by_their_fact_and_version() -> None:
    assert all(name == f"carillon.call.{kind.fact()}.v1" for name, kind in CALL_EVENTS.items())
    assert len(CALL_EVENTS) == 33
