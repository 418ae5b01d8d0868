"""The operator by code and in plans, services that a user does not have, and colleagues' extensions in place of their numbers."""

from typing import Any

import pytest

from carillon_contracts.config import Tenant
from carillon_routing.testing import SimulatedCall, World, small_company, to_plan

TUESDAY = "2026-01-06 10:00"


def company(tenant: bool = True, site: bool = True, sales: bool = True, **changes: Any) -> Any:
    """Anna is in a team of sales, at the site."""
    return small_company(
        tenant={
            "id": "acme", "realm": "acme.example", "country": "CH", "language": "fr",
            **({"operator": {"user_id": "carl"}} if tenant else {}),
            **changes,
        },
        sites=[{"id": "home", **({"operator": {"user_id": "ben"}} if site else {})}],
        departments=[
            {"id": "sales", "site_id": "home", **({"operator": {"external_number": "+41791234567"}} if sales else {})},
            {"id": "team", "parent_id": "sales"},
        ],
        users=[{"id": name, "last_name": name, "department_id": "team" if name == "anna" else ""} for name in ("anna", "ben", "carl")],
    )  # fmt: skip


def rung(one: SimulatedCall) -> list[str]:
    return [name for name, _, _ in one.rings]


@pytest.mark.feature("D-1", "R-19")
@pytest.mark.parametrize(
    ("config", "who"),
    [
        (company(), "+41791234567@carrier"),
        (company(sales=False), "ben"),
        (company(sales=False, site=False), "carl"),
    ],
    ids=["department", "site", "tenant"],
)
def test_the_nearest_operator_is_called_by_code(config: Any, who: str) -> None:
    assert rung(SimulatedCall.from_user(config, "anna", "*0")) == [who]
    assert rung(SimulatedCall.from_user(config, "ben", "*0")) == ["carl"]


@pytest.mark.feature("D-1", "R-19")
def test_the_operators_code_may_be_one_digit_and_nobody_elses_may() -> None:
    config = company(feature_codes=[{"feature": "operator", "code": "9"}], sales=False)
    assert rung(SimulatedCall.from_user(config, "anna", "9")) == ["ben"]
    one = SimulatedCall.from_user(company(tenant=False), "ben", "*0")
    assert [phrase.text for phrase in one.says] == ["Ce numéro n'existe pas."]
    with pytest.raises(ValueError, match="operator"):
        Tenant(id="acme", realm="x", feature_codes=({"feature": "park", "code": "9"},))


@pytest.mark.feature("D-1", "R-3")
def test_a_plan_sends_calls_to_the_operator() -> None:
    node = {"id": "n", "destination": {"destination": {"operator": True}}}
    tenant = {"id": "acme", "realm": "acme.example", "operator": {"user_id": "carl"}}
    one = to_plan(node, tenant=tenant)
    assert rung(one) == ["carl"]
    assert "+ operator: is that of tenant/acme -> user/carl" in one.trace()
    looping = to_plan(node, tenant={**tenant, "operator": {"operator": True}})
    assert looping.ends == (25, 482)


@pytest.mark.feature("D-3")
def test_what_is_switched_off_is_not_offered() -> None:
    mobile = "+41791234567"
    anna = {"id": "anna", "last_name": "A", "mobile": mobile, "simultaneous": [{"external_number": mobile}], "mailbox_id": "main"}

    def call(**services: bool) -> SimulatedCall:
        config = small_company(
            users=[{**anna, "services": services}, {"id": "ben", "last_name": "B"}],
            extensions=[
                {"id": "101", "destination": {"user_id": "anna"}},
                {"id": "102", "destination": {"user_id": "ben"}},
                {"id": "103", "destination": {"mailbox_id": "main"}},
                {"id": "104", "destination": {"conference_room_id": "room"}},
            ],
            conference_rooms=[{"id": "room", "owner_user_id": "anna"}],
        )
        return SimulatedCall.from_user(config, "ben", dialled)

    dialled = "101"
    assert rung(call()) == ["anna", f"{mobile}@carrier"]
    assert rung(call(mobile=False)) == ["anna"]
    assert rung(call(fixed_line=False)) == [f"{mobile}@carrier"]
    assert call(fixed_line=False, mobile=False).ends == (20, 480)
    dialled = "103"
    assert call().mailbox == "main"
    assert call(messaging=False).ends == (20, 480)
    dialled = "104"
    assert call().ends is None
    assert call(conference=False).ends == (20, 480)


@pytest.mark.feature("D-25")
def test_a_colleague_who_calls_from_outside_shows_the_extension_if_the_house_rules_say_so() -> None:
    for wanted, shown in ((True, ("101", "Anna")), (False, ("+41791234567", ""))):
        config = small_company(
            users=[{"id": "anna", "last_name": "Anna", "mobile": "+41791234567"}, {"id": "ben", "last_name": "B"}],
            extensions=[{"id": "101", "destination": {"user_id": "anna"}}],
            numbers=[{"id": "+41215550101", "destination": {"user_id": "ben"}}, {"id": "+41215550109", "destination": {"user_id": "anna"}}],
            house_rule_sets=[{"id": "default", "extensions_for_numbers": wanted}],
        )
        assert SimulatedCall.from_outside(config, "+41215550101", TUESDAY, "+41791234567").shown == shown
        own = SimulatedCall.from_outside(config, "+41215550101", TUESDAY, "+41215550109")
        assert own.shown == (("101", "Anna") if wanted else ("+41215550109", ""))
        assert SimulatedCall.from_outside(config, "+41215550101", TUESDAY, "+41799999999").shown == ("+41799999999", "")


@pytest.mark.feature("D-2", "D-25")
def test_colleagues_see_the_name_to_be_shown() -> None:
    config = small_company(
        users=[
            {"id": "anna", "last_name": "Anna", "mobile": "+41791234567", "display_name": "Anna of sales"},
            {"id": "ben", "last_name": "B"},
        ],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}],
        numbers=[{"id": "+41215550101", "destination": {"user_id": "ben"}}],
        house_rule_sets=[{"id": "default", "extensions_for_numbers": True}],
    )
    assert SimulatedCall.from_outside(config, "+41215550101", TUESDAY, "+41791234567").shown == ("101", "Anna of sales")
    assert SimulatedCall.from_user(config, "anna", "102", TUESDAY).shown == ("101", "Anna of sales")
    assert SimulatedCall.from_user(config, "ben", "101", TUESDAY).shown == ("102", "B")


# -- limits -----------------------------------------------------------------------------------------------------------


def limited(tenant: dict[str, int] | None = None, sales: dict[str, int] | None = None) -> Any:
    return small_company(
        tenant={"id": "acme", "realm": "acme.example", "country": "CH", "limits": tenant or {}},
        departments=[{"id": "sales", "limits": sales or {}}, {"id": "team", "parent_id": "sales"}],
        users=[{"id": "anna", "last_name": "A", "department_id": "team"}, {"id": "ben", "last_name": "B"}],
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}],
        numbers=[{"id": "+41215550101", "destination": {"user_id": "anna"}}],
    )


OVER, BUSY = (34, 480), (17, 486)
OUTSIDE = "0791234567"


@pytest.mark.feature("D-17")
@pytest.mark.parametrize("limit", ["max_calls", "max_calls_per_minute"])
def test_a_tenant_has_no_more_calls_than_allowed_but_for_help(limit: str) -> None:
    config, world = limited({limit: 2}), World()
    assert rung(SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="in"))
    world.places["limit tenant/acme"].add("another")
    assert SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="late").ends == OVER
    one = SimulatedCall.from_user(config, "ben", "101", world=world)
    assert one.ends == OVER
    assert "- tenant/acme limits: 2 " in " ".join(one.trace())
    assert rung(SimulatedCall.from_user(config, "ben", "117", world=world)) == ["117@carrier"]


@pytest.mark.feature("D-17")
def test_calls_in_and_out_have_limits_of_their_own() -> None:
    config, world = limited({"max_calls_in": 1, "max_calls_out": 1}), World()
    assert rung(SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="in"))
    assert SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="late").ends == OVER
    assert rung(SimulatedCall.from_user(config, "ben", OUTSIDE, world=world))
    world.places["limit tenant/acme out"] = {"another"}
    out = SimulatedCall.from_user(config, "ben", OUTSIDE, world=world)
    assert out.ends == OVER
    assert "- tenant/acme limits out: 1 calls of at most 1 without this one" in out.trace()
    assert rung(SimulatedCall.from_user(config, "ben", "101", world=world)) == ["anna"]
    assert rung(SimulatedCall.from_user(config, "ben", "117", world=world)) == ["117@carrier"]


@pytest.mark.feature("D-17")
def test_a_department_counts_who_calls_and_who_is_called_below_it() -> None:
    config, world = limited(sales={"max_calls": 1, "max_calls_out": 1}), World()
    assert rung(SimulatedCall.from_user(config, "anna", "102", world=world)) == ["ben"]
    world.places["limit department/sales"] = {"another"}
    assert SimulatedCall.from_user(config, "anna", "102", world=world).ends == OVER
    assert SimulatedCall.from_user(config, "ben", "101", world=world).ends == BUSY
    assert rung(SimulatedCall.from_user(config, "ben", OUTSIDE, world=world))
    world.places["limit department/sales out"] = {"another"}
    world.places["limit department/sales"] = set()
    assert SimulatedCall.from_user(config, "anna", OUTSIDE, world=world).ends == OVER


@pytest.mark.feature("D-17")
def test_what_rings_outside_beside_a_phone_is_left_out_and_the_phone_rings() -> None:
    config = small_company(
        tenant={"id": "acme", "realm": "acme.example", "country": "CH", "limits": {"max_calls_out": 1}},
        users=[{"id": "anna", "last_name": "A", "simultaneous": [{"external_number": "+41791234567"}]}],
        extensions=[],
        numbers=[{"id": "+41215550101", "destination": {"user_id": "anna"}}],
    )
    world = World()
    assert len(rung(SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world))) == 2
    world.places["limit tenant/acme out"] = {"another"}
    assert rung(SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world)) == ["anna"]
    dark = SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=World(dark=True))
    assert len(rung(dark)) == 2, "a limit that cannot be read lets calls through"


def by_trunks(**carrier: int) -> Any:
    users = [{"id": "anna", "last_name": "A", "simultaneous": [{"external_number": "+41791234567"}]}, {"id": "ben", "last_name": "B"}]
    return small_company(
        users=users,
        extensions=[{"id": "101", "destination": {"user_id": "anna"}}, {"id": "102", "destination": {"user_id": "ben"}}],
        numbers=[{"id": "+41215550101", "destination": {"user_id": "ben"}}],
        trunks=[
            {"id": "carrier", "address": "192.0.2.1:5060", "priority": 1, **carrier},
            {"id": "spare", "address": "192.0.2.2:5060", "priority": 2, "max_calls_out": 1},
        ],
    )


@pytest.mark.feature("D-17", "M-2")
def test_a_trunk_takes_so_many_calls_in_and_others_go_on() -> None:
    config, world = by_trunks(max_calls_in=1), World()
    assert rung(SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="in")) == ["ben"]
    late = SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="late")
    assert late.ends == OVER
    assert "- trunk/carrier limits in: 1 calls of at most 1 without this one" in late.trace()
    assert rung(SimulatedCall.from_outside(config, "+41215550101", TUESDAY, world=world, call_id="other", trunk_id="spare")) == ["ben"]
    assert rung(SimulatedCall.from_user(config, "ben", OUTSIDE, world=world)) == ["+41791234567@carrier"], "calls out have their own limit"


@pytest.mark.feature("D-17", "M-2")
def test_a_trunk_with_as_many_calls_out_as_it_may_have_is_passed_over() -> None:
    config, world = by_trunks(max_calls_out=1), World()
    assert rung(SimulatedCall.from_user(config, "ben", OUTSIDE, world=world)) == ["+41791234567@carrier"]
    world.places["limit trunk/carrier out"] = {"another"}
    by_spare = SimulatedCall.from_user(config, "ben", OUTSIDE, world=world)
    assert rung(by_spare) == ["+41791234567@spare"]
    assert "- trunk/carrier limits out: 1 calls of at most 1 without this one" in by_spare.trace()
    world.places["limit trunk/spare out"] = {"another"}
    assert not rung(SimulatedCall.from_user(config, "ben", OUTSIDE, world=world))
    assert rung(SimulatedCall.from_user(config, "ben", "117", world=world)) == ["117@carrier"]
    assert rung(SimulatedCall.from_user(config, "ben", OUTSIDE, world=World(dark=True))) == ["+41791234567@carrier"]


@pytest.mark.feature("D-17", "M-2")
def test_what_rings_outside_beside_a_phone_goes_by_a_trunk_with_room_or_not_at_all() -> None:
    config, world = by_trunks(max_calls_out=1), World()
    assert sorted(rung(SimulatedCall.from_user(config, "ben", "101", world=world))) == ["+41791234567@carrier", "anna"]
    world.places["limit trunk/carrier out"] = {"another"}
    assert sorted(rung(SimulatedCall.from_user(config, "ben", "101", world=world))) == ["+41791234567@spare", "anna"]
    world.places["limit trunk/spare out"] = {"another"}
    assert rung(SimulatedCall.from_user(config, "ben", "101", world=world)) == ["anna"]
