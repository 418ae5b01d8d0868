"""Keys as tones and as events, both ways: sent, heard, never heard in speech; the tones of the network and of fax machines."""

from __future__ import annotations

import asyncio
import math
import random
import shutil
import subprocess
import wave
from collections.abc import Container, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carillon_rtp.client import AudioCodec, BadRequest, DigitPressed, DigitsSent, NoCoder, PlaneClient, PlayEnded, ToneDetected
from carillon_rtp.codecs import Decoder, Encoder
from carillon_rtp.listening import Listener
from carillon_rtp.testing import EventLog, Leg, MakeLeg, RtpPacket, decode, encode, share_of, sine, write_wav

pytestmark = pytest.mark.feature("M-7")
KEYS = {
    key: (low, high)
    for low, row in ((697, "123A"), (770, "456B"), (852, "789C"), (941, "*0#D"))
    for key, high in zip(row, (1209, 1336, 1477, 1633), strict=True)
}
EVENTS = "0123456789*#ABCD"
SPOKEN = "Good morning. Your call is important to us, please hold the line; she sells sea shells while yellow eels yell eleven times. " * 2


def silence(milliseconds: int) -> list[int]:
    return [0] * (8 * milliseconds)


def mix(parts: Sequence[tuple[float, float]], milliseconds: int) -> list[int]:
    """Tones of (hertz, amplitude) together."""
    time = np.arange(8 * milliseconds) / 8000
    return [int(value) for value in np.rint(sum(loud * np.sin(2 * math.pi * hertz * time) for hertz, loud in parts))]


def key(name: str, on_ms: int = 50, off_ms: int = 50, *, twist_db: float = 0.0, level: float = 6000, off_hertz: float = 0.0) -> list[int]:
    """A key as its two tones; `twist_db` puts the high one above the low one, `off_hertz` is a deviation as a part of the frequency."""
    low, high = KEYS[name]
    tones = [(low * (1 + off_hertz), level), (high * (1 + off_hertz), level * 10 ** (twist_db / 20))]
    return mix(tones, on_ms) + silence(off_ms)


async def say(leg: Leg, samples: Sequence[int]) -> None:
    """Faster than real time, in steps that the plane's socket holds."""
    audio = encode(samples, "PCMA")
    for start in range(0, len(audio), 160 * 20):
        leg.phone.send_audio(audio[start : start + 160 * 20], "PCMA", leg.address)
        await leg.taken(leg.phone.sequence - leg.first)  # type: ignore[attr-defined]
        await asyncio.sleep(0.05)  # 500 packets a second and no more are taken


async def listening(client: PlaneClient, make_leg: MakeLeg, *tones: str) -> Leg:
    leg = await make_leg("PCMA")
    leg.first = leg.phone.sequence  # type: ignore[attr-defined]
    await client.detect(leg.name, tones)  # type: ignore[arg-type]
    return leg


async def keys_heard(leg: Leg, events: EventLog, samples: Sequence[int]) -> str:
    """Also a last `D`, behind which nothing can come."""
    await say(leg, [*samples, *silence(100), *key("D"), *silence(100)])
    async with asyncio.timeout(30):
        while not (heard := events.of(DigitPressed, leg.name)) or heard[-1].digit != "D":
            await asyncio.sleep(0.01)
    return "".join(event.digit for event in heard)[:-1]


async def test_every_key_is_heard_once_at_any_length(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    leg = await listening(client, make_leg, "dtmf")
    samples = [sample for name in "0123456789*#ABC" for on_ms in (50, 100, 1000) for sample in key(name, on_ms)]
    assert await keys_heard(leg, events, samples) == "".join(name * 3 for name in "0123456789*#ABC")
    durations = [event.duration_ms for event in events.of(DigitPressed, leg.name)]
    assert all(abs(told - sent) <= 26 for told, sent in zip(durations, [50, 100, 1000] * 15, strict=False))


async def test_the_limits_of_a_receiver(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    """ITU-T Q.24 annex A and the cases of the Bellcore and Mitel tapes: what has to be heard, and what must not."""
    for cases, wanted in (
        ([key("5", 40, 40)], "5"),
        ([key("5", twist_db=4), key("5", twist_db=-8 + 1)], "55"),
        ([key("5", off_hertz=0.015), key("5", off_hertz=-0.015)], "55"),
        ([key("5", level=300)], "5"),
        ([key("5", level=14000)], "5"),
        ([key("5", 20, 100)] * 3, ""),  # too short
        ([key("5", off_hertz=0.04), key("5", off_hertz=-0.04)], ""),
        ([key("5", twist_db=12), key("5", twist_db=-20)], ""),
        ([mix([(697, 6000)], 200), silence(50), mix([(1209, 6000)], 200), silence(50)], ""),  # one tone
        ([mix([(697, 6000), (770, 6000)], 200), silence(50), mix([(697, 5000), (1209, 5000), (1477, 5000)], 200), silence(50)], ""),
        ([key("5", 30, 0), silence(8), key("5", 30, 50)], "5"),  # a break of 8 ms in a key
    ):
        leg = await listening(client, make_leg, "dtmf")
        assert await keys_heard(leg, events, [sample for case in cases for sample in case]) == wanted


def spoken(folder: Path, voice: str, speed: int, pitch: int) -> list[int]:
    """Speech at 8 kHz."""
    path = folder / f"{voice}-{speed}-{pitch}.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), SPOKEN], check=True, timeout=30)
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)
        rate = file.getframerate()
    spectrum = np.fft.rfft(samples)[: int(len(samples) * 8000 / rate) // 2]
    narrow = np.fft.irfft(spectrum, 2 * len(spectrum)) * (2 * len(spectrum) / len(samples))
    return [int(value) for value in np.clip(narrow * 0.9, -32000, 32000)]


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng speaks here")
@pytest.mark.parametrize(
    ("voice", "speed", "pitch"), [("en", 160, 50), ("fr", 180, 30), ("de", 140, 80), ("it", 200, 99), ("en-us", 120, 10)]
)
async def test_speech_is_no_key_and_no_tone(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, voice: str, speed: int, pitch: int
) -> None:
    leg = await listening(client, make_leg, "dtmf", "cng", "ced", "busy", "ringback", "sit")
    assert await keys_heard(leg, events, spoken(tmp_path, voice, speed, pitch)) == ""
    assert events.of(ToneDetected, leg.name) == []


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng speaks here")
async def test_keys_over_speech_at_half_their_loudness_are_heard(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path
) -> None:
    leg = await listening(client, make_leg, "dtmf")
    talk = spoken(tmp_path, "en", 160, 50)[4000:]
    keys = [sample for name in "1592" for sample in key(name, 120, 200, level=9000)]
    mixed = [sample + talk[at] // 16 for at, sample in enumerate(keys)]
    assert await keys_heard(leg, events, mixed) == "1592"


CADENCES: dict[str, tuple[str | None, Any, tuple[int, ...]]] = {
    "busy of Europe": ("busy", [(425,)], (500, 500) * 5),
    "busy of France": ("busy", [(440,)], (500, 500) * 5),
    "congestion": ("busy", [(425,)], (250, 250) * 6),
    "busy of North America": ("busy", [(480, 620)], (500, 500) * 5),
    "busy of Britain": ("busy", [(400,)], (375, 375) * 5),
    "ringback of Germany": ("ringback", [(425,)], (1000, 4000, 1000, 4000, 500)),
    "ringback of France": ("ringback", [(440,)], (1500, 3500, 1500, 3500, 500)),
    "ringback of North America": ("ringback", [(440, 480)], (2000, 4000, 2000, 4000, 500)),
    "ringback of Britain": ("ringback", [(400, 450)], (400, 200, 400, 2000) * 2 + (400,)),
    "a calling fax": ("cng", [(1100,)], (500, 3000, 500, 1000)),
    "a calling fax off its frequency": ("cng", [(1132,)], (450, 3000, 450, 1000)),
    "an answering fax": ("ced", [(2100,)], (2600, 200)),
    "not in service": ("sit", [(950,), (1400,), (1800,)], (330, 330, 330, 500)),
    "a steady tone": (None, [(425,)], (4000, 200)),
    "short tones": (None, [(425,)], (80, 80) * 10),
    "one beep": (None, [(1000,)], (300, 3000)),
}


@pytest.mark.parametrize("name", CADENCES)
async def test_tones_of_the_network_and_of_faxes(client: PlaneClient, make_leg: MakeLeg, events: EventLog, name: str) -> None:
    expected, tones, pattern = CADENCES[name]
    leg = await listening(client, make_leg, "dtmf", "cng", "ced", "busy", "ringback", "sit")
    samples = silence(300)
    for number, milliseconds in enumerate(pattern):
        if expected == "sit" and number < 3:
            samples += mix([(hertz, 5000) for hertz in tones[number]], milliseconds)
        elif number % 2:
            samples += silence(milliseconds)
        else:
            samples += mix([(hertz, 5000) for hertz in tones[0]], milliseconds)
    noise = random.Random(1)
    assert await keys_heard(leg, events, [sample + noise.randint(-40, 40) for sample in samples]) == ""
    assert [event.tone for event in events.of(ToneDetected, leg.name)] == ([expected] if expected else [])


def keys_of(packets: Sequence[RtpPacket], payload_type: int) -> list[tuple[str, int, int]]:
    """Each event's key, its longest duration and how many of its packets say that it ended."""
    presses: dict[int, tuple[str, int, int]] = {}
    for packet in (packet for packet in packets if packet.payload_type == payload_type):
        _, longest, ends = presses.get(packet.timestamp, ("", 0, 0))
        event, flags, duration = packet.payload[0], packet.payload[1], int.from_bytes(packet.payload[2:4], "big")
        presses[packet.timestamp] = EVENTS[event], max(longest, duration), ends + (flags >> 7)
    return list(presses.values())


async def test_keys_are_sent_as_events_where_they_are_agreed(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    a, b = await make_leg("PCMA", 101), await make_leg("PCMA")
    await client.bridge(a.name, b.name)
    b.say(encode(sine(700, 100), "PCMA"))
    await a.phone.wait_for(5)
    for _ in range(2):
        await client.send_digits(a.name, "d1", "1#d", on_ms=120, off_ms=60)
    assert await events.wait_for(DigitsSent, a.name) == [DigitsSent(a.name, "d1", True)]
    assert keys_of(a.phone.received, 101) == [("1", 960, 3), ("#", 960, 3), ("D", 960, 3)]
    firsts = [packet for packet in a.phone.received if packet.payload_type == 101 and packet.marker]
    assert len(firsts) == 3
    b.say(encode(sine(700, 100), "PCMA"))
    packets = await a.phone.wait_for(len(a.phone.received) + 5)
    assert [(packet.sequence - packets[0].sequence) % 65536 for packet in packets] == list(range(len(packets)))
    assert packets[-1].marker is False
    assert packets[-5].marker
    stamps = [packet.timestamp for packet in packets]
    assert all((after - before) % 2**32 < 2**31 for before, after in pairwise(stamps))


@pytest.mark.parametrize(
    "codec", [AudioCodec.of("PCMU"), AudioCodec("G722", 9), AudioCodec("opus", 111, 48000)], ids=lambda codec: codec.name
)
async def test_keys_are_sent_as_tones_where_events_are_not(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, codec: AudioCodec
) -> None:
    a, b = await make_leg(None), await listening(client, make_leg, "dtmf")
    await a.agree(codec)
    await client.send_digits(a.name, "d1", "15,9*", on_ms=100, off_ms=80)
    await events.wait_for(DigitsSent, a.name)
    decoder = Decoder(codec.name)
    samples = [sample for packet in a.phone.received for sample in decoder.decode(packet.payload)]
    assert len(samples) >= 8 * (4 * 180 + 1000)
    assert await keys_heard(b, events, samples) == "159*"


async def test_what_cannot_be_sent_or_listened_for_is_refused(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg(None)
    await leg.agree(AudioCodec("G729", 18))
    with pytest.raises(NoCoder):
        await client.send_digits(leg.name, "d", "1")
    with pytest.raises(NoCoder):
        await client.detect(leg.name, ["dtmf"])
    for digits, on_ms in (("", 100), ("1x", 100), ("1" * 65, 100), ("1", 10)):
        with pytest.raises(BadRequest):
            await client.send_digits(leg.name, "d", digits, on_ms=on_ms)
    with pytest.raises(BadRequest, match="cng"):
        await client.detect(leg.name, ["smoke"])  # type: ignore[list-item]
    await leg.agree("PCMA")
    await client.send_digits(leg.name, "long", "1" * 64)
    await client.send_digits(leg.name, "short", "2", on_ms=40, off_ms=40)
    assert await events.wait_for(DigitsSent, leg.name, 2) == [DigitsSent(leg.name, "long", False), DigitsSent(leg.name, "short", True)]


async def test_keys_wait_for_those_before_them_if_they_are_to(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    leg = await make_leg("PCMA", 101)
    for number, digits in enumerate("579"):
        await client.send_digits(leg.name, f"d{number}", digits, on_ms=60, off_ms=40, after=True)
    await client.send_digits(leg.name, "d0", "5", after=True)  # said twice, as over a connection that was cut
    await client.send_digits(leg.name, "d3", "1", on_ms=60, off_ms=40, after=True)
    assert await events.wait_for(DigitsSent, leg.name, 4) == [DigitsSent(leg.name, f"d{number}", True) for number in range(4)]
    assert [name for name, _, _ in keys_of(leg.phone.received, 101)] == ["5", "7", "9", "1"]
    await client.send_digits(leg.name, "long", "1" * 64)
    for number in range(64):
        await client.send_digits(leg.name, f"w{number}", "2", after=True)
    with pytest.raises(BadRequest, match="keys that wait"):
        await client.send_digits(leg.name, "more", "2", after=True)


async def test_a_tone_that_the_other_side_is_told_as_an_event_is_not_heard_there_besides(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog
) -> None:
    tones, told = await listening(client, make_leg, "dtmf"), await make_leg("PCMA", 101)
    await client.bridge(tones.name, told.name)
    await say(tones, [*silence(60), *key("5", 1000, 0), *sine(300, 200)])
    assert [event.digit for event in await events.wait_for(DigitPressed, tones.name)] == ["5"]

    def heard() -> list[int]:
        return decode(b"".join(packet.payload for packet in told.phone.received if packet.payload_type == 8), "PCMA")

    async with asyncio.timeout(30):
        while share_of(heard()[-960:], 300) < 0.9:
            await told.phone.changed()
    frames = [heard()[at : at + 160] for at in range(0, len(heard()), 160)]
    assert sum(share_of(frame, KEYS["5"][0]) > 0.3 for frame in frames) <= 3  # until it is known to be a key


async def test_what_a_phone_says_beside_its_event_is_not_heard_by_one_who_is_told_the_key_as_tones(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog
) -> None:
    """Some phones put a key into their audio as well. It is tried again where the plane had no turn for so long that the event ended."""
    tells, hears = await make_leg("PCMA", 101), await make_leg("PCMA")
    await client.bridge(tells.name, hears.name)
    tone = encode(key("5", 20, 0), "PCMA")

    def heard(hertz: float) -> int:
        return sum(share_of(decode(packet.payload, "PCMA"), hertz) > 0.3 for packet in hears.phone.received)

    for attempt in range(1, 6):
        hears.phone.received.clear()
        packets = tells.phone.event_packets(5, 101, updates=20)
        for packet in packets[:19]:
            tells.press([packet])
            tells.say(tone)
        tells.press(packets[19:])
        tells.say(encode(sine(300, 200), "PCMA"))
        assert [event.digit for event in await events.wait_for(DigitPressed, tells.name, attempt)] == ["5"] * attempt
        async with asyncio.timeout(30):
            while heard(300) < 10:
                await hears.phone.changed()
        if heard(KEYS["5"][0]) == 0:
            break
    else:
        pytest.fail("the key was heard besides")


@pytest.mark.feature("M-8")
async def test_a_key_as_a_tone_ends_a_prompt(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await listening(client, make_leg, "dtmf")
    await client.play(leg.name, "p", [write_wav(tmp_path / "p.wav", sine(300, 8000))], barge_in=True)
    await leg.phone.wait_for(2)
    await say(leg, [*silence(40), *key("7", 100, 60)])
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    assert not ended.completed
    assert [event.digit for event in await events.wait_for(DigitPressed, leg.name)] == ["7"]


@pytest.mark.parametrize("seed", range(4))
async def test_under_loss_every_key_is_counted_once(client: PlaneClient, make_leg: MakeLeg, events: EventLog, seed: int) -> None:
    """5 % of the packets lost and 5 % doubled; a key of five updates and three ends is never lost as a whole."""
    leg = await make_leg("PCMA", 101)
    chance, sent, count = random.Random(seed), "", 0
    for _ in range(30):
        event = chance.randrange(15)
        sent += EVENTS[event]
        packets = leg.phone.event_packets(event, 101, updates=chance.randint(3, 10))
        for packet in packets:
            copies = chance.choices((0, 1, 2), (5, 90, 5))[0]
            leg.press([packet] * copies)
            count += copies
        leg.phone.timestamp += 400
        await leg.taken(count)
    leg.press_event(15)
    async with asyncio.timeout(30):
        while not (heard := events.of(DigitPressed, leg.name)) or heard[-1].digit != "D":
            await asyncio.sleep(0.01)
    assert "".join(event.digit for event in heard)[:-1] == sent


async def say_badly(leg: Leg, samples: Sequence[int], chance: random.Random, *, loss: int, swaps: int) -> None:
    """With so many packets of a hundred lost, and so many pairs of a hundred swapped."""
    audio = encode(samples, "PCMA")
    packets = [leg.phone.packet(audio[start : start + 160], 8) for start in range(0, len(audio), 160)]
    pairs = [tuple(packets[at : at + 2]) for at in range(0, len(packets), 2)]
    sent = [packet for pair in pairs for packet in (pair[::-1] if chance.randrange(100) < swaps else pair)]
    arriving = [packet for packet in sent if chance.randrange(100) >= loss]
    before = leg.phone.sequence - leg.first - len(packets)  # type: ignore[attr-defined]
    for start in range(0, len(arriving), 20):
        for packet in arriving[start : start + 20]:
            leg.phone.send_bytes(packet, leg.address)
        await leg.taken(before + min(start + 20, len(arriving)))
        await asyncio.sleep(0.05)  # 500 packets a second and no more are taken
    leg.first += len(packets) - len(arriving)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("loss", "swaps"), [(5, 0), (0, 20), (0, 100)], ids=["lost", "swapped", "all swapped"])
async def test_a_key_as_a_tone_is_counted_once_whatever_becomes_of_a_packet(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, loss: int, swaps: int
) -> None:
    leg, chance = await listening(client, make_leg, "dtmf"), random.Random(7)
    keys = "".join(chance.choice("0123456789*#ABC") for _ in range(100))
    await say_badly(leg, [sample for name in keys for sample in key(name, 100, 100)], chance, loss=loss, swaps=swaps)
    assert await keys_heard(leg, events, silence(100)) == keys


async def test_a_packet_that_is_lost_in_a_key_is_part_of_its_duration(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    leg = await listening(client, make_leg, "dtmf")
    audio = encode(key("5", 1000, 100), "PCMA")
    packets = [leg.phone.packet(audio[start : start + 160], 8) for start in range(0, len(audio), 160)]
    lost = (9, 16, 25, 33)
    for packet in (packet for number, packet in enumerate(packets) if number not in lost):
        leg.phone.send_bytes(packet, leg.address)
    leg.first += len(lost)  # type: ignore[attr-defined]
    await leg.taken(len(packets) - len(lost))
    assert await keys_heard(leg, events, silence(100)) == "5"
    assert abs(events.of(DigitPressed, leg.name)[0].duration_ms - 1000) <= 26


def heard_with_loss(samples: Sequence[int], lost: Container[int], first: int = 65530) -> str:
    """The keys that are heard in these packets of 20 ms but for those that are lost."""
    listener = Listener()
    for number, at in enumerate(range(0, len(samples) - 159, 160)):
        if number not in lost:
            listener.hear(first + number, decode(encode(samples[at : at + 160], "PCMA"), "PCMA"))
    return "".join(name for name, _ in listener.keys)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text("0123456789*#ABCD", min_size=1, max_size=8),
    st.integers(120, 400),
    st.integers(120, 200),
    st.integers(0, 19),
    st.lists(st.tuples(st.integers(6, 40), st.integers(1, 3)), max_size=20),
)
def test_bursts_of_lost_packets_neither_double_a_key_nor_lose_one(
    keys: str, on_ms: int, off_ms: int, shift: int, bursts: list[tuple[int, int]]
) -> None:
    """Up to three packets in a row, so much apart that each key and each pause has some left: 60 ms of it at least in one piece."""
    samples = [*silence(40 + shift), *(sample for name in keys for sample in key(name, on_ms, off_ms)), *silence(200)]
    lost: set[int] = set()
    at = 0
    for gap, length in bursts:
        at += gap + 3
        lost |= set(range(at, at + length))
    assert heard_with_loss(samples, lost) == keys


def tune(seconds: float, seed: int) -> list[int]:
    """Chords with vibrato and decay over a bass, as a synthesiser plays them: notes of the equal-tempered scale, some near keys' tones."""
    chance, time = random.Random(seed), np.arange(int(8000 * 0.4)) / 8000
    parts = []
    for _ in range(int(seconds / 0.4)):
        notes = [110 * 2 ** (chance.randrange(0, 48) / 12) for _ in range(4)]
        vibrato = 1 + 0.004 * np.sin(2 * math.pi * 5.5 * time)
        voices = [np.sin(2 * math.pi * hertz * overtone * time * vibrato) / overtone for hertz in notes for overtone in (1, 2, 3)]
        parts.append(np.exp(-2 * time) * sum(voices))
    whole = np.concatenate(parts)
    return [int(value) for value in np.rint(whole / np.abs(whole).max() * 16000)]


@pytest.mark.parametrize("seed", range(3))
def test_music_is_no_key(seed: int) -> None:
    assert heard_with_loss(tune(30, seed), ()) == ""


@pytest.mark.parametrize("decibels", [15, 12])
def test_keys_are_heard_above_noise_and_music(decibels: int) -> None:
    """Both tones of a key against what is mixed with it, by their energy; ITU-T Q.24 leaves the figure to the receiver."""
    keys = [sample for name in "159D*0#A" * 4 for sample in key(name, 100, 100)]
    energy = 2 * 6000**2 / 2
    chance = np.random.default_rng(1)
    for background in (chance.normal(0, 1, len(keys)), np.resize(np.asarray(tune(10, 3), dtype=float), len(keys))):
        scale = math.sqrt(energy / 10 ** (decibels / 10) / np.mean(background**2))
        mixed = [int(value) for value in np.clip(np.asarray(keys) + scale * background, -32000, 32000)]
        assert heard_with_loss([*silence(40), *mixed], ()) == "159D*0#A" * 4


def test_a_key_that_is_held_for_seconds_is_one_under_loss_of_five_percent() -> None:
    chance = random.Random(5)
    for name in "15#D":
        lost = {number for number in range(3, 200) if chance.random() < 0.05}
        assert heard_with_loss(key(name, 4000, 200), lost) == name


def test_the_tones_of_these_tests_are_what_they_say() -> None:
    assert share_of(decode(encode(mix([(697, 4000)], 100), "PCMA"), "PCMA"), 697) > 0.95
    assert Encoder("PCMA").encode([0] * 160) == b"\xd5" * 160
