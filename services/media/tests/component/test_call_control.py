"""`CallControlService` over a real port, with real phones: what is asked is done, refused with a reason, and told by the call's events."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import orjson
import pytest
from google.rpc import error_details_pb2, status_pb2

from carillon.media.v1 import call_control_pb2 as pb
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually
from carillon_media.adapters import applications
from carillon_media.handlers import features
from carillon_rtp.testing import decode, share_of, tone
from carillon_sip import InviteReceived, SessionCancelled, SessionEnded

pytestmark = pytest.mark.feature("M-12")
KEY = "k" * 40


@pytest.fixture
async def talk(house: Any, words: Any) -> Any:
    """Anne called Bob: both phones, where each sends audio, and the call."""
    house.application.follow(words.ring("bob"), words.ring("carol"), words.hang_up(17))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    session = anne.call("102")
    _, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    await eventually(lambda: actor(house).legs["b1"].bridged_with)
    return anne, anne_to, bob, bob_to, session


def actor(house: Any) -> Any:
    return next(iter(house.running.board.calls.values()))


def call_id(house: Any) -> str:
    return str(actor(house).call.facts.call_id)


async def refused(call: Any) -> tuple[grpc.StatusCode, list[str]]:
    """Code, and the fields or subjects that it names."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    metadata: Any = error.trailing_metadata()
    packed = {str(key): value for key, value in metadata}.get("grpc-status-details-bin", b"")
    names: list[str] = []
    for detail in status_pb2.Status.FromString(packed).details:
        bad, held = error_details_pb2.BadRequest(), error_details_pb2.PreconditionFailure()
        if detail.Unpack(bad):
            names += [violation.field for violation in bad.field_violations]
        elif detail.Unpack(held):
            names += [violation.subject for violation in held.violations]
    return error.code(), names


async def test_a_call_is_hung_up(house: Any, words: Any, control: Any, talk: Any) -> None:
    anne, _, bob, _, _ = talk
    await control.HangUpCall(pb.HangUpCallRequest(call_id=call_id(house)))
    for phone in (anne, bob):
        assert (await phone.expect(SessionEnded)).by == "remote"
    events = await house.ended()
    assert words.last(events, "controlled") == {"action": "hang_up", "requested_by": "olga", "details": {"cause": "normal_clearing"}}
    assert words.last(events, "ended")["by"] == "system"


async def test_a_call_that_rings_is_hung_up_too(house: Any, words: Any, control: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    await eventually(lambda: actor(house).call.legs["b1"].state == "ringing")
    await control.HangUpCall(pb.HangUpCallRequest(call_id=call_id(house), cause=21))
    await bob.expect(SessionCancelled)
    assert words.last(await house.ended(), "ended")["cause"] == "call_rejected"


async def test_hold_and_resume(house: Any, words: Any, control: Any, talk: Any) -> None:
    anne, anne_to, bob, _, _ = talk
    await control.HoldLeg(pb.HoldLegRequest(call_id=call_id(house), leg_id="b1"))
    music = b"".join(packet.payload for packet in await anne.rtp.wait_for(20))
    assert max(abs(sample) for sample in decode(music, "PCMA")) > 500
    anne.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", anne_to)
    code, names = await refused(control.HoldLeg(pb.HoldLegRequest(call_id=call_id(house), leg_id="b1")))
    assert (code, names) == (grpc.StatusCode.FAILED_PRECONDITION, [f"calls/{call_id(house)}"])
    assert bob.rtp.received == []
    await control.ResumeLeg(pb.ResumeLegRequest(call_id=call_id(house), leg_id="b1"))
    anne.rtp.send_audio(tone(440, 200, "PCMA"), "PCMA", anne_to)
    heard = b"".join(packet.payload for packet in (await bob.rtp.wait_for(8))[2:])
    assert share_of(decode(heard, "PCMA"), 440) > 0.9


async def test_a_transfer_goes_to_the_destination_in_the_users_name(house: Any, words: Any, control: Any, talk: Any) -> None:
    _, _, bob, _, _ = talk
    carol = await house.phone("carol")
    await control.TransferCall(pb.TransferCallRequest(call_id=call_id(house), leg_id="a", destination="103"))
    assert (await bob.expect(SessionEnded)).by == "remote"
    await carol.pick_up()
    asked = house.application.asked[-1].call
    assert (asked.caller_user_id, asked.dialled) == ("bob", "103")
    await eventually(lambda: actor(house).call.doing == "talking")
    await eventually(lambda: [event.type.split(".")[2] for event in house.events()].count("leg_transferred") == 1)


async def test_digits_and_texts_are_heard(house: Any, words: Any, control: Any, talk: Any) -> None:
    _, _, bob, _, _ = talk
    await control.SendDigits(pb.SendDigitsRequest(call_id=call_id(house), leg_id="b1", digits="5"))
    events = await bob.rtp.wait_for(5)
    assert {(packet.payload_type, packet.payload[0]) for packet in events} == {(101, 5)}
    await eventually(lambda: any(packet.payload[1] & 0x80 for packet in bob.rtp.received))
    bob.rtp.received.clear()
    await control.PlayToCall(pb.PlayToCallRequest(call_id=call_id(house), text="Hello", language="en"))
    spoken = decode(b"".join(packet.payload for packet in await bob.rtp.wait_for(20, deadline=10)), "PCMA")
    assert max(abs(sample) for sample in spoken) > 1000


async def test_both_sides_are_recorded_under_their_labels(house: Any, words: Any, control: Any, talk: Any) -> None:
    anne, anne_to, bob, bob_to, session = talk
    await control.StartRecording(pb.StartRecordingRequest(call_id=call_id(house), labels={"case": "7"}))
    for phone, to, hertz in ((anne, anne_to, 440), (bob, bob_to, 880)):
        phone.rtp.send_audio(tone(hertz, 400, "PCMA"), "PCMA", to)
    await anne.rtp.wait_for(15)
    await bob.rtp.wait_for(15)
    await control.StopRecording(pb.StopRecordingRequest(call_id=call_id(house)))

    def finished() -> list[Any]:
        return [event for event in house.events() if event.type.endswith("recording_finished.v1")]

    await eventually(lambda: len(finished()) == 2)
    assert {(event.legid, event.data["labels"]["leg_id"], event.data["labels"]["case"]) for event in finished()} == {
        ("a", "a", "7"),
        ("b1", "b1", "7"),
    }
    await eventually(lambda: not any((house.folder / "media/spool").rglob("*.wav")))
    for event in finished():
        assert len(await house.objects.get(event.data["object"])) == event.data["bytes"]
    anne.do("bye", session)
    await house.ended()


async def test_one_side_alone_is_recorded_and_a_tone_tells_both(house: Any, words: Any, control: Any, talk: Any) -> None:
    anne, anne_to, bob, bob_to, session = talk
    sides, here = pb.RECORDING_SIDES_CALLED, call_id(house)
    await control.StartRecording(pb.StartRecordingRequest(call_id=here, sides=sides, tone=True))
    await eventually(lambda: all(any(max(decode(p.payload, "PCMA")) > 1000 for p in phone.rtp.received) for phone in (anne, bob)))

    def frames(audio: bytes, hertz: int) -> int:
        return sum(share_of(decode(audio[at : at + 160], "PCMA"), hertz) > 0.9 for at in range(0, len(audio), 160))

    def both_speak_and_hear() -> bool:
        for phone, to, hertz in ((anne, anne_to, 440), (bob, bob_to, 880)):
            phone.rtp.send_audio(tone(hertz, 20, "PCMA"), "PCMA", to)
        return all(frames(b"".join(p.payload for p in one.rtp.received), hertz) >= 10 for one, hertz in ((anne, 880), (bob, 440)))

    await eventually(both_speak_and_hear)
    await control.StopRecording(pb.StopRecordingRequest(call_id=here))
    await eventually(lambda: "recording_finished b1" in words.story(house.events()))
    (finished,) = [event for event in house.events() if event.type.endswith("recording_finished.v1")]
    data = await house.uploaded(finished.data["object"])
    said = data[data.index(b"data") + 8 :]
    assert frames(said, 880) >= 5
    assert frames(said, 440) == 0
    anne.do("bye", session)
    await house.ended()


async def test_click_to_call(house: Any, words: Any, control: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, second, bob = await house.phone("anne"), await house.phone("anne"), await house.phone("bob")
    answer = await control.OriginateCall(pb.OriginateCallRequest(user_id="anne", destination="102"))
    shown, anne_to = await second.pick_up()
    assert (shown.request.from_.display_name, shown.request.from_.uri.user) == ("Bob", "102")
    assert "200" in (await anne.expect(SessionCancelled)).reason
    invite, bob_to = await bob.pick_up()
    assert invite.request.from_.uri.user == "101"
    await eventually(lambda: actor(house).legs["b1"].bridged_with)
    second.rtp.received.clear()
    bob.rtp.send_audio(tone(880, 300, "PCMA"), "PCMA", bob_to)
    second.rtp.send_audio(tone(440, 300, "PCMA"), "PCMA", anne_to)
    heard = decode(b"".join(packet.payload for packet in (await bob.rtp.wait_for(12))[2:]), "PCMA")
    assert share_of(heard, 440) > 0.9
    asked = house.application.asked[0].call
    assert (asked.caller_user_id, asked.dialled, asked.call_id) == ("anne", "102", answer.call_id)
    second.do("bye", shown.session)
    await bob.expect(SessionEnded)
    events = await house.ended()
    assert (events[0].data["requested_by"], events[0].data["dialled"]) == ("olga", "102")
    assert words.last(events, "ended")["by"] == "caller"
    ends = [event.legid for event in events if event.type.endswith("leg_ended.v1")]
    assert sorted(ends) == ["a", "a2", "b1"]


@pytest.mark.feature("R-27")
async def test_who_holds_a_caller_for_another_user_is_reminded_at_the_same_phone(
    house: Any, words: Any, control: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applications, "MIN_REMINDER_MS", 200)
    monkeypatch.setattr(features, "REMINDER_RING_SECONDS", 0.5)
    ring = words.ring("bob")
    ring.step.ring.caller_number = "+41791112233"
    ring.step.ring.hold_reminder.every_ms = 300
    ring.step.ring.hold_reminder.prompts.add().speech.text = "A caller is waiting."
    house.application.follow(ring)
    anne, bob = await house.phone("anne"), await house.phone("bob")
    session = anne.call("102")
    await bob.pick_up()
    await anne.answered()
    await control.HoldLeg(pb.HoldLegRequest(call_id=call_id(house), leg_id="b1"))
    reminded = await bob.expect(InviteReceived)
    assert reminded.request.from_.uri.user == "+41791112233"
    bob.do("reject", reminded.session, 486)
    anne.do("bye", session)
    await eventually(lambda: not house.running.board.calls)


@pytest.mark.feature("D-16")
async def test_a_phone_outside_rings_first_and_the_application_is_asked_with_what_was_given(house: Any, words: Any, control: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(16))
    bob = await house.phone("bob")
    call = "01890000-0000-7000-8000-000000000001"
    wanted = pb.OriginateCallRequest(
        phone="+41795550911", destination="emergency-notice", call_id=call, arguments={"variables.notice": "7"}
    )
    assert (await control.OriginateCall(wanted)).call_id == call
    await bob.pick_up()
    events = await house.ended()
    where, then = house.application.asked
    assert (where.call.dialled, where.call.caller_user_id) == ("+41795550911", "")
    assert dict(where.outcome.entered.arguments) == {"look_up": "call"}
    assert (then.call.dialled, then.call.caller_number) == ("emergency-notice", "+41795550911")
    assert dict(then.outcome.entered.arguments) == {"variables.notice": "7"}
    assert (events[0].callid, events[0].data["caller"], events[0].data["requested_by"]) == (call, "+41795550911", "olga")


async def test_what_is_wrong_is_named(house: Any, words: Any, control: Any, talk: Any) -> None:
    here = call_id(house)
    bad, gone, state = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION
    for call, expected in [
        (control.HangUpCall(pb.HangUpCallRequest()), (bad, ["call_id"])),
        (control.HangUpCall(pb.HangUpCallRequest(call_id=here, cause=999)), (bad, ["cause"])),
        (control.HangUpCall(pb.HangUpCallRequest(call_id="nobody")), (gone, [])),
        (control.HoldLeg(pb.HoldLegRequest(call_id=here)), (bad, ["leg_id"])),
        (control.HoldLeg(pb.HoldLegRequest(call_id=here, leg_id="b9")), (bad, ["leg_id"])),
        (control.ResumeLeg(pb.ResumeLegRequest(call_id=here, leg_id="b1")), (state, [f"calls/{here}"])),
        (control.TransferCall(pb.TransferCallRequest(call_id=here, leg_id="a", destination="a b")), (bad, ["destination"])),
        (control.SendDigits(pb.SendDigitsRequest(call_id=here, leg_id="a", digits="x")), (bad, ["digits"])),
        (control.PlayToCall(pb.PlayToCallRequest(call_id=here, text=" ")), (bad, ["text"])),
        (control.StartRecording(pb.StartRecordingRequest(call_id=here, max_seconds=-1)), (bad, ["max_seconds"])),
        (
            control.StartRecording(pb.StartRecordingRequest(call_id=here, labels={"purpose": "voicemail", "mailbox_id": "box"})),
            (bad, ["labels"]),
        ),
        (control.StopRecording(pb.StopRecordingRequest(call_id=here)), (state, [f"calls/{here}"])),
        (control.OriginateCall(pb.OriginateCallRequest(user_id="ghost", destination="102")), (gone, [])),
        (control.OriginateCall(pb.OriginateCallRequest(user_id="carol", destination="102")), (state, ["users/carol"])),
        (control.OriginateCall(pb.OriginateCallRequest(destination="")), (bad, ["user_id", "destination"])),
        (control.OriginateCall(pb.OriginateCallRequest(phone="0791", destination="102")), (bad, ["phone"])),
        (
            control.OriginateCall(pb.OriginateCallRequest(phone="+41795550911", destination="1", arguments={"x": "y" * 201})),
            (bad, ["arguments"]),
        ),
        (
            control.OriginateCall(pb.OriginateCallRequest(phone="+41795550911", destination="1", arguments={"emergency_notice": "7"})),
            (bad, ["arguments"]),
        ),
        (
            control.OriginateCall(pb.OriginateCallRequest(user_id="anne", destination="1", arguments={"variables.x": "7"})),
            (bad, ["arguments"]),
        ),
    ]:
        assert await refused(call) == expected
    async with channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "eve", "other", [ADMIN])) as link:
        stranger: Any = CallControlServiceStub(link)
        assert (await refused(stranger.HangUpCall(pb.HangUpCallRequest(call_id=here))))[0] == gone
    assert actor(house).call.doing == "talking"


async def test_a_watcher_sees_a_call_from_its_first_event_to_its_last_and_may_come_again(
    house: Any, words: Any, control: Any, talk: Any
) -> None:
    anne, _, _, _, session = talk
    here = call_id(house)
    watching = control.WatchCallEvents(pb.WatchCallEventsRequest(call_id=here))
    first = await watching.read()
    assert (first.seq, orjson.loads(first.event)["type"]) == (1, "carillon.call.started.v1")
    again = control.WatchCallEvents(pb.WatchCallEventsRequest(call_id=here, after_seq=3))
    assert (await again.read()).seq == 4
    anne.do("bye", session)
    seen = [first.seq]
    end: Any = grpc.aio.EOF  # type: ignore[attr-defined]
    while (response := await watching.read()) is not end:
        seen.append(response.seq)
    events = await house.ended()
    assert seen == [event.seq for event in events]
    assert (await refused(control.WatchCallEvents(pb.WatchCallEventsRequest(call_id=here)).read()))[0] == grpc.StatusCode.NOT_FOUND


async def test_a_tenant_watches_all_its_calls(house: Any, words: Any, control: Any) -> None:
    house.application.follow(words.hang_up(16, 480))
    watching = control.WatchCallEvents(pb.WatchCallEventsRequest())
    await eventually(lambda: len(house.running.board.taps._taps) == 1)
    anne = await house.phone("anne")
    anne.call("102")
    async with asyncio.timeout(30):
        while orjson.loads((await watching.read()).event)["type"] != "carillon.call.ended.v1":
            pass
    watching.cancel()
    await eventually(lambda: not house.running.board.taps._taps)
