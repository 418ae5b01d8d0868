"""Who listens to messages, by code or by their own extension; and what is dialled from there by key."""

from typing import Any

import pytest

from carillon_routing.domain.advance import advance
from carillon_routing.domain.facts import Advance, Delegate, Entered, HangUp, Play, Ring, Step
from carillon_routing.testing import SimulatedCall, small_company

pytestmark = pytest.mark.feature("R-19", "V-4")


def company(**anna: Any) -> Any:
    users = [{"id": "anna", "last_name": "A", "mailbox_id": "main", "language": "de", **anna}, {"id": "ben", "last_name": "B"}]
    extensions = [{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}]
    return small_company(users=users, extensions=extensions)


def dial(digits: str, user: str = "anna", *, transferred: bool = False, **anna: Any) -> SimulatedCall:
    return SimulatedCall.from_user(company(**anna), user, digits, transferred=transferred)


def handed_over(call: SimulatedCall) -> dict[str, str]:
    step = call.last.step
    assert isinstance(step, Delegate), step
    assert step.application == "voicemail"
    return dict(step.arguments)


OWN = {"listen": "own", "mailbox_id": "main", "language": "de"}


@pytest.mark.parametrize("dialled", ["*97", "101"])
def test_a_user_listens_to_their_own_box_by_code_and_by_their_own_extension(dialled: str) -> None:
    assert handed_over(dial(dialled)) == OWN


def test_another_box_is_named_or_asked_for_and_voicemail_asks_for_its_pin() -> None:
    assert handed_over(dial("*97102")) == {"listen": "box", "box": "102", "language": "de"}
    assert handed_over(dial("*97*")) == {"listen": "box", "language": "de"}
    assert handed_over(dial("*97", "ben")) == {"listen": "box", "language": "fr"}
    assert handed_over(dial("*97", mailbox_id="", services={"messaging": False})) == {"listen": "box", "language": "de"}


def test_who_was_sent_there_does_not_listen_and_without_a_box_phones_ring() -> None:
    assert isinstance(dial("*97", transferred=True).last.step, HangUp)
    assert isinstance(dial("101", transferred=True).last.step, Ring)
    assert isinstance(dial("102", "ben").last.step, Ring)
    assert isinstance(dial("101", "ben").last.step, Ring)


def by_key(number: str, config: Any) -> Step:
    """What comes of the call that dialled the code, when voicemail hands it back with a number."""
    call = SimulatedCall.from_user(config, "anna", "*97")
    found = advance(config, call.facts, None, Entered({"dial": number}), call.at)
    assert isinstance(found, Advance)
    return found.step


def test_a_number_that_is_dialled_by_key_is_the_users_call_with_the_users_rights() -> None:
    ring = by_key("+41791112233", small_company())
    assert isinstance(ring, Ring)
    assert "+41791112233" in str(ring.targets)
    inside = by_key("102", small_company())
    assert isinstance(inside, Ring)
    assert "ben" in str(inside.targets)
    barred = [{"id": "anna", "last_name": "A", "restriction_profile_id": "none"}, {"id": "ben", "last_name": "B"}]
    profile = {"id": "none", "barred": ["mobile"]}
    refused = by_key("+41791112233", small_company(users=barred, restriction_profiles=[profile]))
    assert isinstance(refused, Play | HangUp), refused


@pytest.mark.parametrize("number", ["", "*97", "#21#", "1", "0791112233;x", "+"])
def test_what_is_no_number_is_not_dialled_by_key(number: str) -> None:
    assert isinstance(by_key(number, company()), Delegate)
