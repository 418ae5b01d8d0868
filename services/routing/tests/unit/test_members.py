"""Members of groups, and agents of queues, who want to be spared; forwardings that groups follow; groups in groups."""

from typing import Any

import pytest

from carillon_contracts.feature_codes import rung_at
from carillon_routing.adapters.sentences import library
from carillon_routing.domain.cursor import Cursor, QueueWait
from carillon_routing.domain.facts import CallFacts, UserTarget
from carillon_routing.domain.queue_steps import QueueSeen
from carillon_routing.domain.queued import queued
from carillon_routing.domain.sentences import AS_WRITTEN
from carillon_routing.domain.timetables import MAX_GROUPS
from carillon_routing.testing import SimulatedCall, World, small_company

CALLER = "+41791112233"
LISTS = [{"id": "nuisance", "callers": [{"prefix": CALLER, "exact": True}]}]
NEVER: dict[str, Any] = {"screening": [{"caller_list_id": "nuisance", "passes": "never"}]}
ALWAYS: dict[str, Any] = {"screening": [{"caller_list_id": "nuisance", "passes": "always"}]}
QUIET: dict[str, Any] = {"quiet_hours": [{"start": "09:00", "end": "11:00"}]}
NAMES = ("anna", "ben", "carl")


def user(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "last_name": name.capitalize(), **fields}


def calling(kind: str, world: World | None = None, members: Any = None, more: Any = (), company: Any = None, **anna: Any) -> SimulatedCall:
    """A call to a group, whose members are anna, ben and carl; `more`: of the group."""
    chosen = members or [{"user_id": name} for name in NAMES]
    strategy = {"ring_groups": "parallel", "hunt_groups": "all_idle"}[kind]
    group = {"id": "g", "strategy": strategy, "members": chosen, **dict(more)}
    others = company or {}
    others = {**others, kind: [group, *others.get(kind, [])]}
    numbers = [{"id": "+41215550100", "destination": {kind.removesuffix("s") + "_id": "g"}}]
    config = small_company(users=[user("anna", **anna), user("ben"), user("carl")], caller_lists=LISTS, numbers=numbers, **others)
    world = world or World(logged_in={"g": set(NAMES)})
    return SimulatedCall.from_outside(config, "+41215550100", "2026-01-06 10:00", CALLER, world=world)


def rung(call: SimulatedCall) -> list[str]:
    return [who for who, _, _ in call.rings]


@pytest.mark.feature("R-6", "R-9", "R-14")
@pytest.mark.parametrize("kind", ["ring_groups", "hunt_groups"])
@pytest.mark.parametrize("wish", [{"do_not_disturb": True}, QUIET, NEVER], ids=["do not disturb", "quiet hours", "screening"])
def test_who_wants_to_be_spared_is_not_rung_by_a_group(kind: str, wish: dict[str, Any]) -> None:
    call = calling(kind, **wish)
    assert rung(call) == ["ben", "carl"]
    assert any("user/anna is not to be disturbed" in line or "user/anna never takes this caller" in line for line in call.trace())
    assert rung(calling(kind, **(wish | ALWAYS if wish is not NEVER else ALWAYS))) == list(NAMES), "this caller always gets through"
    through = calling(kind, more={"through_do_not_disturb": True}, **wish)
    assert rung(through) == (["ben", "carl"] if wish is NEVER else list(NAMES))


@pytest.mark.feature("R-6")
def test_a_group_of_which_nobody_may_be_disturbed_is_busy() -> None:
    lone = [{"user_id": "anna"}]
    call = calling("ring_groups", members=lone, do_not_disturb=True)
    assert call.ends == (17, 486)
    assert calling("ring_groups", members=lone, more={"no_answer": {"user_id": "ben"}}, do_not_disturb=True).rings[0][0] == "ben"


@pytest.mark.feature("R-6", "R-9")
@pytest.mark.parametrize("kind", ["ring_groups", "hunt_groups"])
def test_a_members_forwarding_counts_where_the_group_follows_it(kind: str) -> None:
    away: dict[str, Any] = {"forwarding": {"unconditional": {"external_number": "+41791234567"}}}
    assert rung(calling(kind, **away)) == list(NAMES)
    follows: dict[str, Any] = {"follow_forwarding": True}
    assert rung(calling(kind, more=follows, **away)) == ["+41791234567@carrier", "ben", "carl"]
    assert rung(calling(kind, more=follows, do_not_disturb=True, **away)) == ["+41791234567@carrier", "ben", "carl"]
    assert rung(calling(kind, more=follows, **NEVER, **away)) == ["ben", "carl"]
    told = [(line.subject, line.reason) for line in calling(kind, more=follows, **away).last.trace]
    assert all(library().recognise("subjects", subject).kind != AS_WRITTEN for subject, _ in told)
    assert all(library().recognise("reasons", reason).kind != AS_WRITTEN for _, reason in told)
    to_ben: dict[str, Any] = {"forwarding": {"unconditional": {"extension_id": "102"}}}
    assert rung(calling(kind, more=follows, **to_ben)) == ["ben", "carl"], "ben rings once"
    to_box: dict[str, Any] = {"forwarding": {"unconditional": {"mailbox_id": "main"}}}
    call = calling(kind, more=follows, **to_box)
    assert rung(call) == ["ben", "carl"]
    assert any("mailbox/main does not ring in a group" in line for line in call.trace())
    circle: dict[str, Any] = {"forwarding": {"unconditional": {"user_id": "anna"}}}
    assert rung(calling(kind, more=follows, **circle)) == ["ben", "carl"]


@pytest.mark.feature("R-6", "R-9", "R-14")
@pytest.mark.parametrize("kind", ["ring_groups", "hunt_groups"])
def test_a_caller_who_always_gets_through_to_a_member_is_not_forwarded(kind: str) -> None:
    away: dict[str, Any] = {"forwarding": {"unconditional": {"external_number": "+41791234567"}}}
    assert rung(calling(kind, more={"follow_forwarding": True}, **ALWAYS, **away)) == list(NAMES)


@pytest.mark.feature("R-9")
def test_who_rings_in_the_place_of_a_hunt_group_s_member_is_neither_the_caller_nor_talks() -> None:
    away = user("ben", forwarding={"unconditional": {"user_id": "carl"}})
    hunt = {"id": "h", "strategy": "all_idle", "follow_forwarding": True, "members": [{"user_id": "anna"}, {"user_id": "ben"}]}
    extensions = [{"id": "103", "destination": {"user_id": "carl"}}, {"id": "200", "destination": {"hunt_group_id": "h"}}]
    config = small_company(users=[user("anna"), away, user("carl"), user("dora")], hunt_groups=[hunt], extensions=extensions)

    def called_by(name: str, *busy: str) -> SimulatedCall:
        return SimulatedCall.from_user(config, name, "200", world=World(logged_in={"h": {"anna", "ben"}}, busy=set(busy)))

    assert rung(called_by("dora")) == ["anna", "carl"]
    for call, why in ((called_by("carl"), "user/carl is the caller"), (called_by("dora", "carl"), "user/carl talks or is being rung")):
        assert rung(call) == ["anna"]
        assert f"- hunt_group/h user/ben: {why}" in call.trace()
        assert all(library().recognise("reasons", line.reason).kind != AS_WRITTEN for line in call.last.trace)


@pytest.mark.feature("R-6")
def test_who_talks_on_a_phone_without_call_waiting_is_passed_over() -> None:
    company = {"provisioning_profiles": [{"id": "one_call", "call_waiting": False}]}
    world = World(busy={"anna", "ben"})
    assert rung(calling("ring_groups", world, company=company)) == list(NAMES), "their phones ring while they talk"
    call = calling("ring_groups", world, company=company, provisioning_profile_id="one_call")
    assert rung(call) == ["ben", "carl"]
    assert "- ring_group/g member 1: user/anna talks or is being rung" in call.trace()
    assert rung(calling("ring_groups", World(dark=True), company=company, provisioning_profile_id="one_call")) == list(NAMES)


@pytest.mark.feature("R-13")
def test_a_colleague_who_is_not_to_be_disturbed_does_not_ring_too() -> None:
    users = [user("anna", simultaneous=[{"user_id": "ben"}, {"user_id": "carl"}]), user("ben", do_not_disturb=True), user("carl")]
    assert rung(SimulatedCall.from_outside(small_company(users=users), "+41215550101", "2026-01-06 10:00")) == ["anna", "carl"]


# -- groups in groups --------------------------------------------------------------------------------------------------

INNER = {
    "id": "inner",
    "strategy": "sequential",
    "timeout_seconds": 20,
    "members": [{"user_id": "ben", "ring_seconds": 10}, {"user_id": "carl", "ring_seconds": 15}],
}


@pytest.mark.feature("R-6", "R-7", "R-8")
@pytest.mark.parametrize(
    ("strategy", "rings"),
    [
        ("parallel", [("anna", 0, 45), ("ben", 0, 10), ("carl", 10, 20)]),
        ("sequential", [("anna", 0, 5), ("ben", 5, 15), ("carl", 15, 25)]),
        ("progressive", [("anna", 0, 45), ("ben", 5, 15), ("carl", 15, 25)]),
    ],
)
def test_a_group_in_a_group_keeps_its_own_timetable(strategy: str, rings: list[tuple[str, int, int]]) -> None:
    members = [{"user_id": "anna"}, {"ring_group_id": "inner"}]
    call = calling("ring_groups", members=members, more={"strategy": strategy}, company={"ring_groups": [INNER]})
    assert call.rings == rings
    targets = [target for target in call.last.step.targets if isinstance(target, UserTarget)]  # type: ignore[union-attr]
    assert len({target.target_id for target in targets}) == len(targets)


@pytest.mark.feature("R-7")
def test_a_group_in_a_group_has_its_members_time_and_is_followed_by_the_next() -> None:
    members = [{"ring_group_id": "inner", "ring_seconds": 12}, {"user_id": "anna", "ring_seconds": 10}]
    call = calling("ring_groups", members=members, more={"strategy": "sequential"}, company={"ring_groups": [INNER]})
    assert call.rings == [("ben", 0, 10), ("carl", 10, 12), ("anna", 12, 22)]


@pytest.mark.feature("R-6", "R-9")
def test_a_hunt_group_in_a_ring_group_gives_its_idle_members() -> None:
    hunt = {"id": "h", "strategy": "all_idle", "members": [{"user_id": "ben"}, {"user_id": "carl"}]}
    members = [{"user_id": "anna", "ring_seconds": 10}, {"hunt_group_id": "h"}]
    company = {"hunt_groups": [hunt]}
    for strategy, start in (("parallel", 0), ("sequential", 10)):
        call = calling("ring_groups", World(logged_in={"h": {"ben"}}), members, {"strategy": strategy}, company)
        assert call.rings[1:] == [("ben", start, 45)]
    call = calling("ring_groups", World(logged_in={"h": {"ben", "carl"}}, busy={"ben", "carl"}), members[1:], (), company)
    assert call.ends == (17, 486)
    assert "- ring_group/g member 1: nobody of hunt_group/h can be rung" in call.trace()


@pytest.mark.feature("R-6")
def test_who_stands_in_both_groups_rings_once_at_a_time() -> None:
    members = [{"user_id": "ben"}, {"ring_group_id": "inner"}]
    assert calling("ring_groups", members=members, company={"ring_groups": [INNER]}).rings == [("ben", 0, 45), ("carl", 10, 20)]


@pytest.mark.feature("R-6")
def test_groups_that_contain_one_another_and_groups_without_end_ring_whom_they_can() -> None:
    """The directory refuses them; what came in another way must not hold a call up."""
    inside = {"id": "inner", "members": [{"ring_group_id": "g"}, {"user_id": "ben"}]}
    call = calling("ring_groups", members=[{"ring_group_id": "inner"}], company={"ring_groups": [inside]})
    assert rung(call) == ["ben"]
    assert any("is inside itself" in line for line in call.trace())
    many = [{"id": f"g{n}", "members": [*({"ring_group_id": f"g{m}"} for m in range(40)), {"user_id": "ben"}]} for n in range(40)]
    assert rung(calling("ring_groups", members=[{"ring_group_id": "g1"}], company={"ring_groups": many})) == ["ben"]
    flat = [{"id": f"g{n}", "members": [{"user_id": "ben"}]} for n in range(MAX_GROUPS + 1)]
    call = calling("ring_groups", members=[{"ring_group_id": each["id"]} for each in flat], company={"ring_groups": flat})
    assert rung(call) == ["ben"]
    assert any(f"more than {MAX_GROUPS} groups are inside this one" in line for line in call.trace())
    missing = calling("ring_groups", members=[{"ring_group_id": "gone"}])
    assert missing.ends == (20, 480)


@pytest.mark.feature("M-5", "R-19")
def test_what_rings_at_a_member_of_a_group_in_a_group_may_be_picked_up() -> None:
    inner = {"id": "inner", "members": [{"user_id": "ben"}, {"hunt_group_id": "h"}]}
    outer = {"id": "outer", "members": [{"ring_group_id": "inner"}, {"user_id": "anna"}, {"external_number": "+41791234567"}]}
    hunt = {"id": "h", "members": [{"user_id": "carl"}, {"user_id": "ben"}]}
    extensions = [{"id": "200", "destination": {"ring_group_id": "outer"}}, {"id": "201", "destination": {"hunt_group_id": "h"}}]
    config = small_company(ring_groups=[inner, outer], hunt_groups=[hunt], extensions=extensions)
    assert sorted(rung_at(config, "200")) == ["anna", "ben", "carl"]
    assert rung_at(config, "201") == ("carl", "ben")
    assert rung_at(config, "202") == ()


@pytest.mark.feature("R-10", "R-20")
def test_the_trace_of_a_queue_names_agents_who_are_passed_over() -> None:
    agents = [{"id": f"a-{name}", "user_id": name} for name in NAMES]
    queues = [{"id": "sales", "members": [{"agent_id": each["id"]} for each in agents]}]
    users = [user("anna", do_not_disturb=True), user("ben", **NEVER), user("carl")]
    config = small_company(users=users, caller_lists=LISTS, agents=agents, queues=queues)
    call, cursor = CallFacts("acme", "c1", "inbound", "+41215550100", CALLER), Cursor(config.seq, QueueWait("sales"))
    for what in ("waits", "rings"):
        decision = queued(config, call, cursor, QueueSeen(what, 1000.0, 1, 0, 990.0, ("a-carl",)))
        assert [line.reason for line in decision.trace[:2]] == [
            "user/anna is not to be disturbed",
            "user/ben never takes this caller at this time",
        ]
