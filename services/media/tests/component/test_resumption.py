"""The process dies and starts anew: calls go on, audio never stops, records are exact."""

import asyncio
from typing import Any

import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.testing import tone
from carillon_sip import InviteReceived, RequestOut, ResponseReceived, SessionAnswered, SessionEnded, SessionFailed, SessionProgress
from carillon_sip.offer_answer import answer_offer
from carillon_sip.outputs import ReferAnswered, ReferProgress, ReinviteAnswered, SessionCancelled, SessionReinvited
from carillon_sip.refer import Refer
from carillon_sip.sdp import SessionDescription
from carillon_sip.uri import NameAddr

pytestmark = [pytest.mark.feature("M-13"), pytest.mark.feature("P-10")]


async def talking(house: Any, words: Any) -> Any:
    """Anne and Bob talk: (anne, her session, where she sends, bob, his session, where he sends)."""
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    mine = anne.call("102")
    invite, to_bob = await bob.pick_up()
    to_anne = await anne.answered()
    await eventually(lambda: any(event.type.endswith("bridged.v1") for event in house.events()))
    return anne, mine, to_anne, bob, invite.session, to_bob


async def hear_each_other(anne: Any, to_anne: Any, bob: Any, to_bob: Any) -> None:
    for speaker, listener, to in ((anne, bob, to_anne), (bob, anne, to_bob)):
        before = len(listener.rtp.received)
        speaker.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", to)
        await eventually(lambda listener=listener, before=before: len(listener.rtp.received) >= before + 3)  # type: ignore[misc]


@pytest.mark.parametrize("by", ["caller", "callee"])
async def test_a_call_that_is_up_goes_on_and_either_side_hangs_up(house: Any, words: Any, by: str) -> None:
    anne, mine, to_anne, bob, theirs, to_bob = await talking(house, words)
    await house.die()
    await hear_each_other(anne, to_anne, bob, to_bob)
    quits, session, other = (anne, mine, bob) if by == "caller" else (bob, theirs, anne)
    quits.do("bye", session)
    assert (await other.expect(SessionEnded)).by == "remote"
    events = await house.ended()
    assert words.story(events)[-4:] == ["resumed", *(["leg_ended a", "leg_ended b1"]), "ended"]
    ended = words.last(events, "ended")
    assert (ended["cause"], ended["by"]) == ("normal_clearing", by)
    assert ended["talk_ms"] > 0
    assert house.ends() == 1


async def test_twice_in_a_row(house: Any, words: Any) -> None:
    anne, mine, to_anne, bob, _, to_bob = await talking(house, words)
    await house.die()
    await house.die()
    await hear_each_other(anne, to_anne, bob, to_bob)
    anne.do("bye", mine)
    await bob.expect(SessionEnded)
    assert words.story(await house.ended()).count("resumed") == 2


async def test_hold_and_retrieve_after_the_restart(house: Any, words: Any) -> None:
    anne, mine, to_anne, bob, _, to_bob = await talking(house, words)
    await house.die()
    anne.do("reinvite", mine, anne.offer("sendonly"))
    answer = SessionDescription.parse((await anne.expect(ReinviteAnswered)).body).audio
    assert answer is not None
    assert answer.direction == "recvonly"
    await bob.rtp.wait_for(5)  # music
    anne.do("reinvite", mine, anne.offer())
    await anne.expect(ReinviteAnswered)
    await hear_each_other(anne, to_anne, bob, to_bob)
    anne.do("bye", mine)
    events = await house.ended()
    assert [kind for kind in words.story(events) if "leg_h" in kind or "leg_r" in kind][-2:] == ["leg_held a", "leg_resumed a"]


async def test_a_held_call_keeps_its_music_through_the_restart(house: Any, words: Any) -> None:
    anne, mine, to_anne, bob, _, to_bob = await talking(house, words)
    anne.do("reinvite", mine, anne.offer("inactive"))
    await anne.expect(ReinviteAnswered)
    await bob.rtp.wait_for(5)
    await house.die()
    before = len(bob.rtp.received)
    await eventually(lambda: len(bob.rtp.received) > before + 5)
    anne.do("reinvite", mine, anne.offer())
    await anne.expect(ReinviteAnswered)
    await hear_each_other(anne, to_anne, bob, to_bob)
    anne.do("bye", mine)
    await house.ended()


async def test_a_transfer_after_the_restart(house: Any, words: Any) -> None:
    anne, _, _, bob, theirs, _ = await talking(house, words)
    carol = await house.phone("carol")
    await house.die()
    await carol.register()
    house.application.follow(words.ring("carol"))
    bob.do("refer", Refer(NameAddr.of("sip:103@dupont.example"), session=theirs))
    assert (await bob.expect(ReferAnswered)).status == 202
    await carol.pick_up()
    await bob.expect(SessionEnded)
    await eventually(lambda: words.story(house.events()).count("bridged") == 2)
    await house.running.board.stop(3.0)
    await anne.expect(SessionEnded)
    assert "transfer_ended b1" in words.story(await house.ended())


@pytest.mark.feature("M-4", "M-13")
async def test_who_has_transferred_is_told_by_the_new_process_how_it_went(house: Any, words: Any) -> None:
    anne, _, _, bob, theirs, _ = await talking(house, words)
    carol = await house.phone("carol")
    house.application.follow(words.ring("carol"))
    bob.do("refer", Refer(NameAddr.of("sip:103@dupont.example"), session=theirs))
    ringing = await carol.expect(InviteReceived)
    carol.do("ring", ringing.session)
    await bob.expect(ReferProgress, lambda progress: progress.status == 180)
    await house.die()
    agreed = answer_offer(SessionDescription.parse(ringing.request.body), "127.0.0.1", carol.rtp.address.port, session_id=2)
    carol.do("answer", ringing.session, agreed.local.to_bytes())
    last = await bob.expect(ReferProgress, lambda progress: progress.status == 200)
    assert last.ended
    assert (await bob.expect(SessionEnded)).by == "remote"
    carol.do("bye", ringing.session)
    await anne.expect(SessionEnded)
    await house.ended()


async def test_a_phone_that_rings_answers_the_new_process(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    mine = anne.call("102")
    invite = await bob.expect(InviteReceived)
    bob.do("ring", invite.session)
    await anne.expect(SessionProgress)
    await eventually(lambda: "leg_ringing b1" in words.story(house.events()))
    await house.die()
    here = bob.rtp.address
    agreed = answer_offer(SessionDescription.parse(invite.request.body), here.ip, here.port, session_id=2)
    bob.do("answer", invite.session, agreed.local.to_bytes())
    to_anne = words.audio_of((await anne.expect(SessionAnswered)).response.body)
    to_bob = words.audio_of(invite.request.body)
    await hear_each_other(anne, to_anne, bob, to_bob)
    anne.do("bye", mine)
    await bob.expect(SessionEnded)
    story = words.story(await house.ended())
    assert story.index("resumed") < story.index("leg_answered b1")
    assert len(house.application.asked) == 1


async def test_a_caller_gives_up_after_the_restart_and_the_phone_stops_ringing(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    mine = anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    await anne.expect(SessionProgress)
    await eventually(lambda: "leg_ringing b1" in words.story(house.events()))
    await house.die()
    anne.do("cancel", mine)
    await bob.expect(SessionCancelled)
    assert (await anne.expect(SessionFailed)).status == 487
    assert words.last(await house.ended(), "ended")["cause"] == "caller_gave_up"


@pytest.mark.feature("R-3")
async def test_an_application_that_wanted_to_know_that_the_caller_gave_up_is_told_by_the_next_process(house: Any, words: Any) -> None:
    ring: pb.NextResponse = words.ring("bob")
    ring.step.ring.ask_after_giving_up, ring.cursor = True, b"where it stood"

    async def never_told(request: pb.NextRequest) -> pb.NextResponse:
        if request.outcome.HasField("gave_up"):
            await asyncio.Event().wait()
        return ring

    def told() -> list[bytes]:
        return [request.cursor for request in house.application.asked if request.outcome.HasField("gave_up")]

    house.application.decide = never_told
    anne, bob = await house.phone("anne"), await house.phone("bob")
    mine = anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    await anne.expect(SessionProgress)
    anne.do("cancel", mine)
    await house.ended()
    await eventually(lambda: bool(told()))
    await house.stop()
    before = len(told())
    await house.start()
    await eventually(lambda: len(told()) > before)
    assert set(told()) == {b"where it stood"}


async def test_a_question_without_an_answer_is_asked_again(house: Any, words: Any) -> None:
    async def never(request: pb.NextRequest) -> pb.NextResponse:
        await asyncio.Event().wait()
        raise AssertionError

    house.application.decide = never
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    await eventually(lambda: bool(house.application.asked))
    house.forget_calls()
    await house.stop()
    house.application.follow(words.ring("bob"))
    await house.start()
    await bob.expect(InviteReceived)


async def test_a_menu_goes_on_where_it_was(house: Any, words: Any) -> None:
    gather = pb.Gather(max_digits=3, first_digit_timeout_ms=20_000, inter_digit_timeout_ms=20_000)
    asks = pb.NextResponse(step=pb.Step(gather=gather), cursor=b"menu", config_seq=5)
    house.application.follow(asks, words.hang_up(16))
    anne = await house.phone("anne")
    mine = anne.call("200")
    await anne.answered()

    def dial(digit: str) -> None:
        anne.do("request", RequestOut("INFO", session=mine, body=digit.encode(), content_type="application/dtmf"))

    await eventually(lambda: house.running.board.calls and next(iter(house.running.board.calls.values())).call.doing == "gathering")
    await house.die()
    for digit in "123":
        dial(digit)
        assert (await anne.expect(ResponseReceived)).response.status == 200
    await anne.expect(SessionEnded)
    assert words.last(await house.ended(), "digits_gathered")["digits"] == "123"
    assert house.application.asked[-1].cursor == b"menu"


async def test_a_message_that_is_being_left_goes_on_being_recorded(house: Any, words: Any) -> None:
    record = pb.Record(beep=False, max_ms=60_000, min_ms=500, labels={"mailbox_id": "main"})
    house.application.follow(pb.NextResponse(step=pb.Step(record=record), cursor=b"r", config_seq=5), words.hang_up(16))
    anne = await house.phone("anne")
    mine = anne.call("200")
    to = await anne.answered()
    anne.rtp.send_audio(tone(440, 1000, "PCMA"), "PCMA", to)
    await eventually(lambda: "recording_started a" in words.story(house.events()))
    await house.die()
    anne.rtp.send_audio(tone(440, 600, "PCMA"), "PCMA", to)
    await eventually(lambda: house.running.board.calls)
    actor = next(iter(house.running.board.calls.values()))

    async def heard() -> bool:
        return bool((await actor.parts.plane.session_statistics(actor.legs["a"].plane)).packets_in >= 75)

    await eventually(heard)
    anne.do("bye", mine)
    finished = words.last(await house.ended(), "recording_finished")
    assert finished["duration_ms"] >= 1400
    assert (finished["ended_by"], finished["labels"]) == ("hang_up", {"mailbox_id": "main"})


async def test_without_the_media_plane_s_ports_the_calls_are_set_up_on_it_again(house: Any, words: Any) -> None:
    anne, mine, to_anne, bob, _, to_bob = await talking(house, words)
    house.forget_calls()
    await house.stop()
    await house.plane.end()
    await house.plane.start()
    await house.start()
    plane = next(iter(house.running.board.calls.values())).parts.plane

    async def bridged() -> bool:
        return sum(state.bridged_with is not None for state in await plane.list_sessions()) == 2

    await eventually(bridged)
    await hear_each_other(anne, to_anne, bob, to_bob)
    anne.do("bye", mine)
    await bob.expect(SessionEnded)
    assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_after_too_long_a_time_calls_are_ended_and_both_phones_are_told(house: Any, words: Any) -> None:
    anne, _, _, bob, _, _ = await talking(house, words)
    await house.die(resume_seconds=0)
    for phone in (anne, bob):
        assert (await phone.expect(SessionEnded)).by == "remote"
    assert words.last(await house.ended(), "ended")["cause"] == "node_failure"


async def test_whoever_was_not_told_that_a_call_ended_is_told_after_the_restart(house: Any, words: Any) -> None:
    anne, mine, _, bob, _, _ = await talking(house, words)
    bob.deaf = True  # The BYE does not reach it: as if the process had died before it was sent.
    anne.do("bye", mine)
    await house.ended()
    await house.stop()
    bob.seen.clear()
    bob.deaf = False
    await house.start()
    assert (await bob.expect(SessionEnded)).by == "remote"


async def test_a_reinvite_of_theirs_is_answered_with_the_same_codec_and_port(house: Any, words: Any) -> None:
    anne, mine, _, bob, theirs, _ = await talking(house, words)
    await house.die()
    bob.do("reinvite", theirs, bob.offer())
    answered = await bob.expect(ReinviteAnswered)
    audio = SessionDescription.parse(answered.body).audio
    assert audio is not None
    assert [codec.name for codec in audio.codecs] == ["PCMA"]
    assert not [event for event in anne.seen if isinstance(event, SessionReinvited)]
    anne.do("bye", mine)
    await house.ended()


async def test_who_hangs_up_while_nobody_listens_is_heard_by_the_new_process(house: Any, words: Any) -> None:
    anne, mine, _, bob, _, _ = await talking(house, words)
    house.forget_calls()
    await house.stop()
    anne.do("bye", mine)
    await house.start()
    await bob.expect(SessionEnded)
    assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"
