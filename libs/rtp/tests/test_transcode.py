"""G.722 and Opus: played, recorded, and made into one another and into G.711 where two far ends differ."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from carillon_rtp.client import AudioCodec, DigitPressed, PlaneClient, PlayEnded, RecordingEnded
from carillon_rtp.codecs import Decoder, Encoder
from carillon_rtp.testing import EventLog, Leg, MakeLeg, RtpPacket, decode, share_of, sine, srtp_keys, write_wav

G722 = AudioCodec("G722", 9)
OPUS = AudioCodec("opus", 111, 48000)
PCMA, PCMU = AudioCodec.of("PCMA"), AudioCodec.of("PCMU")
PAIRS = [(PCMA, G722), (G722, PCMU), (PCMU, OPUS), (OPUS, PCMA), (G722, OPUS), (OPUS, G722)]


def payloads(codec: AudioCodec, samples: list[int]) -> list[bytes]:
    encoder = Encoder(codec.name)
    return [encoder.encode(samples[start : start + 160]) for start in range(0, len(samples) - 159, 160)]


async def say(leg: Leg, codec: AudioCodec, packets: list[bytes], *, pace: float = 0.0, lost: frozenset[int] = frozenset()) -> None:
    """One packet a payload, `pace` seconds apart on the loop's clock; those in `lost` are not sent."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, payload in enumerate(packets):
        packet = leg.phone.packet(payload, codec.payload_type, timestamp=leg.phone.timestamp)
        leg.phone.timestamp += codec.clock_rate // 50
        if number not in lost:
            leg.phone.send_bytes(packet, leg.address)
        if pace:
            await asyncio.sleep(max(0.0, start + (number + 1) * pace - loop.time()))


def heard(packets: list[RtpPacket], codec: AudioCodec) -> list[int]:
    """What the far end hears of these packets, at 8 kHz."""
    decoder = Decoder(codec.name)
    return [sample for packet in packets for sample in decoder.decode(packet.payload)]


def assert_steady(packets: list[RtpPacket], codec: AudioCodec) -> None:
    """Every packet is there, 20 ms after the one before, but where the machine was late."""
    assert {packet.payload_type for packet in packets} == {codec.payload_type}
    assert {(after.sequence - before.sequence) % 65536 for before, after in pairwise(packets)} == {1}
    steps = [(after.timestamp - before.timestamp) % 2**32 for before, after in pairwise(packets)]
    assert codec.clock_rate // 50 == min(steps) == Counter(steps).most_common(1)[0][0]
    assert max(steps) < codec.clock_rate * 10


@pytest.mark.parametrize("name", ["PCMA", "PCMU", "G722", "opus"])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_what_is_encoded_is_decoded(name: str, rate: int) -> None:
    encoder, decoder = Encoder(name, rate), Decoder(name, rate)
    samples = sine(600, 400 * rate // 8000)
    frame = rate // 50
    back = [sample for start in range(0, len(samples), frame) for sample in decoder.decode(encoder.encode(samples[start : start + frame]))]
    assert len(back) == len(samples)
    assert share_of(back[frame:], 600) > 0.95  # `share_of` counts per sample: 600/8000 of either rate


def test_opus_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be decoded"):
        Decoder("opus").decode(b"\xff" * 3)
    with pytest.raises(KeyError):
        Encoder("G729")


@pytest.mark.feature("M-7")
@pytest.mark.parametrize(("left", "right"), PAIRS, ids=lambda codec: codec.name)
async def test_each_side_hears_the_others_tone_in_its_codec(
    client: PlaneClient, make_leg: MakeLeg, left: AudioCodec, right: AudioCodec
) -> None:
    a, b = await make_leg(None), await make_leg(None)
    await a.agree(left)
    await b.agree(right)
    await client.bridge(a.name, b.name)
    await say(a, left, payloads(left, sine(425, 400)))
    await say(b, right, payloads(right, sine(1020, 400)))
    for leg, codec, own, other in ((b, right, 425, 1020), (a, left, 1020, 425)):
        packets = (await leg.phone.wait_for(20))[:20]
        assert packets[0].marker
        assert_steady(packets, codec)
        samples = heard(packets, codec)[800:]
        assert share_of(samples, own) > 0.95
        assert share_of(samples, other) < 0.01
    assert (await a.statistics()).dropped.codec == 0


async def test_lost_packets_are_concealed(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(OPUS)
    await client.bridge(a.name, b.name)
    await say(a, OPUS, payloads(OPUS, sine(425, 500)), lost=frozenset({8, 15, 16}))
    packets = (await b.phone.wait_for(25))[:25]
    assert_steady(packets, PCMA)
    samples = heard(packets, PCMA)
    assert share_of(samples[800:], 425) > 0.8
    assert max(abs(sample) for sample in samples[8 * 160 + 40 : 9 * 160]) > 2000  # no hole


async def test_a_paced_stream_with_jitter_comes_out_steady(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMU")
    await a.agree(G722)
    await client.bridge(a.name, b.name)
    await say(a, G722, payloads(G722, sine(425, 600)), pace=0.02)
    packets = (await b.phone.wait_for(30))[:30]
    assert_steady(packets, PCMU)
    assert share_of(heard(packets, PCMU)[800:], 425) > 0.9


async def test_a_pause_of_the_sender_is_a_pause_and_then_a_new_talkspurt(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(G722)
    await client.bridge(a.name, b.name)
    await say(a, G722, payloads(G722, sine(425, 100)))
    count = len(await b.phone.wait_for(8))  # with three concealed frames
    await asyncio.sleep(0.06)  # the far end says nothing for three packets
    a.phone.timestamp += 480
    await say(a, G722, payloads(G722, sine(425, 100)))
    packets = await b.phone.wait_for(count + 5)
    assert [packet.marker for packet in packets[:8]] == [True] + [False] * 7
    assert any(packet.marker for packet in packets[8:])
    assert (packets[-1].sequence - packets[0].sequence) % 65536 == len(packets) - 1


@pytest.mark.feature("M-7")
async def test_keys_go_beside_the_transcoded_audio(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg(None), await make_leg("PCMA", 96)
    await a.agree(OPUS, 101)
    await client.bridge(a.name, b.name)
    a.press(a.phone.event_packets(3, 101, step=960))
    packets = await b.phone.wait_for(7)
    assert [packet.payload_type for packet in packets] == [96] * 7
    assert len({packet.timestamp for packet in packets}) == 1
    assert packets[-1].payload == bytes([3, 0x8A, 5 * 160 >> 8, 5 * 160 & 255])
    assert await events.wait_for(DigitPressed, a.name) == [DigitPressed(a.name, "3", 100)]


@pytest.mark.feature("M-8")
@pytest.mark.parametrize("codec", [G722, OPUS], ids=lambda codec: codec.name)
async def test_prompts_are_played_in_the_far_ends_codec(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, codec: AudioCodec
) -> None:
    leg = await make_leg(None)
    await leg.agree(codec)
    await client.play(leg.name, "p", [write_wav(tmp_path / "1.wav", sine(700, 200)), write_wav(tmp_path / "2.wav", sine(700, 210))])
    packets = await leg.phone.wait_for(21)
    assert await events.wait_for(PlayEnded, leg.name) == [PlayEnded(leg.name, "p", completed=True, played_ms=410)]
    assert_steady(packets, codec)
    assert share_of(heard(packets, codec)[800:3200], 700) > 0.95


@pytest.mark.parametrize("codec", [G722, OPUS], ids=lambda codec: codec.name)
async def test_recordings_of_them_are_g711(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, codec: AudioCodec
) -> None:
    leg = await make_leg(None)
    await leg.agree(codec)
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=400)
    await say(leg, codec, payloads(codec, sine(500, 400)))
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert (ended.duration_ms, ended.reason) == (400, "length")
    assert (tmp_path / "r.wav").read_bytes()[20:22] == b"\x06\x00"  # A-law
    samples = decode((tmp_path / "r.wav").read_bytes()[58:], "PCMA")
    assert share_of(samples[800:], 500) > 0.95


async def test_a_prompt_goes_on_when_the_far_end_changes_its_codec(client: PlaneClient, make_leg: MakeLeg, tmp_path: Path) -> None:
    leg = await make_leg("PCMA")
    await client.play(leg.name, "music", [write_wav(tmp_path / "music.wav", sine(500, 1000))], loop=True)
    for codec in (PCMA, OPUS, PCMU, G722, PCMA):
        await leg.agree(codec)
        before = len(leg.phone.received)
        packets = (await leg.phone.wait_for(before + 12))[before + 2 :]
        same = [packet for packet in packets if packet.payload_type == codec.payload_type]
        assert len(same) >= 8
        assert share_of(heard(same, codec)[640:], 500) > 0.9
    sequences = [packet.sequence for packet in leg.phone.received]
    assert all((after - before) % 65536 == 1 for before, after in pairwise(sequences))


async def test_a_bridge_is_refitted_when_a_codec_changes(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(OPUS)
    await client.bridge(a.name, b.name)
    for codec in (OPUS, G722, PCMA, OPUS):
        await a.agree(codec)
        b.phone.received.clear()
        await say(a, codec, payloads(codec, sine(425, 300)))
        packets = (await b.phone.wait_for(15))[-10:]
        assert share_of(heard(packets, PCMA), 425) > 0.9
        async with asyncio.timeout(30):  # the last frames are concealed ones
            while (await client.session_statistics(b.name)).packets_out > len(b.phone.wire):
                pass


async def test_with_srtp(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg(None)
    await a.agree(OPUS, crypto=a.phone.secure(srtp_keys("AEAD_AES_256_GCM")))
    await b.agree(PCMA, crypto=b.phone.secure(srtp_keys("AES_CM_128_HMAC_SHA1_80")))
    await client.bridge(a.name, b.name)
    await say(a, OPUS, payloads(OPUS, sine(425, 300)))
    packets = await b.phone.wait_for(15)
    assert share_of(heard(packets[5:15], PCMA), 425) > 0.9


async def test_garbage_of_the_agreed_type_does_no_harm(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b = await make_leg(None), await make_leg("PCMA")
    await a.agree(OPUS)
    await client.bridge(a.name, b.name)
    await say(a, OPUS, [b"\xff" * 3, b"\xff" * 900, b"\x03\xff"] * 3)
    assert (await a.taken(9)).dropped.malformed == 3
    a.phone.timestamp += 48000
    await say(a, OPUS, payloads(OPUS, sine(425, 400)))
    async with asyncio.timeout(30):
        while share_of(decode(b"".join(packet.payload for packet in b.phone.received[-8:]), "PCMA"), 425) < 0.9:
            await b.phone.changed()
