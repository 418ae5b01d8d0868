"""The end of every decision: resources before and after are checked among the others, and become changes, or everything that is wrong.

Whatever asked for the change, these hold afterwards: no reference dangles, no value that may stand once stands twice, nothing is above
what was bought, and whoever asked had all of it in reach.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date

from carillon_contracts.config import PlanTest, Resource
from carillon_contracts.erasure import PREFIX
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain import checks, documents, services
from carillon_directory.domain.bounds import Reach, forbidden, led_outside, out_of_reach
from carillon_directory.domain.changes import change, versioned
from carillon_directory.domain.claims import CLAIMED, Claim, claims_of, taken_violations
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.index import Index, values_of
from carillon_directory.domain.outcomes import Accepted, Decision, Exceeded, Forbidden, Held, Holder, Invalid, Violation, under
from carillon_directory.domain.references import paths_to
from carillon_directory.domain.subscriptions import excesses

Key = tuple[str, str]
_NOBODY: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class State:
    """A configuration with its index, and what the outside says: claims of others, and the day."""

    config: TenantConfig
    index: Index
    taken: Set[Claim] = frozenset()
    today: date | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """One resource that changes; `place` names it in errors (`users[3]`, `ring_group`)."""

    place: str
    before: Resource | None
    after: Resource | None
    #: It is a change even where nothing differs: others act on it.
    always: bool = False

    @property
    def key(self) -> Key:
        """(kind, id)"""
        resource = self.after or self.before
        assert resource is not None
        return resource.KIND, resource.id


def conclude(state: State, asked: Asked, pieces: Sequence[Piece], wrong: Sequence[Violation] = (), refused: Set[Key] = _NOBODY) -> Decision:
    """`wrong`: what is known to be wrong already; `refused`: (kind, id) that are part of it, so that referring to them is no error."""
    before = Reach.of(state.config, asked.bounds)
    if reason := out_of_reach(before, (piece.before for piece in pieces if piece.before is not None)):
        return Forbidden(reason)
    gone = [piece.key for piece in pieces if piece.after is None]
    pairs = versioned(state.config.seq, [(piece.before, piece.after) for piece in pieces], {piece.key for piece in pieces if piece.always})
    after = documents.put(state.config, [resource for _, resource in pairs if resource is not None], gone)
    reach = Reach.of(after, asked.bounds)
    index = state.index.changed(pairs)
    found = [*wrong]
    for piece in pieces:
        if piece.after is not None:
            found += (under(piece.place, each) for each in _violations(after, index, piece, refused, state.taken))
            outside = led_outside(reach, piece.before, piece.after)
            found += (under(piece.place, Violation(each.path, checks.dangling(each))) for each in outside)
    over = tuple(excesses(state.config, after, state.today))
    if found:
        return Invalid(tuple(found), over)
    if held := next((held for piece in pieces if piece.after is None and (held := _held(after, index, piece.key))), None):
        return held
    if over:
        return Exceeded(over)
    made = tuple(change(asked, *pair) for pair in pairs)
    if reason := forbidden(before, reach, asked.actor, made):
        return Forbidden(reason)
    return Accepted(made, after=replace(after, seq=state.config.seq + len(made)), index=index)


def with_passwords(decision: Decision, passwords: dict[str, str]) -> Decision:
    """The passwords made, if it was accepted."""
    return replace(decision, passwords=passwords) if isinstance(decision, Accepted) else decision


def _violations(after: TenantConfig, index: Index, piece: Piece, refused: Set[Key], taken: Set[Claim]) -> Iterator[Violation]:
    resource = piece.after
    assert resource is not None
    if resource.id.startswith(PREFIX):
        yield Violation("id", f"{PREFIX}... stands for somebody who was erased")
    yield from checks.violations(after, resource, refused, piece.before)
    yield from services.violations(after, index, resource, piece.before)
    if isinstance(resource, PlanTest):
        yield from checks.too_many_tests(after, index, resource, piece.before)
    for field, space, value in values_of(resource):
        for kind, resource_id in index.takers(space, value):
            if (kind, resource_id) != (resource.KIND, resource.id):
                yield Violation(field, f"{value} is taken by {kind} {resource_id!r}")
    # Not the whole dump, which is slow: a claim is one field.
    if taken and (name := CLAIMED.get(resource.KIND)):
        yield from taken_violations(claims_of(resource.KIND, {name: getattr(resource, name)}), taken)


def _held(after: TenantConfig, index: Index, key: Key) -> Held | None:
    """What still refers to a resource that would go."""
    holders = holders_of(after, index, key)
    return Held(*key, holders) if holders else None


def holders_of(config: TenantConfig, index: Index, key: Key) -> tuple[Holder, ...]:
    """Every field of another resource that refers to this one."""
    others = [config.resources.get(kind, {}).get(resource_id) for kind, resource_id in index.referring(*key) if (kind, resource_id) != key]
    return tuple(holder for other in others if other is not None for holder in paths_to(other, *key))
