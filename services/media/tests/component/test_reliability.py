"""Reliable provisional responses (RFC 3262) both ways, as callers and phones want them, over real sockets."""

import os
from typing import Any

import pytest

from carillon_kit.testing import eventually
from carillon_sip import (
    FULL_EXTENSIONS,
    FULL_METHODS,
    InviteReceived,
    ProvisionalAcked,
    SessionAnswered,
    SessionEnded,
    SessionProgress,
    Timing,
    UserAgent,
    UserAgentSettings,
)
from carillon_sip.offer_answer import answer_offer
from carillon_sip.sdp import SessionDescription

pytestmark = pytest.mark.feature("M-3")


def able(phone: Any) -> None:
    """The phone can all that the library can."""
    settings = UserAgentSettings(timing=Timing(t1=0.1), methods=FULL_METHODS, extensions=FULL_EXTENSIONS)
    phone.agent = UserAgent(settings, lambda: os.urandom(10).hex())


async def test_a_caller_that_requires_it_gets_its_ringing_reliably(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    able(anne)
    mine = anne.call("102", headers=(("Require", "100rel"),))
    invite = await bob.expect(InviteReceived)
    bob.do("ring", invite.session)
    progress = (await anne.expect(SessionProgress)).response
    assert (progress.status, progress.headers.get("Require"), "RSeq" in progress.headers) == (180, "100rel", True)
    anne.seen.clear()
    here = bob.rtp.address
    answer = answer_offer(SessionDescription.parse(invite.request.body), here.ip, here.port, session_id=2).local
    bob.do("answer", invite.session, answer.to_bytes())
    await anne.expect(SessionAnswered)
    anne.do("bye", mine)
    await bob.expect(SessionEnded)
    assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_who_does_not_require_it_is_not_made_to(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    able(anne)
    anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    assert "RSeq" not in (await anne.expect(SessionProgress)).response.headers


async def test_a_phone_s_reliable_ringing_is_acknowledged(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    able(bob)
    anne.call("102")
    invite = await bob.expect(InviteReceived)
    assert "100rel" in invite.request.headers.all("Supported")
    assert "Require" not in invite.request.headers
    bob.do("ring", invite.session, reliable=True)
    assert (await bob.expect(ProvisionalAcked)).status == 180
    await eventually(lambda: "leg_ringing b1" in words.story(house.events()))
