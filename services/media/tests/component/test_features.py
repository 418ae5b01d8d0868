"""Features by API and on the wire: phones that answer by themselves, parked calls, doors, consultation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.common.v1 import call_application_pb2 as app
from carillon.media.v1 import call_control_pb2 as pb
from carillon.media.v1 import media_pb2, media_pb2_grpc
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon_contracts.streams import AUDIT
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually
from carillon_rtp.testing import decode, share_of, tone
from carillon_sip import InviteReceived, SessionAnswered, SessionCancelled, SessionEnded

pytestmark = pytest.mark.feature("M-5", "M-12")
KEY = "k" * 40
LOT = {"id": "main", "first_slot": "701", "last_slot": "702"}


def park(*slots: str, seconds: int = 60) -> app.NextResponse:
    said = [app.Prompt(speech=app.Speech(text="At {slot}", language="en"))]
    return app.NextResponse(step=app.Step(park=app.Park(slots=slots, timeout_ms=seconds * 1000, announcement=said)), config_seq=5)


def take(slot: str) -> app.NextResponse:
    return app.NextResponse(step=app.Step(pick_up=app.PickUp(slot=slot)), config_seq=5)


@pytest.fixture
async def links(house: Any) -> AsyncIterator[Any]:
    await house.configure("parking_lot", LOT)
    async with channel(f"127.0.0.1:{house.running.grpc_port}", issue_token(KEY, "olga", "dupont", [ADMIN])) as link:
        yield link


@pytest.fixture
def control(links: Any) -> Any:
    return CallControlServiceStub(links)


@pytest.fixture
async def talk(house: Any, words: Any) -> Any:
    """Anne called Bob."""
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    session = anne.call("102")
    _, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    await eventually(lambda: first(house).call.doing == "talking")
    return anne, anne_to, bob, bob_to, session


def first(house: Any) -> Any:
    return next(iter(house.running.board.calls.values()))


def call_id(house: Any) -> str:
    return str(first(house).call.facts.call_id)


async def reason(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_an_intercom_and_an_originated_call_say_that_the_phone_is_to_answer(house: Any, words: Any, control: Any) -> None:
    answer = words.ring("bob")
    answer.step.ring.auto_answer = True
    house.application.follow(answer)
    anne, bob = await house.phone("anne"), await house.phone("bob")
    await control.OriginateCall(pb.OriginateCallRequest(user_id="anne", destination="102", auto_answer=True))
    for phone in (anne, bob):
        invite, _ = await phone.pick_up()
        headers = invite.request.headers
        assert headers.get("Answer-Mode") == "Auto"
        assert (headers.get("Call-Info") or "").endswith(">;answer-after=0")
        assert "info=alert-autoanswer" in (headers.get("Alert-Info") or "")


async def test_a_phone_that_rings_is_made_to_answer(house: Any, words: Any, control: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    await eventually(lambda: "b1" in first(house).call.legs and first(house).call.legs["b1"].state == "ringing")
    await control.AnswerCall(pb.AnswerCallRequest(call_id=call_id(house), leg_id="b1"))
    await bob.expect(SessionCancelled)
    invite, _ = await bob.pick_up()
    assert invite.request.headers.get("Answer-Mode") == "Auto"
    await anne.answered()
    code, _ = await reason(control.AnswerCall(pb.AnswerCallRequest(call_id=call_id(house), leg_id="b2")))
    assert code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_call_is_parked_by_request_and_taken_back_at_the_slot(house: Any, words: Any, control: Any, links: Any, talk: Any) -> None:
    anne, _, bob, _, _ = talk
    house.application.follow(park("701", "702"), take("701"))
    parked = await control.ParkCall(pb.ParkCallRequest(call_id=call_id(house), leg_id="a"))
    assert parked.slot == "701"
    assert house.application.asked[-1].call.dialled == "*7"
    await bob.expect(SessionEnded, timeout=15)
    (live,) = (await media_pb2_grpc.LiveCallServiceStub(links).ListLiveCalls(media_pb2.ListLiveCallsRequest())).calls
    assert (live.state, live.slot, live.node) == ("parked", "701", "test")
    carol = await house.phone("carol")
    session = carol.call("701")
    carol_to = await carol.answered()
    await eventually(lambda: len(house.running.board.calls) == 1 and first(house).call.doing == "talking")
    carol.rtp.send_audio(tone(440, 400, "PCMA"), "PCMA", carol_to)
    await eventually(lambda: share_of(decode(b"".join(p.payload for p in anne.rtp.received[-8:]), "PCMA"), 440) > 0.9)
    carol.do("bye", session)
    await anne.expect(SessionEnded)
    events = await house.ended(2)
    assert words.last(events, "park_ended") == {"slot": "701", "result": "retrieved", "by": "carol"}


async def test_what_cannot_be_parked_is_said(house: Any, words: Any, control: Any, talk: Any) -> None:
    code, _ = await reason(control.ParkCall(pb.ParkCallRequest(call_id=call_id(house), leg_id="a", slot="999")))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    code, _ = await reason(control.ParkCall(pb.ParkCallRequest(call_id="nobodys", leg_id="a")))
    assert code is grpc.StatusCode.NOT_FOUND
    code, _ = await reason(control.ParkCall(pb.ParkCallRequest(call_id=call_id(house), leg_id="b7")))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    code, _ = await reason(control.ParkCall(pb.ParkCallRequest(leg_id="a")))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    house.application.follow(words.hang_up(34, 503))
    code, _ = await reason(control.ParkCall(pb.ParkCallRequest(call_id=call_id(house), leg_id="a")))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    await eventually(lambda: first(house).call.doing == "talking")


async def test_verbs_for_users_dial_the_codes_in_their_name(house: Any, words: Any, control: Any) -> None:
    house.application.follow(words.hang_up(16))
    carol = await house.phone("carol")
    whisper = pb.SuperviseCallRequest(supervisor_user_id="carol", user_id="bob", mode=pb.SUPERVISION_MODE_WHISPER)
    verbs = [
        (control.UnparkCall, pb.UnparkCallRequest(user_id="carol", slot="702"), "702"),
        (control.PickUpCall, pb.PickUpCallRequest(user_id="carol", rung_user_id="bob"), "**102"),
        (control.PickUpCall, pb.PickUpCallRequest(user_id="carol"), "*8"),
        (control.SuperviseCall, whisper, "*83102"),
    ]
    for verb, request, dialled in verbs:
        await verb(request)
        await carol.pick_up()
        await carol.expect(SessionEnded)
        asked = house.application.asked[-1].call
        assert (asked.dialled, asked.caller_user_id) == (dialled, "carol")


async def test_verbs_for_users_check_their_fields(control: Any) -> None:
    for call in (
        control.UnparkCall(pb.UnparkCallRequest(user_id="carol", slot="x")),
        control.PickUpCall(pb.PickUpCallRequest()),
        control.SuperviseCall(pb.SuperviseCallRequest(supervisor_user_id="carol", user_id="bob")),
        control.ConsultTransfer(pb.ConsultTransferRequest(call_id="c", leg_id="a", destination="no good")),
        control.CompleteTransfer(pb.CompleteTransferRequest(call_id="c", leg_id="a", consult_call_id="c")),
        control.OpenDoor(pb.OpenDoorRequest(call_id="c")),
    ):
        assert (await reason(call))[0] is grpc.StatusCode.INVALID_ARGUMENT
    unknown = control.PickUpCall(pb.PickUpCallRequest(user_id="carol", rung_user_id="nobody"))
    assert (await reason(unknown))[0] is grpc.StatusCode.NOT_FOUND


async def test_a_user_consults_and_then_joins_the_two_others(house: Any, words: Any, control: Any, talk: Any) -> None:
    anne, anne_to, bob, _, _ = talk
    carol = await house.phone("carol")
    house.application.follow(words.ring("carol"))
    consult = await control.ConsultTransfer(pb.ConsultTransferRequest(call_id=call_id(house), leg_id="b1", destination="103"))
    await bob.pick_up()
    _, carol_to = await carol.pick_up()
    second = house.running.board.calls[consult.consult_call_id]
    await eventually(lambda: second.call.doing == "talking")
    assert first(house).call.doing == "held"
    request = pb.CompleteTransferRequest(call_id=call_id(house), leg_id="b1", consult_call_id=consult.consult_call_id)
    await control.CompleteTransfer(request)
    for _ in range(2):
        await bob.expect(SessionEnded)
    anne.rtp.send_audio(tone(440, 400, "PCMA"), "PCMA", anne_to)
    await eventually(lambda: share_of(decode(b"".join(p.payload for p in carol.rtp.received[-8:]), "PCMA"), 440) > 0.9)
    assert (await reason(control.CompleteTransfer(request)))[0] is grpc.StatusCode.NOT_FOUND
    assert carol_to is not None


async def test_a_door_is_opened_by_request(house: Any, control: Any, talk: Any) -> None:
    _, _, bob, _, _ = talk
    code, _ = await reason(control.OpenDoor(pb.OpenDoorRequest(call_id=call_id(house), leg_id="b1")))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    door = {"open_digits": "5", "lock_digits": "1"}
    await house.configure("user", {"id": "bob", "last_name": "Door", "door_phone": door})
    await eventually(lambda: house.running.board.parts.directory.door_phone("dupont", "bob") is not None)
    await control.OpenDoor(pb.OpenDoorRequest(call_id=call_id(house), leg_id="b1"))
    assert {(packet.payload_type, packet.payload[0]) for packet in await bob.rtp.wait_for(5)} == {(101, 1)}


async def test_only_groups_may_pick_up_where_the_tenant_says_so(house: Any, words: Any) -> None:
    tenant = {"id": "dupont", "realm": "dupont.example", "pickup_scope": "group"}
    await house.configure("tenant", tenant)
    directory = house.running.board.parts.directory
    await eventually(lambda: not directory.may_pick_up("dupont", "carol", "bob"))
    await house.configure("pickup_group", {"id": "g", "user_ids": ["carol", "bob"]})
    await eventually(lambda: directory.may_pick_up("dupont", "carol", "bob"))
    assert not directory.may_pick_up("dupont", "anne", "bob")
    house.application.follow(words.ring("bob"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    anne.call("102")
    invite = await bob.expect(InviteReceived)
    bob.do("ring", invite.session)
    await eventually(lambda: first(house).call.legs["b1"].state == "ringing")
    call, ours, theirs = house.running.board.parts.sip.dialog_ids(first(house).legs["b1"].session)
    carol.call("102", headers=(("Replaces", f"{call};to-tag={ours};from-tag={theirs}"),))
    await carol.expect(SessionAnswered)


async def test_a_phone_is_told_by_itself_that_a_call_is_parked(house: Any, words: Any, control: Any, talk: Any) -> None:
    carol = await house.phone("carol")
    step = park("701")
    step.step.park.page_user_ids.extend(["carol", "bob"])
    step.step.park.page_prompts.add().speech.CopyFrom(app.Speech(text="Call at {slot}", language="en"))
    house.application.follow(step)
    await control.ParkCall(pb.ParkCallRequest(call_id=call_id(house), leg_id="a"))
    invite, _ = await carol.pick_up()
    assert invite.request.headers.get("Answer-Mode") == "Auto"
    said = decode(b"".join(packet.payload for packet in await carol.rtp.wait_for(40, deadline=10)), "PCMA")
    assert max(abs(sample) for sample in said) > 1000
    await carol.expect(SessionEnded, timeout=15)
    assert first(house).call.doing == "parked"


async def test_who_listens_to_whom_is_audited_and_ends_with_the_talk(house: Any, words: Any, talk: Any) -> None:
    anne, _, _, _, session = talk
    house._stored[AUDIT.name] = []
    watching = asyncio.ensure_future(house.watch(AUDIT.name))
    modes = [app.SUPERVISE_MODE_LISTEN, app.SUPERVISE_MODE_WHISPER]
    supervise = app.Supervise(user_id="bob", mode=app.SUPERVISE_MODE_LISTEN, allowed=modes)
    house.application.follow(app.NextResponse(step=app.Step(supervise=supervise), config_seq=5), words.hang_up(16))
    carol = await house.phone("carol")
    carol.call("*82102")
    carol_to = await carol.answered()
    await eventually(lambda: any(actor.call.doing == "supervising" for actor in house.running.board.calls.values()))
    talked = call_id(house)
    for packet in carol.rtp.event_packets(5, 101):
        carol.rtp.send_bytes(packet, carol_to)
    await eventually(lambda: len(house.stored(AUDIT.name)) >= 2)
    anne.do("bye", session)
    await carol.expect(SessionEnded)
    await eventually(lambda: len(house.stored(AUDIT.name)) >= 3)
    watching.cancel()
    told = [(event.type, event.data["mode"], event.data["call_id"]) for event in house.stored(AUDIT.name)]
    assert told == [("carillon.audit.call_supervised.v1", mode, talked) for mode in ("listen", "whisper", "ended")]
    assert house.stored(AUDIT.name)[0].data["supervisor"] == "carol"
    await house.ended(2)
    modes_told = [event.data["mode"] for event in house.events(talked) if event.type == "carillon.call.supervised.v1"]
    assert modes_told[:2] == ["listen", "whisper"]


async def test_who_picks_up_by_code_sees_who_calls(house: Any, words: Any) -> None:
    pick_up = app.NextResponse(step=app.Step(pick_up=app.PickUp(ringing=app.RingingAt(user_ids=["bob"]))), config_seq=5)
    house.application.follow(words.ring("bob"), pick_up)
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    await eventually(lambda: first(house).call.legs["b1"].state == "ringing")
    carol.call("*8")
    answered = await carol.expect(SessionAnswered)
    assert "Anne" in (answered.response.headers.get("P-Asserted-Identity") or "")
    assert "elsewhere" in (await bob.expect(SessionCancelled)).reason
    await anne.answered()
    talk = await house_ends(house, "took_over")
    assert words.last(talk, "took_over")["how"] == "picked_up"
    (up,) = house.running.board.calls.values()
    assert up.call.state.answered_by == "carol"


async def house_ends(house: Any, fact: str) -> list[Any]:
    """The events of the call in which this happened, once it has ended."""
    await eventually(lambda: any(event.type == f"carillon.call.{fact}.v1" for event in house.events()))
    call = next(event.callid for event in house.events() if event.type == f"carillon.call.{fact}.v1")
    await eventually(lambda: any(event.type == "carillon.call.ended.v1" for event in house.events(call)))
    events: list[Any] = house.events(call)
    return events
