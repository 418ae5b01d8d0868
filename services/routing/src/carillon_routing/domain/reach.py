"""How somebody is reached that a ring step calls beside others: by a user's devices, or by the best trunk for a number."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from carillon_contracts.config import User
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.authorise import Allowed, Refused, authorise
from carillon_routing.domain.facts import CallFacts, RingTarget, TraceLine, TrunkTarget, UserTarget
from carillon_routing.domain.identity import Shown, shown_inside, shown_outside
from carillon_routing.domain.trunks import in_order

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


def reach_number(config: TenantConfig, user: User | None, number: str, call: CallFacts) -> tuple[Reach | None, str, tuple[TraceLine, ...]]:
    """Of a number of the tenant that leads to a user, that user's devices; or why `user` cannot have it called; and the trace."""
    own = config.numbers.get(number)
    user_id = own.destination.user_id if own is not None and own.destination is not None else None
    if user_id is not None and user_id in config.users:
        return Reach(user_id=user_id), "", ()
    decision, trace = authorise(config, user, number, call)
    if isinstance(decision, Refused) and decision.loop:
        return None, decision.reason, trace
    if not isinstance(decision, Allowed):
        assert user is not None
        return None, f"user/{user.id} may not call {number}: {decision.reason}", trace
    if not decision.trunks:
        return None, f"no trunk takes {number}", trace
    first, *further = (trunk.id for trunk, _ in decision.trunks[:MAX_TRUNKS])
    return (
        Reach(trunk_id=first, number=number, further=tuple(further)),
        "",
        (*trace, *in_order(config, decision.trunks[:MAX_TRUNKS], number)),
    )


def shown_to(config: TenantConfig, call: CallFacts, targets: Iterable[RingTarget]) -> tuple[tuple[RingTarget, ...], Shown]:
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
