"""Conference rooms: who hears whom, told by tones; keys, requests, and what the events say."""

import asyncio
import contextlib
import io
import signal
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import grpc.aio
import pytest
import soundfile

from carillon.common.v1 import call_application_pb2 as app
from carillon.media.v1 import conference_pb2 as pb
from carillon.media.v1.conference_pb2_grpc import ConferenceServiceStub
from carillon_contracts.streams import CONFERENCES
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually
from carillon_rtp.testing import decode, encode, share_of, sine

pytestmark = pytest.mark.feature("M-9")
KEY = "k" * 40
TONES = {"anne": 440.0, "bob": 770.0, "carol": 1230.0}
PACKETS_HEARD = 25


def conference(**fields: Any) -> app.NextResponse:
    step = app.Conference(**{"room_id": "board", "display_name": "Board", "creator": True, **fields})
    return app.NextResponse(step=app.Step(conference=step), cursor=b"x", config_seq=5)


@contextlib.asynccontextmanager
async def speaking(phones: Sequence[tuple[Any, Any]]) -> AsyncIterator[None]:
    """Each phone sends its tone, a packet every 20 ms."""

    async def speak() -> None:
        loop, start, packet = asyncio.get_running_loop(), asyncio.get_running_loop().time(), 0
        # One second holds a whole number of periods of every tone.
        audio = {phone.user: encode(sine(TONES[phone.user], 1000, 6000), "PCMA") for phone, _ in phones}
        while True:
            for phone, to in phones:
                at = packet % 50 * 160
                phone.rtp.send_audio(audio[phone.user][at : at + 160], "PCMA", to)
            packet += 1
            await asyncio.sleep(max(0.0, start + packet * 0.02 - loop.time()))

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def hears(phone: Any) -> dict[str, float]:
    """Whose tones are in the last half second, as parts of its energy."""
    samples = decode(b"".join(packet.payload for packet in phone.rtp.received[-PACKETS_HEARD:]), "PCMA")
    return {user: share_of(samples, hertz) for user, hertz in TONES.items()}


def only(phone: Any, *users: str) -> bool:
    """These are heard, and no other of ours."""
    shares = hears(phone)
    return all(shares[user] > 0.2 for user in users) and all(share < 0.02 for user, share in shares.items() if user not in users)


@pytest.fixture
async def client(house: Any) -> AsyncIterator[Any]:
    async with channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "olga", "dupont", [ADMIN])) as link:
        yield ConferenceServiceStub(link)


async def join(house: Any, user: str, *, inside: bool = True, **fields: Any) -> tuple[Any, Any, str]:
    """A phone that calls the room; with where it sends to, and its call."""
    before = set(house.running.board.calls)
    house.application.follow(conference(party_name=user.title(), **fields))
    phone = await house.phone(user)
    session = phone.call("102")
    to = await phone.answered()
    (call_id,) = set(house.running.board.calls) - before
    if inside:
        await eventually(lambda: call_id in party_names(house))
    return phone, to, session


def party_names(house: Any) -> dict[str, str]:
    return {key: member.name for room in house.running.board.rooms.of("dupont") for key, member in room.members.items()}


def press(phone: Any, to: Any, *digits: int) -> None:
    for digit in digits:
        for packet in phone.rtp.event_packets(digit, 101):
            phone.rtp.send_bytes(packet, to)


async def test_each_hears_the_others_and_not_itself(house: Any, client: Any) -> None:
    three = [await join(house, user) for user in TONES]
    async with speaking([(phone, to) for phone, to, _ in three]):
        for phone, _, _ in three:
            others = [user for user in TONES if user != phone.user]
            await eventually(partial(only, phone, *others))
        await eventually(lambda: all(m.talking for r in house.running.board.rooms.of("dupont") for m in r.members.values()))
    (listed,) = (await client.ListConferences(pb.ListConferencesRequest())).conferences
    assert [(party.name, party.creator) for party in listed.parties] == [("Anne", True), ("Bob", True), ("Carol", True)]
    for phone, _, session in three:
        phone.do("bye", session)
    await house.ended(3)
    joined = [event.data for event in house.events() if event.type == "carillon.call.conference_joined.v1"]
    left = [event.data for event in house.events() if event.type == "carillon.call.conference_left.v1"]
    assert {data["party"] for data in joined} == {"Anne", "Bob", "Carol"}
    assert {(data["meeting_id"], data["result"]) for data in left} == {(listed.meeting_id, "left")}
    assert len(left) == 3


async def test_who_is_alone_hears_music(house: Any) -> None:
    anne, _, _ = await join(house, "anne")
    await eventually(lambda: len(anne.rtp.received) > 50)
    samples = decode(b"".join(packet.payload for packet in anne.rtp.received[-PACKETS_HEARD:]), "PCMA")
    assert sum(abs(sample) for sample in samples) / len(samples) > 50


async def test_participants_hear_nobody_until_the_creator_comes(house: Any) -> None:
    guests = [await join(house, user, creator=False, wait_for_creator=True) for user in ("bob", "carol")]
    async with speaking([(phone, to) for phone, to, _ in guests]):
        await eventually(lambda: all(len(phone.rtp.received) > 60 for phone, _, _ in guests))
        assert all(max(hears(phone).values()) < 0.3 for phone, _, _ in guests)
        await join(house, "anne", creator=True, wait_for_creator=True)
        await eventually(lambda: only(guests[0][0], "carol") and only(guests[1][0], "bob"))


async def test_keys_mute_lock_and_put_out(house: Any, client: Any, words: Any) -> None:
    anne, anne_to, _ = await join(house, "anne")
    bob, bob_to, _ = await join(house, "bob", creator=False)
    async with speaking([(bob, bob_to)]):
        await eventually(lambda: only(anne, "bob"))
    press(bob, bob_to, 10, 6)
    await eventually(lambda: [m.muted for r in house.running.board.rooms.of("dupont") for m in r.members.values()] == [False, True])
    async with speaking([(bob, bob_to)]):
        before = len(anne.rtp.received)
        await eventually(lambda: len(anne.rtp.received) > before + 60)
        assert not only(anne, "bob")
    press(bob, bob_to, 10, 9)
    press(anne, anne_to, 10, 5)
    await eventually(lambda: house.running.board.rooms.find("dupont", "board").locked)
    house.application.follow(conference(creator=False), words.hang_up(16))
    carol = await house.phone("carol")
    carol.call("102")
    await eventually(lambda: house.ends() == 1)
    assert house.application.asked[-1].outcome.conference.result == app.CONFERENCE_RESULT_LOCKED
    house.application.follow(words.hang_up(16))
    press(anne, anne_to, 10, 8)
    await house_has(house, 1)
    assert house.application.asked[-1].outcome.conference.result == app.CONFERENCE_RESULT_KICKED


async def house_has(house: Any, calls: int) -> None:
    await eventually(lambda: len(house.running.board.calls) == calls)


async def test_requests_of_another_tenant_find_nothing_and_those_of_ours_are_done(house: Any, client: Any, words: Any) -> None:
    await join(house, "anne")
    await join(house, "bob", creator=False)
    bob_call = next(key for key, name in party_names(house).items() if name == "Bob")
    async with channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "eve", "other", [ADMIN])) as link:
        stranger = ConferenceServiceStub(link)
        assert not (await stranger.ListConferences(pb.ListConferencesRequest())).conferences
        for request in (
            stranger.MuteParty(pb.MutePartyRequest(room_id="board", call_id=bob_call, muted=True)),
            stranger.KickParty(pb.KickPartyRequest(room_id="board", call_id=bob_call)),
            stranger.LockConference(pb.LockConferenceRequest(room_id="board", locked=True)),
            stranger.CloseConference(pb.CloseConferenceRequest(room_id="board")),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await request
            assert error.value.code() is grpc.StatusCode.NOT_FOUND
    watch = client.WatchConference(pb.WatchConferenceRequest(room_id="board"))
    assert len((await watch.read()).conference.parties) == 2
    await client.MuteParty(pb.MutePartyRequest(room_id="board", call_id=bob_call, muted=True))
    assert [party.muted for party in (await watch.read()).conference.parties] == [False, True]
    house.application.follow(words.hang_up(16))
    await client.CloseConference(pb.CloseConferenceRequest(room_id="board"))
    assert not await watch.read()
    await house.ended(2)
    results = {event.data["result"] for event in house.events() if event.type == "carillon.call.conference_left.v1"}
    assert results == {"closed"}


async def test_a_room_closes_when_it_was_idle_after_its_creator_has_left(house: Any, words: Any) -> None:
    anne, _, session = await join(house, "anne", idle_seconds=1)
    await join(house, "bob", creator=False, idle_seconds=1)
    house.application.follow(words.hang_up(16))
    anne.do("bye", session)
    await house.ended(2)
    left = [event.data["result"] for event in house.events() if event.type == "carillon.call.conference_left.v1"]
    assert left == ["left", "closed"]
    assert house.application.asked[-1].outcome.conference.result == app.CONFERENCE_RESULT_CLOSED


async def test_the_talk_goes_on_when_the_media_plane_dies(house: Any) -> None:
    three = [await join(house, user) for user in TONES]
    await house.plane.end(signal.SIGKILL)
    await house.plane.start()
    async with speaking([(phone, to) for phone, to, _ in three]):
        for phone, _, _ in three:
            others = [user for user in TONES if user != phone.user]
            await eventually(partial(only, phone, *others))


def told(house: Any, fact: str = "") -> list[Any]:
    """Conferences' events, or those of one kind."""
    events = house.stored(CONFERENCES.name)
    return [event for event in events if not fact or event.type == f"carillon.conference.{fact}.v1"]


async def mp3(house: Any, name: str) -> tuple[list[int], int]:
    """Samples and rate of what comes into the object store."""
    content = await house.uploaded(name)
    assert content[:4] not in (b"RIFF", b"OggS")
    samples, rate = soundfile.read(io.BytesIO(content))
    return [int(sample) for sample in samples * 32767], rate


def part_of(samples: Sequence[int], hertz: float, rate: int) -> float:
    """The tone's greatest part of the energy of a quarter second."""
    window = rate // 4
    return max(share_of(samples[at : at + window], hertz * 8000 / rate) for at in range(0, len(samples) - window, window // 2))


async def test_a_room_is_recorded_as_mp3_and_its_events_tell_the_story(house: Any, client: Any, words: Any) -> None:
    anne, anne_to, _ = await join(house, "anne", record=True, retention_days=7)
    bob, _, _ = await join(house, "bob", creator=False, record=True, retention_days=7)
    async with speaking([(anne, anne_to)]):
        await eventually(lambda: only(bob, "anne"))
        before = len(bob.rtp.received)
        await eventually(lambda: len(bob.rtp.received) > before + 50)
    house.application.follow(words.hang_up(16))
    await client.CloseConference(pb.CloseConferenceRequest(room_id="board"))
    await eventually(lambda: bool(told(house, "recorded")))
    (recorded,) = told(house, "recorded")
    samples, rate = await mp3(house, recorded.data["object"])
    assert rate == 16_000
    assert part_of(samples, TONES["anne"], rate) > 0.6
    assert part_of(samples, TONES["carol"], rate) < 0.1
    assert abs(len(samples) / rate * 1000 - recorded.data["duration_ms"]) < 300
    assert recorded.data["retention_days"] == 7
    assert [event.type.split(".")[2] for event in told(house)] == ["opened", "party_joined", "party_joined", "closed", "recorded"]
    assert {event.data["meeting_id"] for event in told(house)} == {recorded.data["meeting_id"]}
    assert [event.data["parties"] for event in told(house, "party_joined")] == [1, 2]
    assert not any((house.folder / "media/spool/rooms").iterdir())


async def test_a_room_s_recording_outlives_the_process_that_began_it(house: Any, words: Any) -> None:
    anne, anne_to, _ = await join(house, "anne", record=True)
    bob, _, _ = await join(house, "bob", creator=False, record=True)
    async with speaking([(anne, anne_to)]):
        await eventually(lambda: only(bob, "anne"))
        before = len(bob.rtp.received)
        await eventually(lambda: len(bob.rtp.received) > before + 50)
    await house.die()
    await eventually(lambda: bool(told(house, "recorded")))
    samples, rate = await mp3(house, told(house, "recorded")[0].data["object"])
    assert part_of(samples, TONES["anne"], rate) > 0.6


def more(phone: Any, packets: int) -> bool:
    return len(phone.rtp.received) > packets


async def test_a_room_is_recorded_while_somebody_wants_it(house: Any, client: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    files = house.running.board.rooms._parts.prompts.files

    async def listen(tenant: str, prompts: Any, call_id: str) -> Any:
        said.extend(prompt.text for prompt in prompts)
        return await files(tenant, prompts, call_id)

    monkeypatch.setattr(house.running.board.rooms._parts.prompts, "files", listen)
    start, stop = pb.StartConferenceRecordingRequest(room_id="board"), pb.StopConferenceRecordingRequest(room_id="board")
    with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
        await client.StartConferenceRecording(start)
    anne, anne_to, _ = await join(house, "anne")
    bob, bob_to, _ = await join(house, "bob", creator=False)
    with pytest.raises(grpc.aio.AioRpcError, match="FAILED_PRECONDITION"):
        await client.StopConferenceRecording(stop)
    recorded: list[list[str]] = []
    for talks, to, listens in ((anne, anne_to, bob), (bob, bob_to, anne)):
        await client.StartConferenceRecording(start)
        assert (await client.ListConferences(pb.ListConferencesRequest())).conferences[0].recorded
        with pytest.raises(grpc.aio.AioRpcError, match="FAILED_PRECONDITION"):
            await client.StartConferenceRecording(start)
        async with speaking([(talks, to)]):
            await eventually(partial(only, listens, talks.user))
            await eventually(partial(more, listens, len(listens.rtp.received) + 50))
            await client.StopConferenceRecording(stop)
        await eventually(lambda: len(told(house, "recorded")) == len(recorded) + 1)
        samples, rate = await mp3(house, told(house, "recorded")[-1].data["object"])
        recorded.append([user for user, hertz in TONES.items() if part_of(samples, hertz, rate) > 0.6])
    assert recorded == [["anne"], ["bob"]]
    assert [event.data["part"] for event in told(house, "recorded")] == [1, 2]
    assert [(event.data["on"], event.data["requested_by"]) for event in told(house, "recording_switched")] == [
        (True, "olga"),
        (False, "olga"),
    ] * 2
    assert said == ["This conference is recorded.", "The recording has ended."] * 2
    await client.StartConferenceRecording(start)
    said.clear()
    await join(house, "carol", creator=False)
    await eventually(lambda: said == ["This conference is recorded."])


async def test_a_room_nobody_wants_recorded_is_not(house: Any, words: Any) -> None:
    anne, _, session = await join(house, "anne", idle_seconds=1)
    anne.do("bye", session)
    await eventually(lambda: bool(told(house, "closed")))
    assert [event.type.split(".")[2] for event in told(house)] == ["opened", "party_joined", "party_left", "closed"]
    assert told(house, "closed")[0].data["reason"] == "idle"
    assert not told(house, "recorded")


async def test_a_room_is_closed_while_somebody_leaves_it(house: Any, client: Any, words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plane takes its time to let go of who left."""
    rooms = house.running.board.rooms
    asked, goes_on = asyncio.Event(), asyncio.Event()
    leave = rooms._parts.plane.leave

    async def slow(*given: Any, **options: Any) -> None:
        asked.set()
        await goes_on.wait()
        await leave(*given, **options)

    anne, _, session = await join(house, "anne")
    await join(house, "bob")
    monkeypatch.setattr(rooms._parts.plane, "leave", slow)
    house.application.follow(words.hang_up(16))
    anne.do("bye", session)
    await asyncio.wait_for(asked.wait(), 30)
    await client.CloseConference(pb.CloseConferenceRequest(room_id="board"))
    goes_on.set()
    await house.ended(2)
    assert rooms.of("dupont") == []


async def test_of_two_who_leave_at_once_none_stays_in_the_room(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plane lets go of both after both have asked."""
    rooms = house.running.board.rooms
    leave, both = rooms._parts.plane.leave, asyncio.Barrier(2)

    async def slow(*given: Any, **options: Any) -> None:
        await asyncio.wait_for(both.wait(), 30)
        await leave(*given, **options)

    joined = [await join(house, user) for user in ("anne", "bob")]
    monkeypatch.setattr(rooms._parts.plane, "leave", slow)
    for phone, _, session in joined:
        phone.do("bye", session)
    await house.ended(2)
    await eventually(lambda: [room.members for room in rooms.of("dupont")] == [{}])
