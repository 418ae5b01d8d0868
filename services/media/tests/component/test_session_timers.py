"""Session timers on both sides of a call (RFC 4028): a far end that vanishes without a word is noticed."""

from typing import Any

import pytest

from carillon_sip import SessionAnswered, SessionFailed

pytestmark = pytest.mark.feature("M-3")


async def test_a_phone_that_wants_a_session_timer_gets_one_and_the_other_side_is_offered_one(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102", headers=(("Supported", "timer"), ("Session-Expires", "600")))
    invite, _ = await bob.pick_up()
    answer = (await anne.expect(SessionAnswered)).response
    assert (answer.headers.get("Session-Expires") or "").startswith("600;refresher=")
    assert "timer" in invite.request.headers.all("Supported")
    assert invite.request.headers.get("Session-Expires") == "1800"
    anne.do("bye", call)
    await house.ended()


async def test_a_session_timer_that_is_too_short_is_refused(house: Any, words: Any) -> None:
    anne = await house.phone("anne")
    anne.call("102", headers=(("Supported", "timer"), ("Session-Expires", "30")))
    failed = await anne.expect(SessionFailed)
    assert failed.response is not None
    assert (failed.status, failed.response.headers.get("Min-SE")) == (422, "90")
