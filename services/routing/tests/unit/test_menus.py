"""Menus: keys, extensions, languages, and callers who press nothing or the wrong thing."""

from typing import Any

import pytest

from carillon_routing.domain.facts import Gather, Gathered
from carillon_routing.testing import SimulatedCall, small_company, to_plan

KEYS = [
    {"key": "1", "destination": {"user_id": "anna"}},
    {"key": "2", "destination": {"user_id": "ben"}},
    {"key": "*", "destination": {"menu_id": "m"}},
]
MENU: dict[str, Any] = {
    "id": "m",
    "introduction": [{"text": "Bienvenue"}],
    "prompt": [{"text": "Tapez 1 ou 2"}],
    "keys": KEYS,
    "wrong_key": [{"text": "Faux"}],
    "no_key": [{"text": "Rien"}],
    "timeout_seconds": 7,
    "replays": 2,
}


def menu(node: dict[str, Any] | None = None, /, **fields: Any) -> SimulatedCall:
    """A call from outside that hears the menu."""
    nodes = [{"id": "n", "menu": {"menu_id": "m", **(node or {})}}, {"id": "box", "mailbox": {"mailbox_id": "main"}}]
    return to_plan(*nodes, menus=[{**MENU, **fields}])


def heard(call: SimulatedCall) -> list[str]:
    return [phrase.text for phrase in call.says]


@pytest.mark.feature("R-11")
def test_a_menu_plays_its_introduction_and_prompt_and_waits_for_one_key() -> None:
    call = menu()
    assert heard(call) == ["Bienvenue", "Tapez 1 ou 2"]
    step = call.last.step
    assert isinstance(step, Gather)
    assert (step.max_digits, step.first_digit_timeout_ms, step.finish_digits) == (1, 7000, "")


@pytest.mark.feature("R-11")
def test_a_key_leads_to_its_destination() -> None:
    assert menu().pressed("2").rings == [("ben", 0, 25)]
    assert heard(menu().pressed("*")) == ["Bienvenue", "Tapez 1 ou 2"]


@pytest.mark.feature("R-11")
def test_a_wrong_key_and_no_key_have_their_own_messages_before_the_prompt_again() -> None:
    assert heard(menu().pressed("9")) == ["Faux", "Tapez 1 ou 2"]
    assert heard(menu().pressed("")) == ["Rien", "Tapez 1 ou 2"]
    assert heard(menu().pressed("#")) == ["Faux", "Tapez 1 ou 2"]


@pytest.mark.feature("R-11")
@pytest.mark.parametrize("replays", [0, 1, 2, 9])
def test_the_prompt_is_replayed_so_often_and_then_the_caller_chose_nothing(replays: int) -> None:
    call = menu(replays=replays)
    for turn in range(replays):
        assert heard(call.pressed("" if turn % 2 else "9"))
    assert call.pressed("").ends == (16, 480)


@pytest.mark.feature("R-11")
def test_who_chose_nothing_goes_where_the_node_says_and_else_where_the_menu_says() -> None:
    to_carl = {"no_choice": {"user_id": "carl"}}
    assert menu({"no_choice": "box"}, replays=0, **to_carl).pressed("").mailbox == "main"
    assert menu(replays=0, **to_carl).pressed("9").rings == [("carl", 0, 25)]


def test_a_destinations_ways_do_not_count_for_what_a_key_leads_to() -> None:
    nodes = [
        {"id": "n", "destination": {"destination": {"menu_id": "m"}, "ways": {"no_answer": "box"}}},
        {"id": "box", "mailbox": {"mailbox_id": "main"}},
    ]
    assert to_plan(*nodes, menus=[MENU]).pressed("1").rang("no_answer").ends == (19, 480)


@pytest.mark.feature("R-24")
def test_the_trace_says_what_was_pressed_and_what_there_is() -> None:
    assert menu().pressed("2").trace()[0] == "+ menu/m key 2: key 2 was pressed -> user/ben"
    assert menu().pressed("9").trace() == ["- menu/m: 9 is none of 1, 2, *; replay 1 of 2 -> menu/m"]
    assert menu().pressed("").trace() == ["- menu/m: no key within 7 s; replay 1 of 2 -> menu/m"]


EXTENSIONS = [{"id": e, "destination": {"user_id": "carl"}} for e in ("101", "1500", "30")]


def dialling(**fields: Any) -> SimulatedCall:
    config = small_company(
        menus=[{**MENU, "extension_dialling": True, **fields}],
        extensions=EXTENSIONS,
        numbers=[{"id": "+41215550100", "destination": {"menu_id": "m"}}],
    )
    return SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00")


@pytest.mark.feature("R-11")
def test_a_key_that_begins_no_extension_acts_at_once() -> None:
    assert dialling().pressed("2").rings == [("ben", 0, 25)]


@pytest.mark.feature("R-11")
def test_a_key_that_begins_an_extension_waits_for_the_rest_without_speaking() -> None:
    call = dialling().pressed("1")
    step = call.last.step
    assert isinstance(step, Gather)
    assert (step.phrases, step.max_digits, step.finish_digits) == ((), 3, "#")
    assert step.first_digit_timeout_ms == step.inter_digit_timeout_ms == 2500


@pytest.mark.feature("R-11")
@pytest.mark.parametrize(
    ("rest", "rung"),
    [("", "anna"), ("01", "carl"), ("500", "carl")],
    ids=["nothing more: the key", "an extension", "a longer extension"],
)
def test_the_rest_decides_between_key_and_extension(rest: str, rung: str) -> None:
    assert dialling().pressed("1").pressed(rest).rings == [(rung, 0, 25)]


@pytest.mark.feature("R-11")
@pytest.mark.parametrize(("first", "rest"), [("1", "9"), ("1", "02"), ("3", "")])
def test_digits_that_are_neither_are_a_wrong_key(first: str, rest: str) -> None:
    call = dialling().pressed(first).pressed(rest)
    assert heard(call) == ["Faux", "Tapez 1 ou 2"]
    assert call.trace() == [f"- menu/m: {first}{rest} is none of 1, 2, *, nor an extension; replay 1 of 2 -> menu/m"]
    assert call.pressed("2").rings == [("ben", 0, 25)]


def test_the_hash_key_ends_an_extension_unless_it_is_a_key_itself() -> None:
    keys = [{"key": "#", "destination": {"user_id": "anna"}}]
    step = dialling(keys=keys).pressed("1").last.step
    assert isinstance(step, Gather)
    assert step.finish_digits == ""
    assert dialling(keys=keys).pressed("#").rings == [("anna", 0, 25)]


def test_digits_that_come_all_at_once_are_an_extension() -> None:
    assert dialling().becomes(Gathered("101")).rings == [("carl", 0, 25)]


def test_without_extension_dialling_extensions_mean_nothing() -> None:
    assert heard(menu().becomes(Gathered("101"))) == ["Faux", "Tapez 1 ou 2"]


@pytest.mark.feature("R-17")
def test_a_key_sets_the_language_and_what_is_spoken_later_follows() -> None:
    both = [{"text": "Oui", "language": "fr"}, {"text": "Yes", "language": "en"}]
    first = {"id": "m", "prompt": both, "keys": [{"key": "2", "destination": {"menu_id": "next"}, "language": "en"}]}
    then = {"id": "next", "prompt": both, "wrong_key": both, "keys": [{"key": "1", "destination": {"plan_id": "q"}}]}
    last = {"id": "q", "entry": "n", "nodes": [{"id": "n", "announcement": {"announcements": both}}]}
    config = small_company(menus=[first, then], plans=[last], numbers=[{"id": "+41215550100", "destination": {"menu_id": "m"}}])
    call = SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00")
    assert heard(call) == ["Oui", "Yes"]
    assert heard(call.pressed("2")) == ["Yes"]
    assert heard(call.pressed("9")) == ["Yes", "Yes"]
    assert heard(call.pressed("1")) == ["Yes"]


def test_a_menu_that_was_deleted_meanwhile_ends_the_call() -> None:
    call = menu()
    call.config = small_company()
    assert call.pressed("1").ends == (25, 500)
