"""Which policy says whether a talk is recorded."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.config import RecordingPolicy
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.advance import decided
from carillon_routing.domain.cursor import QueueWait
from carillon_routing.domain.facts import CallFacts, Entered, Recording, Ring, UserTarget
from carillon_routing.domain.recordings import recorded
from carillon_routing.domain.walk import Walk
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("M-10")
POLICIES: list[dict[str, Any]] = [
    {"id": "all", "mode": "always", "stereo": True, "tone": True, "retention_days": 30, "announcement": [{"text": "Recorded"}]},
    {"id": "some", "mode": "on_demand", "key": "*2"},
    {"id": "none", "mode": "never"},
]


def company(user: str = "", tenant: str = "") -> TenantConfig:
    config = small_company(recording_policies=POLICIES, users=[{"id": "anna", "last_name": "Anna", "recording_policy_id": user}])
    resources: dict[str, Any] = {kind: dict(of_kind) for kind, of_kind in config.resources.items()}
    own = config.tenant
    resources["tenant"] = {own.id: own.model_copy(update={"recording_policy_id": tenant})}
    resources["recording_policy"] = {each["id"]: RecordingPolicy.model_validate(each) for each in POLICIES}
    return TenantConfig(config.tenant_id, config.seq, resources)


def recording(config: TenantConfig) -> tuple[Recording | None, list[str]]:
    call = CallFacts(config.tenant_id, "c1", "inbound", "+41215550101", "+41791110000", trunk_id="carrier")
    answer = decided(config, call, None, Entered(), datetime(2026, 1, 6, 10, tzinfo=UTC), lambda ask: None)
    assert isinstance(answer.step, Ring)
    return answer.step.recording, [line.subject for line in answer.trace if "recording" in line.subject]


def test_nobody_names_a_policy_nothing_is_recorded() -> None:
    assert recording(company()) == (None, [])


def test_the_user_s_policy_comes_before_the_tenant_s() -> None:
    found, trace = recording(company(user="some", tenant="all"))
    assert found is not None
    assert (found.policy_id, found.on_demand, found.key, trace) == ("some", True, "*2", ["user/anna recording"])
    assert recording(company(user="none", tenant="all")) == (None, ["user/anna recording"])


def test_a_queue_s_policy_comes_before_those_of_its_agents() -> None:
    call = CallFacts("acme", "c1", "inbound", "+41215550101", "+41791110000", trunk_id="carrier")
    queues = [{"id": "help", "recording_policy_id": "all"}, {"id": "shop"}]
    config = small_company(
        recording_policies=POLICIES, queues=queues, users=[{"id": "anna", "last_name": "A", "recording_policy_id": "some"}]
    )
    ring = Ring((UserTarget("agent:anna", "anna", 0, 15_000),))
    for queue, policy in (("help", "all"), ("shop", "some")):
        walk = Walk(config, call, datetime(2026, 1, 6, 10, tzinfo=UTC))
        found = recorded(walk, ring, QueueWait(queue)).recording
        assert found is not None
        assert (found.policy_id, len(walk.trace)) == (policy, 1)


def test_the_tenant_s_policy_is_for_all() -> None:
    found, trace = recording(company(tenant="all"))
    assert found is not None
    assert (found.on_demand, found.stereo, found.tone, found.retention_days) == (False, True, True, 30)
    assert [phrase.text for phrase in found.announcement] == ["Recorded"]
    assert trace == ["tenant recording"]
