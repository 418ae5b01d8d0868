"""Recordings of both sides, of rooms; paused, announced, and cut off by the plane's death."""

from __future__ import annotations

import asyncio
import signal
import wave
from pathlib import Path

import numpy as np
import pytest

from carillon_rtp.client import AudioCodec, BadRequest, PlaneClient, RecordingEnded, Remote
from carillon_rtp.codecs import Encoder
from carillon_rtp.testing import DEADLINE, EventLog, MakeLeg, decode, plane_process, rtp_endpoint, share_of, sine, tone, write_wav
from carillon_rtp.wav import DATA_OFFSET, repair_wav

pytestmark = pytest.mark.feature("M-10")


def sides_of(path: Path) -> list[list[int]]:
    """Each channel of an A-law file."""
    content = path.read_bytes()
    channels = content[22]
    assert int.from_bytes(content[54:58], "little") == len(content) - DATA_OFFSET
    return [decode(content[DATA_OFFSET + channel :: channels], "PCMA") for channel in range(channels)]


@pytest.mark.parametrize("sides", ["stereo", "mix"])
@pytest.mark.parametrize("codec", [AudioCodec.of("PCMA"), AudioCodec("opus", 111, 48000)], ids=lambda codec: codec.name)
async def test_both_sides_of_a_call(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path, sides: str, codec: AudioCodec
) -> None:
    a, b, path = await make_leg(None), await make_leg(None), tmp_path / "both.wav"
    for leg in (a, b):
        await leg.agree(codec)
    await client.bridge(a.name, b.name)
    await client.record(a.name, "r", path, sides=sides)  # type: ignore[arg-type]
    for leg, hertz in ((a, 440), (b, 1000)):
        encoder, samples = Encoder(codec.name), sine(hertz, 400)
        for start in range(0, len(samples), 160):
            packet = leg.phone.packet(encoder.encode(samples[start : start + 160]), codec.payload_type, timestamp=leg.phone.timestamp)
            leg.phone.send_bytes(packet, leg.address)
            leg.phone.timestamp += codec.clock_rate // 50
    await a.phone.wait_for(20)
    await b.phone.wait_for(20)
    await client.stop_record(a.name)
    (ended,) = await events.wait_for(RecordingEnded, a.name)
    assert 400 <= ended.duration_ms < 1500
    channels = sides_of(path)
    if sides == "stereo":
        said, heard = channels
        assert len(said) == len(heard)
        assert min(share_of(said[800:3000], 440), share_of(heard[800:3000], 1000)) > 0.9
        assert max(share_of(said[800:3000], 1000), share_of(heard[800:3000], 440)) < 0.01
    else:
        (mixed,) = channels
        assert min(share_of(mixed[800:3000], 440), share_of(mixed[800:3000], 1000)) > 0.4


async def test_what_is_played_is_on_the_side_that_is_heard(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path
) -> None:
    leg, path = await make_leg("PCMA"), tmp_path / "prompt.wav"
    await client.record(leg.name, "r", path, sides="stereo")
    await client.play(leg.name, "p", [write_wav(tmp_path / "p.wav", sine(600, 400))])
    await leg.phone.wait_for(20)
    await client.stop_record(leg.name)
    await events.wait_for(RecordingEnded, leg.name)
    said, heard = sides_of(path)
    loud = [sample for sample in heard if abs(sample) > 50]
    assert len(loud) > 3000
    assert share_of(heard[1200:2800], 600) > 0.9
    assert max(map(abs, said)) < 10


async def test_a_pause_is_not_in_the_file(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    leg, path = await make_leg("PCMA"), tmp_path / "pause.wav"
    await client.record(leg.name, "r", path)
    taken = 0
    for hertz, paused in ((440, False), (1000, True), (700, False)):
        await (client.pause_record if paused else client.resume_record)(leg.name)
        leg.say(tone(hertz, 200, "PCMA"))
        taken += 10
        await leg.taken(taken)
    await client.stop_record(leg.name)
    assert await events.wait_for(RecordingEnded, leg.name) == [RecordingEnded(leg.name, "r", path, 400, "stopped")]
    (said,) = sides_of(path)
    assert share_of(said[:1600], 440) > 0.95
    assert share_of(said[1600:], 700) > 0.95


async def test_both_sides_are_told_by_a_tone(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    a, b = await make_leg("PCMA"), await make_leg("PCMU")
    await client.bridge(a.name, b.name)
    with pytest.raises(BadRequest, match="tone_ms"):
        await client.record(a.name, "r", tmp_path / "r.wav", tone_ms=5)
    await client.record(a.name, "r", tmp_path / "r.wav", tone_ms=1000)
    for leg, codec in ((a, "PCMA"), (b, "PCMU")):
        packets = await leg.phone.wait_for(10)
        assert share_of(decode(b"".join(packet.payload for packet in packets[:10]), codec), 1400) > 0.9  # type: ignore[arg-type]
    await a.phone.wait_for(20)  # and again
    await client.stop_record(a.name)
    b.say(tone(700, 100, "PCMU"))
    packets = (await a.phone.wait_for(25))[20:]
    assert share_of(decode(b"".join(packet.payload for packet in packets), "PCMA"), 700) > 0.9


async def test_a_room_is_recorded_wide(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    one, other, path = await make_leg("PCMA"), await make_leg(None), tmp_path / "room.wav"
    wide = AudioCodec("G722", 9)
    await other.agree(wide)
    await client.open_room("taped")
    await client.join(one.name, "taped")
    await client.join(other.name, "taped")
    await client.record_room("taped", "r", path)
    one.say(tone(440, 400, "PCMA"))
    encoder = Encoder("G722", 16000)
    samples = [round(4000 * np.sin(2 * np.pi * 5000 * n / 16000)) for n in range(6400)]
    for start in range(0, 6400, 320):
        other.phone.send_bytes(other.phone.packet(encoder.encode(samples[start : start + 320]), 9), other.address)
    await one.phone.wait_for(30)
    await client.close_room("taped")
    async with asyncio.timeout(DEADLINE):
        while not (ended := [event for event in events.of(RecordingEnded) if event.room == "taped"]):
            await asyncio.sleep(0.01)
    assert (ended[0].recording_id, ended[0].path, ended[0].session) == ("r", path, "")
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        heard = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(float)
    start = int(np.argmax(np.abs(heard) > 1000)) + 1600
    spectrum = np.abs(np.fft.rfft(heard[start : start + 3200]))
    assert {int(at) * 5 for at in np.argsort(spectrum)[-2:]} == {440, 5000}


@pytest.mark.feature("M-13")
async def test_a_crash_loses_less_than_a_second(tmp_path: Path) -> None:
    async with plane_process(tmp_path) as plane, rtp_endpoint() as phone:
        client = await PlaneClient.connect(plane.socket)
        address = await client.open("x")
        await client.set_remote("x", Remote("127.0.0.1", phone.address.port))
        path = tmp_path / "cut.wav"
        await client.record("x", "r", path, sides="stereo")
        said = tone(440, 3000, "PCMA")
        phone.send_audio(said, "PCMA", address)
        async with asyncio.timeout(DEADLINE):
            while path.stat().st_size < DATA_OFFSET + 2 * 8 * 2000:
                await asyncio.sleep(0.01)
        await plane.end(signal.SIGKILL)
        await client.disconnect()
        milliseconds = repair_wav(path)
        assert milliseconds >= 2000
        left, right = sides_of(path)
        assert len(left) == len(right) == 8 * milliseconds
        assert share_of(left[:16000], 440) > 0.95
