"""Outbound PINs and account codes, asked for before a call."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from carillon_kit.pins import hash_pin, verify_pin
from carillon_routing.domain import codes
from carillon_routing.domain.codes import PIN_LIMIT
from carillon_routing.domain.facts import Gather, Gathered, Ring
from carillon_routing.domain.made_of import MadeOf, as_read, decode, encode, hidden
from carillon_routing.domain.replay import again
from carillon_routing.testing import SimulatedCall, World, small_company

PIN, WRONG, MOBILE = "246810", "111111", "0791234567"
RINGS = [("+41791234567@carrier", 0, 120)]
BARRED = (21, 403)
pytestmark = pytest.mark.feature("D-14", "R-18")


def company(profile: dict[str, Any] | None = None, policy: dict[str, Any] | None = None, **changes: Any) -> Any:
    anna: dict[str, Any] = {"id": "anna", "last_name": "Anna", "language": "fr", "outbound_pin_hash": hash_pin(PIN, "salt")}
    if profile:
        anna["restriction_profile_id"] = "strict"
    if policy:
        anna["account_code_policy_id"] = "billed"
    return small_company(
        users=[anna, {"id": "ben", "last_name": "Ben", "forwarding": {"unconditional": {"user_id": "anna"}}}],
        restriction_profiles=[{"id": "strict", **(profile or {})}],
        account_code_policies=[{"id": "billed", **(policy or {})}],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}],
        **changes,
    )


def call(config: Any, world: World | None = None, dialled: str = MOBILE) -> SimulatedCall:
    return SimulatedCall.from_user(config, "anna", dialled, world=world)


def texts(one: SimulatedCall) -> list[str]:
    return [phrase.text for phrase in one.says]


def test_with_the_right_pin_the_number_rings() -> None:
    one = call(company({"pin_needed": ["mobile"]}))
    asked = one.last.step
    assert isinstance(asked, Gather)
    assert (asked.secret, asked.finish_digits, asked.max_digits) == (True, "#", 12)
    assert texts(one) == ["Composez votre code secret, puis la touche dièse."]
    assert one.pressed(PIN).rings == RINGS


def test_what_needs_no_code_is_not_asked_for_one() -> None:
    assert call(company({"pin_needed": ["international"]})).rings == RINGS
    assert call(company({"pin_needed": ["mobile"]}), dialled="117").rings == [("117@carrier", 0, 120)]


def test_three_wrong_pins_end_the_call_and_none_is_written_down() -> None:
    one = call(company({"pin_needed": ["mobile"]}))
    assert texts(one.pressed(WRONG))[0] == "Ce code n'est pas correct."
    assert len(texts(one.pressed(""))) == 1
    assert texts(one.pressed(WRONG)) == ["Vous n'êtes pas autorisé à appeler ce numéro."]
    assert one.played().ends == BARRED
    assert WRONG not in str(one.advances)
    right = call(company({"pin_needed": ["mobile"]})).pressed(PIN)
    assert PIN not in str(right.advances)


def test_too_many_wrong_pins_block_even_the_right_one_over_all_calls() -> None:
    config, world = company({"pin_needed": ["mobile"]}), World()
    for _ in range(PIN_LIMIT // 3):
        call(config, world).pressed(WRONG).pressed(WRONG).pressed(WRONG)
    assert call(config, world).pressed(PIN).rings == RINGS  # a right one begins the count anew
    for _ in range(PIN_LIMIT // 3):
        call(config, world).pressed(WRONG).pressed(WRONG).pressed(WRONG)
    last = call(config, world).pressed(WRONG)
    assert texts(last) == ["Il y a eu trop d'essais erronés. Adressez-vous à votre administrateur."]
    assert last.played().ends == BARRED
    assert not call(config, world).pressed(PIN).rings


def test_a_pin_is_checked_once_however_much_is_to_be_known_then(monkeypatch: pytest.MonkeyPatch) -> None:
    trunks = [{"id": "carrier", "address": "192.0.2.1", "max_calls": 3, "max_calls_per_second": 3}]
    one, checked = call(company({"pin_needed": ["mobile"]}, trunks=trunks)), Mock(side_effect=verify_pin)
    monkeypatch.setattr(codes, "verify_pin", checked)
    assert one.pressed(PIN).rings == RINGS
    assert checked.call_count == 1


def test_without_the_database_codes_are_checked_and_not_counted() -> None:
    world = World(dark=True)
    one = call(company({"pin_needed": ["mobile"]}), world).pressed(WRONG)
    assert "- user/anna pin code: is not the user's; wrong tries could not be counted" in one.trace()
    assert one.pressed(PIN).rings == RINGS


def test_who_has_no_pin_cannot_give_one() -> None:
    config = company({"pin_needed": ["mobile"]})
    one = SimulatedCall.from_user(small_company(**_without_pin()), "anna", MOBILE)
    assert call(config).says
    assert one.played().ends == BARRED


def _without_pin() -> dict[str, Any]:
    anna = {"id": "anna", "last_name": "A", "restriction_profile_id": "strict"}
    return {
        "users": [anna],
        "restriction_profiles": [{"id": "strict", "pin_needed": ["mobile"]}],
        "extensions": [{"id": "101", "destination": {"user_id": "anna"}}],
    }


POLICY = {"needed": ["mobile", "internal"], "codes": [{"code": "77", "label": "Chantier"}], "max_length": 4, "blocked_after": 2}


def test_a_call_is_charged_to_the_code_that_was_given_on_every_trunk() -> None:
    trunks = [{"id": "carrier", "address": "192.0.2.1"}, {"id": "other", "address": "192.0.2.2", "priority": 1}]
    one = call(company(policy=POLICY, trunks=trunks)).pressed("77")
    assert one.rings == RINGS
    assert "+ user/anna account code: is one of account_code_policy/billed: Chantier -> +41791234567" in one.trace()
    for step in (one.last.step, one.rang("congested").last.step):
        assert isinstance(step, Ring)
        assert step.account_code == "77"
    assert one.rings == [("+41791234567@other", 0, 120)]


def test_a_code_that_is_not_on_the_list_is_wrong_and_blocks() -> None:
    config, world = company(policy=POLICY), World()
    assert not call(config, world).pressed("78").rings
    assert texts(call(config, world).pressed("79"))[0].startswith("Il y a eu trop d'essais")
    assert not call(config, world).pressed("77").rings


def test_free_codes_must_have_the_right_length() -> None:
    config = company(policy={"needed": ["mobile"], "validated": False, "min_length": 3, "max_length": 4})
    assert not call(config).pressed("12").rings
    assert call(config).pressed("123").rings == RINGS


def test_a_pin_and_then_a_code() -> None:
    one = call(company({"pin_needed": ["mobile"]}, POLICY)).pressed(PIN)
    assert texts(one) == ["Composez le code d'imputation, puis la touche dièse."]
    assert one.pressed("77").rings == RINGS


def test_inside_too() -> None:
    one = call(company(policy=POLICY), dialled="102").pressed("77")
    assert one.rings == [("anna", 0, 20)]


def test_who_is_forwarded_to_a_number_that_needs_a_code_is_not_asked() -> None:
    """A caller from outside, sent on by anna's forwarding, knows no PIN of hers; her own do not count for the forwardings of others."""
    anna = {
        "id": "anna",
        "last_name": "A",
        "restriction_profile_id": "strict",
        "outbound_pin_hash": hash_pin(PIN, "salt"),
        "forwarding": {"unconditional": {"external_number": "+41791234567"}},
    }
    config = small_company(
        users=[anna, {"id": "ben", "last_name": "Ben"}], restriction_profiles=[{"id": "strict", "pin_needed": ["mobile"]}]
    )
    outside = SimulatedCall.from_outside(config, "+41215550101", "2026-01-06 10:00")
    assert not isinstance(outside.last.step, Gather)
    assert not outside.rings
    assert "only who dials can be asked for" in " ".join(line.reason for line in outside.last.trace)
    inside = SimulatedCall.from_user(config, "ben", "101")
    assert not isinstance(inside.last.step, Gather)


def test_the_users_own_code_counts_beside_those_of_the_list() -> None:
    config = company(policy=POLICY)
    anna = config.users["anna"].model_copy(update={"account_code": "4711"})
    config = small_company(
        users=[anna.model_dump(), {"id": "ben", "last_name": "Ben"}],
        account_code_policies=[{"id": "billed", **POLICY}],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}],
    )
    one = call(config).pressed("4711")
    assert one.rings == RINGS
    assert "+ user/anna account code: is the user's own -> +41791234567" in one.trace()


def test_a_policy_of_the_department_asks_for_codes_too() -> None:
    config = small_company(
        users=[{"id": "anna", "last_name": "A", "department_id": "sales"}],
        departments=[{"id": "sales", "account_code_policy_id": "billed"}],
        account_code_policies=[{"id": "billed", **POLICY}],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}],
    )
    one = call(config)
    assert isinstance(one.last.step, Gather)
    assert one.last.step.max_digits == 4
    assert "+ user/anna: account_code_policy/billed counts, by department/sales" in one.trace()
    assert one.pressed("77").rings == RINGS


@pytest.mark.feature("R-22")
@pytest.mark.parametrize(
    ("asked", "given", "is_kept"),
    [
        ({"profile": {"pin_needed": ["mobile"]}}, PIN, False),
        ({"profile": {"pin_needed": ["mobile"]}}, WRONG, False),
        ({"policy": POLICY}, "77", True),
        ({"policy": POLICY}, "9876", False),
        ({"policy": POLICY}, "", False),
    ],
)
def test_what_followed_a_code_is_made_again_without_it(asked: dict[str, Any], given: str, is_kept: bool) -> None:
    """Kept is that something was pressed, and whether it was right; of an account code that was accepted, which."""
    config = company(**asked)
    one = call(config).pressed(given)
    cursor = one.advances[0].at
    made = MadeOf(one.facts, cursor, hidden(cursor, Gathered(given, not given)), one.at, config.seq, as_read(one.last.read))
    kept = encode(made)
    assert again(config, decode(json.loads(kept), "acme", one.facts.call_id)) == one.last
    assert not given or (f'"{given}"'.encode() in kept) is is_kept
