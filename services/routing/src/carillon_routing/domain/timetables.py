"""A ring group as a timetable: who starts to ring when, and who stops when. One way for all three strategies."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice, repeat

from carillon_contracts.config import RingGroup, RingMember
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.facts import CallFacts, RingTarget, TraceLine
from carillon_routing.domain.reach import Reach, reach_number, target_of

#: Seconds of a member that does not say: an outside phone needs 4 to 5 before it rings at all.
USER_SECONDS = 5
EXTERNAL_SECONDS = 20


#: Targets of one step.
MAX_TARGETS = 100


def timetable(
    config: TenantConfig, group: RingGroup, call: CallFacts, order: Sequence[int] = ()
) -> tuple[tuple[RingTarget, ...], tuple[TraceLine, ...]]:
    """Targets in milliseconds from the step's beginning, and why each member is in it or not. The group's time-out cuts all.

    `order`: indexes of the members as they come; none: as they are listed.
    """
    trace: list[TraceLine] = []
    reached: list[tuple[int, RingMember, Reach]] = []
    for index in order or range(len(group.members)):
        position, member = index + 1, group.members[index]
        reach, reason, tried = _reach(config, group, member, call, [other for _, _, other in reached])
        trace += tried
        if reach is None:
            trace.append(TraceLine(f"ring_group/{group.id} member {position}", False, reason))
        else:
            reached.append((position, member, reach))
    targets: list[RingTarget] = []
    for position, reach, start, stop in _times(group, reached):
        subject, who = f"ring_group/{group.id} member {position}", str(reach)
        if start >= stop:
            trace.append(TraceLine(subject, False, f"{who} would ring from {start} s, after the group's {group.timeout_seconds} s"))
            continue
        trace.append(TraceLine(subject, True, f"{group.strategy}: {who} rings from {start} s to {stop} s", who))
        name = str(position) if not _named(targets, position) else f"{position}.{len(targets)}"
        targets.append(target_of(name, reach, start * 1000, stop * 1000))
    return tuple(targets), tuple(trace)


def _times(group: RingGroup, members: Sequence[tuple[int, RingMember, Reach]]) -> Iterator[tuple[int, Reach, int, int]]:
    """Position, reach, start and stop in seconds."""
    start = 0
    rounds = MAX_TARGETS if group.wrap and group.strategy == "sequential" else 1
    for position, member, reach in islice(chain.from_iterable(repeat(members, rounds)), MAX_TARGETS):
        if rounds > 1 and start >= group.timeout_seconds:
            return
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
    config: TenantConfig, group: RingGroup, member: RingMember, call: CallFacts, before: Sequence[Reach]
) -> tuple[Reach | None, str, tuple[TraceLine, ...]]:
    """How the member is reached, or why not; what was tried. A user who calls the group calls its outside members too."""
    trace: tuple[TraceLine, ...] = ()
    caller = config.users.get(call.caller_user_id) if call.direction == "from_user" else None
    if member.external_number is not None:
        reach, reason, trace = reach_number(config, caller, member.external_number, call)
    elif member.user_id in config.users:
        reach, reason = Reach(user_id=member.user_id), ""
    else:
        reach, reason = None, f"user/{member.user_id} does not exist"
    if reach is None:
        return None, reason, trace
    if reach.user_id and reach.user_id == call.caller_user_id and len(group.members) > 1:
        return None, f"user/{reach.user_id} is the caller", trace
    if group.strategy != "sequential" and reach in before:
        return None, f"{reach.user_id or reach.number} rings already", trace
    return reach, "", trace


def _named(targets: Sequence[RingTarget], position: int) -> bool:
    return any(target.target_id.startswith(f"{position}:") for target in targets)
