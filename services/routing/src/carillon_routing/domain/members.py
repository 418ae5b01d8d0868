"""How a member of a group is reached: by the own phones, unless somebody is not to be disturbed, or another rings in the member's place.

Always: what a member wants of quiet is kept unless the group says otherwise; who is passed over is said, with the reason.
"""

from dataclasses import dataclass

from carillon_contracts.config import Destination, HuntGroup, RingGroup, User
from carillon_routing.domain.asks import BusyUsers
from carillon_routing.domain.disturbing import has_call_waiting, left_alone, screened
from carillon_routing.domain.reach import Reach, reach_number
from carillon_routing.domain.users import unconditional
from carillon_routing.domain.walk import MAX_FORWARDS, Walk, name_of

TALKS = "talks or is being rung"


@dataclass(frozen=True, slots=True)
class Slot:
    """Who rings from when to when, in seconds from the beginning of the step; `name`: the member, as the trace counts them."""

    name: str
    reach: Reach
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Why a member does not ring; `busy`: for reasons of the member's own."""

    reason: str
    busy: bool = False


def reached(walk: Walk, group: RingGroup | HuntGroup, user: User) -> Reach | PassedOver:
    """Who rings for the member; a caller who always gets through to somebody is not forwarded from there."""
    here = user
    for _ in range(MAX_FORWARDS):
        follows = group.follow_forwarding and screened(walk.config, walk.call, walk.now, here)[0] is not True
        forward = unconditional(walk, here) if follows else None
        reason, trace = left_alone(walk.config, walk.call, walk.now, here, through=group.through_do_not_disturb or forward is not None)
        walk.noted(trace)
        if reason:
            return PassedOver(f"user/{here.id} {reason}", busy=True)
        if forward is None:
            return Reach(user_id=here.id)
        found = _led(walk, here, forward)
        if not isinstance(found, User):
            return found
        here = found
    return PassedOver(f"the call was forwarded {MAX_FORWARDS} times already", busy=True)


def _led(walk: Walk, user: User, forward: Destination) -> User | Reach | PassedOver:
    """Where the user's forwarding leads, as far as somebody rings there."""
    extension = walk.config.extensions.get(forward.extension_id or "")
    leads = extension.destination if extension is not None else forward
    if leads.external_number is not None:
        reach, reason = reach_number(walk, user, leads.external_number)
        if reach is None:
            return PassedOver(reason)
        return walk.config.users[reach.user_id] if reach.user_id else reach
    found = walk.config.users.get(leads.user_id or "")
    return found or PassedOver(f"{name_of(leads)} does not ring in a group", busy=True)


def talking(walk: Walk, group: RingGroup) -> frozenset[str]:
    """Members who talk on phones that do not ring then; where it cannot be known, the phone says so itself."""
    users = (walk.config.users.get(member.user_id or "") for member in group.members)
    asked = tuple(sorted({user.id for user in users if user is not None and not has_call_waiting(walk.config, user)}))
    answer = walk.ask(BusyUsers(asked, walk.hops)) if asked else None
    return frozenset(map(str, answer)) if isinstance(answer, list) else frozenset()
