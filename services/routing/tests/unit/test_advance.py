"""The first decision of a call, and questions that make no sense."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.advance import LOOK_UP, BadOutcome, advance
from carillon_routing.domain.cursor import Cursor, GroupWait, MenuWait, UserWait, Wait, decode
from carillon_routing.domain.emergency_notices import ARGUMENT
from carillon_routing.domain.facts import CallFacts, Entered, Gathered, Outcome, Played, Rang, Recorded
from carillon_routing.testing import SimulatedCall, World, small_company, to_plan

TUESDAY = "2026-01-06 10:00"
NOON = datetime(2026, 1, 6, 12, tzinfo=UTC)


@pytest.mark.feature("R-1")
def test_a_number_leads_to_its_destination() -> None:
    call = SimulatedCall.from_outside(small_company(), "+41215550101", TUESDAY)
    assert call.rings == [("anna", 0, 25)]
    assert call.shown == ("+41791112233", "")


@pytest.mark.feature("R-1")
def test_a_number_leads_to_its_plan() -> None:
    call = to_plan({"id": "n", "mailbox": {"mailbox_id": "main"}})
    assert call.mailbox == "main"


@pytest.mark.parametrize("number", ["+41215550109", "+41215550177", "+33612345678", "anonymous", "101", ""])
def test_from_outside_only_numbers_that_lead_somewhere_are_reached(number: str) -> None:
    assert SimulatedCall.from_outside(small_company(), number, TUESDAY).ends == (1, 404)


def test_a_carrier_may_leave_out_the_plus_or_the_country() -> None:
    for number in ("0215550101", "0041215550101"):
        assert SimulatedCall.from_outside(small_company(), number, TUESDAY).rings == [("anna", 0, 25)]


@pytest.mark.feature("R-18")
@pytest.mark.parametrize("dialled", ["102", "10 2"])
def test_a_user_reaches_an_extension(dialled: str) -> None:
    call = SimulatedCall.from_user(small_company(), "anna", dialled)
    assert call.rings == [("ben", 0, 25)]
    assert call.shown == ("101", "Anna")


@pytest.mark.parametrize("dialled", ["199", "55", "7777", "anna", "0", "+41", "*21", ""])
def test_what_is_neither_an_extension_nor_a_number_is_unallocated(dialled: str) -> None:
    assert SimulatedCall.from_user(small_company(), "anna", dialled).ends == (1, 404)


@pytest.mark.parametrize("dialled", ["+41215550101", "0215550101", "0041215550101", "021 555 01 01"])
def test_a_users_call_to_one_of_our_own_numbers_needs_no_carrier(dialled: str) -> None:
    call = SimulatedCall.from_user(small_company(), "ben", dialled)
    assert call.rings == [("anna", 0, 25)]
    assert call.shown == ("102", "Ben")


def test_a_number_of_ours_that_leads_nowhere_is_unallocated_and_does_not_go_to_the_carrier() -> None:
    assert SimulatedCall.from_user(small_company(), "ben", "+41215550109").ends == (1, 404)


@pytest.mark.feature("R-18")
@pytest.mark.parametrize("dialled", ["112", "117", "144"])
def test_an_emergency_call_goes_out_first_of_all_by_any_trunk_even_if_the_subscription_is_over(dialled: str) -> None:
    config = small_company(
        trunks=[{"id": "abroad", "address": "192.0.2.2", "prefixes": ["+33"], "priority": 5}],
        extensions=[{"id": dialled, "destination": {"user_id": "ben"}}],
        tenant={
            "id": "acme",
            "realm": "acme.example",
            "country": "CH",
            "main_number": "+41215550100",
            "subscription": {"valid_until": "2020-01-01"},
        },
    )
    call = SimulatedCall.from_user(config, "anna", dialled)
    assert call.rings == [(f"{dialled}@abroad", 0, 120)]


@pytest.mark.feature("R-18", "D-24")
def test_a_suspended_tenant_calls_for_help_alone_and_is_called_by_nobody() -> None:
    tenant = {"id": "acme", "realm": "acme.example", "country": "CH", "main_number": "+41215550100", "subscription": {"suspended": True}}
    config = small_company(trunks=[{"id": "abroad", "address": "192.0.2.2", "prefixes": ["+33"], "priority": 5}], tenant=tenant)
    calls = [SimulatedCall.from_user(config, "anna", dialled) for dialled in ("102", "*78", "*97", "+33123456789", "+41215550101")]
    calls.append(SimulatedCall.from_outside(config, "+41215550101", TUESDAY))
    for call in calls:
        assert call.ends == (21, 403)
        assert call.trace()[-1] == "+ tenant subscription: the tenant is suspended: only help is called -> hang_up"
    assert SimulatedCall.from_user(config, "anna", "112").rings == [("112@abroad", 0, 120)]


SUSPENDED = {"id": "acme", "realm": "acme.example", "country": "CH", "main_number": "+41215550100", "subscription": {"suspended": True}}


@pytest.mark.feature("R-18", "D-16", "D-24")
@pytest.mark.parametrize(("dialled", "help_rings"), [("*31112", True), ("*31117", True), ("*31102", False), ("*310791112233", False)])
def test_who_hides_the_number_in_a_suspended_tenant_gets_help_too_and_nothing_else(dialled: str, help_rings: bool) -> None:
    codes = [{"feature": "withhold", "code": "*31"}]
    call = SimulatedCall.from_user(small_company(tenant=SUSPENDED | {"feature_codes": codes}), "anna", dialled)
    if help_rings:
        assert call.rings == [(f"{dialled[3:]}@carrier", 0, 120)]
    else:
        assert call.ends == (21, 403)


def looks_up(config: TenantConfig, why: str, world: World | None = None) -> SimulatedCall:
    """Whose phones ring at this number outside, for whoever has it called."""
    return SimulatedCall.from_user(config, "", "+41795550911", arguments={LOOK_UP: why}, world=world)


LIMITED: dict[str, Any] = {
    "limits": {"max_calls": 1, "max_calls_out": 1, "max_calls_per_minute": 1},
    "subscription": {},
}


@pytest.mark.feature("R-16")
def test_what_looks_for_phones_takes_no_place_and_finds_them_at_a_reached_limit() -> None:
    config, world = small_company(tenant=SUSPENDED | LIMITED), World()
    for _ in range(2):
        assert looks_up(config, "call", world).rings == [("+41795550911@carrier", 0, 120)]
    assert not any(world.places.values())
    assert SimulatedCall.from_user(config, "anna", "102", world=world).rings == [("ben", 0, 25)]
    assert looks_up(config, "call", world).rings, "the limit is reached, and it is asked about nothing"
    another = replace(SimulatedCall.from_user(config, "ben", "101", world=world).facts, call_id="c2")
    assert SimulatedCall(config, another, NOON, world=world).becomes(Entered()).ends == (34, 480)


@pytest.mark.feature("D-16", "D-24")
def test_those_who_must_know_of_a_call_for_help_are_called_in_a_suspended_tenant_too() -> None:
    config = small_company(tenant=SUSPENDED)
    assert looks_up(config, ARGUMENT).rings == [("+41795550911@carrier", 0, 120)]
    assert looks_up(config, "call").ends == (21, 403)


@pytest.mark.feature("R-16", "R-19")
@pytest.mark.parametrize("dialled", ["*88102", "9"])
def test_the_operator_and_an_intercom_take_a_place_as_any_call_does(dialled: str) -> None:
    codes = [{"feature": "intercom", "code": "*88"}, {"feature": "operator", "code": "9"}]
    tenant = SUSPENDED | LIMITED | {"feature_codes": codes, "operator": {"user_id": "ben"}}
    config, world = small_company(tenant=tenant), World()
    first = SimulatedCall.from_user(config, "anna", dialled, world=world)
    assert [who for who, _, _ in first.rings] == ["ben"]
    assert sum(map(len, world.places.values())) == 1
    second = SimulatedCall(config, replace(first.facts, call_id="c2", caller_user_id="carl"), NOON, world=world).becomes(Entered())
    assert second.ends == (34, 480)


@pytest.mark.feature("R-24")
def test_the_answer_names_the_configuration_and_what_was_looked_at() -> None:
    config = small_company()
    call = SimulatedCall.from_outside(config, "+41215550101", TUESDAY)
    assert call.last.config_seq == config.seq
    assert call.trace() == [
        "+ number +41215550101: +41215550101 was dialled -> user/anna",
        "+ user/anna: rings on all devices for 25 s, as the user wants",
    ]


@pytest.mark.feature("R-20")
def test_a_version_that_is_no_longer_kept_is_said_in_the_trace_and_the_call_goes_on() -> None:
    config = small_company()
    call = SimulatedCall.from_outside(config, "+41215550101", TUESDAY)
    call.config = replace(config, seq=config.seq + 7)
    call.rang("no_answer")
    assert "no longer kept" in call.trace()[0]
    assert call.ends == (19, 480)


def test_the_same_question_has_the_same_answer() -> None:
    config = small_company()
    first, second = (SimulatedCall.from_outside(config, "+41215550101", TUESDAY) for _ in range(2))
    assert first.last == second.last
    assert first.rang("busy").last == second.rang("busy").last


def _ask(config: TenantConfig, cursor: Cursor | None, outcome: Outcome) -> None:
    facts = CallFacts("acme", "c1", "from_user", "101", "102", caller_user_id="ben")
    advance(config, facts, cursor, outcome, datetime(2026, 1, 6, 10, tzinfo=UTC))


@pytest.mark.parametrize("outcome", [Rang("busy"), Played(), Gathered("1"), Recorded()])
def test_an_outcome_without_a_cursor_is_refused(outcome: Outcome) -> None:
    with pytest.raises(BadOutcome, match="without a cursor"):
        _ask(small_company(), None, outcome)


@pytest.mark.parametrize(
    ("wait", "outcome"),
    [(UserWait("ben"), Played()), (GroupWait("g"), Gathered("1")), (MenuWait("m"), Rang("busy")), (UserWait("ben"), Entered())],
)
def test_an_outcome_of_another_step_is_refused(wait: Wait, outcome: Outcome) -> None:
    with pytest.raises(BadOutcome, match="does not belong"):
        _ask(small_company(), Cursor(1, wait), outcome)


def test_a_step_that_ends_routings_part_has_no_cursor() -> None:
    call = to_plan({"id": "n", "mailbox": {"mailbox_id": "main"}})
    assert call.last.cursor == b""


def test_the_cursor_pins_the_version_that_decided() -> None:
    config = small_company()
    assert decode(SimulatedCall.from_outside(config, "+41215550101", TUESDAY).last.cursor).config_seq == config.seq
