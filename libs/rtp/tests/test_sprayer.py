"""A sprayer: RTP from a foreign address to every port reaches nobody, and nothing goes out to it."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from carillon_rtp.client import PlaneClient
from carillon_rtp.testing import MakeLeg, PlaneProcess, tone


@pytest.mark.parametrize("talking", [True, False], ids=["two packets in", "one packet in"])
async def test_a_sprayer_reaches_nobody_and_hears_nothing(
    plane: PlaneProcess, client: PlaneClient, make_leg: MakeLeg, talking: bool
) -> None:
    """Its streams are well formed, of the right payload types, in order, over every port of the range, RTCP's too."""
    pairs = [(await make_leg("PCMA", 101), await make_leg("PCMU", 101)) for _ in range(10)]
    legs = [leg for pair in pairs for leg in pair]
    for a, b in pairs:
        await client.bridge(a.name, b.name)
    if talking:
        for leg in legs:
            leg.say(tone(440, 40, leg.codec))
        await asyncio.gather(*(leg.phone.wait_for(2) for leg in legs))
    else:  # one packet has locked its source
        for leg in legs:
            leg.say(tone(440, 20, leg.codec))
        await asyncio.gather(*(leg.phone.wait_for(1) for leg in legs))
    before = {leg.name: len(leg.phone.received) for leg in legs}
    low, high = plane.ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sprayer:
        sprayer.bind(("127.0.0.9", 0))
        sprayer.setblocking(False)
        for sequence in range(6):
            for port in range(low, high + 1):
                for payload_type in (0, 8, 101):
                    packet = struct.pack("!BBHII", 0x80, payload_type, sequence, 160 * sequence, 0x666) + b"\x05\x8a\x03\x20" * 40
                    sprayer.sendto(packet, ("127.0.0.1", port))
                sprayer.sendto(struct.pack("!BBHII", 0x80, 201, 1, 0x666, 0), ("127.0.0.1", port))
            await asyncio.sleep(0.01)
        for leg in legs:
            leg.say(tone(440, 20, leg.codec))  # behind all of it
        await asyncio.gather(*(leg.phone.wait_for(before[leg.name] + 1) for leg in legs))
        with pytest.raises(BlockingIOError):
            sprayer.recv(2048)
    for leg in legs:
        assert len(leg.phone.received) == before[leg.name] + 1
        assert (await leg.statistics()).dropped.source > 0
