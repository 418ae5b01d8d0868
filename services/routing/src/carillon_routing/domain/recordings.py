"""Whether a talk is recorded: the first policy that is named by the ring group or queue, the plan, a user who is rung, who calls,
or the tenant. After a transfer the policy of the talk before comes after those of who are rung, then that of who stays, not of who has sent
the call.

Always: a call to an emergency number is as any other; what decided is in the trace.
"""

from collections.abc import Iterator
from dataclasses import replace

from carillon_contracts.config import RecordingPolicy
from carillon_routing.domain.cursor import GroupWait, QueueWait, Wait
from carillon_routing.domain.facts import Recording, Ring, UserTarget
from carillon_routing.domain.walk import Walk

TENANT = "tenant recording"


def recorded(walk: Walk, ring: Ring, wait: Wait | None) -> Ring:
    """The ring step with what its policy says; unchanged when nobody names one."""
    if not walk.config.recording_policies:
        return ring
    for subject, policy_id in _named(walk, ring, wait):
        policy = walk.config.recording_policies.get(policy_id)
        if policy is None:
            continue
        walk.note(subject, policy.mode != "never", f"recording policy {policy_id}: {policy.mode}")
        return replace(ring, recording=replace(_plan(walk, policy), from_tenant=subject == TENANT))
    return ring


def _named(walk: Walk, ring: Ring, wait: Wait | None) -> Iterator[tuple[str, str]]:
    config = walk.config
    if isinstance(wait, GroupWait) and not wait.hunt and (group := config.ring_groups.get(wait.group_id)) is not None:
        yield f"ring_group/{group.id} recording", group.recording_policy_id
    if isinstance(wait, QueueWait) and (queue := config.queues.get(wait.queue_id)) is not None:
        yield f"queue/{queue.id} recording", queue.recording_policy_id
    if walk.sender is not None and (plan := walk.plan(walk.sender[0])) is not None:
        yield f"plan/{plan.id} recording", plan.recording_policy_id
    rung = [target.user_id for target in ring.targets if isinstance(target, UserTarget)]
    yield from _of_users(walk, *rung)
    stays, policy_id = (walk.call.caller_user_id, "") if walk.before is None else walk.before
    yield "recording of the talk before", policy_id
    yield from _of_users(walk, stays)
    yield TENANT, config.tenant.recording_policy_id


def _of_users(walk: Walk, *user_ids: str) -> Iterator[tuple[str, str]]:
    for user_id in user_ids:
        if (user := walk.config.users.get(user_id)) is not None:
            yield f"user/{user_id} recording", user.recording_policy_id


def _plan(walk: Walk, policy: RecordingPolicy) -> Recording:
    return Recording(
        policy_id=policy.id,
        on_demand=policy.mode == "on_demand",
        announcement=walk.speak(policy.announcement) if policy.announcement and policy.mode != "never" else (),
        tone=policy.tone,
        stereo=policy.stereo,
        sides=policy.sides,
        retention_days=policy.retention_days,
        key=policy.key,
        never=policy.mode == "never",
    )
