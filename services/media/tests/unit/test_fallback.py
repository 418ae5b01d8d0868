"""What media does alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig, evolve
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.fallback import fallback
from carillon_media.domain.steps import Ring, TrunkTarget


def config(country: str = "CH", **subscription: Any) -> TenantConfig:
    found = TenantConfig("dupont")
    resources: list[tuple[str, dict[str, Any]]] = [
        (
            "tenant",
            {"id": "dupont", "realm": "dupont.example", "country": country, "main_number": "+41215550100", "subscription": subscription},
        ),
        ("trunk", {"id": "far", "address": "127.0.0.3", "priority": 5}),
        ("trunk", {"id": "near", "address": "127.0.0.2"}),
        ("site", {"id": "berlin", "country": "DE"}),
        ("user", {"id": "dora", "last_name": "D", "site_id": "berlin"}),
        ("extension", {"id": "102", "destination": {"user_id": "bob"}}),
        ("extension", {"id": "200", "destination": {"ring_group_id": "sales"}}),
    ]
    for seq, (kind, after) in enumerate(resources, 1):
        found = evolve(found, seq, ConfigChanged(resource=kind, resource_id=after["id"], action="created", after=after, actor="t"))
    return found


FACTS = CallFacts("dupont", "c1", "from_user", "101", "Anne", "anne", "102", None, datetime(2026, 1, 1, tzinfo=UTC))


def test_extensions_reach_each_other() -> None:
    step = fallback(config(), FACTS, "")
    assert isinstance(step, Ring)
    assert ([target.whom for target in step.targets], step.caller_number) == (["bob"], "101")


@pytest.mark.parametrize("dialled", ["112", "117", "144"])
def test_help_is_reached_by_the_best_trunk_then_the_next(dialled: str) -> None:
    step = fallback(config(), replace(FACTS, dialled=dialled), "")
    assert isinstance(step, Ring)
    assert [target.whom for target in step.targets] == [TrunkTarget("near", dialled), TrunkTarget("far", dialled)]
    assert step.targets[0].start_after_ms < step.targets[1].start_after_ms
    assert step.caller_number == "+41215550100"


@pytest.mark.parametrize(
    ("country", "numbers"),
    [
        ("CH", "112 117 118 143 144 147 1414"),
        ("FR", "112 15 17 18 114 115 119 196"),
        ("DE", "112 110"),
        ("AT", "112 122 133 144"),
        ("BE", "112 100 101 110"),
        ("NL", "112 113"),
        ("IT", "112 113 115 118"),
        ("LU", "112 113"),
        ("GB", "112 999"),
        ("US", "112 911"),
        ("AU", "112 000"),
    ],
)
@pytest.mark.feature("D-16")
def test_every_emergency_number_of_the_country_is_reached(country: str, numbers: str) -> None:
    for number in numbers.split():
        step = fallback(config(country), replace(FACTS, dialled=number), "")
        assert isinstance(step, Ring), number
        assert step.targets[0].whom == TrunkTarget("near", number)


@pytest.mark.feature("D-16")
def test_help_is_reached_from_a_site_abroad_as_it_is_dialled_there_and_at_home() -> None:
    for number in ("110", "117"):
        step = fallback(config(), replace(FACTS, caller_user_id="dora", dialled=number), "")
        assert isinstance(step, Ring)
        assert step.targets[0].whom == TrunkTarget("near", number)
    assert fallback(config(), replace(FACTS, dialled="110"), "") is None


@pytest.mark.parametrize("dialled", ["200", "999", "+41791234567", ""])
def test_everything_else_waits_for_routing(dialled: str) -> None:
    assert fallback(config(), replace(FACTS, dialled=dialled), "") is None


def test_calls_from_trunks_wait_for_routing() -> None:
    assert fallback(config(), replace(FACTS, direction="inbound"), "") is None


def test_an_unknown_tenant_has_no_fallback() -> None:
    assert fallback(None, FACTS, "") is None


def test_a_suspended_tenant_reaches_help_and_nobody_else() -> None:
    suspended = config(suspended=True)
    assert fallback(suspended, FACTS, "") is None
    assert isinstance(fallback(suspended, replace(FACTS, dialled="112"), ""), Ring)
