"""Transfers and pick-up by phones, over real sockets: who talks with whom afterwards, what the phones are told, what is recorded."""

import os
from typing import Any

import pytest

from carillon_kit.testing import eventually
from carillon_rtp.testing import hear_each_other
from carillon_sip import (
    FULL_EXTENSIONS,
    FULL_METHODS,
    InviteReceived,
    NameAddr,
    Refer,
    ReferAnswered,
    ReferProgress,
    SessionAnswered,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionRefreshed,
    SessionReinvited,
    UserAgent,
    UserAgentSettings,
)
from carillon_sip.offer_answer import answer_offer
from carillon_sip.replaces import Replaces, with_replaces
from carillon_sip.sdp import SessionDescription

pytestmark = pytest.mark.feature("M-4")
DOMAIN = "dupont.example"


def actors(house: Any) -> list[Any]:
    return list(house.running.board.calls.values())


async def told(phone: Any, final: int) -> list[int]:
    """Statuses of the transfer's progress, to the last."""
    assert (await phone.expect(ReferAnswered)).status == 202
    statuses: list[int] = []
    while not statuses or statuses[-1] != final:
        progress = await phone.expect(ReferProgress)
        statuses.append(progress.status)
        if progress.ended:
            break
    return statuses


def records(house: Any) -> dict[str, list[str]]:
    calls: dict[str, list[str]] = {}
    for event in house.events():
        calls.setdefault(event.callid, []).append(event.type.split(".")[2])
    return calls


async def test_the_callee_sends_the_caller_to_a_colleague(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    anne.call("102")
    invite, _ = await bob.pick_up()
    anne_to = await anne.answered()
    bob.do("refer", Refer(NameAddr.of(f"sip:103@{DOMAIN}"), session=invite.session))
    shown, carol_to = await carol.pick_up()
    assert shown.request.from_.uri.user == "101"
    statuses = await told(bob, 200)
    assert (statuses[0], statuses[-1]) == (100, 200)
    assert (await bob.expect(SessionEnded)).by == "remote"
    asked = house.application.asked[-1].call
    assert (asked.caller_user_id, asked.dialled, asked.direction) == ("bob", "103", 2)
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to)
    carol.do("bye", shown.session)
    await anne.expect(SessionEnded)
    story = words.story(await house.ended())
    assert story.count("leg_ended b1") == story.count("leg_ended b2") == story.count("leg_ended a") == story.count("ended") == 1
    assert [line for line in story if "transfer" in line] == ["leg_transferred b1", "transfer_ended b1"]


async def test_the_caller_sends_the_callee_away_and_leaves(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    call = anne.call("102")
    invite, bob_to = await bob.pick_up()
    await anne.answered()
    anne.do("refer", Refer(NameAddr.of(f"sip:103@{DOMAIN}"), session=call))
    await anne.expect(ReferAnswered)
    anne.do("bye", call)
    _, carol_to = await carol.pick_up()
    await eventually(lambda: actors(house)[0].call.doing == "talking" and actors(house)[0].legs["b2"].bridged_with)
    await hear_each_other(bob.rtp, bob_to, carol.rtp, carol_to)
    bob.do("bye", invite.session)
    await carol.expect(SessionEnded)
    await house.ended()


async def test_a_transfer_that_nobody_answers_comes_back(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"), words.hang_up(17))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    anne.call("102")
    invite, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    bob.do("refer", Refer(NameAddr.of(f"sip:103@{DOMAIN}"), session=invite.session))
    carol.do("reject", (await carol.expect(InviteReceived)).session, 486)
    assert (await told(bob, 486))[-1] == 486
    await hear_each_other(anne.rtp, anne_to, bob.rtp, bob_to)
    bob.do("bye", invite.session)
    await anne.expect(SessionEnded)
    await house.ended()


async def test_who_has_hung_up_is_rung_again_when_nobody_answers(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"), words.hang_up(17))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    anne.call("102")
    invite, _ = await bob.pick_up()
    anne_to = await anne.answered()
    bob.do("refer", Refer(NameAddr.of(f"sip:103@{DOMAIN}"), session=invite.session))
    await bob.expect(ReferAnswered)
    bob.do("bye", invite.session)
    await bob.expect(SessionEnded)
    carol.do("reject", (await carol.expect(InviteReceived)).session, 486)
    again, bob_to = await bob.pick_up()
    assert again.request.from_.uri.user == "101"
    await eventually(lambda: actors(house)[0].call.doing == "talking" and actors(house)[0].legs["b3"].bridged_with)
    await hear_each_other(anne.rtp, anne_to, bob.rtp, bob_to)
    bob.do("bye", again.session)
    assert [line for line in words.story(await house.ended()) if "transfer" in line] == ["leg_transferred b1", "transfer_ended b1"]


async def test_two_calls_are_joined_and_each_has_its_record(house: Any, words: Any) -> None:
    house.application.decide = lambda request: words.ring("bob" if request.call.dialled == "102" else "carol")
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    first = anne.call("102")
    _, bob_to = await bob.pick_up()
    await anne.answered()
    second = anne.call("103")
    with_carol, carol_to = await carol.pick_up()
    await anne.answered()
    dialog = anne.agent.dialog(second)
    replaces = Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag)
    anne.do("refer", Refer(with_replaces(NameAddr.of(f"sip:103@{DOMAIN}"), replaces), session=first))
    assert (await told(anne, 200))[-1] == 200
    for _ in (first, second):
        assert (await anne.expect(SessionEnded)).by == "remote"
    await eventually(lambda: len(actors(house)) == 1)
    await hear_each_other(bob.rtp, bob_to, carol.rtp, carol_to)
    carol.do("bye", with_carol.session)
    await bob.expect(SessionEnded)
    await house.ended(2)
    one, two = records(house).values()
    for facts in (one, two):
        assert facts.count("transferred") == facts.count("ended") == 1
        assert facts.count("leg_ended") == facts.count("leg_offered") + 1
    others = {event.callid: event.data["other_call_id"] for event in house.events() if event.type.endswith("call.transferred.v1")}
    assert others == dict(zip(records(house), reversed(list(records(house))), strict=True))


async def test_nobody_joins_calls_that_are_not_his_own(house: Any, words: Any) -> None:
    house.application.decide = lambda request: words.ring("bob" if request.call.dialled == "102" else "carol")
    anne, bob, carol, dave = [await house.phone(user) for user in ("anne", "bob", "carol", "carol")]
    first = anne.call("102")
    await bob.pick_up()
    await anne.answered()
    assert dave.call("102")
    theirs, _ = await bob.pick_up()
    dialog = bob.agent.dialog(theirs.session)
    stolen = Replaces(dialog.call_id, dialog.local_tag, dialog.remote_tag)
    anne.do("refer", Refer(with_replaces(NameAddr.of(f"sip:103@{DOMAIN}"), stolen), session=first))
    assert (await anne.expect(ReferAnswered)).status in (403, 481)
    assert len(actors(house)) == 2
    assert carol is not None


@pytest.mark.feature("M-5")
async def test_a_colleague_picks_up_what_rings_at_a_phone(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    call = anne.call("102")
    ringing = await bob.expect(InviteReceived)
    bob.do("ring", ringing.session)
    await eventually(lambda: actors(house)[0].call.legs["b1"].state == "ringing")
    dialog = bob.agent.dialog(ringing.session)
    watched = Replaces(dialog.call_id, dialog.local_tag, dialog.remote_tag, early_only=True)
    carol.call("102", headers=(("Replaces", str(watched)),))
    carol_to = await carol.answered()
    anne_to = await anne.answered()
    assert "200" in (await bob.expect(SessionCancelled)).reason
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to)
    anne.do("bye", call)
    await carol.expect(SessionEnded)
    story = words.story(await house.ended())
    assert story.count("leg_answered b2") == story.count("leg_ended b2") == 1
    assert len(records(house)) == 1


async def test_a_phones_302_is_followed_in_its_users_name(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    anne.call("102")
    ringing = await bob.expect(InviteReceived)
    bob.do("redirect", ringing.session, [NameAddr.of("sip:103@10.9.9.9")])
    shown, carol_to = await carol.pick_up()
    anne_to = await anne.answered()
    assert shown.request.from_.uri.user == "101"
    asked = house.application.asked[-1].call
    assert (asked.caller_user_id, asked.dialled) == ("bob", "103")
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to)
    carol.do("bye", shown.session)
    await anne.expect(SessionEnded)
    story = words.story(await house.ended())
    assert "leg_deflected b1" in story
    assert story.count("leg_ended b1") == story.count("ended") == 1


def replacing(phone: Any, session: str) -> tuple[str, str]:
    """The Replaces header that takes over what the server has with this phone."""
    dialog = phone.agent.dialog(session)
    return "Replaces", str(Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag))


@pytest.mark.parametrize("who", ["caller", "callee"])
async def test_a_user_goes_on_with_a_talk_at_another_phone(house: Any, words: Any, who: str) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    mine = anne.call("102")
    theirs, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    user, session = ("anne", mine) if who == "caller" else ("bob", theirs.session)
    first, other, other_to = (anne, bob, bob_to) if who == "caller" else (bob, anne, anne_to)
    second = await house.phone(user)
    moved = second.call("102", headers=(replacing(first, session),))
    second_to = await second.answered()
    assert (await first.expect(SessionEnded)).by == "remote"
    await hear_each_other(second.rtp, second_to, other.rtp, other_to)
    second.do("bye", moved)
    await other.expect(SessionEnded)
    events = await house.ended()
    assert words.last(events, "leg_replaced")["replaced_by"] == "b2"
    assert words.last(events, "ended")["cause"] == "normal_clearing"
    assert len(records(house)) == 1


async def test_nobody_takes_over_a_talk_that_is_not_his_own(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    mine = anne.call("102")
    await bob.pick_up()
    await anne.answered()
    carol.call("102", headers=(replacing(anne, mine),))
    assert (await carol.expect(SessionFailed)).status == 403
    assert not [output for output in (*anne.seen, *bob.seen) if isinstance(output, SessionEnded)]
    assert len(actors(house)) == 1


def everything(phone: Any) -> None:
    """The phone can all that the library can."""
    phone.agent = UserAgent(UserAgentSettings(methods=FULL_METHODS, extensions=FULL_EXTENSIONS), lambda: os.urandom(10).hex())


@pytest.mark.feature("M-3")
async def test_phones_are_shown_with_whom_they_talk_after_a_transfer(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    everything(anne)
    anne.call("102")
    invite, _ = await bob.pick_up()
    answered = await anne.expect(SessionAnswered)
    assert answered.response.headers.get("P-Asserted-Identity") == '"Bob" <sip:102@127.0.0.1>'
    bob.do("refer", Refer(NameAddr.of(f"sip:103@{DOMAIN}"), session=invite.session))
    await carol.pick_up()
    refreshed = await anne.expect(SessionRefreshed)
    assert refreshed.request.headers.get("P-Asserted-Identity") == '"Carol" <sip:103@127.0.0.1>'
    await bob.expect(SessionEnded)


@pytest.mark.feature("M-3")
async def test_a_phone_without_update_is_shown_it_by_a_reinvite_that_changes_nothing(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"), words.ring("carol"))
    anne, bob, carol = [await house.phone(user) for user in ("anne", "bob", "carol")]
    got: list[bytes] = []
    take = anne.got

    def hear(data: bytes) -> None:
        got.append(data)
        take(data)

    anne.got = hear
    mine = anne.call("102")
    invite, _ = await bob.pick_up()
    answered = (await anne.expect(SessionAnswered)).response
    bob.do("refer", Refer(NameAddr.of(f"sip:103@{DOMAIN}"), session=invite.session))
    _, carol_to = await carol.pick_up()
    asked = await anne.expect(SessionReinvited)
    assert asked.body == answered.body
    assert any(data.startswith(b"INVITE ") and b'\r\nP-Asserted-Identity: "Carol" <sip:103@' in data for data in got)
    agreed = answer_offer(SessionDescription.parse(asked.body), anne.rtp.address.ip, anne.rtp.address.port, session_id=1, version=1)
    anne.do("accept_reinvite", mine, agreed.local.to_bytes())
    await bob.expect(SessionEnded)
    await hear_each_other(anne.rtp, words.audio_of(answered.body), carol.rtp, carol_to)
    anne.do("bye", mine)
    await carol.expect(SessionEnded)
    await house.ended()
