"""Steps in which the caller talks with the system: play, gather, record, and what becomes of a recording."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.testing import RtpPacket, decode, share_of, tone
from carillon_rtp.values import MediaAddress
from carillon_sip import RequestOut, ResponseReceived, SessionEnded

BEEP = pb.Prompt(beep=True)


def step(**kind: Any) -> pb.NextResponse:
    return pb.NextResponse(step=pb.Step(**kind), cursor=b"x", config_seq=5)


async def test_prompts_are_heard_and_the_call_ends(house: Any, words: Any) -> None:
    house.application.follow(step(play=pb.Play(prompts=[BEEP, pb.Prompt(silence_ms=40)])), words.hang_up(16))
    anne = await house.phone("anne")
    anne.call("102")
    await anne.answered()
    assert (await anne.expect(SessionEnded)).by == "remote"
    assert len(anne.rtp.received) >= 12
    events = await house.ended()
    assert words.last(events, "play_ended")["duration_ms"] >= 240
    assert words.last(events, "ended")["by"] == "system"


async def test_digits_of_rfc_4733_and_of_info(house: Any, words: Any) -> None:
    gather = pb.Gather(max_digits=4, finish_digits="#", first_digit_timeout_ms=4000, inter_digit_timeout_ms=4000, prompts=[BEEP])
    house.application.follow(step(gather=gather), words.hang_up(16))
    anne = await house.phone("anne")
    call = anne.call("102")
    to = await anne.answered()
    await anne.rtp.wait_for(1)
    for digit in (1, 2):
        for packet in anne.rtp.event_packets(digit, 101):
            anne.rtp.send_bytes(packet, to)
    await eventually(lambda: house.running.board.calls and "12" in str(next(iter(house.running.board.calls.values())).call.state.phase))
    for key in ("3", "#"):
        request = RequestOut("INFO", session=call, body=f"Signal={key}\r\nDuration=160\r\n".encode(), content_type="application/dtmf-relay")
        anne.do("request", request)
        assert (await anne.expect(ResponseReceived)).response.status == 200
    events = await house.ended()
    assert words.last(events, "digits_gathered") == {"digits": "123", "timed_out": False}
    assert house.application.asked[1].outcome.gather.digits == "123"


def loud(packets: Sequence[RtpPacket]) -> int:
    """How many of them have a tone."""
    return sum(max(decode(packet.payload, "PCMA")) > 1000 for packet in packets)


async def replace_the_plane(house: Any, phone: Any, beeps: int = 1) -> None:
    """Kill it when so many beeps of 250 ms were heard, the last one to its end; that one is heard again."""
    heard = phone.rtp.received
    await eventually(lambda: loud(heard) >= 12 * beeps and not loud(heard[-3:]))
    before = loud(heard)
    await house.plane.end(signal.SIGKILL)
    await house.plane.start()
    await eventually(lambda: loud(heard) >= before + 5)


@pytest.mark.feature("M-7", "M-13")
@pytest.mark.parametrize("events_agreed", [False, True], ids=["tones", "events"])
async def test_a_menu_outlives_the_media_plane_and_keys_count_there(house: Any, words: Any, events_agreed: bool) -> None:
    gather = pb.Gather(max_digits=1, first_digit_timeout_ms=60_000, prompts=[BEEP, *[pb.Prompt(silence_ms=10_000)] * 5])
    house.application.follow(step(gather=gather), words.hang_up(16))
    anne = await house.phone("anne")
    anne.call("102", body=None if events_agreed else words.without_events(anne.offer()))
    to = await anne.answered()
    await replace_the_plane(house, anne)
    if events_agreed:
        for packet in anne.rtp.event_packets(5, 101):
            anne.rtp.send_bytes(packet, to)
    else:
        anne.rtp.send_audio(words.key_five(), "PCMA", to)
    assert (await anne.expect(SessionEnded)).by == "remote"
    assert words.last(await house.ended(), "digits_gathered") == {"digits": "5", "timed_out": False}


@pytest.mark.feature("M-7")
async def test_keys_as_tones_count_once_each_and_beside_events_not_at_all(house: Any, words: Any) -> None:
    gather = pb.Gather(max_digits=3, finish_digits="#", first_digit_timeout_ms=60_000, inter_digit_timeout_ms=60_000)
    house.application.follow(step(gather=gather), words.hang_up(16), step(gather=gather), words.hang_up(16))
    anne = await house.phone("anne")
    anne.call("102", body=words.without_events(anne.offer()))
    anne.rtp.send_audio(words.key_five() * 3, "PCMA", await anne.answered())
    await anne.expect(SessionEnded)
    anne.call("102")
    to = await anne.answered()
    anne.rtp.send_audio(words.key_five() * 3, "PCMA", to)
    for event in (7, 11):
        for packet in anne.rtp.event_packets(event, 101):
            anne.rtp.send_bytes(packet, to)
    await anne.expect(SessionEnded)
    await eventually(lambda: house.ends() == 2)
    gathered = [event.data["digits"] for event in house.events() if event.type.endswith("digits_gathered.v1")]
    assert gathered == ["555", "7"]


@pytest.mark.feature("M-13")
@pytest.mark.parametrize("kind", ["play", "hang_up"])
async def test_what_a_caller_is_told_outlives_the_media_plane(house: Any, words: Any, kind: str) -> None:
    prompts = [BEEP, *[pb.Prompt(silence_ms=10_000)] * 2]
    told = {"play": pb.Play(prompts=prompts)} if kind == "play" else {"hang_up": pb.HangUp(cause=16, prompts=prompts)}
    house.application.follow(step(play=pb.Play(prompts=[BEEP])), step(**told), words.hang_up(16))
    anne = await house.phone("anne")
    call = anne.call("102")
    await anne.answered()
    await replace_the_plane(house, anne, beeps=2)
    anne.do("bye", call)
    assert words.last(await house.ended(), "ended")["by"] == "caller"


@pytest.mark.feature("R-11")
async def test_whoever_knows_the_menu_types_ahead(house: Any, words: Any) -> None:
    steps = [step(gather=pb.Gather(max_digits=digits, prompts=[BEEP])) for digits in (1, 3)] + [words.hang_up(16)]
    typed = asyncio.Event()

    async def decide(request: pb.NextRequest) -> pb.NextResponse:
        if request.outcome.gather.digits == "2":
            await typed.wait()
        following: pb.NextResponse = steps.pop(0)
        return following

    house.application.decide = decide
    anne = await house.phone("anne")
    call = anne.call("102")
    await anne.answered()
    for key in "2345":
        request = RequestOut("INFO", session=call, body=f"Signal={key}\r\nDuration=160\r\n".encode(), content_type="application/dtmf-relay")
        anne.do("request", request)
        await anne.expect(ResponseReceived)
    typed.set()
    await anne.expect(SessionEnded)
    gathered = [event.data["digits"] for event in await house.ended() if event.type.endswith("digits_gathered.v1")]
    assert gathered == ["2", "345"]


async def leave_message(house: Any, ms: int, **options: Any) -> tuple[Any, str]:
    record = pb.Record(
        beep=True, max_ms=60_000, silence_ms=0, min_ms=options.pop("min_ms", 200), finish_digits="#", labels={"mailbox_id": "main"}
    )
    house.application.follow(step(record=record), pb.NextResponse(step=pb.Step(hang_up=pb.HangUp(cause=16))))
    anne = await house.phone("anne")
    call = anne.call("102")
    to = await anne.answered()
    await eventually(lambda: any((house.folder / "media/spool/recordings").glob("*.wav")))
    anne.rtp.send_audio(tone(440, ms, "PCMA"), "PCMA", to)
    spooled = next((house.folder / "media/spool/recordings").glob("*.wav"))
    await eventually(lambda: not spooled.exists() or spooled.stat().st_size >= 58 + 8 * ms)
    return anne, call


@pytest.mark.feature("M-1")
async def test_a_message_of_a_caller_who_hangs_up_is_kept_and_uploaded(house: Any, words: Any) -> None:
    anne, call = await leave_message(house, 400)
    anne.do("bye", call)
    events = await house.ended()
    kept = words.last(events, "recording_finished")
    assert (kept["ended_by"], kept["labels"]) == ("hang_up", {"mailbox_id": "main"})
    assert words.story(events)[-3:] == ["leg_ended a", "recording_finished a", "ended"]
    spool: Path = house.folder / "media/spool"
    await eventually(lambda: not list(spool.rglob("*.wav")))
    audio = await house.objects.get(kept["object"])
    assert (len(audio), audio[:4]) == (kept["bytes"], b"RIFF")
    assert kept["duration_ms"] >= 400


async def test_a_message_ended_by_a_key(house: Any, words: Any) -> None:
    anne, _ = await leave_message(house, 400)
    actor = next(iter(house.running.board.calls.values()))
    to = actor.legs["a"].media
    for packet in anne.rtp.event_packets(11, 101):
        anne.rtp.send_bytes(packet, MediaAddress(to.ip, to.port))
    assert (await anne.expect(SessionEnded)).by == "remote"
    kept = words.last(await house.ended(), "recording_finished")
    assert kept["ended_by"] == "digit"
    assert house.application.asked[1].outcome.record.object == kept["object"]


async def test_a_message_too_short_leaves_no_trace(house: Any, words: Any) -> None:
    anne, call = await leave_message(house, 100, min_ms=5000)
    anne.do("bye", call)
    events = await house.ended()
    assert "recording_finished a" not in words.story(events)
    assert not list((house.folder / "media/spool").rglob("*.wav"))


async def test_a_message_outlives_a_process_that_was_away_too_long_for_its_call(house: Any, words: Any) -> None:
    await leave_message(house, 400)
    await eventually(lambda: any(event.type.endswith("recording_started.v1") for event in house.events()))
    await house.die(resume_seconds=0)
    events = await house.ended()
    kept = words.last(events, "recording_finished")
    assert (kept["ended_by"], kept["labels"]) == ("node_failure", {"mailbox_id": "main"})
    assert kept["duration_ms"] >= 400
    assert len(await house.uploaded(kept["object"])) == kept["bytes"]
    await eventually(lambda: not any((house.folder / "media/spool").rglob("*.wav")))


async def test_a_message_is_kept_when_the_media_plane_dies(house: Any, words: Any) -> None:
    anne, _ = await leave_message(house, 400)
    await house.plane.end(signal.SIGKILL)
    await house.plane.start()
    assert (await anne.expect(SessionEnded, timeout=8)).by == "remote"
    events = await house.ended()
    assert words.last(events, "recording_finished")["ended_by"] == "node_failure"
    assert house.application.asked[1].outcome.record.object


@pytest.mark.feature("M-10")
async def test_a_talk_is_recorded_by_policy_with_both_sides_in_a_channel_each(house: Any, words: Any) -> None:
    rung = words.ring("bob")
    rung.step.ring.recording.stereo = True
    rung.step.ring.recording.retention_days = 30
    house.application.follow(rung, words.hang_up(16))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    session = anne.call("102")
    _, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    anne.rtp.send_audio(tone(440, 600, "PCMA"), "PCMA", anne_to)
    bob.rtp.send_audio(tone(880, 600, "PCMA"), "PCMA", bob_to)
    await bob.rtp.wait_for(25)
    await anne.rtp.wait_for(25)
    anne.do("bye", session)
    events = await house.ended()
    kept = words.last(events, "recording_finished")
    assert kept["labels"]["retention_days"] == "30"
    data = await house.uploaded(kept["object"])
    assert int.from_bytes(data[22:24], "little") == 2
    sides = [decode(data[data.index(b"data") + 8 :][channel::2], "PCMA") for channel in range(2)]
    assert max(share_of(sides[0], 440), share_of(sides[1], 440)) > 0.5
    assert max(share_of(sides[0], 880), share_of(sides[1], 880)) > 0.5
    assert min(share_of(sides[0], 440), share_of(sides[1], 440)) < 0.1
