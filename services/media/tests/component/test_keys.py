"""Keys between phones that tell them differently, through the service and its plane: each reaches the other side once, in its kind."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.common.v1 import call_application_pb2 as app
from carillon.media.v1 import call_control_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.listening import Listener
from carillon_rtp.testing import decode
from carillon_sip import RequestOut, ResponseReceived, SessionEnded, SessionRequest
from carillon_sip.offer_answer import PCMA

pytestmark = pytest.mark.feature("M-7", "M-12")
EVENT = 101


def call_id(house: Any) -> str:
    (found,) = house.running.board.calls
    return str(found)


async def send(control: Any, house: Any, leg_id: str, digits: str, manner: pb.DigitsManner.ValueType) -> None:
    await control.SendDigits(pb.SendDigitsRequest(call_id=call_id(house), leg_id=leg_id, digits=digits, manner=manner))


def pressed(phone: Any) -> list[int]:
    """The events that it was told, each once by its timestamp."""
    return list({packet.timestamp: packet.payload[0] for packet in phone.rtp.received if packet.payload_type == EVENT}.values())


def heard(phone: Any) -> str:
    """Keys as tones in what it hears."""
    listener = Listener()
    for packet in phone.rtp.received:
        if packet.payload_type == PCMA.payload_type:
            listener.hear(packet.sequence, decode(packet.payload, "PCMA"))
    return "".join(key for key, _ in listener.keys)


def press_event(phone: Any, event: int, to: Any) -> None:
    for packet in phone.rtp.event_packets(event, EVENT):
        phone.rtp.send_bytes(packet, to)
    phone.rtp.timestamp += 800


async def test_events_and_a_phone_of_tones_understand_each_other(house: Any, words: Any, control: Any) -> None:
    """Bob's phone knows tones alone: it tells a key, and then hears events, INFO and what the API sends as tones."""
    house.application.follow(words.ring("anne"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    session = bob.call("101", body=words.without_events(bob.offer(codecs=(PCMA,))))
    _, anne_to = await anne.pick_up(codecs=(PCMA,))
    bob_to = await bob.answered()
    await eventually(lambda: house.running.board.calls and next(iter(house.running.board.calls.values())).call.doing == "talking")
    bob.rtp.send_audio(words.key_five(), "PCMA", bob_to)
    await eventually(lambda: pressed(anne) == [5])
    press_event(anne, 7, anne_to)
    await eventually(lambda: heard(bob) == "7")
    talk = next(iter(anne.agent._context.sessions))
    anne.do("request", RequestOut("INFO", session=talk, body=b"Signal=9\r\n", content_type="application/dtmf-relay"))
    assert (await anne.expect(ResponseReceived)).response.status == 200
    await eventually(lambda: heard(bob) == "79")
    for leg_id, manner in (("a", pb.DIGITS_MANNER_UNSPECIFIED), ("b1", pb.DIGITS_MANNER_TONES), ("b1", pb.DIGITS_MANNER_TELEPHONE_EVENTS)):
        await send(control, house, leg_id, "1#", manner)
    await eventually(lambda: heard(bob) == "791#")
    await eventually(lambda: pressed(anne) == [5, 1, 11])
    assert heard(anne).endswith("1#")
    await send(control, house, "a", "3", pb.DIGITS_MANNER_INFO)
    asked = await bob.expect(SessionRequest)
    assert (asked.request.content_type, asked.request.body) == ("application/dtmf-relay", b"Signal=3\r\nDuration=100\r\n")
    bob.do("respond", asked.transaction, 415)
    await eventually(lambda: heard(bob) == "791#3")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(control, house, "a", "1", pb.DIGITS_MANNER_TELEPHONE_EVENTS)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "no telephone events" in str(refused.value.details())
    bob.do("bye", session)
    await house.ended()
    assert (heard(bob), pressed(anne)) == ("791#3", [5, 1, 11])


@pytest.mark.feature("M-5", "M-13")
async def test_in_a_supervised_call_keys_go_between_kinds_also_after_a_kill(house: Any, words: Any, control: Any) -> None:
    """Carol listens; Bob's phone knows tones alone. An INFO that is under way at the kill is answered to the next process."""
    listen = app.Supervise(user_id="anne", mode=app.SUPERVISE_MODE_LISTEN, allowed=[app.SUPERVISE_MODE_LISTEN])
    house.application.follow(words.ring("anne"), app.NextResponse(step=app.Step(supervise=listen), config_seq=5), words.hang_up(16))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    session = bob.call("101", body=words.without_events(bob.offer(codecs=(PCMA,))))
    _, anne_to = await anne.pick_up(codecs=(PCMA,))
    bob_to = await bob.answered()
    await eventually(lambda: house.running.board.calls and next(iter(house.running.board.calls.values())).call.doing == "talking")
    talk = call_id(house)
    carol.call("*82101")
    await carol.answered()
    await eventually(lambda: any(event.type == "carillon.call.supervised.v1" for event in house.events(talk)))
    for again in (1, 2):
        bob.rtp.send_audio(words.key_five(), "PCMA", bob_to)
        await eventually(lambda again=again: pressed(anne) == [5] * again)  # type: ignore[misc]
        press_event(anne, 7, anne_to)
        await eventually(lambda again=again: heard(bob) == "7" * again)  # type: ignore[misc]
        if again == 1:
            by_info = pb.SendDigitsRequest(call_id=talk, leg_id="a", digits="12", manner=pb.DIGITS_MANNER_INFO)
            await control.SendDigits(by_info)
            asked = await bob.expect(SessionRequest)
            assert asked.request.body.startswith(b"Signal=1\r")
            await house.die()
            bob.do("respond", asked.transaction, 200)
            asked = await bob.expect(SessionRequest)
            assert asked.request.body.startswith(b"Signal=2\r")
            bob.do("respond", asked.transaction, 200)
    bob.do("bye", session)
    await house.ended(2)
    assert (heard(bob), pressed(anne)) == ("77", [5, 5])
    assert not any(isinstance(output, SessionRequest) for output in bob.seen)


async def test_a_strangers_phone_of_info_is_told_keys_so_in_order_and_tells_its_own(house: Any, words: Any, sipp: Any) -> None:
    """SIPp's phone: two keys that are pressed at once come one after the other; its own comes as an event, once."""
    house.application.follow(words.ring("bob"))
    anne = await house.phone("anne")
    port = sipp.free_port()
    assert await sipp.Sipp(house, "register", port, "-m", "1", user="bob").run() == 0
    stranger = sipp.Sipp(house, "uas_takes_info", port, "-m", "1", "-key", "mine", "8", user="bob")
    phone = await stranger.start()
    try:
        session = anne.call("102")
        anne_to = await anne.answered()
        await eventually(lambda: next(iter(house.running.board.calls.values())).call.doing == "talking")
        press_event(anne, 4, anne_to)
        press_event(anne, 2, anne_to)
        await eventually(lambda: pressed(anne) == [8])
        anne.do("bye", session)
        assert (await anne.expect(SessionEnded)).by == "local"
        assert await asyncio.wait_for(phone.wait(), 60) == 0, stranger.errors()
    finally:
        if phone.returncode is None:
            phone.kill()
    await house.ended()
    assert pressed(anne) == [8]
