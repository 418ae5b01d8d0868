"""A sprayer: RTP from a foreign address to every port reaches nobody, and nothing goes out to it."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from carillon_rtp.client import PlaneClient
from carillon_rtp.testing import MakeLeg, PlaneProcess, tone


def spray(sprayer: socket.socket, ports: tuple[int, int], sequence: int) -> None:
    """Well-formed packets of every payload type that is agreed on to each port, reports among them."""
    for port in range(ports[0], ports[1] + 1):
        for payload_type in (0, 8, 101):
            packet = struct.pack("!BBHII", 0x80, payload_type, sequence, 160 * sequence, 0x666) + b"\x05\x8a\x03\x20" * 40
            sprayer.sendto(packet, ("127.0.0.1", port))
        sprayer.sendto(struct.pack("!BBHII", 0x80, 201, 1, 0x666, 0), ("127.0.0.1", port))


async def test_a_sprayer_that_was_there_first_never_comes_in(plane: PlaneProcess, client: PlaneClient, make_leg: MakeLeg) -> None:
    """From before the calls, through their set-up and the silence after it, until both ends speak: nothing of it arrives anywhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sprayer:
        sprayer.bind(("127.0.0.9", 0))
        sprayer.setblocking(False)
        spray(sprayer, plane.ports, 1)
        pairs = [(await make_leg("PCMA", 101), await make_leg("PCMU", 101)) for _ in range(5)]
        legs = [leg for pair in pairs for leg in pair]
        spray(sprayer, plane.ports, 2)
        for a, b in pairs:
            await client.bridge(a.name, b.name)
        for sequence in range(3, 9):
            spray(sprayer, plane.ports, sequence)
            for leg in legs:
                await leg.taken(3 * (sequence - 2))
        for leg in legs:
            leg.say(tone(440, 20, leg.codec))  # behind all of it
        await asyncio.gather(*(leg.phone.wait_for(1) for leg in legs))
        with pytest.raises(BlockingIOError):
            sprayer.recv(2048)
    for leg in legs:
        assert [packet.ssrc == 0x666 for packet in leg.phone.received] == [False]
        assert (await leg.statistics()).dropped.source >= 18


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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sprayer:
        sprayer.bind(("127.0.0.9", 0))
        sprayer.setblocking(False)
        for sequence in range(6):
            spray(sprayer, plane.ports, sequence)
            await asyncio.sleep(0.01)
        for leg in legs:
            leg.say(tone(440, 20, leg.codec))  # behind all of it
        await asyncio.gather(*(leg.phone.wait_for(before[leg.name] + 1) for leg in legs))
        with pytest.raises(BlockingIOError):
            sprayer.recv(2048)
    for leg in legs:
        assert len(leg.phone.received) == before[leg.name] + 1
        assert (await leg.statistics()).packets_in == before[leg.name] + 1  # the kernel kept it all away
