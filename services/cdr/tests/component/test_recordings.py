"""Recordings of calls: listed, heard, deleted, forgotten in time; and nobody else's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from carillon.cdr.v1 import recording_pb2 as pb
from carillon.cdr.v1.recording_pb2_grpc import RecordingServiceStub
from carillon_cdr.adapters.postgres_recordings import PostgresRecordings, delete_recordings_of
from carillon_cdr.app import serve
from carillon_cdr.domain.ledger import Poisoned
from carillon_cdr.domain.recordings import days, read_conference, read_recording
from carillon_cdr.recordings import delete_expired
from carillon_cdr.settings import CdrSettings
from carillon_cdr.testing import Script
from carillon_contracts.call import CallStarted, CallTransferred, ConferenceJoined, LegOffered
from carillon_contracts.envelope import Event, EventData
from carillon_contracts.streams import AUDIO_BUCKET, AUDIT, CALLS, CONFERENCES, call_subject, conference_subject
from carillon_kit.auth import ADMIN, SERVICE, issue_token
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.grpc_client import channel
from carillon_kit.object_store import MemoryObjectStore, NatsObjectStore, ObjectNotFound, object_name
from carillon_kit.testing import eventually

pytestmark = pytest.mark.feature("M-10")
KEY = "0123456789abcdef0123456789abcdef"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def finished(tenant: str, call: str, audio: bytes, seq: int = 9, at: datetime = START, **labels: str) -> Outgoing:
    data = {"object": object_name(audio), "duration_ms": 60_000, "bytes": len(audio), "ended_by": "hang_up", "labels": labels}
    event = Event(
        id=uuid4(),
        source="carillon/media/test",
        type="carillon.call.recording_finished.v1",
        subject=call,
        time=at,
        data=data,
        tenantid=tenant,
        callid=call,
        seq=seq,
    )
    return Outgoing(call_subject(tenant, call, "recording_finished"), event.to_json(), str(event.id))


@pytest.fixture(scope="module")
async def target(nats_url: str, postgres_dsn: str) -> AsyncIterator[str]:
    settings = CdrSettings(nats_url=nats_url, postgres_dsn=postgres_dsn, token_key=KEY, grpc_listen="127.0.0.1:0")
    async with serve(settings) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
async def bus(nats_url: str, target: str) -> AsyncIterator[Bus]:
    async with await Bus.connect(nats_url, "test") as connected:
        yield connected


def client(target: str, tenant: str, role: str = ADMIN) -> Any:
    return channel(target, issue_token(KEY, "olga", tenant, {role}))


async def listed(api: Any, **fields: Any) -> list[pb.Recording]:
    return list((await api.ListRecordings(pb.ListRecordingsRequest(**fields))).recordings)


async def test_a_recording_is_listed_heard_and_deleted_and_the_deletion_is_audited(target: str, bus: Bus) -> None:
    objects, audio = NatsObjectStore(bus, AUDIO_BUCKET), b"RIFF" + bytes(200_000)
    await objects.put(audio, "audio/wav")
    other = finished("other", "c1", b"theirs")
    message = finished("dupont", "c2", b"message", purpose="voicemail", mailbox_id="main")
    own = finished("dupont", "c1", audio, leg_id="a", retention_days="10", reason="quality")
    await bus.publish_many(CALLS.name, [own, own, other, message])
    async with client(target, "dupont") as link:
        api = RecordingServiceStub(link)

        async def there() -> bool:
            return len(await listed(api)) == 1

        await eventually(there)
        (one,) = await listed(api, call_id="c1")
        assert (one.leg_id, one.duration_ms, dict(one.labels)) == ("a", 60_000, {"reason": "quality"})
        assert one.expires_at.ToDatetime(tzinfo=UTC) == START + timedelta(days=10)
        assert not await listed(api, call_id="c2")
        fetch = pb.FetchRecordingRequest(recording_id=one.recording_id)
        assert b"".join([part.chunk async for part in api.FetchRecording(fetch)]) == audio
        async with client(target, "other") as foreign:
            stranger = RecordingServiceStub(foreign)
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stranger.DeleteRecording(pb.DeleteRecordingRequest(recording_id=one.recording_id))
            assert error.value.code() is grpc.StatusCode.NOT_FOUND
        await api.DeleteRecording(pb.DeleteRecordingRequest(recording_id=one.recording_id, reason="asked for"))
        assert not await listed(api)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            [part async for part in api.FetchRecording(fetch)]
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(ObjectNotFound):
        await objects.get(object_name(audio))
    follower = bus.follow(AUDIT.name, "carillon.dupont.audit.recording_deleted")
    deleted = Event.from_json((await anext(aiter(follower))).data)
    assert (deleted.data["deleted_by"], deleted.data["reason"]) == ("olga", "asked for")


async def test_who_may_not_is_refused(target: str) -> None:
    async with client(target, "dupont", SERVICE) as link:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await listed(RecordingServiceStub(link))
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    async with client(target, "dupont") as link:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await RecordingServiceStub(link).DeleteRecording(pb.DeleteRecordingRequest(recording_id="x"))
        assert "recording_id" in str(error.value.details())


async def test_what_was_kept_long_enough_goes_and_shared_audio_with_its_last_recording(pool: Any) -> None:
    recordings, objects = PostgresRecordings(pool), MemoryObjectStore()
    await pool.execute("truncate recording")
    await objects.put(b"audio", "audio/wav")
    for call, label in (("old", "1"), ("young", "3650")):
        sent = finished("dupont", call, b"audio", at=datetime.now(UTC) - timedelta(days=2), retention_days=label)
        recording = read_recording(sent.subject, sent.payload, 90)
        assert recording is not None
        await recordings.keep(recording)
    assert await delete_expired(recordings, objects) == 1
    assert await objects.get(object_name(b"audio")) == b"audio"
    (left,) = await recordings.list("dupont", None, "", "", (None, None), None, 10)
    assert left.call_id == "young"
    assert await recordings.delete("dupont", left.recording_id, "x", "") == object_name(b"audio")
    assert await recordings.delete("dupont", left.recording_id, "x", "") is None


async def test_pages_go_on_where_they_stopped(pool: Any, target: str) -> None:
    recordings = PostgresRecordings(pool)
    for number in range(5):
        sent = finished("pages", f"c{number}", b"audio", at=START + timedelta(minutes=number))
        recording = read_recording(sent.subject, sent.payload, 90)
        assert recording is not None
        await recordings.keep(recording)
    async with client(target, "pages") as link:
        api, seen, token = RecordingServiceStub(link), [], ""
        while True:
            page = await api.ListRecordings(pb.ListRecordingsRequest(page_size=2, page_token=token))
            seen += [recording.call_id for recording in page.recordings]
            token = page.next_page_token
            if not token:
                break
    assert seen == ["c4", "c3", "c2", "c1", "c0"]


def test_retention_by_label_and_what_is_no_event() -> None:
    assert (days("10", 90), days("", 90), days("0", 90), days("99999", 90), days("ten", 90)) == (10, 90, 90, 90, 90)
    sent = finished("dupont", "c1", b"audio")
    with pytest.raises(Poisoned):
        read_recording("carillon.other.call.c1.recording_finished", sent.payload, 90)
    with pytest.raises(Poisoned):
        read_recording(sent.subject, b"{}", 90)


@pytest.mark.feature("M-9")
async def test_a_conference_s_recording_is_listed_under_its_meeting(target: str, bus: Bus) -> None:
    audio = b"ID3 a conference"
    data = {"room_id": "board", "meeting_id": "m-1", "display_name": "Board", "object": object_name(audio), "duration_ms": 60_000}
    event = Event(
        id=uuid4(),
        source="carillon/media/test",
        type="carillon.conference.recorded.v1",
        subject="conference/m-1",
        time=datetime.now(UTC),
        data={**data, "bytes": len(audio), "retention_days": 7},
        tenantid="dupont",
    )
    await NatsObjectStore(bus, AUDIO_BUCKET).put(audio, "audio/mpeg")
    await bus.publish(CONFERENCES.name, conference_subject("dupont", "m-1", "recorded"), event.to_json(), str(event.id))
    async with channel(target, issue_token(KEY, "olga", "dupont", [ADMIN])) as opened:
        stub = RecordingServiceStub(opened)

        async def listed() -> list[pb.Recording]:
            return list((await stub.ListRecordings(pb.ListRecordingsRequest(call_id="m-1"))).recordings)

        async def there() -> bool:
            return len(await listed()) == 1

        await eventually(there)
        (recording,) = await listed()
        assert dict(recording.labels) == {"conference_room_id": "board", "conference": "Board", "format": "mp3"}
        assert recording.expires_at.ToDatetime(tzinfo=UTC) == event.time + timedelta(days=7)
        parts = [part.chunk async for part in stub.FetchRecording(pb.FetchRecordingRequest(recording_id=recording.recording_id))]
        assert b"".join(parts) == audio
    with pytest.raises(Poisoned):
        read_conference("carillon.other.conference.m-1.recorded", event.to_json(), 90)
    again = event.model_copy(update={"data": {**event.data, "part": 2}})
    second = read_conference("carillon.dupont.conference.m-1.recorded", again.to_json(), 90)
    assert second is not None
    assert (second.labels["part"], str(second.recording_id) != recording.recording_id) == ("2", True)


async def recorded_call(pool: Any, call_id: str, *facts: EventData, at: datetime = START, **labels: str) -> None:
    """A recording of a call of which these events are known."""
    script = Script(call_id, "joined", at)
    for fact in facts:
        script.add(fact, "a")
    for event in script.events:
        await pool.execute(
            "insert into call_event (tenant, call_id, seq, event_id, type, at, body) values ($1, $2, $3, $4, $5, $6, $7)",
            *("joined", call_id, event.seq, event.id, event.type, event.time, event.to_json()),
        )
    sent = finished("joined", call_id, call_id.encode(), 9, at, **labels)
    recording = read_recording(sent.subject, sent.payload, 90)
    assert recording is not None
    await PostgresRecordings(pool).keep(recording)


def started(user: str) -> CallStarted:
    return CallStarted(direction="from_user", caller="101", caller_user_id=user, dialled="102")


async def test_parts_of_calls_that_became_one_are_listed_together(pool: Any) -> None:
    for number, (call, other) in enumerate((("c1", "c2"), ("c2", "c1"), ("c3", "c2"))):
        transfer = CallTransferred(other_call_id=other, moved="b1", goes_on=False)
        await recorded_call(pool, call, started("alice"), transfer, at=START + timedelta(minutes=number))
    await recorded_call(pool, "c4", started("alice"))

    async def listed(call_id: str) -> list[str]:
        return [each.call_id for each in await PostgresRecordings(pool).list("joined", None, call_id, "", (None, None), None, 10)]

    assert (await listed("c1"), await listed("c3"), await listed("c4")) == (["c2", "c1"], ["c3", "c2", "c1"], ["c4"])


@pytest.mark.feature("P-3")
async def test_a_part_of_a_call_is_heard_by_who_talked_in_it_although_its_event_comes_late(pool: Any) -> None:
    """Alice talked for a minute, then Bob; what says so comes two seconds after each. Dan was called in twice, Carol at both ends."""
    recordings = PostgresRecordings(pool)
    for seq, at in ((1, START), (2, START + timedelta(seconds=60))):
        sent = finished("joined", "c1", b"part", seq, at)
        recording = read_recording(sent.subject, sent.payload, 90)
        assert recording is not None
        await recordings.keep(recording)
    talked = {
        "alice": [(-62, -2)],
        "bob": [(-2, 58)],
        "carol": [(-62, -60), (57, 58)],
        "dan": [(-40, -30), (20, 30)],
        "eve": [],
    }
    for name, spans in talked.items():
        times = ([(START + timedelta(seconds=second)).isoformat() for second in span] for span in spans)
        await pool.execute(
            "insert into call_record_of (tenant, call_id, whose, started_at, talked)"
            " values ('joined', 'c1', $1, $2, $3::text::tstzmultirange)",
            *(f"user/{name}", START, "{" + ",".join(f"[{begun},{ended})" for begun, ended in times) + "}"),
        )

    async def heard(*names: str, user_id: str = "") -> list[int]:
        reached = frozenset(f"user/{name}" for name in names)
        return [each.seq for each in await recordings.list("joined", reached, "", user_id, (None, None), None, 10)]

    assert {name: await heard(name) for name in talked} == {"alice": [1], "bob": [2], "carol": [], "dan": [2, 1], "eve": []}
    assert await heard("alice", "bob", user_id="eve") == [2, 1]
    assert await heard("alice", "bob", user_id="zoe") == await heard() == []


@pytest.mark.feature("M-9", "P-8")
async def test_what_a_user_had_part_in_is_found_also_by_the_conference(pool: Any) -> None:
    await recorded_call(pool, "c1", started("alice"), ConferenceJoined(room_id="board", meeting_id="m1", party="Alice"))
    await recorded_call(pool, "c2", started("bob"), ConferenceJoined(room_id="board", meeting_id="m2", party="Bob"))
    await recorded_call(pool, "c3", started("bob"), LegOffered(party="alice", number="101"))
    for meeting in ("m1", "m2"):
        await recorded_call(pool, meeting, conference_room_id="board")
    recordings, objects = PostgresRecordings(pool), MemoryObjectStore()
    for call_id, found in (("", {"c1", "c3", "m1"}), ("c3", {"c3"}), ("c2", set())):
        assert {each.call_id for each in await recordings.list("joined", None, call_id, "alice", (None, None), None, 10)} == found
    for call in ("c1", "c2", "c3", "m1", "m2"):
        await objects.put(call.encode(), "audio/wav")
    async with pool.acquire() as connection, connection.transaction():
        assert await delete_recordings_of(connection, "joined", ("alice", "erased-1"), objects) == 3
    assert {each.call_id for each in await recordings.list("joined", None, "", "", (None, None), None, 10)} == {"c2", "m2"}
    with pytest.raises(ObjectNotFound):
        await objects.get(object_name(b"m1"))


@pytest.mark.feature("M-9", "P-8")
async def test_what_a_user_had_part_in_is_found_without_reading_calls_that_were_not_recorded(pool: Any) -> None:
    await recorded_call(pool, "c1", started("alice"))
    for number, kind in enumerate(("started", "leg_offered", "conference_joined")):
        await pool.execute(
            "insert into call_event (tenant, call_id, seq, event_id, type, at, body) values ('joined', $1, 1, $2, $3, $4, $5)",
            *(f"unread-{number}", uuid4(), f"carillon.call.{kind}.v1", START, b"\xff no JSON: who reads it fails"),
        )
    found = await PostgresRecordings(pool).list("joined", None, "", "alice", (None, None), None, 10)
    assert [each.call_id for each in found] == ["c1"]
