"""Codecs we do not decode: relayed untouched between two far ends that both speak them, each under its own payload type."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest

from carillon_rtp.client import AudioCodec, BadRequest, DigitPressed, NoCoder, PlaneClient, PlayEnded, Remote
from carillon_rtp.testing import EventLog, Leg, MakeLeg, sine, tone, write_wav

G729 = AudioCodec("G729", 18)


def say(leg: Leg, payload_type: int, payloads: list[bytes], step: int) -> None:
    """One packet a payload, `step` ticks of the codec's clock apart."""
    for payload in payloads:
        leg.phone.send_bytes(leg.phone.packet(payload, payload_type, timestamp=leg.phone.timestamp), leg.address)
        leg.phone.timestamp += step


@pytest.mark.feature("M-7")
@pytest.mark.parametrize(
    ("name", "types", "rate", "step"),
    [("G729", (18, 18), 8000, 160), ("AMR-WB", (104, 97), 16000, 320), ("EVS", (107, 111), 48000, 960), ("iLBC", (97, 98), 8000, 240)],
)
async def test_payloads_pass_untouched_at_the_codecs_clock(
    client: PlaneClient, make_leg: MakeLeg, name: str, types: tuple[int, int], rate: int, step: int
) -> None:
    a, b = await make_leg(None), await make_leg(None)
    await a.agree(AudioCodec(name, types[0], rate))
    await b.agree(AudioCodec(name.lower(), types[1], rate))
    await client.bridge(a.name, b.name)
    payloads = [bytes([n]) * (n + 1) for n in range(40)]
    say(a, types[0], payloads, step)
    packets = await b.phone.wait_for(40)
    assert [packet.payload for packet in packets] == payloads
    assert {packet.payload_type for packet in packets} == {types[1]}
    assert {packet.ssrc for packet in packets}.isdisjoint({a.phone.ssrc, b.phone.ssrc})
    assert [(after.timestamp - before.timestamp) % 2**32 for before, after in pairwise(packets)] == [step] * 39
    assert [(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)] == [1] * 39
    say(b, types[1], [b"back"], step)
    assert (await a.phone.wait_for(1))[0].payload == b"back"


async def test_a_new_source_goes_on_at_the_codecs_clock(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b, c = await make_leg(None), await make_leg(None), await make_leg(None)
    for leg in (a, b, c):
        await leg.agree(AudioCodec("EVS", 107, 48000))
    for source in (a, c):
        await client.bridge(source.name, b.name)
        say(source, 107, [b"x"] * 3, 960)
        await b.phone.wait_for(3 if source is a else 6)
    packets = b.phone.received
    assert packets[3].marker
    assert (packets[3].sequence - packets[2].sequence) % 65536 == 1
    assert 960 <= (packets[3].timestamp - packets[2].timestamp) % 2**32 < 48000 * 5  # the time that passed, at 48 kHz


async def test_a_codec_the_other_end_does_not_speak_is_counted_and_not_sent(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(G729)
    await client.bridge(a.name, b.name)
    say(a, 18, [b"1234567890"] * 3, 160)
    b.say(tone(425, 40, "PCMA"))
    await a.taken(3)
    await b.taken(2)
    assert (await a.statistics()).dropped.codec == 3
    assert (await b.statistics()).dropped.codec == 2
    assert (a.phone.received, b.phone.received) == ([], [])


async def test_only_the_agreed_payload_type_is_taken(make_leg: MakeLeg) -> None:
    a = await make_leg(None)
    await a.agree(G729)
    a.say(tone(425, 40, "PCMA"))
    await a.taken(2)
    assert (await a.statistics()).dropped.payload_type == 2


async def test_g711_may_have_a_dynamic_payload_type(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMU")
    await a.agree(AudioCodec("pcma", 97))
    await client.bridge(a.name, b.name)
    say(a, 97, [b"\xd5" * 160], 160)
    assert (await b.phone.wait_for(1))[0].payload == b"\xfe" * 160
    b.say(b"\xff" * 160)
    (packet,) = await a.phone.wait_for(1)
    assert (packet.payload_type, packet.payload) == (97, b"\xd5" * 160)


@pytest.mark.feature("M-7")
async def test_events_have_their_own_clock(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    """RFC 7587 clients send telephone-event at 8000 or at 48000 Hz: durations are converted, one key keeps one timestamp."""
    a, b = await make_leg(None), await make_leg(None)
    await a.agree(AudioCodec("EVS", 107, 48000), 101, telephone_event_rate=8000)
    await b.agree(AudioCodec("EVS", 96, 48000), 110)
    await client.bridge(a.name, b.name)
    say(a, 107, [b"speech"], 960)
    a.press(a.phone.event_packets(7, 101))
    say(a, 107, [b"speech"], 960)
    packets = await b.phone.wait_for(9)
    keys = packets[1:8]
    assert [packet.payload_type for packet in packets] == [96] + [110] * 7 + [96]
    assert len({packet.timestamp for packet in keys}) == 1
    assert (keys[0].timestamp - packets[0].timestamp) % 2**32 >= 960
    assert [struct.unpack("!BBH", packet.payload)[2] for packet in keys] == [960, 1920, 2880, 3840, 4800, 4800, 4800]
    assert await events.wait_for(DigitPressed, a.name) == [DigitPressed(a.name, "7", 100)]


async def test_what_cannot_be_encoded_is_neither_played_to_nor_recorded(client: PlaneClient, make_leg: MakeLeg, tmp_path: Path) -> None:
    leg = await make_leg(None)
    await leg.agree(G729)
    with pytest.raises(NoCoder, match="relayed only"):
        await client.play(leg.name, "p", [write_wav(tmp_path / "tone.wav", sine(425, 40))])
    with pytest.raises(NoCoder):
        await client.record(leg.name, "r", tmp_path / "r.wav")


async def test_a_prompt_ends_when_its_far_end_changes_to_such_a_codec(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path
) -> None:
    leg = await make_leg("PCMA")
    await client.play(leg.name, "music", [write_wav(tmp_path / "music.wav", sine(425, 500))], loop=True)
    await leg.phone.wait_for(2)
    await leg.agree(G729)
    assert [ended.completed for ended in await events.wait_for(PlayEnded, leg.name)] == [False]


@pytest.mark.parametrize(
    "remote",
    [
        Remote("127.0.0.1", 4000, AudioCodec("", 97)),
        Remote("127.0.0.1", 4000, AudioCodec("x" * 32, 97)),
        Remote("127.0.0.1", 4000, AudioCodec("AMR", 128)),
        Remote("127.0.0.1", 4000, AudioCodec("AMR", 97, 10)),
        Remote("127.0.0.1", 4000, AudioCodec("AMR", 97), telephone_event=97),
        Remote("127.0.0.1", 4000, AudioCodec("PCMA", 97, 16000)),
        Remote("127.0.0.1", 4000, "PCMA", 101, telephone_event_rate=7),
    ],
)
async def test_a_description_that_makes_no_sense_is_refused(client: PlaneClient, make_leg: MakeLeg, remote: Remote) -> None:
    leg = await make_leg(None)
    with pytest.raises(BadRequest):
        await client.set_remote(leg.name, remote)
    assert (await client.list_sessions())[0].remote is None


async def test_a_described_codec_is_listed_as_it_was_agreed(client: PlaneClient, make_leg: MakeLeg) -> None:
    leg = await make_leg(None)
    await leg.agree(AudioCodec("EVS", 107, 48000), 101, telephone_event_rate=8000)
    (state,) = [state for state in await client.list_sessions() if state.session == leg.name]
    here = leg.phone.address
    assert state.remote == Remote(here.ip, here.port, AudioCodec("EVS", 107, 48000), 101, telephone_event_rate=8000)
