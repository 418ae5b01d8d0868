"""Prompts: heard whole, in step, over and over, and stopped by the first key."""

from __future__ import annotations

import math
import os
import struct
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from carillon_rtp.client import AudioCodec, BadFile, BadRequest, Codec, PlaneClient, PlayEnded
from carillon_rtp.codecs import Decoder
from carillon_rtp.testing import EventLog, MakeLeg, decode, encode, share_of, sine, write_wav


def write_law(path: Path, samples: list[int], codec: Codec) -> Path:
    audio = encode(samples, codec)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(audio), b"WAVE", b"fmt ", 16, 6 if codec == "PCMA" else 7, 1, 8000, 8000, 1, 8)
    path.write_bytes(head + struct.pack("<4sI", b"data", len(audio)) + audio)
    return path


@pytest.mark.feature("M-8")
@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
@pytest.mark.parametrize("kind", ["linear", "PCMA", "PCMU"])
async def test_a_prompt_is_heard_as_it_was_made(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, kind: str, codec: Codec
) -> None:
    leg = await make_leg(codec)
    path, samples = tmp_path / "tone.wav", sine(700, 110)
    write_wav(path, samples) if kind == "linear" else write_law(path, samples, "PCMA" if kind == "PCMA" else "PCMU")
    await client.play(leg.name, "p", [path])
    packets = await leg.phone.wait_for(6)
    assert await events.wait_for(PlayEnded, leg.name) == [PlayEnded(leg.name, "p", completed=True, played_ms=110)]
    heard = decode(b"".join(packet.payload for packet in packets), codec)
    assert share_of(heard[:880], 700) > 0.98
    assert set(heard[880:]) <= {-8, 0, 8}  # the last packet is filled with silence
    assert [packet.marker for packet in packets] == [True] + [False] * 5
    for before, after in pairwise(packets):
        assert ((after.sequence - before.sequence) % 65536, (after.timestamp - before.timestamp) % 2**32) == (1, 160)


@pytest.mark.feature("M-8")
async def test_files_follow_one_another_without_a_gap(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    samples = sine(500, 170)
    parts = [samples[:300], samples[300:301], [], samples[301:]]
    files = [write_wav(tmp_path / f"{number}.wav", part) for number, part in enumerate(parts)]
    await client.play(leg.name, "p", files)
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    packets = await leg.phone.wait_for(9)
    assert ended.played_ms == 170
    assert b"".join(packet.payload for packet in packets)[: len(samples)] == encode(samples, "PCMA")


async def test_a_loop_goes_round_until_it_is_stopped(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    samples = sine(500, 30)
    await client.play(leg.name, "music", [write_wav(tmp_path / "music.wav", samples)], loop=True)
    packets = await leg.phone.wait_for(6)
    assert b"".join(packet.payload for packet in packets) == encode(samples * 4, "PCMA")
    await client.stop_play(leg.name)
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    assert not ended.completed
    assert ended.played_ms >= 120


@pytest.mark.feature("M-8")
async def test_the_first_key_stops_the_prompt_at_once(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg, clock = await make_leg("PCMA", 101), await make_leg("PCMA")
    await client.play(leg.name, "long", [write_wav(tmp_path / "long.wav", sine(500, 20000))], barge_in=True)
    await leg.phone.wait_for(2)
    leg.press(leg.phone.event_packets(5, 101)[:1])  # the key is still down
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    assert not ended.completed
    await client.play(clock.name, "meanwhile", [write_wav(tmp_path / "meanwhile.wav", sine(500, 300))])
    await events.wait_for(PlayEnded, clock.name)
    assert len(leg.phone.received) <= ended.played_ms // 20 + 2 < 1000


async def test_without_barge_in_a_key_stops_nothing(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg("PCMA", 101)
    await client.play(leg.name, "p", [write_wav(tmp_path / "p.wav", sine(500, 100))])
    leg.press_event(5)
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    assert ended.completed


async def test_a_second_prompt_replaces_the_first_and_the_same_one_does_not(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path
) -> None:
    leg = await make_leg()
    long = write_wav(tmp_path / "long.wav", sine(500, 20000))
    await client.play(leg.name, "one", [long])
    await client.play(leg.name, "one", [long])
    await client.play(leg.name, "two", [write_wav(tmp_path / "short.wav", sine(900, 40))])
    ended = await events.wait_for(PlayEnded, leg.name, 2)
    assert [(event.play_id, event.completed) for event in ended] == [("one", False), ("two", True)]


async def test_a_prompt_waits_for_the_far_end_to_be_known(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg(None)
    await client.play(leg.name, "p", [write_wav(tmp_path / "p.wav", sine(500, 60))])
    await leg.connect("PCMU")
    packets = await leg.phone.wait_for(3)
    assert share_of(decode(b"".join(packet.payload for packet in packets), "PCMU"), 500) > 0.98


async def test_closing_a_session_ends_its_prompt(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    await client.play(leg.name, "p", [write_wav(tmp_path / "p.wav", sine(500, 20000))])
    await client.close(leg.name)
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    assert not ended.completed


async def test_what_is_no_telephone_audio_is_refused_with_its_reason(client: PlaneClient, make_leg: MakeLeg, tmp_path: Path) -> None:
    leg = await make_leg()
    good = write_wav(tmp_path / "good.wav", sine(500, 60)).read_bytes()
    bad = {
        "missing": None,
        "empty": b"",
        "text": b"hello" * 20,
        "stereo": good[:22] + b"\2" + good[23:],
        "hifi": good[:24] + struct.pack("<I", 44100) + good[28:],
        "cut": good[:30],
        "endless chunk": good[:12] + b"junk" + b"\xff" * 4 + good[12:],
    }
    for name, content in bad.items():
        path = tmp_path / f"{name}.wav"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(BadFile, match=name):
            await client.play(leg.name, name, [tmp_path / "good.wav", path])
    with pytest.raises(BadFile):
        await client.play(leg.name, "folder", [tmp_path])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadFile):
        await client.play(leg.name, "pipe", [tmp_path / "pipe"])
    with pytest.raises(BadRequest):
        await client.play(leg.name, "none", [])


async def test_a_changed_file_is_heard_as_it_is_now(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    path = write_wav(tmp_path / "p.wav", sine(500, 20))
    await client.play(leg.name, "before", [path])
    await leg.phone.wait_for(1)
    path.unlink()
    write_wav(path, sine(900, 40))
    await client.play(leg.name, "after", [path])
    packets = await leg.phone.wait_for(3)
    assert share_of(decode(packets[1].payload + packets[2].payload, "PCMA"), 900) > 0.98


@pytest.mark.feature("M-8")
@pytest.mark.parametrize("codec", [AudioCodec("G722", 9), AudioCodec("opus", 107, 48000)])
async def test_a_wide_band_prompt_is_heard_whole_by_who_speaks_wide_band(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, codec: AudioCodec
) -> None:
    """6 kHz, which no file of 8 kHz can hold, beside 1 kHz, which everybody hears."""
    leg = await make_leg(None)
    await leg.agree(codec)
    await client.play(leg.name, "wide", [wide_file(tmp_path)])
    (ended,) = await events.wait_for(PlayEnded, leg.name)
    assert ended.played_ms == 1000
    decoder = Decoder(codec.name, 16_000)
    samples = [sample for packet in leg.phone.received for sample in decoder.decode(packet.payload)]
    assert share_of(samples, 6000 / 2) > 0.2, "frequencies are halved: `share_of` takes 8 kHz"
    assert share_of(samples, 1000 / 2) > 0.2


@pytest.mark.feature("M-8")
@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
async def test_a_wide_band_prompt_is_narrowed_for_everybody_else(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, codec: Codec
) -> None:
    leg = await make_leg(codec)
    await client.play(leg.name, "wide", [wide_file(tmp_path)])
    await events.wait_for(PlayEnded, leg.name)
    samples = decode(b"".join(packet.payload for packet in leg.phone.received), codec)
    assert len(samples) == 8000
    assert share_of(samples, 1000) > 0.95
    assert share_of(samples, 2000) < 0.01, "where 6 kHz would come out if it was not filtered away"


def wide_file(folder: Path) -> Path:
    """A second at 16 kHz."""
    path = folder / "wide.wav"
    samples = [int(6000 * (math.sin(2 * math.pi * 1000 * n / 16_000) + math.sin(2 * math.pi * 6000 * n / 16_000))) for n in range(16_000)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path
