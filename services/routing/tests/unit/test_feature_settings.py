"""Codes by which users set and dial for themselves: changes in their own name, call return, a withheld number."""

from typing import Any

import pytest

from carillon_routing.domain.asks import ChangeUser
from carillon_routing.domain.facts import Play, Ring
from carillon_routing.testing import SimulatedCall, World, small_company

pytestmark = pytest.mark.feature("R-19")


def dial(digits: str, world: World | None = None, **changes: Any) -> SimulatedCall:
    return SimulatedCall.from_user(small_company(**changes), "anna", digits, world=world or World())


def says(call: SimulatedCall) -> str:
    assert isinstance(call.last.step, Play), call.last.step
    return call.last.step.phrases[0].text


@pytest.mark.feature("R-12")
@pytest.mark.parametrize(
    ("digits", "document"),
    [
        ("*21*102", (("forwarding.unconditional.user_id", "ben"),)),
        ("*21*0791112233#", (("forwarding.unconditional.external_number", "+41791112233"),)),
        ("*21*0215550101", (("forwarding.unconditional.external_number", "+41215550101"),)),
    ],
)
def test_all_calls_are_forwarded_by_code(digits: str, document: Any) -> None:
    world = World()
    assert says(dial(digits, world)) == "Vos appels sont renvoyés."
    assert world.changes == [ChangeUser("anna", document, ("forwarding.unconditional",), digits.removesuffix("#"))]


@pytest.mark.feature("R-12")
def test_a_suspended_forwarding_counts_again() -> None:
    world = World()
    users = [{"id": "anna", "last_name": "A", "forwarding": {"suspended": ["unconditional", "busy"]}}, {"id": "ben", "last_name": "B"}]
    extensions = [{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}]
    dial("*21*102", world, users=users, extensions=extensions, numbers=[])
    assert world.changes[0].paths == ("forwarding.unconditional", "forwarding.suspended")
    assert world.changes[0].document[-1] == ("forwarding.suspended", ["busy"])


@pytest.mark.feature("R-12")
@pytest.mark.parametrize(
    ("digits", "document", "path", "said"),
    [
        ("#21#", (), "forwarding.unconditional", "Vos appels ne sont plus renvoyés."),
        ("*78", (("do_not_disturb", True),), "do_not_disturb", "Vous ne serez pas dérangé."),
        ("*79", (("do_not_disturb", False),), "do_not_disturb", "Vous êtes de nouveau joignable."),
    ],
)
def test_other_settings_by_code(digits: str, document: Any, path: str, said: str) -> None:
    world = World()
    assert says(dial(digits, world)) == said
    assert world.changes == [ChangeUser("anna", document, (path,), digits)]


@pytest.mark.parametrize("digits", ["*21*101", "*21*199", "*21*117"])
def test_calls_are_not_forwarded_to_oneself_to_nowhere_or_to_help(digits: str) -> None:
    world = World()
    assert says(dial(digits, world)) == "Ce numéro n'existe pas."
    assert world.changes == []


def test_what_the_directory_does_not_take_is_said() -> None:
    assert says(dial("*78", World(dark=True))) == "Ce n'est pas possible pour le moment."
    assert says(dial("*69", World(dark=True))) == "Ce n'est pas possible pour le moment."


def test_the_last_caller_is_called_back_inside_and_outside() -> None:
    assert [who for who, _, _ in dial("*69", World(last_callers={"anna": "102"})).rings] == ["ben"]
    assert [who for who, _, _ in dial("*69", World(last_callers={"anna": "+41791112233"})).rings] == ["+41791112233@carrier"]
    assert says(dial("*69")) == "Il n'y a personne à rappeler."


def test_one_call_without_a_number_also_by_the_next_trunk() -> None:
    trunks = [{"id": "carrier", "address": "192.0.2.1"}, {"id": "second", "address": "192.0.2.2", "priority": 5}]
    call = dial("*310791112233", trunks=trunks)
    assert (call.shown, isinstance(call.last.step, Ring)) == (("", ""), True)
    assert call.rang("congested").shown == ("", "")
    assert dial("*31102").shown == ("", "")
    assert dial("0791112233").shown != ("", "")


def test_help_is_called_whatever_stands_before_it() -> None:
    step = dial("*31117").last.step
    assert isinstance(step, Ring)
