"""Pages of what happened, newest first. Always: a page costs no more than so many changes read, however few of them are found.

What happened to one resource is found by an index; of a kind, or of what somebody with narrow rights sees, the log is looked through
some at a time, and a page may hold few changes, or none, with older ones to follow (AIP-158).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from carillon_contracts.config import ConfigChanged
from carillon_directory.ports import Recorded, TenantLog

#: Changes read in one step, and in all of them for one page.
STEP = 500
MOST = 10 * STEP


@dataclass(frozen=True, slots=True)
class Asked:
    """Of one resource, of a kind, or (both empty) of all; of those `seen`, if it is given."""

    resource: str = ""
    resource_id: str = ""
    seen: Callable[[ConfigChanged], bool] | None = None

    @property
    def of_one(self) -> bool:
        """Whether the index finds them."""
        return bool(self.resource and self.resource_id)

    @property
    def of_all(self) -> bool:
        """Whether each that is read is one of them."""
        return self.seen is None and (self.of_one or not (self.resource or self.resource_id))

    def matches(self, change: ConfigChanged) -> bool:
        """But for `seen`."""
        return self.resource in ("", change.resource) and self.resource_id in ("", change.resource_id)


@dataclass(frozen=True, slots=True)
class Page:
    """Changes, and the version below which others may follow; 0: none do."""

    changes: list[Recorded]
    before: int


async def page(log: TenantLog, tenant_id: str, before: int, limit: int, asked: Asked) -> Page:
    """At most `limit` changes below version `before`."""
    found: list[Recorded] = []
    looked_at, top = 0, before - 1
    while top > 0 and len(found) <= limit and looked_at < MOST:
        count = min(limit + 1 - len(found), STEP) if asked.of_all else STEP
        if asked.of_one:
            read = await log.past_of(tenant_id, asked.resource, asked.resource_id, top + 1, count)
            top = read[-1].version - 1 if len(read) == count else 0
        else:
            read = (await log.load(tenant_id, max(0, top - count), top))[::-1]
            top = max(0, top - count)
        looked_at += count
        found += read if asked.of_all else await asyncio.to_thread(_those, read, asked)
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].version)
    return Page(found, top + 1 if top else 0)


def _those(changes: list[Recorded], asked: Asked) -> list[Recorded]:
    """Whoever sees little has much of the log looked at, beside the loop."""
    seen = asked.seen
    return [each for each in changes if asked.matches(each.change) and (seen is None or seen(each.change))]
