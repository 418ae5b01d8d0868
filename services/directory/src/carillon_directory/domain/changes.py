"""Resources before and after become the changes that are stored: the whole fact, with the etag that its version gives it."""

from collections.abc import Sequence

from carillon_contracts.config import ConfigChanged, Resource
from carillon_directory.domain.commands import Asked
from carillon_directory.domain.documents import dump
from carillon_directory.domain.index import Pair


def changes(seq: int, asked: Asked, pairs: Sequence[Pair]) -> tuple[ConfigChanged, ...]:
    """One change for each pair that differs; the first makes version `seq + 1`."""
    found: list[ConfigChanged] = []
    for before, after in pairs:
        if before != after:
            found.append(_change(seq + len(found) + 1, asked, before, after))
    return tuple(found)


def _change(version: int, asked: Asked, before: Resource | None, after: Resource | None) -> ConfigChanged:
    subject = after or before
    assert subject is not None
    return ConfigChanged(
        resource=subject.KIND,
        resource_id=subject.id,
        action="created" if before is None else "deleted" if after is None else "updated",
        before=None if before is None else dump(before),
        after=None if after is None else dump(after) | {"etag": str(version)},
        actor=asked.actor,
        reason=asked.reason,
    )
