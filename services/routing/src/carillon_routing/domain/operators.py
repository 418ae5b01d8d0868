"""The operator: of the caller's department, of the nearest above it that has one, of the caller's site, else of the tenant."""

from collections.abc import Iterator

from carillon_contracts.config import Department, Site, Tenant
from carillon_contracts.inherited import site_of
from carillon_routing.domain.departments import departments_of
from carillon_routing.domain.feature_settings import say
from carillon_routing.domain.walk import UNKNOWN_NUMBER, Move, ToDestination, ToSender, Walk, name_of


def called(walk: Walk) -> Move:
    """The operator was dialled; who has none is told so."""
    return _found(walk, walk.call.caller_user_id) or say(walk, "no_such_extension")


def enter(walk: Walk, for_user_id: str = "") -> Move:
    """A plan, or whatever else leads to it."""
    return _found(walk, for_user_id) or ToSender("unreachable", UNKNOWN_NUMBER)


def _found(walk: Walk, for_user_id: str) -> ToDestination | None:
    for holder in _holders(walk):
        if holder.operator is not None:
            walk.note("operator", True, f"is that of {holder.KIND}/{holder.id}", name_of(holder.operator))
            return ToDestination(holder.operator, for_user_id=for_user_id)
    walk.note("operator", False, "neither department, site nor tenant has one")
    return None


def _holders(walk: Walk) -> Iterator[Department | Site | Tenant]:
    user = walk.config.users.get(walk.call.caller_user_id)
    if user is not None:
        yield from departments_of(walk.config, user)
        site = site_of(walk.config, user)
        if site is not None:
            yield site
    yield walk.config.tenant
