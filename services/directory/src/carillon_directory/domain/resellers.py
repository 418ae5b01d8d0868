"""The tree of resellers: who is below whom, and what is wrong with one among the others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from carillon_contracts.config import Reseller


def below(resellers: Mapping[str, Reseller], reseller_id: str) -> frozenset[str]:
    """The reseller and all that are below it; nothing if there is none of the name."""
    found = {reseller_id} & resellers.keys()
    while more := {each.id for each in resellers.values() if each.parent_reseller_id in found} - found:
        found |= more
    return frozenset(found)


def above(resellers: Mapping[str, Reseller], reseller_id: str) -> Iterator[Reseller]:
    """The reseller, then the one above it, and so on; a circle ends it."""
    seen: set[str] = set()
    while reseller_id in resellers and reseller_id not in seen:
        seen.add(reseller_id)
        yield resellers[reseller_id]
        reseller_id = resellers[reseller_id].parent_reseller_id


def wrong(resellers: Mapping[str, Reseller], reseller: Reseller) -> dict[str, str]:
    """Field -> reason, for `reseller` in its place among the others."""
    parent = reseller.parent_reseller_id
    if not parent:
        return {}
    if parent not in resellers and parent != reseller.id:
        return {"reseller.parent_reseller_id": f"no reseller {parent!r}"}
    if any(each.id == reseller.id for each in above({**resellers, reseller.id: reseller}, parent)):
        return {"reseller.parent_reseller_id": f"{parent!r} is the reseller itself or below it"}
    return {}


def full(resellers: Mapping[str, Reseller], reseller_id: str, sold_by: Sequence[str], more: int = 1) -> str:
    """Why so many more tenants of the reseller are too many; `sold_by`: the reseller of each tenant that there is. Empty: they are not."""
    for each in above(resellers, reseller_id):
        if each.max_tenants is not None:
            whose = below(resellers, each.id)
            has = sum(seller in whose for seller in sold_by)
            if has + more > each.max_tenants:
                return f"reseller {each.id!r} may have {each.max_tenants} tenants and {'has' if more else 'would have'} {has}"
    return ""


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of a reseller, as it is kept; what nobody may see of it is not there."""

    seq: int
    at: datetime
    actor: str
    reason: str
    reseller_id: str
    before: Reseller | None
    after: Reseller | None

    @property
    def fact(self) -> str:
        """`created`, `updated` or `deleted`."""
        return "created" if self.before is None and self.after else "deleted" if self.before and self.after is None else "updated"


def folded(changes: Iterable[Changed]) -> dict[str, Reseller]:
    """The tree after the changes."""
    known: dict[str, Reseller] = {}
    for each in changes:
        _evolve(known, each)
    return dict(sorted(known.items()))


def visible(changes: Iterable[Changed], reseller_id: str) -> Iterator[Changed]:
    """Of the changes from the first on those that somebody could see then, and of each what was theirs to see."""
    known: dict[str, Reseller] = {}
    for each in changes:
        was = _is_below(known, each.reseller_id, reseller_id)
        _evolve(known, each)
        now = _is_below(known, each.reseller_id, reseller_id)
        if was or now:
            yield replace(each, before=each.before if was else None, after=each.after if now else None)


def _evolve(known: dict[str, Reseller], changed: Changed) -> None:
    if changed.after is None:
        known.pop(changed.reseller_id, None)
    else:
        known[changed.reseller_id] = changed.after


def _is_below(known: Mapping[str, Reseller], reseller_id: str, whose: str) -> bool:
    return any(each.id == whose for each in above(known, reseller_id))
