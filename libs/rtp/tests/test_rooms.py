"""Rooms: every party hears all others and never itself; channels, taps, sounds. Each party sends its own tone, the others look for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from carillon_rtp.client import AudioCodec, BadFile, BadRequest, DigitPressed, NoCoder, NoRoom, Party, PartyTalking, PlaneClient, PlayEnded
from carillon_rtp.codecs import Decoder, Encoder
from carillon_rtp.testing import DEADLINE, EventLog, Leg, MakeLeg, PlaneProcess, decode, plane_process, share_of, sine, write_wav
from carillon_rtp.values import MUTED, PAGER, RoomState

pytestmark = pytest.mark.feature("M-9")
PCMA, PCMU = AudioCodec.of("PCMA"), AudioCodec.of("PCMU")
G722, OPUS = AudioCodec("G722", 9), AudioCodec("opus", 111, 48000)
BURST = 24  # packets a phone sends at once: with what is left of the last ones less than the 32 a jitter buffer takes
WINDOW = 1600  # samples looked at: tones of multiples of 5 Hz do not disturb one another


def frames(samples: Sequence[int], codec: AudioCodec) -> list[bytes]:
    encoder = Encoder(codec.name)
    return [encoder.encode(samples[start : start + 160]) for start in range(0, len(samples) - 159, 160)]


def speak(leg: Leg, codec: AudioCodec, payloads: Sequence[bytes]) -> None:
    for payload in payloads:
        leg.phone.send_bytes(leg.phone.packet(payload, codec.payload_type, timestamp=leg.phone.timestamp), leg.address)
        leg.phone.timestamp += codec.clock_rate // 50


def spectrum(samples: Sequence[int]) -> np.ndarray:
    """Amplitudes at multiples of 5 Hz."""
    return np.asarray(np.abs(np.fft.rfft(np.asarray(samples, dtype=float) * np.hanning(len(samples))))) * 4 / len(samples)


def amplitude(spectrum_: np.ndarray, hertz: int) -> float:
    return float(spectrum_[hertz // 5 - 1 : hertz // 5 + 2].max())


@pytest.fixture(scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PlaneProcess]:
    async with plane_process(tmp_path_factory.mktemp("plane"), "--rest", "0.2", "--learn", "0.2", ports=900) as process:
        yield process


class Speaker:
    """A party with its own tone."""

    def __init__(self, leg: Leg, codec: AudioCodec, hertz: int, loudness: int = 4000) -> None:
        self.leg, self.codec, self.hertz = leg, codec, hertz
        self.payloads = frames(sine(hertz, BURST * 20, loudness), codec)

    async def heard(self, skip: int = 12) -> np.ndarray:
        """The spectrum of what it hears while all speak: after the beginning, before the first one ends."""
        self.leg.phone.received.clear()
        packets = (await self.leg.phone.wait_for(skip + WINDOW // 160))[skip:]
        decoder = Decoder(self.codec.name)
        return spectrum([sample for packet in packets for sample in decoder.decode(packet.payload)])


async def party(make_leg: MakeLeg, codec: AudioCodec, hertz: int, loudness: int = 4000) -> Speaker:
    leg = await make_leg(None)
    await leg.agree(codec)
    return Speaker(leg, codec, hertz, loudness)


def all_speak(speakers: Sequence[Speaker]) -> None:
    for speaker in speakers:
        speak(speaker.leg, speaker.codec, speaker.payloads)


async def listen(speakers: Sequence[Speaker]) -> list[np.ndarray]:
    all_speak(speakers)
    return await asyncio.gather(*(speaker.heard() for speaker in speakers))


def assert_all_but_own(speakers: Sequence[Speaker], heard: Sequence[np.ndarray], audible: Sequence[Speaker] | None = None) -> None:
    audible = speakers if audible is None else audible
    for speaker, sound in zip(speakers, heard, strict=True):
        for other in speakers:
            loud = amplitude(sound, other.hertz)
            if other is not speaker and other in audible:
                assert loud > 0.5 * 1000, (speaker.hertz, other.hertz, loud)
            else:
                assert loud < 100, (speaker.hertz, other.hertz, loud)


@pytest.mark.parametrize(
    "codecs",
    [(PCMA, PCMA), (PCMA, PCMU, PCMA), (PCMA, PCMU, G722), (G722, OPUS, PCMU), (PCMA,) * 8],
    ids=lambda codecs: "-".join(codec.name for codec in codecs),
)
async def test_each_party_hears_all_others_and_not_itself(client: PlaneClient, make_leg: MakeLeg, codecs: tuple[AudioCodec, ...]) -> None:
    await client.open_room("talk")
    speakers = [await party(make_leg, codec, 400 + 300 * number, 2500) for number, codec in enumerate(codecs)]
    for speaker in speakers:
        await client.join(speaker.leg.name, "talk")
    assert_all_but_own(speakers, await listen(speakers))
    await client.close_room("talk")


@pytest.mark.parametrize("parties", [100, pytest.param(200, marks=pytest.mark.slow)])
async def test_of_so_many_the_ten_loudest_are_heard(client: PlaneClient, make_leg: MakeLeg, parties: int) -> None:
    await client.open_room("hall", tell_talkers=False)
    loud = parties // 10
    speakers = [await party(make_leg, PCMU, 300 + 3000 // parties * n, 2500 if n % loud == 3 else 250) for n in range(parties)]
    await asyncio.gather(*(client.join(speaker.leg.name, "hall") for speaker in speakers))
    heard = await listen(speakers)
    assert_all_but_own(speakers, heard, [speaker for n, speaker in enumerate(speakers) if n % loud == 3])
    await client.close_room("hall")


async def test_a_stream_goes_on_in_one_piece_from_the_bridge_into_the_room_and_back(client: PlaneClient, make_leg: MakeLeg) -> None:
    a, b, c = [await party(make_leg, PCMA, hertz) for hertz in (400, 700, 1000)]
    await client.bridge(a.leg.name, b.leg.name)
    all_speak([b])
    await a.leg.phone.wait_for(BURST)
    await client.open_room("three")
    for speaker in (a, b, c):
        await client.join(speaker.leg.name, "three")
    assert_all_but_own([a, b, c], await listen([a, b, c]))
    await client.close_room("three")
    a.leg.phone.received.clear()
    all_speak([b])
    packets = await a.leg.phone.wait_for(BURST)
    assert len({packet.ssrc for packet in packets}) == 1
    last = spectrum([sample for packet in packets[-10:] for sample in decode(packet.payload, "PCMA")])
    assert amplitude(last, 700) > 2000
    await client.unbridge(a.leg.name)


async def test_channels_say_who_hears_whom(client: PlaneClient, make_leg: MakeLeg) -> None:
    speakers = [await party(make_leg, PCMA, hertz, 2500) for hertz in (400, 700, 1000, 1300)]
    muted, pager, loud, plain = speakers
    await client.open_room("roles")
    await client.join(muted.leg.name, "roles", MUTED)
    await client.join(pager.leg.name, "roles", PAGER)
    await client.join(loud.leg.name, "roles", Party(gain_db=6.0))
    await client.join(plain.leg.name, "roles")
    to_muted, to_pager, to_loud, to_plain = await listen(speakers)
    assert amplitude(to_muted, 700) > 1000
    assert amplitude(to_muted, 1300) > 1000
    assert amplitude(to_muted, 1000) / amplitude(to_muted, 1300) == pytest.approx(2, rel=0.1)
    assert max(amplitude(to_pager, speaker.hertz) for speaker in speakers) < 50
    assert amplitude(to_plain, 400) < 50
    assert amplitude(to_loud, 1000) < 50
    (state,) = [state for state in await client.list_rooms() if state.room == "roles"]
    assert state == RoomState(
        "roles",
        {muted.leg.name: MUTED, pager.leg.name: PAGER, loud.leg.name: Party(gain_db=6.0), plain.leg.name: Party()},
    )
    await client.join(muted.leg.name, "roles")  # unmuted
    to_plain = (await listen(speakers))[3]
    assert amplitude(to_plain, 400) > 1000
    await client.close_room("roles")


@pytest.mark.feature("M-5")
@pytest.mark.parametrize(
    ("mode", "target_hears", "peer_hears"), [("listen", False, False), ("whisper", True, False), ("barge", True, True)]
)
async def test_a_supervisor_on_a_call(client: PlaneClient, make_leg: MakeLeg, mode: str, target_hears: bool, peer_hears: bool) -> None:
    agent, caller, boss = [await party(make_leg, codec, hertz) for codec, hertz in ((PCMA, 400), (PCMU, 700), (G722, 1000))]
    await client.bridge(agent.leg.name, caller.leg.name)
    await client.tap(boss.leg.name, agent.leg.name, mode)  # type: ignore[arg-type]
    to_agent, to_caller, to_boss = await listen([agent, caller, boss])
    for sound, own in ((to_agent, 400), (to_caller, 700), (to_boss, 1000)):
        assert amplitude(sound, own) < 50
    assert amplitude(to_agent, 700) > 2000
    assert amplitude(to_caller, 400) > 2000
    assert min(amplitude(to_boss, 400), amplitude(to_boss, 700)) > 2000
    assert (amplitude(to_agent, 1000) > 2000, amplitude(to_caller, 1000) > 2000) == (target_hears, peer_hears)
    if not peer_hears:
        assert amplitude(to_caller, 1000) < 50
    states = {state.session: state for state in await client.list_sessions()}
    tap = states[boss.leg.name].tap
    assert tap is not None
    assert (tap.target, tap.mode) == (agent.leg.name, mode)
    assert states[agent.leg.name].bridged_with == caller.leg.name
    await client.untap(boss.leg.name)
    agent.leg.phone.received.clear()
    all_speak([caller])
    assert len(await agent.leg.phone.wait_for(BURST)) == BURST


@pytest.mark.feature("M-5")
async def test_a_tap_follows_its_target_to_another_call_and_passes_digits(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    agent, first, second, boss = [await party(make_leg, PCMA, hertz) for hertz in (400, 700, 1000, 1300)]
    for speaker in (agent, first, second):
        speaker.leg.event_type = 101
        await speaker.leg.agree(PCMA, 101)
    await client.bridge(agent.leg.name, first.leg.name)
    await client.tap(boss.leg.name, agent.leg.name, "listen")
    await client.bridge(agent.leg.name, second.leg.name)
    _, to_first, to_second, to_boss = await listen_to([agent, first, second, boss], without=first)
    assert to_first is None
    assert to_second is not None
    assert to_boss is not None
    assert amplitude(to_second, 400) > 2000
    assert min(amplitude(to_boss, 400), amplitude(to_boss, 1000)) > 2000
    assert amplitude(to_boss, 700) < 50
    second.leg.phone.received.clear()
    agent.leg.press_event(5)
    await events.wait_for(DigitPressed, agent.leg.name)
    async with asyncio.timeout(DEADLINE):
        while sum(packet.payload_type == 101 for packet in second.leg.phone.received) < 7:
            await second.leg.phone.changed()
    await client.close(agent.leg.name)
    states = {state.session: state for state in await client.list_sessions()}
    assert states[boss.leg.name].tap is None


@pytest.mark.feature("M-5", "M-7")
@pytest.mark.parametrize("told", [True, False])
async def test_a_key_as_tones_is_heard_in_a_tapped_call_only_by_a_peer_that_is_told_of_no_event(
    client: PlaneClient, make_leg: MakeLeg, events: EventLog, told: bool
) -> None:
    """A key is one until its silence is heard, which comes when all of its tones have long been mixed."""
    agent, caller, boss = [await party(make_leg, PCMA, hertz) for hertz in (400, 700, 1000)]
    await caller.leg.agree(PCMA, 101 if told else None)
    await client.bridge(agent.leg.name, caller.leg.name)
    await client.detect(agent.leg.name, ["dtmf"])
    await client.tap(boss.leg.name, agent.leg.name, "listen")
    speak(agent.leg, PCMA, frames([low + high for low, high in zip(sine(770, 400, 4000), sine(1336, 400, 4000), strict=True)], PCMA))
    await boss.leg.phone.wait_for(len(boss.leg.phone.received) + 40)
    speak(agent.leg, PCMA, agent.payloads)
    assert [event.digit for event in await events.wait_for(DigitPressed, agent.leg.name)] == ["5"]

    def heard_by(listener: Speaker, hertz: int) -> int:
        return sum(share_of(decode(packet.payload, "PCMA"), hertz) > 0.3 for packet in listener.leg.phone.received)

    for listener in (caller, boss):
        async with asyncio.timeout(DEADLINE):
            while not heard_by(listener, 400):
                await listener.leg.phone.changed()
        assert heard_by(listener, 770) <= 6 if told else heard_by(listener, 770) >= 15


async def listen_to(speakers: Sequence[Speaker], without: Speaker) -> list[np.ndarray | None]:
    """As listen, where one of them hears nothing at all."""
    all_speak(speakers)

    async def hear(speaker: Speaker) -> np.ndarray | None:
        return None if speaker is without else await speaker.heard()

    return list(await asyncio.gather(*(hear(speaker) for speaker in speakers)))


async def test_talkers_are_told(client: PlaneClient, make_leg: MakeLeg, events: EventLog) -> None:
    one, other = await party(make_leg, PCMA, 400), await party(make_leg, PCMA, 700)
    await client.open_room("watched")
    for speaker in (one, other):
        await client.join(speaker.leg.name, "watched")
    all_speak([one])
    told = await events.wait_for(PartyTalking, one.leg.name, count=2)
    assert told == [PartyTalking("watched", one.leg.name, True), PartyTalking("watched", one.leg.name, False)]
    assert events.of(PartyTalking, other.leg.name) == []
    await client.close_room("watched")


async def test_sounds_music_and_prompts_of_a_room(client: PlaneClient, make_leg: MakeLeg, events: EventLog, tmp_path: Path) -> None:
    sounds = {
        name: write_wav(tmp_path / f"{name}.wav", sine(hertz, 600, 4000)) for name, hertz in (("in", 400), ("out", 700), ("alone", 1000))
    }
    prompt = write_wav(tmp_path / "prompt.wav", sine(1300, 600, 4000))
    await client.open_room("lobby", entry_sound=sounds["in"], exit_sound=sounds["out"], music=sounds["alone"])
    one, other = await party(make_leg, PCMA, 2000), await party(make_leg, G722, 2300)
    await client.join(one.leg.name, "lobby", silent=True)
    alone = await one.heard(2)
    assert amplitude(alone, 1000) > 2000
    assert amplitude(alone, 400) < 50
    await client.join(other.leg.name, "lobby")
    coming = await one.heard(3)
    assert amplitude(coming, 400) > 2000
    assert amplitude(coming, 1000) < 50
    await client.play_room("lobby", "p1", [prompt])
    both = await asyncio.gather(one.heard(3), other.heard(3))
    assert min(amplitude(sound, 1300) for sound in both) > 2000
    assert PlayEnded("", "p1", True, 600, "lobby") in await events.wait_for(PlayEnded, "", count=1)
    await client.leave(other.leg.name)
    assert amplitude(await one.heard(3), 700) > 2000
    await client.close_room("lobby")


async def test_a_far_end_that_changes_its_codec_stays_in_the_room(client: PlaneClient, make_leg: MakeLeg) -> None:
    one, other = await party(make_leg, PCMA, 400), await party(make_leg, PCMA, 700)
    await client.open_room("change")
    for speaker in (one, other):
        await client.join(speaker.leg.name, "change")
    await one.leg.agree(OPUS)
    one = Speaker(one.leg, OPUS, 400)
    assert_all_but_own([one, other], await listen([one, other]))
    await client.close_room("change")


async def test_what_cannot_be_is_refused(client: PlaneClient, make_leg: MakeLeg, tmp_path: Path) -> None:
    leg, other = await make_leg(None), await make_leg("PCMA")
    with pytest.raises(NoRoom):
        await client.join(leg.name, "nowhere")
    with pytest.raises(BadFile):
        await client.open_room("bad", music=tmp_path / "absent.wav")
    await client.open_room("full")
    await leg.agree(AudioCodec("G729", 18))
    with pytest.raises(NoCoder):
        await client.join(leg.name, "full")
    with pytest.raises(NoCoder):
        await client.tap(other.name, leg.name, "listen")
    with pytest.raises(BadRequest, match="gain_db"):
        await client.join(other.name, "full", Party(gain_db=100))
    with pytest.raises(BadRequest, match="mode"):
        await client.tap(other.name, leg.name, "shout")  # type: ignore[arg-type]
    for number in range(16):
        await client.join((await make_leg("PCMA")).name, "full", Party(hears=1 << number))
    with pytest.raises(BadRequest, match="ways of hearing"):
        await client.join(other.name, "full", Party(hears=1 << 20))
    await client.close_room("full")
    await client.close_room("full")
    assert "full" not in {state.room for state in await client.list_rooms()}
