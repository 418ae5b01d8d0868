"""SRTP through the plane: on both legs, on one, kept over a re-INVITE, taken up by a plane started anew, and nobody else believed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from carillon_rtp.client import BadRequest, DigitPressed, PlaneClient, PlayEnded, RecordingEnded, Remote, SrtpKeys, SrtpSuite
from carillon_rtp.srtp import SUITES, SrtpStream
from carillon_rtp.testing import (
    EventLog,
    Leg,
    MakeLeg,
    decode,
    plane_process,
    rtp_endpoint,
    share_of,
    sine,
    srtp_keys,
    tone,
    write_wav,
)

GCM: SrtpSuite = "AEAD_AES_128_GCM"


async def secure(leg: Leg, suite: SrtpSuite, event_type: int | None = None) -> SrtpKeys:
    """The leg speaks SRTP from now on; the keys as the plane has them."""
    keys = leg.phone.secure(srtp_keys(suite))
    await leg.agree("PCMA", event_type, crypto=keys)
    leg.codec, leg.event_type = "PCMA", event_type
    return keys


@pytest.mark.feature("M-7")
@pytest.mark.parametrize("suite", SUITES)
async def test_srtp_on_both_legs(client: PlaneClient, make_leg: MakeLeg, suite: SrtpSuite) -> None:
    a, b = await make_leg(None), await make_leg(None)
    await secure(a, suite)
    await secure(b, suite)
    await client.bridge(a.name, b.name)
    assert {state.srtp for state in await client.list_sessions() if state.session in (a.name, b.name)} == {suite}
    a.say(tone(425, 200, "PCMA"))
    b.say(tone(1020, 200, "PCMA"))
    for leg, hertz in ((b, 425), (a, 1020)):
        packets = await leg.phone.wait_for(10)
        assert share_of(decode(b"".join(packet.payload for packet in packets), "PCMA"), hertz) > 0.98
        assert [(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)] == [1] * 9
        assert tone(hertz, 20, "PCMA") not in b"".join(leg.phone.wire)
        assert packets[0].sequence < 0x8000  # RFC 3711 section 3.3.1
    assert a.phone.wire[0][12:] != b.phone.wire[0][12:]


@pytest.mark.feature("M-7")
async def test_srtp_on_one_leg_and_rtp_on_the_other(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg(None), await make_leg("PCMU", 96)
    await secure(a, "AES_CM_128_HMAC_SHA1_80", 101)
    await client.bridge(a.name, b.name)
    a.say(tone(425, 100, "PCMA"))
    a.press_event(9)
    packets = await b.phone.wait_for(12)
    assert share_of(decode(b"".join(packet.payload for packet in packets[:5]), "PCMU"), 425) > 0.98
    assert [packet.payload_type for packet in packets[5:]] == [96] * 7
    assert [event.digit for event in await events.wait_for(DigitPressed, a.name)] == ["9"]
    b.say(tone(1020, 100, "PCMU"))
    packets = await a.phone.wait_for(5)
    assert share_of(decode(b"".join(packet.payload for packet in packets), "PCMA"), 1020) > 0.98


async def test_prompts_and_recordings(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg(None)
    await secure(leg, GCM)
    await client.play(leg.name, "p", [write_wav(tmp_path / "p.wav", sine(700, 100))])
    packets = await leg.phone.wait_for(5)
    await events.wait_for(PlayEnded, leg.name)
    assert share_of(decode(b"".join(packet.payload for packet in packets), "PCMA"), 700) > 0.98
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=100)
    leg.say(tone(500, 100, "PCMA"))
    await events.wait_for(RecordingEnded, leg.name)
    assert (tmp_path / "r.wav").read_bytes().endswith(tone(500, 100, "PCMA"))


async def test_what_is_not_the_far_ends_teaches_nothing_and_goes_nowhere(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await secure(a, GCM)
    await client.bridge(a.name, b.name)
    async with rtp_endpoint("127.0.0.2") as stranger:
        for packet in (a.phone.packet(b"\xd5" * 160, 8), b"\x80" + bytes(60)):
            stranger.send_raw(packet, a.address)
        a.phone.send_raw(a.phone.packet(b"\xd5" * 160, 8), a.address)  # plain RTP from the right address
        a.phone.send_raw(b"short", a.address)
        await a.taken(4)
        a.say(tone(425, 20, "PCMA"))
        a.phone.send_raw(SrtpStream(GCM, bytes(28)).protect(a.phone.packet(b"\xd5" * 160, 8)), a.address)
        await b.phone.wait_for(1)
        dropped = (await a.taken(6)).dropped
        assert (dropped.unauthentic, dropped.malformed) == (4, 1)
        assert len(b.phone.received) == 1
        assert (await client.list_sessions())[0].source != stranger.address


async def test_a_replay_is_counted_and_not_relayed(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    keys = a.phone.secure(srtp_keys(GCM))
    await a.agree("PCMA", crypto=keys)
    await client.bridge(a.name, b.name)
    packet = SrtpStream(GCM, keys.remote_key).protect(a.phone.packet(b"\xd5" * 160, 8))
    for _ in range(3):
        a.phone.send_raw(packet, a.address)
    assert (await a.taken(3)).dropped.replayed == 2
    assert len(await b.phone.wait_for(1)) == 1


async def test_the_same_keys_again_change_nothing_and_new_ones_take_over(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    keys = await secure(a, GCM)
    await client.bridge(a.name, b.name)
    for turn in (1, 2, 3):
        a.say(tone(425, 40, "PCMA"))
        b.say(tone(425, 40, "PCMA"))
        await a.phone.wait_for(2 * turn)
        await b.phone.wait_for(2 * turn)
        await a.agree("PCMA", crypto=keys)
    await secure(a, "AES_256_CM_HMAC_SHA1_80")
    a.say(tone(425, 40, "PCMA"))
    assert len(await b.phone.wait_for(8)) == 8
    assert (await a.statistics()).dropped.unauthentic == 0


async def test_srtp_ends_with_a_description_without_it(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await secure(a, GCM)
    await client.bridge(a.name, b.name)
    await a.agree("PCMA")
    b.say(tone(425, 20, "PCMA"))
    await b.taken(1)
    await a.taken(0)
    a.phone.send_raw(a.phone.packet(b"\xd5" * 160, 8), a.address)
    assert (await b.phone.wait_for(1))[0].payload == b"\xd5" * 160


async def test_a_plane_started_anew_goes_on_after_roll_overs(tmp_path: Path) -> None:
    """The keys are 50 minutes old: about two roll-overs of 65,536 packets of 20 ms, on both sides."""
    async with plane_process(tmp_path) as plane, rtp_endpoint() as phone:
        client = await PlaneClient.connect(plane.socket)
        phone.sequence = 20000
        keys = replace(phone.secure(srtp_keys(GCM), rolled_over=2), agreed_at=time.time() - 3000)
        address = await client.open("old")
        await client.set_remote("old", Remote("127.0.0.1", phone.address.port, crypto=keys))
        await client.play("old", "p", [write_wav(tmp_path / "p.wav", sine(700, 40))])
        packets = await phone.wait_for(2)
        assert share_of(decode(packets[0].payload, "PCMA"), 700) > 0.9
        phone.send_audio(tone(425, 20, "PCMA"), "PCMA", address)
        async with asyncio.timeout(30):
            while not (statistics := await client.session_statistics("old")).packets_in:
                pass
        assert statistics.dropped.unauthentic == 0
        assert statistics.last_packet_ms is not None
        await client.disconnect()


async def test_keys_are_neither_listed_nor_told_in_errors(client: PlaneClient, make_leg: MakeLeg) -> None:
    leg = await make_leg(None)
    keys = await secure(leg, GCM)
    (state,) = [state for state in await client.list_sessions() if state.session == leg.name]
    assert state.srtp == GCM
    assert state.remote is not None
    assert state.remote.crypto is None
    broken = Remote("127.0.0.1", 4000, crypto=keys).to_json()
    broken["crypto"]["local_key"] = "c2VjcmV0"
    with pytest.raises(BadRequest) as error:
        await client._ask("set_remote", session=leg.name, remote=broken)
    assert "c2VjcmV0" not in str(error.value)
    assert "secret" not in str(error.value)
