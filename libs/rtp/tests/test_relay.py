"""The relay: tones between two far ends, events mapped, one unbroken outgoing stream."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import pairwise, product
from pathlib import Path

import pytest

from carillon_rtp.client import Codec, DigitPressed, NoSession, PlaneClient, PlayEnded, Remote
from carillon_rtp.testing import (
    PAYLOAD_TYPE,
    EventLog,
    MakeLeg,
    RtpPacket,
    decode,
    plane_process,
    rtp_endpoint,
    share_of,
    sine,
    tone,
    write_wav,
)

CODECS: tuple[Codec, ...] = ("PCMA", "PCMU")


def audio(packets: list[RtpPacket], codec: Codec) -> list[int]:
    return decode(b"".join(packet.payload for packet in packets), codec)


def assert_one_stream(packets: list[RtpPacket]) -> None:
    """One SSRC, no sequence number left out or used twice, timestamps that only grow."""
    assert len({packet.ssrc for packet in packets}) == 1
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 65536 == 1
        assert 0 < (after.timestamp - before.timestamp) % 2**32 < 2**31


@pytest.mark.feature("M-7")
@pytest.mark.parametrize(("left", "right"), list(product(CODECS, CODECS)))
async def test_each_side_hears_the_others_tone(client: PlaneClient, make_leg: MakeLeg, left: Codec, right: Codec) -> None:
    a, b = await make_leg(left), await make_leg(right)
    await client.bridge(a.name, b.name)
    a.say(tone(425, 200, left))
    b.say(tone(1020, 200, right))
    for leg, heard, not_heard in ((b, 425, 1020), (a, 1020, 425)):
        packets = await leg.phone.wait_for(10)
        assert {packet.payload_type for packet in packets} == {PAYLOAD_TYPE[leg.codec]}
        assert {packet.source[1] for packet in packets} == {leg.address.port}
        assert share_of(audio(packets, leg.codec), heard) > 0.98
        assert share_of(audio(packets, leg.codec), not_heard) < 0.01
        assert_one_stream(packets)
        assert [after.timestamp - before.timestamp for before, after in pairwise(packets)] == [160] * 9


async def test_loss_and_order_of_the_sender_stay_visible(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    packets = [a.phone.packet(bytes([n]) * 160, 8) for n in range(6)]
    for index in (0, 1, 3, 2, 5):  # 2 is overtaken, 4 is lost
        a.phone.send_bytes(packets[index], a.address)
    heard = await b.phone.wait_for(5)
    first = heard[0].sequence
    assert [(packet.payload[0], (packet.sequence - first) % 65536) for packet in heard] == [(0, 0), (1, 1), (3, 3), (2, 2), (5, 5)]
    statistics = await client.session_statistics(a.name)
    assert (statistics.packets_in, statistics.lost, statistics.out_of_order) == (5, 1, 1)


async def test_a_new_source_goes_on_in_the_same_stream(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b, c = await make_leg(), await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    a.say(tone(425, 100, "PCMA"))
    await b.phone.wait_for(5)
    await client.bridge(c.name, b.name)
    c.say(tone(1020, 100, "PCMA"))
    packets = await b.phone.wait_for(10)
    assert_one_stream(packets)
    assert packets[5].marker
    assert share_of(audio(packets[5:], "PCMA"), 1020) > 0.98
    a.phone.ssrc += 1  # and a phone that starts anew
    a.phone.sequence += 30000
    c.phone.ssrc += 1
    c.phone.sequence += 30000
    c.say(tone(1020, 40, "PCMA"))
    assert_one_stream(await b.phone.wait_for(12))


async def test_a_prompt_and_the_relay_are_one_stream(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    a.say(tone(425, 60, "PCMA"))
    await b.phone.wait_for(3)
    await client.play(b.name, "beep", [write_wav(tmp_path / "beep.wav", sine(1020, 60))])
    a.say(tone(425, 60, "PCMA"))  # not heard while the prompt plays
    await events.wait_for(PlayEnded, b.name)
    a.say(tone(425, 60, "PCMA"))
    packets = await b.phone.wait_for(9)
    assert_one_stream(packets)
    assert [packet.marker for packet in packets] == [True, False, False, True, False, False, True, False, False]
    assert share_of(audio(packets[3:6], "PCMA"), 1020) > 0.95


@pytest.mark.feature("M-7")
async def test_telephone_events_get_the_other_sides_payload_type(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg("PCMA", 101), await make_leg("PCMU", 96)
    await client.bridge(a.name, b.name)
    a.say(tone(425, 20, "PCMA"))
    a.press_event(5)
    packets = await b.phone.wait_for(8)
    assert [packet.payload_type for packet in packets] == [0] + [96] * 7
    assert len({packet.timestamp for packet in packets[1:]}) == 1
    assert packets[1].marker
    assert (packets[1].timestamp - packets[0].timestamp) % 2**32 == 160
    assert packets[-1].payload == bytes([5, 0x8A, 5 * 160 >> 8, 5 * 160 & 255])
    assert [event.digit for event in await events.wait_for(DigitPressed, a.name)] == ["5"]


async def test_events_are_not_sent_to_who_does_not_know_them(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg("PCMA", 101), await make_leg("PCMA", None)
    await client.bridge(a.name, b.name)
    a.press_event(1)
    await events.wait_for(DigitPressed, a.name)
    a.say(tone(425, 20, "PCMA"))
    assert [packet.payload_type for packet in await b.phone.wait_for(1)] == [8]


async def test_hold_stops_the_relay_to_that_side(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    await b.connect(send=False)
    a.say(tone(425, 60, "PCMA"))
    await a.taken(3)
    await b.connect()
    a.say(tone(425, 20, "PCMA"))
    await b.phone.wait_for(1)
    assert len(b.phone.received) == 1
    assert (await client.session_statistics(b.name)).packets_out == 1


async def test_what_we_do_not_receive_is_dropped(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    await a.connect(receive=False)
    a.say(tone(425, 60, "PCMA"))
    await a.taken(3)
    assert (await client.session_statistics(a.name)).dropped.unwanted == 3
    assert b.phone.received == []


async def test_unbridged_sessions_hear_nothing(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    await client.unbridge(b.name)
    a.say(tone(425, 60, "PCMA"))
    await a.taken(3)
    assert b.phone.received == []
    with pytest.raises(NoSession):
        await client.bridge(a.name, "nobody")


async def test_a_header_with_extension_csrc_and_padding_is_relayed_without_them(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    plain = a.phone.packet(bytes(range(160)), 8)
    extended = bytes([0x80 | 0x20 | 0x10 | 2]) + plain[1:12] + bytes(8) + b"\xbe\xde\x00\x01abcd" + plain[12:] + b"\0\0\0\4"
    a.phone.send_bytes(extended, a.address)
    (packet,) = await b.phone.wait_for(1)
    assert packet.payload == bytes(range(160))


async def test_hold_in_the_old_way_keeps_the_address(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    await client.set_remote(b.name, Remote("0.0.0.0", 0, "PCMA", send=False))
    a.say(tone(425, 20, "PCMA"))
    await a.taken(1)
    await b.connect()
    a.say(tone(425, 20, "PCMA"))
    assert len(await b.phone.wait_for(1)) == 1


async def test_sessions_of_different_threads_are_bridged(tmp_path: Path) -> None:
    async with plane_process(tmp_path, "--threads", "3") as plane, AsyncExitStack() as stack:
        client = await PlaneClient.connect(plane.socket)
        phones = [await stack.enter_async_context(rtp_endpoint()) for _ in range(6)]
        addresses = [await client.open(f"s{n}") for n in range(6)]
        for n, phone in enumerate(phones):
            await client.set_remote(f"s{n}", Remote("127.0.0.1", phone.address.port))
        music = write_wav(tmp_path / "m.wav", sine(500, 5000))
        for left, right in ((0, 1), (2, 3), (1, 2), (5, 0), (3, 4), (1, 2)):
            await client.play(f"s{right}", f"{left}-{right}", [music])  # a timed session moves too
            await client.bridge(f"s{left}", f"s{right}")
            await client.stop_play(f"s{right}")
            before = len(phones[right].received)
            phones[left].send_audio(tone(425, 100, "PCMA"), "PCMA", addresses[left])
            heard = await phones[right].wait_for(before + 5)
            assert share_of(audio(heard[-4:], "PCMA"), 425) > 0.9
        bridged = {state.session: state.bridged_with for state in await client.list_sessions()}
        assert bridged == {"s0": "s5", "s1": "s2", "s2": "s1", "s3": "s4", "s4": "s3", "s5": "s0"}
        await client.disconnect()
