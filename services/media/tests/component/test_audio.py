"""Files that people upload, from the upload to the caller's ear."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import pytest
import soundfile

from carillon.common.v1 import call_application_pb2 as app
from carillon.media.v1 import audio_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.codecs import Decoder
from carillon_rtp.testing import decode, share_of, tone
from carillon_sip import InviteReceived, ReinviteAnswered, SessionFailed, SessionProgress
from carillon_sip.offer_answer import G722

pytestmark = pytest.mark.feature("M-8")


def sound(hertz: float, seconds: float = 1.0, rate: int = 44_100, **options: Any) -> bytes:
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([samples, samples], axis=1), rate, **{"format": "WAV", "subtype": "PCM_24", **options})
    return buffer.getvalue()


async def upload(client: Any, content: bytes, audio_id: str = "welcome", **fields: Any) -> pb.UploadAudioResponse:
    async def parts() -> AsyncIterator[pb.UploadAudioRequest]:
        particulars = pb.AudioParticulars(**{"audio_id": audio_id, "right_to_broadcast": True, **fields})
        yield pb.UploadAudioRequest(particulars=particulars)
        for start in range(0, len(content), 100_000):
            yield pb.UploadAudioRequest(chunk=content[start : start + 100_000])

    response: pb.UploadAudioResponse = await client.UploadAudio(parts())
    return response


async def refusal(client: Any, content: bytes, **fields: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await upload(client, content, **fields)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return str(error.value.details())


async def heard(house: Any, words: Any, *prompts: app.Prompt) -> list[int]:
    """What a caller hears of a play step."""
    house.application.follow(app.NextResponse(step=app.Step(play=app.Play(prompts=prompts)), cursor=b"x", config_seq=5), words.hang_up(16))
    before = house.ends()
    anne = await house.phone("anne")
    anne.call("102")
    await anne.answered()
    await house.ended(before + 1)
    audio = b"".join(packet.payload for packet in anne.rtp.received if packet.payload_type == 8)
    return decode(audio, "PCMA")


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({"subtype": "PCM_24"}, "WAV PCM_24, 44100 Hz"),
        ({"subtype": "PCM_U8", "rate": 8000}, "WAV PCM_U8, 8000 Hz"),
        ({"subtype": "ALAW", "rate": 8000}, "WAV ALAW, 8000 Hz"),
        ({"subtype": "ULAW", "rate": 16_000}, "WAV ULAW, 16000 Hz"),
        ({"format": "MP3", "subtype": "MPEG_LAYER_III"}, "MP3"),
        ({"format": "OGG", "subtype": "VORBIS"}, "OGG VORBIS"),
    ],
)
async def test_every_kind_of_file_is_converted_and_its_facts_are_kept(studio: Any, options: dict[str, Any], source: str) -> None:
    done = await upload(studio.client, sound(440, **options), display_name="Welcome", language="fr", text="Bonjour")
    assert done.source_format.startswith(source)
    assert abs(done.duration_ms - 1000) < 100
    kept = studio.fake.audios["welcome"]
    assert (kept.object, kept.rights_confirmed_by, kept.text) == (done.object, "elise", "Bonjour")
    assert kept.rights_confirmed_at
    narrow, rate = soundfile.read(io.BytesIO(await studio.objects.get(done.object)))
    wide, wide_rate = soundfile.read(io.BytesIO(await studio.objects.get(done.wide_object)))
    assert (rate, wide_rate) == (8000, 16_000)
    assert share_of((narrow * 32767).astype(int).tolist(), 440) > 0.9
    assert abs(len(wide) / 16_000 - len(narrow) / 8000) < 0.01


async def test_the_directory_is_asked_in_the_uploader_s_name(studio: Any) -> None:
    await upload(studio.client, sound(440))
    assert studio.fake.seen[0]["authorization"].startswith("Bearer ")
    assert studio.fake.seen[0]["carillon-tenant"] == "dupont"


async def test_what_was_uploaded_is_what_a_caller_hears_and_a_new_upload_replaces_it(studio: Any, words: Any) -> None:
    prompt = app.Prompt(audio=app.AudioFile(audio_id="welcome"))
    for hertz in (440, 700):
        done = await upload(studio.client, sound(hertz))
        await eventually((studio.folder / "media/audio" / done.object).exists)
        assert share_of(await heard(studio, words, prompt), hertz) > 0.8


def wide_band(phone: Any) -> list[int]:
    """What a phone heard by G.722, at 16 kHz."""
    decoder = Decoder("G722", 16_000)
    return [sample for packet in phone.rtp.received if packet.payload_type == 9 for sample in decoder.decode(packet.payload)]


async def test_who_speaks_wide_band_hears_an_uploaded_file_so(studio: Any, words: Any) -> None:
    """6 kHz is in no file of 8 kHz."""
    await upload(studio.client, sound(6000))
    step = app.Step(play=app.Play(prompts=[app.Prompt(audio=app.AudioFile(audio_id="welcome"))]))
    studio.application.follow(app.NextResponse(step=step, cursor=b"x", config_seq=5), words.hang_up(16))
    anne = await studio.phone("anne")
    anne.call("102", body=anne.offer(codecs=(G722,)))
    await anne.answered()
    await studio.ended()
    assert share_of(wide_band(anne), 6000 / 2) > 0.5, "frequencies are halved: `share_of` takes 8 kHz"


@pytest.mark.feature("M-4")
async def test_who_speaks_wide_band_hears_hold_music_and_its_goings_on_so(studio: Any, words: Any) -> None:
    done = await upload(studio.client, sound(6000, 40, 16_000, subtype="ALAW"), "high", music=True)
    await eventually((studio.folder / "media/audio" / done.object).exists)
    await studio.configure("playlist", {"id": "hold", "tracks": [{"audio_id": "high"}], "resume": "continue"})
    await studio.configure("tenant", {"id": "dupont", "realm": "dupont.example", "hold_music_id": "hold"})
    studio.application.follow(words.ring("bob"))
    anne, bob = await studio.phone("anne"), await studio.phone("bob")
    call = anne.call("102", body=anne.offer(codecs=(G722,)))
    await bob.pick_up(codecs=(G722,))
    await anne.answered()
    for _ in range(2):
        bob.rtp.received.clear()
        anne.do("reinvite", call, anne.offer("sendonly", codecs=(G722,)))
        await anne.expect(ReinviteAnswered)
        await eventually(lambda: len(bob.rtp.received) > 75)
        assert share_of(wide_band(bob), 6000 / 2) > 0.5
        anne.do("reinvite", call, anne.offer(codecs=(G722,)))
        await anne.expect(ReinviteAnswered)
    assert any((studio.folder / "media/prompts/offsets").iterdir()), "the second time it went on in the middle"
    anne.do("bye", call)
    await studio.ended()


async def test_where_the_file_is_lost_its_text_is_spoken(studio: Any, words: Any) -> None:
    lost = {"id": "lost", "object": "sha256-" + "0" * 64, "wide_object": "sha256-" + "0" * 64, "duration_ms": 1000}
    await studio.configure("audio", lost | {"rights_confirmed_by": "x", "rights_confirmed_at": "2026-03-02T10:00:00Z"})
    spoken = await heard(studio, words, app.Prompt(audio=app.AudioFile(audio_id="lost", text="Hello", language="en")))
    assert len(spoken) > 4000
    nothing = await heard(studio, words, app.Prompt(beep=True), app.Prompt(audio=app.AudioFile(audio_id="never")))
    assert share_of(nothing, 1000) > 0.5


async def test_numbers_are_spoken_and_music_is_played_once_through(studio: Any, words: Any) -> None:
    done = await upload(studio.client, sound(523), audio_id="jazz", music=True)
    await studio.configure("playlist", {"id": "hold", "tracks": [{"audio_id": "jazz"}]})
    await eventually(lambda: (studio.folder / "media/audio" / done.object).exists())
    number = app.Prompt(number=app.SpokenNumber(value=21, language="de"))
    assert len(await heard(studio, words, number)) > 4000
    assert share_of(await heard(studio, words, app.Prompt(music=app.Music(playlist_id="hold"))), 523) > 0.8


async def test_the_file_comes_back_as_it_is_played(studio: Any) -> None:
    done = await upload(studio.client, sound(440))
    await eventually(lambda: (studio.folder / "media/audio" / done.object).exists())
    chunks = [response.chunk async for response in studio.client.FetchAudio(pb.FetchAudioRequest(audio_id="welcome"))]
    assert b"".join(chunks) == await studio.objects.get(done.object)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        [response async for response in studio.client.FetchAudio(pb.FetchAudioRequest(audio_id="other"))]
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


async def test_what_cannot_be_taken_is_said_by_field(studio: Any, tmp_path: Path) -> None:
    good = sound(440, 0.5)
    assert "right_to_broadcast" in await refusal(studio.client, good, right_to_broadcast=False)
    assert "audio_id" in await refusal(studio.client, good, audio_id="")
    assert "chunk: the file is empty" in await refusal(studio.client, b"")
    assert "no WAV, MP3 or OGG" in await refusal(studio.client, b"%PDF-1.7" + bytes(1000))
    assert "says that it has" in await refusal(studio.client, good[:-1000])
    assert "larger than 16 MB" in await refusal(studio.client, bytes(17 << 20))
    assert "no sound file" in await refusal(studio.client, b"OggS" + bytes(1000))
    assert "longer than 300 s" in await refusal(studio.client, sound(440, 301, 8000, subtype="ALAW"))
    assert "FLOAT is not taken" in await refusal(studio.client, sound(440, subtype="FLOAT"))
    assert not studio.fake.audios


async def test_a_header_that_lies_of_its_length_costs_nothing(studio: Any) -> None:
    """A WAV whose data chunk says four gigabytes: what is there is taken, no more."""
    content = bytearray(sound(440, 0.5, 8000, subtype="PCM_16"))
    at = content.index(b"data") + 4
    content[at : at + 4] = (0xFFFF_FFF0).to_bytes(4, "little")
    done = await upload(studio.client, bytes(content))
    assert done.duration_ms <= 600


async def melody(studio: Any, hertz: float) -> None:
    """Playlist `melody` is a tone."""
    done = await upload(studio.client, sound(hertz, 0.6), audio_id="melody", music=True)
    await studio.configure("playlist", {"id": "melody", "tracks": [{"audio_id": "melody"}]})
    await eventually(lambda: (studio.folder / "media/audio" / done.object).exists())


@pytest.mark.feature("M-4")
async def test_a_melody_is_heard_until_somebody_answers_and_nobody_is_charged_for_it(studio: Any, words: Any) -> None:
    await melody(studio, 523)
    rung = words.ring("bob")
    rung.step.ring.ringback_music_id = "melody"
    studio.application.follow(rung)
    anne, bob = await studio.phone("anne"), await studio.phone("bob")
    session = anne.call("102")
    invite = await bob.expect(InviteReceived)
    bob.do("ring", invite.session)
    progress = await anne.expect(SessionProgress, lambda each: bool(each.response.body))
    assert progress.response.status == 183
    heard = decode(b"".join(packet.payload for packet in await anne.rtp.wait_for(60, 20)), "PCMA")
    assert max(share_of(heard[start : start + 1600], 523) for start in range(0, 8000, 400)) > 0.9
    bob.do("answer", invite.session, bob.offer())
    to = await anne.answered()
    actor = next(iter(studio.running.board.calls.values()))
    await eventually(lambda: actor.legs["b1"].bridged_with)
    anne.rtp.received.clear()
    bob.rtp.send_audio(tone(880, 400, "PCMA"), "PCMA", words.audio_of(invite.request.body))
    spoken = decode(b"".join(packet.payload for packet in (await anne.rtp.wait_for(16, 20))[2:]), "PCMA")
    assert share_of(spoken, 880) > 0.9
    assert to.port
    anne.do("bye", session)
    assert words.last(await studio.ended(), "ended")["talk_ms"] < words.last(studio.events(), "ended")["total_ms"]


@pytest.mark.feature("M-4")
async def test_who_is_refused_hears_the_music_of_the_busy_first(studio: Any, words: Any) -> None:
    await melody(studio, 700)
    refused = words.hang_up(17, 486)
    refused.step.hang_up.prompts.append(app.Prompt(music=app.Music(playlist_id="melody", max_ms=5000)))
    studio.application.follow(refused)
    anne = await studio.phone("anne")
    anne.call("102")
    assert (await anne.expect(SessionProgress, lambda each: bool(each.response.body))).response.status == 183
    failed = await anne.expect(SessionFailed, timeout=20)
    assert failed.status == 486
    heard = decode(b"".join(packet.payload for packet in anne.rtp.received), "PCMA")
    assert max(share_of(heard[start : start + 1600], 700) for start in range(0, 3000, 400)) > 0.9
    events = await studio.ended()
    assert words.last(events, "ended")["cause"] == "user_busy"
    assert "leg_answered a" not in words.story(events)


@pytest.mark.feature("M-4", "R-10")
async def test_who_waits_in_a_queue_hears_the_queues_own_music(studio: Any, words: Any) -> None:
    """Not the tenant's, which another queue gives; put from the one into the other the caller hears that one's."""
    for audio_id, hertz in (("low", 523), ("high", 880)):
        done = await upload(studio.client, sound(hertz, 2, 8000, subtype="ALAW"), audio_id, music=True)
        await eventually((studio.folder / "media/audio" / done.object).exists)
        await studio.configure("playlist", {"id": audio_id, "tracks": [{"audio_id": audio_id}]})
    await studio.configure("tenant", {"id": "dupont", "realm": "dupont.example", "hold_music_id": "low"})
    steps = [app.Step(wait=app.Wait(max_ms=60_000, leave_digits="1", music_id=music)) for music in ("high", "")]
    studio.application.follow(*(app.NextResponse(step=step, cursor=b"x", config_seq=5) for step in steps))
    anne = await studio.phone("anne")
    call = anne.call("102")
    to = await anne.answered()

    def share(hertz: int, packets: list[Any]) -> float:
        return share_of(decode(b"".join(packet.payload for packet in packets if packet.payload_type == 8), "PCMA"), hertz)

    await eventually(lambda: len(anne.rtp.received) > 20 and share(880, anne.rtp.received[-20:]) > 0.9)
    assert share(523, anne.rtp.received) < 0.1, "the tenant's music is not heard"
    for packet in anne.rtp.event_packets(1, 101):
        anne.rtp.send_bytes(packet, to)
    await eventually(lambda: share(523, anne.rtp.received[-20:]) > 0.9)
    anne.do("bye", call)
    await studio.ended()


@pytest.mark.feature("M-4")
@pytest.mark.parametrize(("resume", "begins"), [("continue", 880), ("restart", 523)])
async def test_hold_music_goes_on_where_it_stopped_or_begins_anew(studio: Any, words: Any, resume: str, begins: int) -> None:
    """One second of a low tone, then a minute of a high one: the second time the high one goes on, or the low one comes again."""
    for audio_id, hertz, seconds in (("low", 523, 1), ("high", 880, 60)):
        content = sound(hertz, seconds, 8000, subtype="ALAW")
        done = await upload(studio.client, content, audio_id, music=True)
        await eventually((studio.folder / "media/audio" / done.object).exists)
    await studio.configure("playlist", {"id": "hold", "tracks": [{"audio_id": "low"}, {"audio_id": "high"}], "resume": resume})
    await studio.configure("tenant", {"id": "dupont", "realm": "dupont.example", "hold_music_id": "hold"})
    studio.application.follow(words.ring("bob"))
    anne, bob = await studio.phone("anne"), await studio.phone("bob")
    call = anne.call("102")
    await bob.pick_up()
    to = await anne.answered()

    def heard(packets: list[Any]) -> dict[int, float]:
        samples = decode(b"".join(packet.payload for packet in packets), "PCMA")
        return {hertz: share_of(samples, hertz) for hertz in (440, 523, 880)}

    async def talk() -> None:
        """All that was sent before it is heard before it."""
        anne.do("reinvite", call, anne.offer())
        await anne.expect(ReinviteAnswered)
        anne.rtp.send_audio(tone(440, 400, "PCMA"), "PCMA", to)
        await eventually(lambda: heard(bob.rtp.received[-15:])[440] > 0.9)
        await eventually(lambda: len(bob.rtp.received) >= 20)
        bob.rtp.received.clear()

    async def hold() -> None:
        anne.do("reinvite", call, anne.offer("sendonly"))
        await anne.expect(ReinviteAnswered)

    await hold()
    assert heard(await bob.rtp.wait_for(20, 30))[523] > 0.8
    await eventually(lambda: len(bob.rtp.received) > 100 and heard(bob.rtp.received[-20:])[880] > 0.9)
    await talk()
    await hold()
    again = heard((await bob.rtp.wait_for(25, 30))[5:])
    assert again[begins] > 0.8, again
    assert again[523 if begins == 880 else 880] < 0.1, again
    anne.do("bye", call)
    await studio.ended()
