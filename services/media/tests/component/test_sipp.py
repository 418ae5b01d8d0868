"""SIPp, which we did not write, as phones against the service with the real plane."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from carillon_media.adapters.call_log import JournalledCallLog
from carillon_sip import Replaces, SessionEnded


@pytest.mark.feature("M-5")
async def test_a_strangers_phone_answers_an_intercom_by_itself(house: Any, words: Any, sipp: Any) -> None:
    intercom = words.ring("bob")
    intercom.step.ring.auto_answer = True
    house.application.follow(intercom)
    async with sipp.phone(house, "uas_answers_itself"):
        assert await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "1", "-d", "200").run() == 0
        told = words.story(await house.ended())
    assert "leg_answered b1" in told
    assert "leg_ringing b1" not in told


@pytest.mark.feature("M-1")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls_from_a_stranger_to_a_stranger(house: Any, words: Any, sipp: Any, transport: str) -> None:
    house.application.follow(words.ring("bob"))
    async with sipp.phone(house, "uas"):
        assert await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "30", "-r", "30", "-d", "200", transport=transport).run() == 0
        await house.ended(30)
    assert house.ends() == 30
    assert {words.last([event], "ended")["cause"] for event in house.events() if event.type == "carillon.call.ended.v1"} == {
        "normal_clearing"
    }
    calls = {event.callid for event in house.events()}
    for call_id in calls:
        seqs = [event.seq for event in house.events(call_id)]
        assert seqs == list(range(1, len(seqs) + 1))
    assert len(calls) == 30


@pytest.mark.feature("M-3")
async def test_a_stranger_gives_up(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    async with sipp.phone(house, "uas_ringing"):
        assert await sipp.Sipp(house, "uac_cancel", sipp.free_port(), "-m", "1").run() == 0
        assert words.last(await house.ended(), "ended")["cause"] == "caller_gave_up"


async def test_a_stranger_is_busy(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"), words.hang_up(17))
    async with sipp.phone(house, "uas_busy"):
        assert await sipp.Sipp(house, "uac_refused", sipp.free_port(), "-m", "1").run() == 0
        assert words.last(await house.ended(), "ring_ended")["result"] == "busy"


async def test_a_stranger_does_not_answer(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob", seconds=1), words.hang_up(19))
    async with sipp.phone(house, "uas_ringing"):
        assert await sipp.Sipp(house, "uac_refused", sipp.free_port(), "-m", "1").run() == 0
        assert words.last(await house.ended(), "ring_ended")["result"] == "no_answer"


@pytest.mark.feature("M-1")
async def test_lost_messages_are_repeated_and_calls_go_through(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    async with sipp.phone(house, "uas"):
        assert await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "10", "-r", "20", "-d", "100", "-lost", "5").run() == 0
        await house.ended(10)


def dialog_of(phone: Any, session: str) -> str:
    """The value of a Replaces header for what the server has with this phone."""
    dialog = phone.agent.dialog(session)
    return str(Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag))


@pytest.mark.feature("M-4")
async def test_a_stranger_takes_its_user_s_talk_over_by_invite_with_replaces(house: Any, words: Any, sipp: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    mine = anne.call("102")
    await bob.pick_up()
    await anne.answered()
    taker = sipp.Sipp(house, "uac_replaces", sipp.free_port(), "-m", "1", "-d", "300", "-key", "replaces", dialog_of(anne, mine))
    assert await taker.run() == 0
    assert (await anne.expect(SessionEnded)).by == "remote"
    assert (await bob.expect(SessionEnded)).by == "remote"
    events = await house.ended()
    assert words.last(events, "leg_replaced")["replaced_by"] == "b2"
    assert words.last(events, "ended")["by"] == "callee"


@pytest.mark.feature("M-4")
async def test_a_stranger_joins_its_two_calls_by_refer_with_replaces(house: Any, words: Any, sipp: Any) -> None:
    house.application.decide = lambda request: words.ring("bob" if request.call.dialled == "102" else "carol")
    anne, carol = await house.phone("anne"), await house.phone("carol")
    consults = anne.call("103")
    theirs, _ = await carol.pick_up()
    await anne.answered()
    replaces = quote(dialog_of(anne, consults), safe="")
    async with sipp.phone(house, "uas"):
        joiner = sipp.Sipp(house, "uac_refers", sipp.free_port(), "-m", "1", "-key", "refer", f"sip:103@dupont.example?Replaces={replaces}")
        assert await joiner.run() == 0
        assert (await anne.expect(SessionEnded)).by == "remote"
        carol.do("bye", theirs.session)
        await house.ended(2)
    facts = [event.type.split(".")[2] for event in house.events()]
    assert facts.count("transferred") == 2
    assert {event.data["cause"] for event in house.events() if event.type.endswith("call.ended.v1")} == {"normal_clearing"}


@pytest.mark.feature("M-1")
async def test_calls_in_excess_are_told_when_to_come_back_and_those_let_in_succeed(
    house_with: Any, tmp_path: Any, words: Any, sipp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes a third of a second for whatever is written."""
    calls, append = 60, JournalledCallLog.append

    async def slowly(*arguments: Any) -> None:
        await asyncio.sleep(0.3)
        await append(*arguments)

    monkeypatch.setattr(JournalledCallLog, "append", slowly)
    async with house_with(tmp_path, overload_seconds=0.1) as house:
        house.application.follow(words.ring("bob"))
        async with sipp.phone(house, "uas"):
            burst = sipp.Sipp(house, "uac_or_refused", sipp.free_port(), "-m", str(calls), "-r", "200", "-d", "100")
            assert await burst.run() == 0, burst.errors()
            await house.ended()
    taken = [event for event in house.events() if event.type == "carillon.call.ended.v1"]
    assert 0 < len(taken) < calls
    assert {event.data["cause"] for event in taken} == {"normal_clearing"}
