"""Comfort noise (RFC 3389) and Opus's own: made where a stream ends here, for as long as its sender is silent; passed on
and sent in place of our own silence to who agreed to it."""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from carillon_rtp.client import AudioCodec, Codec, PlaneClient, PlayEnded
from carillon_rtp.codecs import Encoder
from carillon_rtp.testing import EventLog, MakeLeg, RtpPacket, decode, share_of, sine, tone, write_wav

G722, OPUS = AudioCodec("G722", 9), AudioCodec("opus", 111, 48000)
COMFORT_NOISE = 13
#: SILK at 8 kHz, one frame of 20 ms, of no bytes (RFC 6716 sections 3.1 and 2.1.9).
OPUS_NOTHING = b"\x08"


def level(packets: list[RtpPacket]) -> float:
    """-dBov of A-law audio."""
    samples = decode(b"".join(packet.payload for packet in packets), "PCMA")
    return -20 * math.log10(math.sqrt(sum(sample * sample for sample in samples) / len(samples)) / 32768)


def assert_unbroken(packets: list[RtpPacket]) -> None:
    assert {packet.payload_type for packet in packets} == {8}
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) % 65536 == 1
        assert (after.timestamp - before.timestamp) % 2**32 >= 160


def frames(codec: AudioCodec, hertz: float, milliseconds: int) -> list[bytes]:
    encoder, samples = Encoder(codec.name), sine(hertz, milliseconds)
    return [encoder.encode(samples[start : start + 160]) for start in range(0, len(samples), 160)]


@pytest.mark.feature("M-7")
@pytest.mark.parametrize("quiet", [30, 50])
async def test_silence_sounds_as_its_sender_says_until_it_speaks_again(client: PlaneClient, make_leg: MakeLeg, quiet: int) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(G722)
    await client.bridge(a.name, b.name)
    for payload in frames(G722, 425, 100):
        a.phone.send_bytes(a.phone.packet(payload, 9), a.address)
    a.phone.send_bytes(a.phone.packet(bytes([quiet, 100, 20]), COMFORT_NOISE), a.address)  # with a colour
    packets = await b.phone.wait_for(45)
    assert_unbroken(packets)
    assert level(packets[10:45]) == pytest.approx(quiet, abs=2)
    a.phone.timestamp += 8000
    for payload in frames(G722, 425, 300):
        a.phone.send_bytes(a.phone.packet(payload, 9), a.address)
    spoken = len(b.phone.received)
    packets = await b.phone.wait_for(spoken + 16)
    assert share_of(decode(b"".join(packet.payload for packet in packets[-8:]), "PCMA"), 425) > 0.9


@pytest.mark.feature("M-7")
async def test_opus_that_sends_nothing_is_not_a_hole(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(OPUS)
    await client.bridge(a.name, b.name)
    for payload in [*frames(OPUS, 425, 100), OPUS_NOTHING]:
        a.phone.send_bytes(a.phone.packet(payload, 111, timestamp=a.phone.timestamp), a.address)
        a.phone.timestamp += 960
    packets = await b.phone.wait_for(40)
    assert_unbroken(packets)
    assert level(packets[20:40]) > 30


async def test_between_ends_of_one_codec_it_goes_nowhere(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg("PCMA"), await make_leg("PCMU")
    await client.bridge(a.name, b.name)
    a.say(tone(440, 40, "PCMA"))
    a.phone.send_bytes(a.phone.packet(b"\x28", COMFORT_NOISE), a.address)
    a.say(tone(440, 40, "PCMA"))
    packets = await b.phone.wait_for(4)
    assert {packet.payload_type for packet in packets} == {0}
    assert [(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)] == [1, 2, 1]
    assert (await a.statistics()).lost == 0


async def test_in_a_room_the_others_hear_it(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg("PCMA"), await make_leg("PCMA")
    await client.open_room("quiet")
    await client.join(a.name, "quiet", silent=True)
    await client.join(b.name, "quiet", silent=True)
    a.say(tone(440, 60, "PCMA"))
    a.phone.send_bytes(a.phone.packet(b"\x1e", COMFORT_NOISE), a.address)
    packets = (await b.phone.wait_for(40))[20:]
    assert level(packets) == pytest.approx(30, abs=2)
    await client.close_room("quiet")


@pytest.mark.feature("M-7")
@pytest.mark.parametrize("codec", ["PCMA", "PCMU", G722])
async def test_silence_of_a_prompt_is_told_once_a_second_to_who_agreed_to_it(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, codec: Codec | AudioCodec
) -> None:
    """300 ms of tone, 1.6 s of nothing, a tone again: its first packet is marked, its timestamp counts what was not sent."""
    leg = await make_leg(None)
    await leg.agree(codec, comfort_noise=True)
    path = write_wav(tmp_path / "gap.wav", [*sine(425, 300), *([0] * 12_800), *sine(425, 300)])
    await client.play(leg.name, "gap", [path])
    await events.wait_for(PlayEnded, leg.name)
    packets = leg.phone.received
    runs = [(noise, len(list(run))) for noise, run in groupby(packets, lambda packet: packet.payload_type == COMFORT_NOISE)]
    spoken = runs[0][1]
    assert runs == [(False, spoken), (True, 2), (False, 15)]
    assert spoken in (25, 26)  # a filter to 16 kHz rings a little longer
    assert packets[spoken].payload in (bytes([77]), bytes([127]))  # A-law has no zero
    assert [packet.marker for packet in packets] == [number in (0, spoken + 2) for number in range(len(packets))]
    assert {(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)} == {1}
    assert (packets[spoken + 2].timestamp - packets[0].timestamp) % 2**32 >= 94 * 160  # or more, where the machine stood still


@pytest.mark.feature("M-7")
async def test_who_has_not_agreed_to_it_hears_silence(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg("PCMA")
    await client.play(leg.name, "silent", [write_wav(tmp_path / "silent.wav", [0] * 8000)])
    await events.wait_for(PlayEnded, leg.name)
    assert [packet.payload_type for packet in leg.phone.received] == [8] * 50


@pytest.mark.feature("M-7")
async def test_between_two_that_agreed_it_is_passed_on(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg(None)
    await a.agree("PCMA", comfort_noise=True)
    await b.agree("PCMU", comfort_noise=True)
    await client.bridge(a.name, b.name)
    a.say(tone(440, 40, "PCMA"))
    a.phone.send_bytes(a.phone.packet(b"\x28", COMFORT_NOISE), a.address)
    a.say(tone(440, 40, "PCMA"))
    packets = await b.phone.wait_for(5)
    assert [packet.payload_type for packet in packets] == [0, 0, COMFORT_NOISE, 0, 0]
    assert packets[2].payload == b"\x28"
    assert [(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)] == [1] * 4
