"""How somebody is reached that a ring step calls beside others: by a user's devices, or by the best trunk for a number."""

from dataclasses import dataclass

from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain import trunks
from carillon_routing.domain.facts import RingTarget, TrunkTarget, UserTarget


@dataclass(frozen=True, slots=True)
class Reach:
    """Either of them."""

    user_id: str | None = None
    trunk_id: str = ""
    number: str = ""

    def __str__(self) -> str:
        return f"user/{self.user_id}" if self.user_id else f"{self.number} by trunk/{self.trunk_id}"


def reach_number(config: TenantConfig, number: str) -> tuple[Reach | None, str]:
    """Of a number of the tenant that leads to a user, that user's devices; or why it cannot be reached."""
    own = config.numbers.get(number)
    user_id = own.destination.user_id if own is not None and own.destination is not None else None
    if user_id is not None and user_id in config.users:
        return Reach(user_id=user_id), ""
    found = trunks.candidates(config, number)
    if not found:
        return None, f"no trunk takes {number}"
    return Reach(trunk_id=found[0][0].id, number=number), ""


def target_of(name: str, reach: Reach, start_ms: int, stop_ms: int) -> RingTarget:
    """A target of a ring step; `name` makes it unique there."""
    if reach.user_id:
        return UserTarget(f"{name}:user:{reach.user_id}", reach.user_id, start_ms, stop_ms)
    return TrunkTarget(f"{name}:trunk:{reach.trunk_id}", reach.trunk_id, reach.number, start_ms, stop_ms)
