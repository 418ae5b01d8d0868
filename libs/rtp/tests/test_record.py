"""Recordings: what was said is what is in the file, and each ends once, for one reason."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from carillon_rtp.client import BadFile, BadRequest, Codec, DigitPressed, PlaneClient, RecordingEnded
from carillon_rtp.testing import EventLog, MakeLeg, encode, tone
from carillon_rtp.wav import DATA_OFFSET, repair_wav

SILENCE = {"PCMA": b"\xd5", "PCMU": b"\xff"}


def audio_of(path: Path) -> bytes:
    """The samples, after a look at the header."""
    content = path.read_bytes()
    size = int.from_bytes(content[54:58], "little")
    assert (content[:4], content[8:16], content[38:42], content[50:54]) == (b"RIFF", b"WAVEfmt ", b"fact", b"data")
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    assert int.from_bytes(content[46:50], "little") == size
    assert len(content) == DATA_OFFSET + size + size % 2
    return content[DATA_OFFSET : DATA_OFFSET + size]


@pytest.mark.feature("M-8")
@pytest.mark.parametrize("codec", ["PCMA", "PCMU"])
async def test_a_recording_is_what_was_sent(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, codec: Codec) -> None:
    leg, path = await make_leg(codec), tmp_path / "said.wav"
    said = tone(440, 1010, codec)
    await client.record(leg.name, "r", path, max_ms=60000)
    leg.say(said)
    await leg.taken(51)
    await client.stop_record(leg.name)
    assert await events.wait_for(RecordingEnded, leg.name) == [RecordingEnded(leg.name, "r", path, 1010, "stopped")]
    assert audio_of(path) == said
    assert path.read_bytes()[20] == (6 if codec == "PCMA" else 7)


async def test_gaps_are_concealed_and_order_is_mended(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg, path = await make_leg("PCMU"), tmp_path / "gaps.wav"
    await client.record(leg.name, "r", path, max_ms=60000)
    packets = [leg.phone.packet(bytes([n]) * 160, 0) for n in range(8)]
    for number in (0, 1, 4, 3, 3, 7, 6):  # 2 and 5 are lost, 3 and 6 late, 3 comes twice
        leg.phone.send_bytes(packets[number], leg.address)
    await leg.taken(7)
    await client.stop_record(leg.name)
    await events.wait_for(RecordingEnded, leg.name)
    frames = audio_of(path)
    parts = [frames[start : start + 160] for start in range(0, 1280, 160)]
    assert [set(parts[number]) for number in (0, 1, 3, 6)] == [{0}, {1}, {3}, {6}]
    assert [set(parts[number][40:]) for number in (4, 7)] == [{4}, {7}]  # what was made up fades out over 5 ms
    assert all(parts[number][0] < 10 and len(set(parts[number])) > 2 for number in (2, 5))  # it goes on as before and fades


async def test_a_clock_that_jumps_does_not_make_the_file_jump(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path
) -> None:
    leg, path = await make_leg(), tmp_path / "jumps.wav"
    await client.record(leg.name, "r", path, max_ms=60000)
    for jump in (0, 10_000_000, -7_000_000, 0x7FFFFFFF):
        leg.phone.timestamp += jump
        leg.say(tone(440, 40, "PCMA"))
    leg.phone.ssrc += 1
    leg.say(tone(440, 40, "PCMA"))
    await leg.taken(10)
    await client.stop_record(leg.name)
    await events.wait_for(RecordingEnded, leg.name)
    assert audio_of(path) == tone(440, 40, "PCMA") * 5


async def test_silence_ends_it(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=60000, silence_ms=300)
    leg.say(tone(440, 200, "PCMA") + SILENCE["PCMA"] * 1600)
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert ended.reason == "silence"
    assert audio_of(ended.path)[:1600] == tone(440, 200, "PCMA")


async def test_silence_ends_it_when_nothing_comes_at_all(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=60000, silence_ms=400)
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert ended.reason == "silence"
    assert set(audio_of(ended.path)) == set(SILENCE["PCMA"])


async def test_length_ends_it(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=505)
    leg.say(tone(440, 1000, "PCMA"))
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert (ended.reason, ended.duration_ms) == ("length", 505)
    assert audio_of(ended.path) == tone(440, 505, "PCMA")


async def test_length_ends_it_when_nothing_comes_at_all(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg()
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=101)
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert (ended.reason, ended.duration_ms) == ("length", 101)


@pytest.mark.feature("M-8")
async def test_a_finish_digit_ends_it_and_others_do_not(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg = await make_leg("PCMA", 101)
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=60000, finish_digits="#1")
    leg.say(tone(440, 100, "PCMA"))
    leg.press_event(5)
    leg.press_event(11)
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert ended.reason == "digit"
    assert audio_of(ended.path)[:800] == tone(440, 100, "PCMA")
    assert [event.digit for event in await events.wait_for(DigitPressed, leg.name, 2)] == ["5", "#"]


async def test_another_codec_than_at_the_start_is_converted(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path
) -> None:
    leg = await make_leg("PCMA")
    await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=60000)
    leg.phone.send_audio(encode([4000] * 160, "PCMU"), "PCMU", leg.address)
    await leg.taken(1)
    await client.close(leg.name)
    (ended,) = await events.wait_for(RecordingEnded, leg.name)
    assert ended.reason == "stopped"
    assert audio_of(ended.path) == encode([4000] * 160, "PCMA")


async def test_the_file_grows_while_it_runs_and_is_mended_after_a_crash(client: PlaneClient, make_leg: MakeLeg, tmp_path: Path) -> None:
    leg, path = await make_leg(), tmp_path / "grows.wav"
    said = tone(440, 2000, "PCMA")
    await client.record(leg.name, "r", path, max_ms=60000)
    leg.say(said)
    while path.stat().st_size < DATA_OFFSET + 8000:
        await leg.taken(100)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(path.read_bytes()[: DATA_OFFSET + 7999])
    assert repair_wav(cut) == 999
    assert audio_of(cut) == said[:7999]
    assert repair_wav(cut) == 999
    with pytest.raises(wave.Error, match="unknown format: 6"), wave.open(str(cut)):  # others read the header as A-law
        pass


async def test_what_cannot_be_recorded_is_refused(client: PlaneClient, make_leg: MakeLeg, tmp_path: Path) -> None:
    leg = await make_leg()
    with pytest.raises(BadFile):
        await client.record(leg.name, "r", tmp_path / "no" / "folder.wav")
    with pytest.raises(BadRequest):
        await client.record(leg.name, "r", tmp_path / "r.wav", max_ms=0)
    with pytest.raises(BadRequest):
        await client.record(leg.name, "r", tmp_path / "r.wav", finish_digits="x")
    (tmp_path / "other.wav").write_bytes(b"RIFFxxxxWAVE" + bytes(100))
    with pytest.raises(ValueError, match="not a recording"):
        repair_wav(tmp_path / "other.wav")
