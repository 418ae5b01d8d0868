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
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._making: dict[str, asyncio.Task[SearchIndex]] = {}

    async def index(self, tenant_id: str) -> tuple[SearchIndex, TenantConfig] | None:
        """The tenant's index as of now, with the configuration; None: there is no such tenant."""
        config = await self._directory.read(tenant_id)
        if not isinstance(config, TenantConfig):
            return None
        lock = self._asking.setdefault(tenant_id, asyncio.Lock())
        async with lock:
            known = self._known.get(tenant_id)
            # What is being made may be of a while ago; what is made of `config` is not.
            while known is None or config.seq - known.seq > _CATCH_UP:
                known = await self._anew(config)
            if known.seq < config.seq:
                for each in await self._log.load(tenant_id, known.seq, config.seq):
                    known.apply(each.version, each.change)
            self._keep(tenant_id, known)
        return known, config

    async def _anew(self, config: TenantConfig) -> SearchIndex:
        """Made once however many ask, and kept also when nobody waits for it any more."""
        making = self._making.get(config.tenant_id)
        if making is None:
            making = self._making[config.tenant_id] = asyncio.create_task(self._make(config))
        return await asyncio.shield(making)

    async def _make(self, config: TenantConfig) -> SearchIndex:
        try:
            index = await asyncio.to_thread(_made, config)
            self._keep(config.tenant_id, index)
            return index
        finally:
            del self._making[config.tenant_id]

    def _keep(self, tenant_id: str, index: SearchIndex) -> None:
        self._known[tenant_id] = index
        self._known.move_to_end(tenant_id)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    async def uses(self, config: TenantConfig, kind: str, resource_id: str) -> tuple[Holder, ...]:
        """Where a resource is used."""
        return holders_of(config, await self._directory.index(config), (kind, resource_id))


def _made(config: TenantConfig) -> SearchIndex:
    index = SearchIndex()
    index.begin(config.seq, {kind: {name: dump(each) for name, each in of_kind.items()} for kind, of_kind in config.resources.items()})
    return index
