"""A message, made of the event of its recording."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from carillon_contracts.call import RecordingFinished
from carillon_contracts.config import Mailbox, Resource, Tenant
from carillon_contracts.envelope import Event
from carillon_contracts.tenant_config import TenantConfig
from carillon_voicemail.domain.message import Addressing, Message, Poisoned, addressing, mailed_event, read_recording, stored_event

SUBJECT = "carillon.dupont.call.c1.recording_finished"
LABELS = {"purpose": "voicemail", "mailbox_id": "main", "caller_number": "+41790000001", "caller_name": "Marie\r\nCurie"}


def event(labels: dict[str, str] = LABELS, **changes: object) -> Event:
    data = RecordingFinished(object="sha256-00", duration_ms=4200, bytes=9, ended_by="hang_up", labels=labels)
    made = Event(
        id=UUID(int=1),
        source="carillon/media/n",
        type="carillon.call.recording_finished.v1",
        subject="c1",
        time=datetime(2026, 3, 3, 9, 15, tzinfo=UTC),
        data=data.model_dump(mode="json"),
        tenantid="dupont",
        callid="c1",
        legid="a",
        seq=5,
    )
    return made.model_copy(update=changes)


def read(body: bytes) -> Message:
    found = read_recording(SUBJECT, body)
    assert found is not None
    return found[1]


@pytest.mark.feature("V-2")
def test_a_recording_of_a_mailbox_is_a_message() -> None:
    message = read(event().to_json())
    assert (message.mailbox_id, message.caller_number, message.caller_name) == ("main", "+41790000001", "Marie Curie")
    assert (message.duration_ms, message.object, message.seq) == (4200, "sha256-00", 5)


def test_the_same_recording_is_the_same_message_whatever_its_events_id() -> None:
    assert read(event().to_json()).message_id == read(event(id=UUID(int=2)).to_json()).message_id
    assert read(event().to_json()).message_id != read(event(seq=6).to_json()).message_id


def test_another_recording_is_none() -> None:
    assert read_recording(SUBJECT, event({"purpose": "greeting"}).to_json()) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        event(data={"labels": LABELS}).to_json(),
        event(tenantid="martin").to_json(),
        event(callid="c2").to_json(),
        event(seq=None).to_json(),
        event({"purpose": "voicemail"}).to_json(),
    ],
)
def test_what_can_never_be_a_message_is_poisoned(body: bytes) -> None:
    with pytest.raises(Poisoned):
        read_recording(SUBJECT, body)


@pytest.mark.feature("V-3")
def test_the_mailbox_says_who_is_told() -> None:
    message = read(event().to_json())
    of_kind: dict[str, dict[str, Resource]] = {
        "tenant": {"dupont": Tenant(id="dupont", realm="dupont.example", language="de", time_zone="Europe/Berlin")},
        "mailbox": {"main": Mailbox(id="main", emails=("a@b.example", "c@d.example", "a@b.example"))},
    }
    assert addressing(message, TenantConfig("dupont", 2, of_kind)) == Addressing(
        ("a@b.example", "c@d.example"), "main", "de", "Europe/Berlin"
    )
    assert addressing(message, TenantConfig("dupont")) == Addressing()


def test_its_events_have_ids_of_their_own_that_never_change() -> None:
    message = read(event().to_json())
    stored, mailed = stored_event(message, event()), mailed_event(message, ["a@b.example"], message.received_at)
    assert stored.id != mailed.id
    assert stored == stored_event(message, event())
    assert (stored.causationid, stored.data["caller"]) == (UUID(int=1), "+41790000001")
