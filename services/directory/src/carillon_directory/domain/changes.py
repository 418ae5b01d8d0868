"""Resources before and after become the changes that are stored: the whole fact, with the etag that its version gives it."""

from collections.abc import Sequence, Set

from carillon_contracts.config import ConfigChanged, Resource
from carillon_contracts.config.changes import RESET_LINE
from carillon_directory.domain.commands import Asked, ResetLine
from carillon_directory.domain.documents import dump
from carillon_directory.domain.index import Pair


def versioned(seq: int, pairs: Sequence[Pair], always: Set[tuple[str, str]] = frozenset()) -> list[Pair]:
    """The pairs that differ, or are among `always` (kind, id), each `after` with the etag of its version; the first makes `seq + 1`."""
    found: list[Pair] = []
    for before, after in pairs:
        if before != after or (after is not None and (after.KIND, after.id) in always):
            found.append((before, None if after is None else after.model_copy(update={"etag": str(seq + len(found) + 1)})))
    return found


def change(asked: Asked, before: Resource | None, after: Resource | None) -> ConfigChanged:
    """The change that a pair makes."""
    subject = after or before
    assert subject is not None
    return ConfigChanged(
        resource=subject.KIND,
        resource_id=subject.id,
        action="created" if before is None else "deleted" if after is None else "updated",
        before=None if before is None else dump(before),
        after=None if after is None else dump(after),
        actor=asked.actor,
        reason=asked.reason,
        verb=RESET_LINE if isinstance(asked, ResetLine) else "",
    )
