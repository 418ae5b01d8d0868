"""A ring group as a timetable: who starts to ring when, and who stops when. One way for all three strategies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from carillon_contracts.config import RingGroup, RingMember
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import trunks
from carillon_routing.domain.facts import RingTarget, TraceLine, TrunkTarget, UserTarget

#: Seconds of a member that does not say: an outside phone needs 4 to 5 before it rings at all.
USER_SECONDS = 5
EXTERNAL_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Reach:
    """How a member is reached: by a user's devices, or by a trunk."""

    user_id: str = ""
    trunk_id: str = ""
    number: str = ""


def timetable(config: TenantConfig, group: RingGroup, caller_user_id: str) -> tuple[tuple[RingTarget, ...], tuple[TraceLine, ...]]:
    """Targets in milliseconds from the step's beginning, and why each member is in it or not. The group's time-out cuts all."""
    trace: list[TraceLine] = []
    reached: list[tuple[int, RingMember, Reach]] = []
    for position, member in enumerate(group.members, 1):
        reach, reason = _reach(config, group, member, caller_user_id, [other for _, _, other in reached])
        if reach is None:
            trace.append(TraceLine(f"ring_group/{group.id} member {position}", False, reason))
        else:
            reached.append((position, member, reach))
    targets: list[RingTarget] = []
    for position, reach, start, stop in _times(group, reached):
        subject = f"ring_group/{group.id} member {position}"
        who = f"user/{reach.user_id}" if reach.user_id else f"{reach.number} by trunk/{reach.trunk_id}"
        if start >= stop:
            trace.append(TraceLine(subject, False, f"{who} would ring from {start} s, after the group's {group.timeout_seconds} s"))
            continue
        trace.append(TraceLine(subject, True, f"{group.strategy}: {who} rings from {start} s to {stop} s", who))
        targets.append(_target(position, reach, start * 1000, stop * 1000))
    return tuple(targets), tuple(trace)


def _times(group: RingGroup, members: Sequence[tuple[int, RingMember, Reach]]) -> Iterator[tuple[int, Reach, int, int]]:
    """Position, reach, start and stop in seconds."""
    start = 0
    for position, member, reach in members:
        seconds = member.ring_seconds or (USER_SECONDS if reach.user_id else EXTERNAL_SECONDS)
        match group.strategy:
            case "parallel":
                yield position, reach, 0, group.timeout_seconds
            case "sequential":
                yield position, reach, start, min(start + seconds, group.timeout_seconds)
            case "progressive":
                yield position, reach, start, group.timeout_seconds
        start += seconds


def _reach(
    config: TenantConfig, group: RingGroup, member: RingMember, caller_user_id: str, before: Sequence[Reach]
) -> tuple[Reach | None, str]:
    """How the member is reached, or why not."""
    if member.external_number is not None:
        reach, reason = _outside(config, member.external_number)
    elif member.user_id in config.users:
        reach, reason = Reach(user_id=member.user_id or ""), ""
    else:
        reach, reason = None, f"user/{member.user_id} does not exist"
    if reach is None:
        return None, reason
    if reach.user_id and reach.user_id == caller_user_id and len(group.members) > 1:
        return None, f"user/{reach.user_id} is the caller"
    if group.strategy != "sequential" and reach in before:
        return None, f"{reach.user_id or reach.number} rings already"
    return reach, ""


def _outside(config: TenantConfig, number: str) -> tuple[Reach | None, str]:
    own = config.numbers.get(number)
    user_id = own.destination.user_id if own is not None and own.destination is not None else None
    if user_id is not None and user_id in config.users:
        return Reach(user_id=user_id), ""
    found = trunks.candidates(config, number)
    if not found:
        return None, f"no trunk takes {number}"
    return Reach(trunk_id=found[0][0].id, number=number), ""


def _target(position: int, reach: Reach, start_ms: int, stop_ms: int) -> RingTarget:
    if reach.user_id:
        return UserTarget(f"{position}:user:{reach.user_id}", reach.user_id, start_ms, stop_ms)
    return TrunkTarget(f"{position}:trunk:{reach.trunk_id}", reach.trunk_id, reach.number, start_ms, stop_ms)
