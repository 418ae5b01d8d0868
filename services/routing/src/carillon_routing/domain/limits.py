"""Limits of the tenant and its departments (calls at once, in and out, new calls a minute) and of trunks (in and out), exact over replicas.

Always: calls for help pass every limit; a counter that cannot be read lets the call through, and the trace says so. A call counts for a
department once, whether a user of it calls or is called; for a trunk once too, from when it is chosen until the call ends, however many
numbers it rings by it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal

from carillon_contracts.config import CallLimits, Department, Tenant, Trunk, User
from carillon_contracts.emergency_numbers import countries_of, is_emergency
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.asks import TakePlace
from carillon_routing.domain.cursor import ExternalWait, UserWait, Wait
from carillon_routing.domain.departments import departments_of
from carillon_routing.domain.facts import HangUp, Ring, TrunkTarget
from carillon_routing.domain.walk import Move, Stop, ToOutside, ToSender, Walk

_NONE = CallLimits()
MINUTE = 60
OVER = HangUp(34, 480, "too many calls at once")


def entering(walk: Walk) -> bool:
    """Whether a call that begins is within the limits of the tenant, of the caller's departments and of the trunk that it came by."""
    inbound = walk.call.direction == "inbound"
    trunk = walk.config.trunks.get(walk.call.trunk_id) if inbound else None
    if trunk is not None and not _room(walk, trunk, "in", trunk.max_calls_in):
        return False
    caller = walk.config.users.get(walk.call.caller_user_id) if not inbound else None
    return all(_one_more(walk, each, inbound=inbound) for each in _limited(walk.config, caller))


def arriving(walk: Walk, user: User) -> bool:
    """Whether the departments of a user who would be rung take one more call."""
    inbound = walk.call.direction == "inbound"
    return all(_one_more(walk, each, inbound=inbound) for each in _limited(walk.config, user) if isinstance(each, Department))


def outgoing(walk: Walk, stop: Stop) -> Move:
    """The step without what leads out of the house, where one more call out is too many; by other trunks, where it is too many for one;
    itself where it is not."""
    step = stop.step
    if not isinstance(step, Ring):
        return stop
    whose = _whose(stop.wait)
    countries = countries_of(walk.config, (whose, walk.call.caller_user_id))
    out = [each for each in step.targets if isinstance(each, TrunkTarget) and not is_emergency(each.number, countries)]
    if not all(_room(walk, each, "out", each.limits.max_calls_out) for each in _limited(walk.config, walk.config.users.get(whose)) if out):
        kept = tuple(each for each in step.targets if each not in out)
        return Stop(replace(step, targets=kept), stop.wait) if kept else ToSender("congested", OVER)
    by = {each.target_id: _by_trunk_with_room(walk, each) for each in out}
    if all(by[each.target_id] == each for each in out):
        return stop
    if isinstance(stop.wait, ExternalWait):
        return ToOutside(stop.wait.number, stop.wait.ring_ms, stop.wait.tried, stop.wait.for_user_id, busy=True)
    kept = tuple(found for each in step.targets if (found := by.get(each.target_id, each)) is not None)
    return Stop(replace(step, targets=kept), stop.wait) if kept else ToSender("congested", OVER)


def _by_trunk_with_room(walk: Walk, target: TrunkTarget) -> TrunkTarget | None:
    """By the first of its trunks that takes one more call, and after it by those that have no limit: nobody asks when they are tried."""
    for place, trunk_id in enumerate(chain := (target.trunk_id, *target.further)):
        trunk = walk.config.trunks.get(trunk_id)
        if trunk is None or _room(walk, trunk, "out", trunk.max_calls_out):
            free = tuple(each for each in chain[place + 1 :] if not getattr(walk.config.trunks.get(each), "max_calls_out", 0))
            return replace(target, trunk_id=trunk_id, further=free)
    return None


def full(walk: Walk, trunk: Trunk) -> bool:
    """Whether this decision found that the trunk has as many calls out as it may."""
    place = out_by(trunk)
    said = [read.value for read in walk.read if place is not None and read.key == place.key]
    return any(isinstance(answer, dict) and answer.get("taken") is False for answer in said)


#: Calls, and starts in the last minute, by counter.
Standing = Mapping[str, tuple[int, int]]


def made_for(config: TenantConfig, user: User, *, outside: bool) -> tuple[TakePlace, ...]:
    """The places that a call takes which is made for the user, but for its trunk's; `outside`: it leads out of the house."""
    found = [_whole(each) for each in _limited(config, user)]
    found += [_way(each, "out", each.limits.max_calls_out) for each in _limited(config, user) if outside]
    return tuple(place for place in found if place is not None)


def out_by(trunk: Trunk) -> TakePlace | None:
    """The place of a call out by this trunk; None: any number may go by it."""
    return _way(trunk, "out", trunk.max_calls_out)


def has_room(place: TakePlace | None, standing: Standing) -> bool:
    """Whether the place could be had now."""
    calls, starts = standing.get(place.counter, (0, 0)) if place is not None else (0, 0)
    return place is None or ((not place.max_calls or calls < place.max_calls) and (not place.max_starts or starts < place.max_starts))


def _limited(config: TenantConfig, user: User | None) -> Iterator[Tenant | Department]:
    if config.tenant.limits != _NONE:
        yield config.tenant
    for department in departments_of(config, user) if user is not None else ():
        if department.limits != _NONE:
            yield department


def _one_more(walk: Walk, of: Tenant | Department, *, inbound: bool) -> bool:
    place = _whole(of)
    if place is not None and not _taken(walk, f"{of.KIND}/{of.id} limits", place):
        return False
    return not inbound or _room(walk, of, "in", of.limits.max_calls_in)


def _room(walk: Walk, of: Tenant | Department | Trunk, way: Literal["in", "out"], most: int) -> bool:
    """Whether one more call may go this way; `most` 0: any number may."""
    place = _way(of, way, most)
    return place is None or _taken(walk, f"{of.KIND}/{of.id} limits {way}", place)


def _whole(of: Tenant | Department) -> TakePlace | None:
    limits = of.limits
    if not (limits.max_calls or limits.max_calls_per_minute):
        return None
    return TakePlace(f"limit {of.KIND}/{of.id}", limits.max_calls, limits.max_calls_per_minute, MINUTE)


def _way(of: Tenant | Department | Trunk, way: Literal["in", "out"], most: int) -> TakePlace | None:
    return TakePlace(f"limit {of.KIND}/{of.id} {way}", most) if most else None


def _taken(walk: Walk, subject: str, place: TakePlace) -> bool:
    answer = walk.ask(place)
    if not isinstance(answer, dict):
        walk.note(subject, True, "the limit could not be read in time; the call is let through")
        return True
    taken = answer.get("taken") is True
    found = [f"{answer.get('calls')} calls of at most {place.max_calls}"] if place.max_calls else []
    found += [f"{answer.get('starts')} in the last minute of at most {place.max_starts}"] if place.max_starts else []
    walk.note(subject, taken, f"{' and '.join(found)} without this one")
    return taken


def _whose(wait: Wait | None) -> str:
    match wait:
        case ExternalWait(for_user_id=user_id) | UserWait(user_id=user_id):
            return user_id
        case _:
            return ""
