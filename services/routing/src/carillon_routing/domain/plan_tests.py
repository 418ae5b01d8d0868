"""Tests of plans: a call from X to Y at T must reach Z."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from carillon_contracts.config import PlanTest
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.assumed import Assumed
from carillon_routing.domain.facts import CallFacts, RingResult
from carillon_routing.domain.simulate import reached, simulate
from carillon_routing.domain.walk import name_of


@dataclass(frozen=True, slots=True)
class RanTest:
    """What became of a plan's test: whether the call reaches what it must, and where it came by."""

    test_id: str
    passed: bool
    reached: tuple[str, ...]


def run_tests(active: TenantConfig, config: TenantConfig, plan_id: str) -> Iterator[RanTest | None]:
    """The tests of a plan, and of other plans those that pass in `active` and do not in `config`; None between two, for a breath."""
    for test in config.plan_tests.values():
        passed, came_by = run_test(config, test)
        if test.plan_id == plan_id or (not passed and config is not active and run_test(active, test)[0]):
            yield RanTest(test.id, passed, came_by)
        else:
            yield None


def run_test(config: TenantConfig, test: PlanTest) -> tuple[bool, tuple[str, ...]]:
    """Whether the call reaches what it must, and where it came by."""
    at = datetime.fromisoformat(test.at).replace(tzinfo=ZoneInfo(config.tenant.time_zone))
    call = CallFacts(config.tenant_id, f"plan_test/{test.id}", "inbound", test.dialled, test.caller)
    results: dict[str, RingResult] = {
        **dict.fromkeys(test.busy_user_ids, "busy"),
        **dict.fromkeys(test.absent_user_ids, "no_answer"),
        **dict.fromkeys(test.unreachable_user_ids, "unreachable"),
    }
    came_by = reached(simulate(config, call, at, Assumed(results, test.keys)))
    return name_of(test.reaches) in came_by, came_by
