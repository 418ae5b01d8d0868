"""Opus as its receiver likes it (RFC 7587 section 6.1): with or without error correction, nothing in silence, no bandwidth that is not
played."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from carillon_rtp.client import AudioCodec, PlaneClient
from carillon_rtp.codecs import Encoder
from carillon_rtp.testing import DEADLINE, MakeLeg, RtpPacket, encode, sine

G722 = AudioCodec("G722", 9)


def opus(parameters: str) -> AudioCodec:
    return AudioCodec("opus", 111, 48000, parameters)


def configurations(packets: list[RtpPacket]) -> set[int]:
    """RFC 6716 section 3.1, table 2: 0 to 3 SILK narrowband, 8 to 11 SILK wideband."""
    return {packet.payload[0] >> 3 for packet in packets}


def corrects(packet: RtpPacket) -> bool:
    """The LBRR flag of a mono SILK packet of 20 ms, RFC 6716 section 4.2.3."""
    return bool(packet.payload[1] & 0x40)


async def spoken(client: PlaneClient, make_leg: MakeLeg, parameters: str) -> list[RtpPacket]:
    """What a far end with these parameters is sent for a second of G.722, half of it speech-like, half of it silence."""
    a, b = await make_leg(None), await make_leg(None)
    await a.agree(G722)
    await b.agree(opus(parameters))
    await client.bridge(a.name, b.name)
    voice = [one + other for one, other in zip(sine(300, 500, 5000), sine(2700, 500, 3000), strict=True)]
    encoder, samples = Encoder("G722"), voice + [0] * 4000
    count = len(samples) // 160
    for number in range(count):
        payload = encoder.encode(samples[160 * number : 160 * (number + 1)])
        a.phone.send_bytes(a.phone.packet(payload, 9), a.address)
        if number % 10 == 9:  # no more than the jitter buffer holds
            await b.phone.wait_for(min(number - 4, 25))
    await a.taken(count)
    return b.phone.received


@pytest.mark.feature("M-7")
async def test_bandwidth_is_what_is_played(client: PlaneClient, make_leg: MakeLeg) -> None:
    assert configurations((await spoken(client, make_leg, ""))[5:25]) <= {8, 9, 10, 11}
    assert configurations((await spoken(client, make_leg, "maxplaybackrate=8000; stereo=0"))[5:25]) <= {0, 1, 2, 3}
    assert configurations((await spoken(client, make_leg, "maxplaybackrate=rubbish"))[5:25]) <= {8, 9, 10, 11}


@pytest.mark.feature("M-7")
async def test_error_correction_is_for_those_who_use_it(client: PlaneClient, make_leg: MakeLeg) -> None:
    assert any(corrects(packet) for packet in (await spoken(client, make_leg, "useinbandfec=1"))[5:25])
    assert not any(corrects(packet) for packet in (await spoken(client, make_leg, "useinbandfec=0;usedtx=0"))[5:25])


@pytest.mark.feature("M-7")
async def test_in_silence_nothing_is_sent_to_those_who_like_it(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg("PCMA"), await make_leg(None)
    await b.agree(opus("usedtx=1"))
    await client.bridge(a.name, b.name)
    a.say(b"\xd5" * 160 * 26 + encode(sine(300, 100), "PCMA"))  # half a second of silence, then a voice: all that the jitter buffer holds
    packets = b.phone.received
    async with asyncio.timeout(DEADLINE):
        while not packets or (packets[-1].timestamp - packets[0].timestamp) % 2**32 < 28 * 960:
            await b.phone.changed()
    assert len(packets) < 24
    assert [(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)] == [1] * (len(packets) - 1)
