"""Users log in on any phone by code, with extension and PIN."""

import json
from typing import Any

import pytest

from carillon_kit.pins import hash_pin
from carillon_routing.domain.codes import PIN_LIMIT
from carillon_routing.domain.facts import Gather, Gathered
from carillon_routing.domain.made_of import MadeOf, as_read, decode, encode, hidden
from carillon_routing.domain.replay import again
from carillon_routing.testing import SimulatedCall, World, small_company

PIN, WRONG = "246810", "111111"
pytestmark = pytest.mark.feature("D-23", "R-19")


def company(**ben: Any) -> Any:
    users = [{"id": "anna", "last_name": "A"}, {"id": "ben", "last_name": "B", "phone_pin_hash": hash_pin(PIN, "salt"), **ben}]
    extensions = [{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}]
    return small_company(users=users, extensions=extensions)


def dial(config: Any, world: World, dialled: str, **more: Any) -> SimulatedCall:
    return SimulatedCall.from_user(config, "anna", dialled, world=world, **more)


def said(one: SimulatedCall) -> list[str]:
    return [phrase.text for phrase in one.says]


def test_extension_and_pin_are_asked_for_and_the_phone_is_the_users() -> None:
    world = World()
    one = dial(company(), world, "*11")
    assert said(one) == ["Composez votre numéro interne, puis la touche dièse."]
    steps = [one.last.step, one.pressed("102").last.step]
    assert [step.secret for step in steps if isinstance(step, Gather)] == [False, True]
    assert said(one.pressed(PIN)) == ["Ce téléphone est maintenant le vôtre."]
    assert world.phones == {"acme-anna": "ben"}
    assert PIN not in str(one.advances)
    assert one.played().ends == (16, 480)


def test_the_extension_may_follow_the_code_and_another_code_leaves() -> None:
    world = World()
    dial(company(), world, "*11102").pressed(PIN)
    assert world.phones == {"acme-anna": "ben"}
    assert said(dial(company(), world, "*12")) == ["Vous avez quitté ce téléphone."]
    assert world.phones == {"acme-anna": ""}


def test_what_is_wrong_is_not_told_and_three_times_are_enough() -> None:
    config, world = company(), World()
    unknown, wrong = dial(config, world, "*11999").pressed(WRONG), dial(config, world, "*11102").pressed(WRONG)
    assert said(unknown) == said(wrong)
    assert said(wrong)[0] == "Ce code n'est pas correct."
    wrong.pressed("102").pressed(WRONG).pressed("102")
    assert said(wrong.pressed(WRONG)) == ["Vous n'y êtes pas autorisé."]
    assert said(dial(config, world, "*11").pressed("").pressed("").pressed("")) == ["Vous n'y êtes pas autorisé."]
    assert not world.phones


def test_too_many_wrong_pins_block_the_right_one_on_every_phone() -> None:
    config, world = company(), World()
    for _ in range(PIN_LIMIT):
        dial(config, world, "*11102").pressed(WRONG)
    one = dial(config, world, "*11102").pressed(PIN)
    assert said(one)[0].startswith("Il y a eu trop d'essais")
    assert not world.phones


@pytest.mark.parametrize(
    "ben", [{"phone_pin_hash": ""}, {"phone_pin_hash": hash_pin(PIN, "s"), "services": {"fixed_line": False}}], ids=["no PIN", "no line"]
)
def test_who_has_no_pin_or_no_line_cannot_log_in(ben: dict[str, Any]) -> None:
    world = World()
    dial(company(**ben), world, "*11102").pressed(PIN)
    assert not world.phones


def test_neither_without_the_directory_nor_for_a_call_that_was_sent_there() -> None:
    assert said(dial(company(), World(dark=True), "*11102").pressed(PIN)) == ["Ce n'est pas possible pour le moment."]
    world = World()
    assert dial(company(), world, "*11102", transferred=True).ends == (21, 403)
    assert dial(company(), world, "*12", transferred=True).ends == (21, 403)
    assert not world.phones


@pytest.mark.feature("R-22")
@pytest.mark.parametrize("pin", [PIN, WRONG])
def test_what_followed_the_pin_is_made_again_without_it(pin: str) -> None:
    config = company()
    one = dial(config, World(), "*11102").pressed(pin)
    cursor = one.advances[0].at
    made = MadeOf(one.facts, cursor, hidden(cursor, Gathered(pin)), one.at, config.seq, as_read(one.last.read))
    kept = encode(made)
    assert again(config, decode(json.loads(kept), "acme", one.facts.call_id)) == one.last
    assert pin.encode() not in kept
