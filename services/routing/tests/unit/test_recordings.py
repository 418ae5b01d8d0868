"""Which policy says whether a talk is recorded."""

from datetime import UTC, datetime
from typing import Any

import pytest

from carillon_contracts.config import RecordingPolicy
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain.advance import decided
from carillon_routing.domain.cursor import QueueWait
from carillon_routing.domain.facts import CallFacts, Entered, Recording, Ring, UserTarget
from carillon_routing.domain.recordings import recorded
from carillon_routing.domain.walk import Walk
from carillon_routing.testing import small_company

pytestmark = pytest.mark.feature("M-10")
POLICIES: list[dict[str, Any]] = [
    {
        "id": "all",
        "mode": "always",
        "stereo": True,
        "sides": "called",
        "tone": True,
        "retention_days": 30,
        "announcement": [{"text": "Recorded"}],
    },
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
    found, trace = recording(company(user="none", tenant="all"))
    assert found is not None
    assert (found.never, trace) == (True, ["user/anna recording"])


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


def test_a_ring_group_s_policy_is_not_for_a_hunt_group_of_the_same_name() -> None:
    members = [{"user_id": "anna"}]
    config = small_company(
        recording_policies=POLICIES,
        users=[{"id": "anna", "last_name": "A"}],
        ring_groups=[{"id": "help", "members": members, "recording_policy_id": "all"}],
        hunt_groups=[{"id": "help", "members": [{"user_id": "anna", "permanent": True}]}],
        numbers=[{"id": "+41215550101", "destination": {"hunt_group_id": "help"}}],
    )
    assert recording(config) == (None, [])


def test_the_tenant_s_policy_is_for_all() -> None:
    found, trace = recording(company(tenant="all"))
    assert found is not None
    assert (found.on_demand, found.stereo, found.sides, found.tone, found.retention_days, found.from_tenant) == (
        False,
        True,
        "called",
        True,
        30,
        True,
    )
    assert [phrase.text for phrase in found.announcement] == ["Recorded"]
    assert trace == ["tenant recording"]


def transferred(policies: dict[str, str], **before: str) -> tuple[str, list[str]]:
    """Carol has sent somebody to Anna; who names which policy: the policy found, and the trace."""
    people = [{"id": user, "last_name": user, "recording_policy_id": policies.get(user, "")} for user in ("anna", "bob", "carol")]
    extensions = [{"id": "101", "destination": {"user_id": "anna"}}]
    config = small_company(recording_policies=POLICIES, users=people, extensions=extensions)
    call = CallFacts(config.tenant_id, "c1", "from_user", "101", "103", caller_user_id="carol")
    at = datetime(2026, 1, 6, 10, tzinfo=UTC)
    answer = decided(config, call, None, Entered({"transferred_by": "carol", **before}), at, lambda ask: None)
    assert isinstance(answer.step, Ring)
    found = answer.step.recording
    assert cursors.decode(answer.cursor).before == (before.get("stays", ""), before.get("recorded_by", ""))
    return ("" if found is None else found.policy_id), [line.subject for line in answer.trace if "recording" in line.subject]


def test_after_a_transfer_the_policy_of_the_talk_before_goes_on_and_who_has_left_says_nothing() -> None:
    assert transferred({"carol": "all"}, stays="bob") == ("", [])
    assert transferred({"carol": "none"}, stays="bob", recorded_by="all") == ("all", ["recording of the talk before"])
    assert transferred({"bob": "none"}, stays="bob", recorded_by="all")[0] == "all"
    assert transferred({"bob": "some"}, stays="bob") == ("some", ["user/bob recording"])
    assert transferred({"anna": "none"}, stays="bob", recorded_by="all") == ("none", ["user/anna recording"])
