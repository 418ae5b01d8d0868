"""The search indexes of tenants, brought up to date by their logs when somebody asks.

Always: what was stored before a question is found by it; at most so many tenants' indexes are kept, the least recently used go first.
"""

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.conclude import holders_of
from carillon_directory.domain.documents import dump
from carillon_directory.domain.outcomes import Holder
from carillon_directory.domain.search import SearchIndex
from carillon_directory.handlers import Directory
from carillon_directory.ports import TenantLog

#: Behind by more changes than this, an index is made anew.
_CATCH_UP = 5000


class Searches:
    """One index a tenant."""

    def __init__(self, directory: Directory, log: TenantLog, capacity: int = 200) -> None:
        self._directory = directory
        self._log = log
        self._capacity = capacity
        self._known: OrderedDict[str, SearchIndex] = OrderedDict()
        self._making: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def index(self, tenant_id: str) -> tuple[SearchIndex, TenantConfig] | None:
        """The tenant's index as of now, with the configuration; None: there is no such tenant."""
        config = await self._directory.read(tenant_id)
        if not isinstance(config, TenantConfig):
            return None
        lock = self._making.setdefault(tenant_id, asyncio.Lock())
        async with lock:
            known = self._known.get(tenant_id)
            if known is None or config.seq - known.seq > _CATCH_UP:
                known = await asyncio.to_thread(_made, config)
            elif known.seq < config.seq:
                for each in await self._log.load(tenant_id, known.seq, config.seq):
                    known.apply(each.version, each.change)
            self._known[tenant_id] = known
            self._known.move_to_end(tenant_id)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return known, config

    async def uses(self, config: TenantConfig, kind: str, resource_id: str) -> tuple[Holder, ...]:
        """Where a resource is used."""
        return holders_of(config, await self._directory.index(config), (kind, resource_id))


def _made(config: TenantConfig) -> SearchIndex:
    index = SearchIndex()
    index.begin(config.seq, {kind: {name: dump(each) for name, each in of_kind.items()} for kind, of_kind in config.resources.items()})
    return index
