"""How somebody is reached that a ring step calls beside others: by a user's devices, or by the best trunk for a number."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from carillon_contracts.config import User
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.authorise import Allowed, Refused, authorise
from carillon_routing.domain.cursor import Wait
from carillon_routing.domain.facts import CallFacts, RingTarget, TrunkTarget, UserTarget
from carillon_routing.domain.identity import Shown, shown_inside, shown_outside
from carillon_routing.domain.trunks import in_order
from carillon_routing.domain.walk import Stop, Walk

#: Trunks that are tried for one number.
MAX_TRUNKS = 10


@dataclass(frozen=True, slots=True)
class Reach:
    """Either of them."""

    user_id: str | None = None
    trunk_id: str = ""
    number: str = ""
    #: Trunks that may take it too.
    further: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"user/{self.user_id}" if self.user_id else f"{self.number} by trunk/{self.trunk_id}"


def reach_number(walk: Walk, user: User | None, number: str) -> tuple[Reach | None, str]:
    """Of a number of the tenant that leads to a user, that user's devices; or why `user` cannot have it called."""
    config = walk.config
    own = config.numbers.get(number)
    user_id = own.destination.user_id if own is not None and own.destination is not None else None
    if user_id is not None and user_id in config.users:
        return Reach(user_id=user_id), ""
    decision, trace = authorise(config, user, number, walk.call)
    walk.noted(trace)
    if isinstance(decision, Refused) and decision.loop:
        return None, decision.reason
    if not isinstance(decision, Allowed):
        assert user is not None
        return None, f"user/{user.id} may not call {number}: {decision.reason}"
    if not decision.trunks:
        return None, f"no trunk takes {number}"
    tried = decision.trunks[:MAX_TRUNKS]
    walk.noted(in_order(config, tried, number))
    first, *further = (trunk.id for trunk, _ in tried)
    return Reach(trunk_id=first, number=number, further=tuple(further)), ""


def ring_all(walk: Walk, targets: Iterable[RingTarget], wait: Wait) -> Stop:
    """The step in which they ring."""
    rung, (number, name) = _shown_to(walk.config, walk.call, targets)
    return Stop(walk.ring(rung, number, name), wait)


def _shown_to(config: TenantConfig, call: CallFacts, targets: Iterable[RingTarget]) -> tuple[tuple[RingTarget, ...], Shown]:
    """The targets, and who is shown to them: outside the number for outside, also beside phones inside, which see what is for them."""
    found = tuple(targets)
    if not any(isinstance(target, TrunkTarget) for target in found):
        return found, shown_inside(config, call)
    outside = shown_outside(config, call)
    if not any(isinstance(target, UserTarget) for target in found):
        return found, outside
    apart = tuple(replace(target, caller=outside) if isinstance(target, TrunkTarget) else target for target in found)
    return apart, shown_inside(config, call)


def target_of(name: str, reach: Reach, start_ms: int, stop_ms: int) -> RingTarget:
    """A target of a ring step; `name` makes it unique there."""
    if reach.user_id:
        return UserTarget(f"{name}:user:{reach.user_id}", reach.user_id, start_ms, stop_ms)
    return TrunkTarget(f"{name}:trunk:{reach.trunk_id}", reach.trunk_id, reach.number, start_ms, stop_ms, reach.further)
