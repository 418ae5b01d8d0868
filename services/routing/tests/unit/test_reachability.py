"""Whether and where a user rings, and who of a group: forwarding, screening, quiet hours, the secretary, orders, idle members."""

from typing import Any

import pytest

from carillon_routing.domain.facts import Ring
from carillon_routing.testing import SimulatedCall, World, small_company

CALLER = "+41791112233"
LISTS = [{"id": "friends", "callers": [{"prefix": CALLER, "exact": True}]}]


def user(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "last_name": name.capitalize(), "ring_seconds": 25, **fields}


def calling(at: str = "2026-01-06 10:00", world: World | None = None, call_id: str = "c1", **anna: Any) -> SimulatedCall:
    config = small_company(users=[user("anna", **anna), user("ben"), user("carl")], caller_lists=LISTS)
    return SimulatedCall.from_outside(config, "+41215550101", at, CALLER, world=world, call_id=call_id)


@pytest.mark.feature("R-12")
@pytest.mark.parametrize(
    ("at", "who"), [("2026-01-06 21:59", "anna"), ("2026-01-06 22:00", "ben"), ("2026-01-07 05:59", "ben"), ("2026-01-07 06:00", "anna")]
)
def test_unconditional_forwarding_in_a_range_over_midnight(at: str, who: str) -> None:
    forwarding = {"unconditional": {"user_id": "ben"}, "unconditional_hours": {"start": "22:00", "end": "06:00"}}
    assert calling(at, forwarding=forwarding).rings[0][0] == who


@pytest.mark.feature("R-12")
def test_a_suspended_rule_does_not_count() -> None:
    forwarding = {"unconditional": {"user_id": "ben"}, "busy": {"user_id": "ben"}, "suspended": ["unconditional", "busy"]}
    assert calling(forwarding=forwarding).rings == [("anna", 0, 25)]
    assert calling(forwarding=forwarding).rang("busy").ends == (17, 486)


@pytest.mark.feature("R-12")
def test_do_not_disturb_forwards_as_a_busy_line() -> None:
    assert calling(do_not_disturb=True).ends == (17, 486)
    assert calling(do_not_disturb=True, forwarding={"busy": {"user_id": "ben"}}).rings == [("ben", 0, 25)]


@pytest.mark.feature("R-13")
def test_the_shortest_delay_of_those_that_ring_applies() -> None:
    also = [{"external_number": "+41791234567", "ring_seconds": 15}, {"user_id": "ben"}]
    assert calling(simultaneous=also).rings == [("anna", 0, 15), ("+41791234567@carrier", 0, 15), ("ben", 0, 15)]


@pytest.mark.feature("R-14")
def test_screening_and_quiet_hours() -> None:
    quiet = [{"start": "09:00", "end": "11:00"}]
    assert calling(quiet_hours=quiet).ends == (17, 486)
    always = [{"caller_list_id": "friends", "passes": "always"}]
    assert calling(quiet_hours=quiet, do_not_disturb=True, screening=always).rings == [("anna", 0, 25)]
    assert calling(screening=[{"caller_list_id": "friends", "passes": "never"}]).ends == (17, 486)
    hours = [{"caller_list_id": "friends", "passes": "hours", "hours": [{"start": "12:00", "end": "13:00"}]}]
    assert calling(screening=hours).ends == (17, 486)
    assert calling("2026-01-06 12:30", screening=hours).rings == [("anna", 0, 25)]


@pytest.mark.feature("R-27")
def test_the_secretary_rings_first_and_then_the_boss() -> None:
    call = calling(secretary={"user_id": "ben", "ring_seconds": 12})
    assert call.rings == [("ben", 0, 12)]
    assert call.rang("no_answer").rings == [("anna", 0, 25)]
    assert calling(secretary={"user_id": "ben", "except_caller_list_id": "friends"}).rings == [("anna", 0, 25)]
    assert calling(secretary={"user_id": "ben", "except_hours": [{"start": "09:00", "end": "11:00"}]}).rings == [("anna", 0, 25)]
    step = call.advances[0].step
    assert isinstance(step, Ring)
    assert step.reminder is not None
    assert (step.reminder.every_ms, step.reminder.phrases[0].text) == (40_000, "Un appel attend pour Anna.")
    spared = calling(secretary={"user_id": "ben"}, do_not_disturb=True)
    assert spared.rings[0][0] == "ben", "who calls the boss may speak with the secretary"
    assert spared.rang("no_answer").ends == (17, 486), "and does not disturb the boss"
    silent = calling(secretary={"user_id": "ben", "reminder_seconds": 0}).last.step
    assert isinstance(silent, Ring)
    assert silent.reminder is None
    config = small_company(users=[user("anna", secretary={"user_id": "ben"}), user("ben"), user("carl")])
    assert SimulatedCall.from_user(config, "ben", "101").rings == [("anna", 0, 25)]


@pytest.mark.feature("R-12")
def test_a_forwarding_chain_in_a_circle_ends() -> None:
    to = [("anna", "ben"), ("ben", "carl"), ("carl", "anna")]
    config = small_company(users=[user(one, forwarding={"unconditional": {"user_id": other}}) for one, other in to])
    call = SimulatedCall.from_outside(config, "+41215550101", "2026-01-06 10:00")
    assert call.rings or call.ends == (17, 486)
    assert any("forwarded 10 times already" in line for line in call.trace())


def group(world: World, call_id: str = "c1", **fields: Any) -> list[str]:
    members = [{"user_id": name, "ring_seconds": 5} for name in ("anna", "ben", "carl")]
    groups = [{"id": "g", "strategy": "sequential", "members": members, **fields}]
    numbers = [{"id": "+41215550100", "destination": {"ring_group_id": "g"}}]
    config = small_company(ring_groups=groups, numbers=numbers)
    call = SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", world=world, call_id=call_id)
    return [who for who, _, _ in call.rings]


@pytest.mark.feature("R-7")
def test_orders_of_a_group() -> None:
    assert group(World(answered={"anna": 3, "ben": 1, "carl": 2}), order="least_called") == ["ben", "carl", "anna"]
    world = World()
    assert [group(world, f"c{n}", order="round_robin")[0] for n in range(4)] == ["anna", "ben", "carl", "anna"]
    assert {group(World(), f"c{n}", order="random")[0] for n in range(30)} == {"anna", "ben", "carl"}
    assert group(World(), wrap=True, timeout_seconds=25) == ["anna", "ben", "carl", "anna", "ben"]


def hunt(world: World, **fields: Any) -> SimulatedCall:
    members = [{"user_id": "anna"}, {"user_id": "ben"}, {"user_id": "carl", "permanent": True}]
    groups = [{"id": "h", "members": members, "ring_seconds": 10, "all_busy": {"mailbox_id": "main"}, **fields}]
    numbers = [{"id": "+41215550100", "destination": {"hunt_group_id": "h"}}]
    return SimulatedCall.from_outside(small_company(hunt_groups=groups, numbers=numbers), "+41215550100", "2026-01-06 10:00", world=world)


@pytest.mark.feature("R-9")
def test_a_hunt_group_rings_idle_members_who_are_logged_in() -> None:
    assert hunt(World(logged_in={"h": {"ben"}})).rings == [("ben", 0, 10), ("carl", 10, 20)]
    assert hunt(World(logged_in={"h": {"anna", "ben"}}, busy={"anna"}), strategy="all_idle").rings == [("ben", 0, 45), ("carl", 0, 45)]
    assert hunt(World(busy={"carl"})).mailbox == "main"


@pytest.mark.feature("R-11")
def test_a_menu_has_hours_a_redirect_last_words_and_an_end() -> None:
    def menu(at: str = "2026-01-06 10:00", **fields: Any) -> SimulatedCall:
        made = {"id": "m", "prompt": [{"text": "?"}], "keys": [{"key": "1", "message": [{"text": "hours"}]}], "replays": 0, **fields}
        schedules = [{"id": "day", "ranges": [{"weekdays": [2], "start": "08:00", "end": "12:00"}]}]
        numbers = [{"id": "+41215550100", "destination": {"menu_id": "m"}}]
        config = small_company(menus=[made], schedules=schedules, numbers=numbers)
        return SimulatedCall.from_outside(config, "+41215550100", at)

    closed: dict[str, Any] = {"schedule_id": "day", "out_of_hours": {"mailbox_id": "main"}}
    assert menu("2026-01-06 13:00", **closed).mailbox == "main"
    assert [phrase.text for phrase in menu(**closed).says] == ["?"]
    assert menu(redirect={"user_id": "ben"}).rings == [("ben", 0, 25)]
    assert [phrase.text for phrase in menu().pressed("1").says] == ["hours", "?"]
    assert [phrase.text for phrase in menu(no_choice_message=[{"text": "goodbye"}]).pressed("").says] == ["goodbye"]
