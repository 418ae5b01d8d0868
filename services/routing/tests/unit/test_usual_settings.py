"""What holds when an admin gives nothing: the table of defaults and limits that people know, row by row."""

from typing import Any

import pytest
from pydantic import ValidationError

from carillon_contracts.config import AccountCodePolicy, Menu, Queue, RingGroup, Secretary, ShortNumberRule, User
from carillon_routing.domain.facts import Gather
from carillon_routing.domain.queues import commands as c
from carillon_routing.domain.queues.decide import Refused, decide
from carillon_routing.domain.queues.floor import Floor, fold
from carillon_routing.testing import SimulatedCall, small_company

PROMPT = {"prompt": [{"text": "?"}], "keys": [{"key": "1", "destination": {"user_id": "ben"}}]}
GROUP = {"id": "g", "members": [{"user_id": "anna"}]}


def plain_user(**fields: Any) -> User:
    return User.model_validate({"id": "anna", "last_name": "A", **fields})


@pytest.mark.parametrize(
    ("what", "found", "usual"),
    [
        ("user: no answer", plain_user().ring_seconds, 20),
        ("user: unconditional", plain_user().forwarding.unconditional_hours, None),
        ("group: no answer at all", RingGroup.model_validate(GROUP).timeout_seconds, 45),
        ("queue size", Queue(id="q").size_limit, 10),
        ("menu: no key", Menu.model_validate({"id": "m", **PROMPT}).key_seconds, 60),
        ("menu: overall time-out", Menu.model_validate({"id": "m", **PROMPT}).overall_seconds, 180),
        ("menu: wrong or no key", Menu.model_validate({"id": "m", **PROMPT}).replays, 2),
        ("menu without choice (simple reception)", Menu.model_validate({"id": "m", **PROMPT, "replays": 0}).key_seconds, 5),
        ("short numbers", ShortNumberRule(id="default").prefix, "4"),
        ("short numbers: last digits", ShortNumberRule(id="default").used_lengths, (2, 3)),
        ("short numbers: external contacts", ShortNumberRule(id="default").contact_prefix, "5"),
        ("account codes: length", (AccountCodePolicy(id="p").min_length, AccountCodePolicy(id="p").max_length), (1, 15)),
        ("secretary's waiting caller", Secretary(user_id="s").reminder_seconds, 40),
    ],
)
def test_the_usual_setting(what: str, found: object, usual: object) -> None:
    assert found == usual, what


@pytest.mark.parametrize(
    ("make", "good", "bad"),
    [
        (lambda value: plain_user(ring_seconds=value), (10, 90), (9, 91)),
        (lambda value: RingGroup.model_validate({**GROUP, "timeout_seconds": value}), (10, 300), (9, 301)),
        (lambda value: RingGroup.model_validate({"id": "g", "members": [{"user_id": "a", "ring_seconds": value}]}), (5, 60), (4, 61)),
        (lambda value: AccountCodePolicy(id="p", blocked_after=value), (1, 100), (0, 101)),
    ],
    ids=["user: no answer", "group: no answer at all", "sequential group: next member after", "account codes: wrong tries"],
)
def test_the_range_of_a_setting(make: Any, good: tuple[int, int], bad: tuple[int, int]) -> None:
    for value in good:
        make(value)
    for value in bad:
        with pytest.raises(ValidationError):
            make(value)


def to(kind: str, resource: dict[str, Any], **company: Any) -> SimulatedCall:
    numbers = [{"id": "+41215550100", "destination": {f"{kind}_id": resource["id"]}}]
    config = small_company(numbers=numbers, **{f"{kind}s": [resource]}, **company)
    return SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00")


@pytest.mark.feature("R-7")
def test_a_group_that_says_nothing_rings_45_seconds_and_hangs_up() -> None:
    call = to("ring_group", {"id": "g", "members": [{"user_id": "anna"}, {"user_id": "ben"}]})
    assert call.rings == [("anna", 0, 45), ("ben", 0, 45)]
    assert call.rang("no_answer").ends == (19, 480)


@pytest.mark.feature("R-10")
def test_a_queue_that_says_nothing_holds_ten_callers() -> None:
    config, floor = small_company(queues=[{"id": "q"}]), Floor()
    for number in range(10):
        floor = fold(floor, decide(floor, c.Join(f"c{number}", "q", 1000.0), config, 1000.0))
    with pytest.raises(Refused, match="10 callers wait, 10 may"):
        decide(floor, c.Join("c10", "q", 1000.0), config, 1000.0)


@pytest.mark.feature("R-11")
def test_a_menu_that_says_nothing_waits_a_minute_and_ends_after_three() -> None:
    call = to("menu", {"id": "m", **PROMPT})
    for minute in (1, 2):
        assert isinstance(call.last.step, Gather)
        assert call.last.step.first_digit_timeout_ms == 60_000
        call.at = call.at.replace(minute=minute)
        call.pressed("")
    call.at = call.at.replace(minute=3)
    assert call.pressed("").ends == (16, 480)


@pytest.mark.feature("R-11")
def test_who_chose_nothing_goes_where_the_menu_says_also_when_its_time_is_over() -> None:
    call = to("menu", {"id": "m", **PROMPT, "no_choice": {"user_id": "carl"}})
    call.at = call.at.replace(minute=4)
    assert call.pressed("").rings == [("carl", 0, 25)]


@pytest.mark.feature("R-11")
def test_a_reception_puts_through_who_presses_nothing_within_five_seconds() -> None:
    call = to("menu", {"id": "m", **PROMPT, "replays": 0, "no_choice": {"user_id": "carl"}})
    assert isinstance(call.last.step, Gather)
    assert call.last.step.first_digit_timeout_ms == 5_000
    assert call.pressed("").rings == [("carl", 0, 25)]
