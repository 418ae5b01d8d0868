"""Sources: the signalled address is preferred, another is learned once, then nobody else is heard or answered."""

from __future__ import annotations

import os
import random

import pytest

from carillon_rtp.client import BadRequest, PlaneClient, RefusedTarget, Remote, SourceLocked
from carillon_rtp.testing import EventLog, MakeLeg, rtp_endpoint, tone

AUDIO = tone(440, 20, "PCMA")


@pytest.mark.feature("M-1")
async def test_the_signalled_source_locks_at_once(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    async with rtp_endpoint() as stranger:
        a.say(AUDIO)
        (locked,) = await events.wait_for(SourceLocked, a.name)
        assert (locked.ip, locked.port) == (a.phone.address.ip, a.phone.address.port)
        for _ in range(5):
            stranger.send_audio(AUDIO, "PCMA", a.address)
        a.say(AUDIO)
        statistics = await a.taken(2)
        b.say(AUDIO)
        await a.phone.wait_for(1)
        assert statistics.packets_in == 2  # the kernel keeps strangers out of a locked session
        assert len(b.phone.received) == 2
        assert stranger.received == []


@pytest.mark.feature("M-1")
async def test_a_source_behind_a_nat_is_heard_at_once_answered_and_locked(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg(None), await make_leg()
    await client.bridge(a.name, b.name)
    async with rtp_endpoint("127.0.0.2") as stranger:
        await client.set_remote(a.name, Remote("127.0.0.1", 9))  # what its SDP said
        a.say(AUDIO * 2)
        await b.phone.wait_for(2)
        b.say(AUDIO)
        await a.phone.wait_for(1)  # where it really is
        stranger.send_audio(AUDIO, "PCMA", a.address)
        assert (await a.taken(3)).dropped.source == 1
        count = 3
        while not events.of(SourceLocked, a.name):  # the trial is 200 ms
            a.say(AUDIO)
            count += 1
            await a.taken(count)
        assert events.of(SourceLocked, a.name)[0].port == a.phone.address.port


async def test_who_comes_from_elsewhere_is_heard_from_the_named_networks_alone(client: PlaneClient, make_leg: MakeLeg) -> None:
    """A phone's description names an address of its own network; its SIP came from 127.0.0.3, its audio comes from there too."""
    a, b = await make_leg(None), await make_leg()
    await client.bridge(a.name, b.name)
    async with rtp_endpoint("127.0.0.3") as phone, rtp_endpoint("127.0.0.2") as stranger, rtp_endpoint("127.0.1.7") as carrier:
        await client.set_remote(a.name, Remote("10.255.1.1", 4000, sources=("127.0.0.3",)))
        stranger.send_audio(AUDIO * 3, "PCMA", a.address)
        await a.taken(3)
        phone.send_audio(AUDIO * 2, "PCMA", a.address)
        await b.phone.wait_for(2)
        b.say(AUDIO)
        await phone.wait_for(1)
        assert (await a.statistics()).dropped.source == 3
        assert {packet.ssrc for packet in b.phone.received} == {b.phone.received[0].ssrc}
        # A re-INVITE from elsewhere, with the same description: the old place is no longer heard, a whole network is.
        await client.set_remote(a.name, Remote("10.255.1.1", 4000, sources=("127.0.1.0/24",)))
        phone.send_audio(AUDIO, "PCMA", a.address)
        assert (await a.taken(6)).dropped.source == 4
        count = 6
        while len(b.phone.received) < 3:  # once the old one was silent for a while
            carrier.send_audio(AUDIO, "PCMA", a.address)
            count += 1
            await a.taken(count)
        assert (stranger.received, carrier.received) == ([], [])


@pytest.mark.parametrize("sources", [("127.0.0.1/33",), ("host",), ("10.0.0.0/8",) * 9])
async def test_sources_are_a_few_networks(client: PlaneClient, make_leg: MakeLeg, sources: tuple[str, ...]) -> None:
    leg = await make_leg(None)
    with pytest.raises(BadRequest, match="sources"):
        await client.set_remote(leg.name, Remote("127.0.0.1", 4000, sources=sources))


async def test_the_signalled_source_wins_over_one_on_trial(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    async with rtp_endpoint() as stranger:
        stranger.send_audio(AUDIO * 2, "PCMA", a.address)
        await a.taken(2)
        a.say(AUDIO)
        (locked,) = await events.wait_for(SourceLocked, a.name)
        assert locked.port == a.phone.address.port
        stranger.send_audio(AUDIO, "PCMA", a.address)
        a.say(AUDIO)
        assert (await a.taken(4)).packets_in == 4
        assert len(await b.phone.wait_for(4)) == len(b.phone.received)


async def test_a_new_address_is_learned_anew_and_the_old_one_is_not_heard(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    a.say(AUDIO)
    await events.wait_for(SourceLocked, a.name)
    async with rtp_endpoint() as new:
        await client.set_remote(a.name, Remote("127.0.0.1", new.address.port))
        a.say(AUDIO)
        assert (await a.taken(2)).dropped.source == 1
        new.send_audio(AUDIO, "PCMA", a.address)
        locked = await events.wait_for(SourceLocked, a.name, 2)
        assert locked[1].port == new.address.port
        b.say(AUDIO)
        await new.wait_for(1)
        assert a.phone.received == []


async def test_the_same_address_again_keeps_the_source(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a = await make_leg()
    a.say(AUDIO)
    await events.wait_for(SourceLocked, a.name)
    await a.connect("PCMU")
    async with rtp_endpoint() as stranger:
        stranger.send_audio(AUDIO, "PCMA", a.address)
        assert (await a.taken(2)).dropped.source == 1
    a.phone.send_audio(AUDIO, "PCMU", a.address)
    assert (await a.taken(3)).dropped.source == 1
    assert len(events.of(SourceLocked, a.name)) == 1


@pytest.mark.parametrize("ip", ["0.0.0.0", "224.0.0.1", "239.255.255.250", "255.255.255.255", "169.254.1.1", "0.1.2.3"])
async def test_nothing_is_sent_to_refused_targets(client: PlaneClient, make_leg: MakeLeg, ip: str) -> None:
    leg = await make_leg(None)
    with pytest.raises(RefusedTarget, match=ip):
        await client.set_remote(leg.name, Remote(ip, 4000))
    with pytest.raises(RefusedTarget):
        await client.set_remote(leg.name, Remote("127.0.0.1", 0))


@pytest.mark.feature("M-7")
async def test_a_flood_of_malformed_packets_changes_nothing(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg("PCMA", 101), await make_leg("PCMU", 101)
    await client.bridge(a.name, b.name)
    a.say(AUDIO)
    await events.wait_for(SourceLocked, a.name)
    good = a.phone.packet(AUDIO, 8)
    bad = [
        b"\x80",
        good[:11],
        good[:12],
        b"\x00" + good[1:],
        b"\x8f" + good[1:40],
        b"\xb0" + good[1:16],
        b"\xa0" + good[1:12] + b"\xff",
    ]
    bad += [b"\x80\xc8" + good[2:], good + bytes(2000), b"\x90" + good[1:12] + b"\0\0\xff\xff" + good[12:]]
    for datagram in bad:
        a.phone.send_bytes(datagram, a.address)
    statistics = await a.taken(1 + len(bad))
    assert statistics.dropped.malformed == len(bad)
    assert len(b.phone.received) == 1
    a.phone.send_bytes(good, a.address)
    await b.phone.wait_for(2)


async def test_random_datagrams_end_nothing(client: PlaneClient, make_leg: MakeLeg) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    chance = random.Random(seed)
    a, b = await make_leg("PCMA", 101), await make_leg("PCMU", 101)
    await client.bridge(a.name, b.name)
    for _ in range(20):
        for _ in range(100):
            datagram = bytearray(chance.randbytes(chance.choice((0, 3, 12, 16, 40, 172, 400))))
            if len(datagram) > 1 and chance.random() < 0.8:
                datagram[0] = chance.choice((0x80, 0x90, 0xA0, 0xB5))
                datagram[1] = chance.choice((0, 8, 101, 101 | 128, 13, 200))
            a.phone.send_bytes(bytes(datagram), a.address)
        await client.session_statistics(a.name)
    statistics = await a.statistics()
    assert statistics.packets_in > 0, f"seed {seed}"
    b.say(AUDIO)
    await a.phone.wait_for(1)


async def test_more_packets_than_a_call_has_are_dropped(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(), await make_leg()
    await client.bridge(a.name, b.name)
    for count in range(1, 13):  # 1,200 packets, far more than 500 a second
        a.say(tone(440, 2000, "PCMA"))
        await a.taken(count * 100)
    statistics = await a.statistics()
    assert statistics.packets_in == 1200
    assert statistics.dropped.flood > 0
