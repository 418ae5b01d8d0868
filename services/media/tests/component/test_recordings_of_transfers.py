"""A recording goes on after a transfer as its policy says: each talk is a part, in which exactly those are heard who talk in it."""

from typing import Any

import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon_rtp.testing import decode, share_of, tone
from carillon_sip import NameAddr, Refer, ReferAnswered, SessionEnded
from carillon_sip.replaces import Replaces, with_replaces

pytestmark = pytest.mark.feature("M-10")
TONES = {"anne": 440, "bob": 880, "carol": 1320}


def recorded(step: pb.NextResponse) -> pb.NextResponse:
    step.step.ring.recording.MergeFrom(pb.Recording(stereo=True, labels={"recording_policy_id": "all"}))
    return step


async def speak(phones: dict[str, tuple[Any, Any]]) -> None:
    """Each party sends its own tone until the other has heard some of it."""
    for phone, _ in phones.values():
        phone.rtp.received.clear()
    for name, (phone, to) in phones.items():
        phone.rtp.send_audio(tone(TONES[name], 600, "PCMA"), "PCMA", to)
    for phone, _ in phones.values():
        await phone.rtp.wait_for(25)


async def heard(house: Any, event: Any) -> set[str]:
    """Who is heard in a recording, for a fifth of a second at least."""
    data = await house.uploaded(event.data["object"])
    sides = [decode(data[data.index(b"data") + 8 :][channel::2], "PCMA") for channel in range(2)]
    spans = [side[start : start + 1600] for side in sides for start in range(0, len(side) - 1600, 400)]
    return {name for name, hertz in TONES.items() if any(share_of(span, hertz) > 0.9 for span in spans)}


def finished(house: Any) -> list[Any]:
    return [event for event in house.events() if event.type.endswith("recording_finished.v1")]


async def test_after_a_blind_transfer_the_new_talk_is_a_part_of_its_own(house: Any, words: Any) -> None:
    house.application.follow(recorded(words.ring("bob")), recorded(words.ring("carol")))
    anne, bob, carol = [await house.phone(user) for user in TONES]
    anne.call("102")
    with_bob, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    await speak({"anne": (anne, anne_to), "bob": (bob, bob_to)})
    bob.do("refer", Refer(NameAddr.of("sip:103@dupont.example"), session=with_bob.session))
    with_carol, carol_to = await carol.pick_up()
    await bob.expect(SessionEnded)
    assert dict(house.application.asked[-1].outcome.entered.arguments) == {"transferred_by": "bob", "stays": "anne", "recorded_by": "all"}
    await speak({"anne": (anne, anne_to), "carol": (carol, carol_to)})
    carol.do("bye", with_carol.session)
    await anne.expect(SessionEnded)
    await house.ended()
    assert [event.data["labels"]["part"] for event in finished(house)] == ["1", "2"]
    assert [await heard(house, event) for event in finished(house)] == [{"anne", "bob"}, {"anne", "carol"}]


async def test_after_an_attended_transfer_who_is_joined_is_recorded_as_the_talk_before_was(house: Any, words: Any) -> None:
    house.application.decide = lambda asked: recorded(words.ring("bob")) if asked.call.dialled == "102" else words.ring("carol")
    anne, bob, carol = [await house.phone(user) for user in TONES]
    first = anne.call("102")
    _, bob_to = await bob.pick_up()
    anne_to = await anne.answered()
    await speak({"anne": (anne, anne_to), "bob": (bob, bob_to)})
    second = anne.call("103")
    with_carol, carol_to = await carol.pick_up()
    await anne.answered()
    dialog = anne.agent.dialog(second)
    replaces = Replaces(dialog.call_id, dialog.remote_tag, dialog.local_tag)
    anne.do("refer", Refer(with_replaces(NameAddr.of("sip:103@dupont.example"), replaces), session=first))
    await anne.expect(ReferAnswered)
    for _ in (first, second):
        await anne.expect(SessionEnded)
    await speak({"bob": (bob, bob_to), "carol": (carol, carol_to)})
    carol.do("bye", with_carol.session)
    await bob.expect(SessionEnded)
    await house.ended(2)
    assert [event.data["labels"]["part"] for event in finished(house)] == ["1", "2"]
    assert [await heard(house, event) for event in finished(house)] == [{"anne", "bob"}, {"bob", "carol"}]
