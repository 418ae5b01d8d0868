"""Load, decide, store: the directory as its callers see it, whatever the transport.

A write decides on the state that it then extends; when another writer was first it decides again on the new state. A read never
waits for a writer; writers of one tenant in this process wait for each other, those in others are met by the version. States are
kept in memory by tenant and brought up to date by version, so a change made by another replica is seen.
"""

import asyncio
import re
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import MappingProxyType
from weakref import WeakValueDictionary

from carillon_contracts.config import RESOURCES, ConfigChanged, Resource, Tenant, User
from carillon_contracts.tenant_config import Folding, TenantConfig
from carillon_directory import looking_back
from carillon_directory.domain.claims import Claim, claim_changes
from carillon_directory.domain.commands import ApplyCompany, Batch, Command, ErasePerson, PutBack
from carillon_directory.domain.conclude import State
from carillon_directory.domain.decide import decide, wanted_claims
from carillon_directory.domain.erasing.decide import ERASURE, Erasing, erase
from carillon_directory.domain.index import Index, Pair
from carillon_directory.domain.outcomes import Accepted, Invalid, Missing, Refused, Violation
from carillon_directory.domain.texts import text_error
from carillon_directory.ports import Appends, ErasureLog, News, Outrun, Recorded, TenantLog
from carillon_kit.clock import Clock, SystemClock
from carillon_kit.heap import growing

#: A version, a time, or None for now.
Moment = int | datetime | None

#: As `carillon_contracts.config.TenantId`; whatever else is asked for is no tenant.
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
#: A company of more resources is made while the collector rests (`growing`).
_MANY = 500
_NUL = Invalid((Violation("tenant.id", "must not contain NUL"),))
#: Changes that are read from the log at once: ten milliseconds or so of the loop.
_STEP = 500
_NO_END = 2**31 - 1
#: Configurations kept that were the newest, and that were worked out.
_FORMER = 1000
_PAST = 8


class TooBusy(Exception):
    """Every attempt was outrun by other writers of the same tenant."""


@dataclass(frozen=True, slots=True)
class Executed:
    """An accepted command: its changes, the configuration after them (before them in a dry run), and passwords that were made."""

    config: TenantConfig
    changes: tuple[ConfigChanged, ...]
    passwords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    remarks: tuple[tuple[str, str], ...] = ()
    #: Also in a dry run; None: nothing changed.
    after: TenantConfig | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure that began: the configuration after its changes (before them in a dry run)."""

    config: TenantConfig
    erasing: Erasing


class TenantStates:
    """Folded configurations, at most `capacity` of them, the least recently used given up first, with versions before them that were
    asked for or were the newest a while ago: a list goes on with the version of its first page."""

    def __init__(self, log: TenantLog, capacity: int = 1000) -> None:
        self._log = log
        self._capacity = capacity
        self._known: OrderedDict[str, TenantConfig] = OrderedDict()
        self._indexes: dict[str, tuple[TenantConfig, Index]] = {}
        #: By tenant and version. Those that were the newest share nearly everything with it, those that were worked out may not.
        self._former: OrderedDict[tuple[str, int], TenantConfig] = OrderedDict()
        self._past: OrderedDict[tuple[str, int], TenantConfig] = OrderedDict()
        #: How often each tenant's log was rewritten, as far as was noticed here.
        self._rewritten: Counter[str] = Counter()
        #: Told of a configuration that came of many changes at once; must not wait.
        self.on_many: Callable[[TenantConfig], None] = lambda config: None
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def current(self, tenant_id: str) -> TenantConfig:
        """The configuration with every change stored before this call; version 0 if there is no such tenant."""
        known = self._known.get(tenant_id)
        if known is not None:
            return self.advance(await self._grown(known))
        if not _TENANT_ID.fullmatch(tenant_id):
            return TenantConfig(tenant_id)
        # Whoever comes while a large tenant is read for the first time waits for it.
        lock = self._reading.setdefault(tenant_id, asyncio.Lock())
        async with lock:
            return self.advance(await self._grown(self._known.get(tenant_id) or TenantConfig(tenant_id)))

    async def at(self, tenant_id: str, version: int) -> TenantConfig:
        """The configuration as of a version, worked out from the nearer end."""
        newest = await self.current(tenant_id)
        rewritten = self._rewritten[tenant_id]
        if version >= newest.seq:
            return newest
        key = (tenant_id, version)
        known = self._former.get(key) or self._past.get(key)
        if known is not None:
            return known
        near_end = newest.seq - version < version
        config = await self._shrunk(newest, version) if near_end else await self._grown(TenantConfig(tenant_id), version)
        await self.current(tenant_id)
        if self._rewritten[tenant_id] != rewritten:
            return await self.at(tenant_id, version)
        _remember(self._past, key, config, _PAST)
        return config

    async def _grown(self, config: TenantConfig, up_to: int = _NO_END) -> TenantConfig:
        """With the changes stored after it, read some at a time."""
        folding, after = Folding(config), config.seq
        # What an erasure rewrote that was there then is read as it is now; of a later one some may have been read as it was before.
        known = config.seq or await self._log.head(config.tenant_id)
        with ExitStack() as many:
            while True:
                recorded = await self._log.load(config.tenant_id, after, min(up_to, after + _STEP))
                if any(each.change.action == ERASURE and each.version > known for each in recorded):
                    self.forget(config.tenant_id)
                    return await self._grown(TenantConfig(config.tenant_id), up_to)
                for each in recorded:
                    folding.add(each.version, each.change)
                after += len(recorded)
                if len(recorded) < _STEP:
                    grown = folding.result() if after > config.seq else config
                    if after > config.seq + _MANY and up_to == _NO_END:
                        self.on_many(grown)
                    return grown
                if after == config.seq + _STEP:
                    many.enter_context(growing())

    async def _shrunk(self, config: TenantConfig, version: int) -> TenantConfig:
        """Without the changes after the version."""
        folding, top = Folding(config), config.seq
        with growing(top - version > _STEP):
            while top > version:
                bottom = max(version, top - _STEP)
                for each in reversed(await self._log.load(config.tenant_id, bottom, top)):
                    folding.take_back(each.version, each.change)
                top = bottom
            return folding.result()

    def forget(self, tenant_id: str) -> None:
        """The log reads otherwise than when these were folded."""
        self._rewritten[tenant_id] += 1
        self._known.pop(tenant_id, None)
        self._indexes.pop(tenant_id, None)
        for cache in (self._former, self._past):
            for key in [key for key in cache if key[0] == tenant_id]:
                del cache[key]

    def advance(self, config: TenantConfig) -> TenantConfig:
        """Remember a newer configuration, unless one that is newer still is known already."""
        known = self._known.get(config.tenant_id)
        if config.seq and (known is None or known.seq <= config.seq):
            if known is not None and known.seq < config.seq:
                _remember(self._former, (known.tenant_id, known.seq), known, _FORMER)
            self._known[config.tenant_id] = config
            self._known.move_to_end(config.tenant_id)
        if len(self._known) > self._capacity:
            forgotten, _ = self._known.popitem(last=False)
            self._indexes.pop(forgotten, None)
        return config

    async def index(self, config: TenantConfig) -> Index:
        """That of the configuration, made of the one before; kept for the newest."""
        known = self._indexes.get(config.tenant_id)
        if known is not None and known[0].seq == config.seq:
            return known[1]
        # From nothing it takes seconds for a large tenant.
        index = _index(config, *known) if known is not None else await asyncio.to_thread(Index.of, config)
        newer = self._indexes.get(config.tenant_id)
        if newer is None or newer[0].seq < config.seq:
            self._indexes[config.tenant_id] = (config, index)
        return index

    def advance_to(self, decision: Accepted) -> TenantConfig:
        """Remember what a decision made that is stored now, and its index."""
        assert decision.after is not None
        if len(decision.changes) > _MANY:
            self.on_many(decision.after)
        if decision.index is not None:
            self._indexes[decision.after.tenant_id] = (decision.after, decision.index)
        return self.advance(decision.after)


def _index(config: TenantConfig, before: TenantConfig, index: Index) -> Index:
    pairs: list[Pair] = []
    for model in RESOURCES.values():
        put, gone = config.differences(model, before)
        pairs += [(gone.get(name), put.get(name)) for name in {*put, *gone}]
    return index.changed(pairs)


def _remember(cache: OrderedDict[tuple[str, int], TenantConfig], key: tuple[str, int], config: TenantConfig, most: int) -> None:
    cache[key] = config
    if len(cache) > most:
        cache.popitem(last=False)


class Directory:
    """Commands and questions about tenants."""

    def __init__(
        self,
        log: TenantLog,
        states: TenantStates,
        attempts: int = 10,
        clock: Clock | None = None,
        news: News = lambda before, command, changes: (),
    ) -> None:
        self._news = news
        self._clock = clock or SystemClock()
        self._log = log
        self._states = states
        self._attempts = attempts
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def tell_of_many(self, told: Callable[[TenantConfig], None]) -> None:
        """Tell of configurations that came of many changes at once; `told` must not wait."""
        self._states.on_many = told

    async def execute(self, tenant_id: str, command: Command, *, dry_run: bool = False) -> Executed | Refused:
        """Decide and store; raises `TooBusy` after `attempts` decisions that writers in other processes outran."""
        if "\0" in tenant_id:
            return _NUL
        lock = self._writing.setdefault(tenant_id, asyncio.Lock())
        large = isinstance(command, ApplyCompany) and sum(map(len, command.documents.values())) > _MANY
        async with lock:
            with growing(large):
                return await self._execute(tenant_id, command, dry_run)

    async def _execute(self, tenant_id: str, command: Command, dry_run: bool) -> Executed | Refused:
        for _ in range(self._attempts):
            config = await self._states.current(tenant_id)
            taken = await self._log.taken_elsewhere(tenant_id, wanted_claims(command))
            index = await self._states.index(config)
            deciding = partial(decide, config, command, taken, index, self._clock.now().date())
            # A whole company takes seconds; others are answered meanwhile.
            decision = await asyncio.to_thread(deciding) if isinstance(command, ApplyCompany | Batch | PutBack) else deciding()
            if not isinstance(decision, Accepted):
                return decision
            try:
                if decision.changes and not dry_run:
                    news = self._news(config, command, decision.changes)
                    await self._log.append(tenant_id, config.seq, decision.changes, news)
            except Outrun:
                continue
            return self._executed(config, decision, dry_run=dry_run)
        raise TooBusy(f"tenant {tenant_id!r} is being changed by others all the time; try again")

    async def execute_together(
        self, commands: Mapping[str, Command], append: Callable[[Appends], Awaitable[None]], *, dry_run: bool = False
    ) -> Mapping[str, Executed] | tuple[str, Refused]:
        """Decide a command for each of several tenants, in order, and store all of it by `append`, or nothing: with the tenant whose
        command is refused. A claim that one releases another may take after it. Raises what `append` raises."""
        async with AsyncExitStack() as writing:
            for tenant_id in sorted(commands):
                await writing.enter_async_context(self._writing.setdefault(tenant_id, asyncio.Lock()))
            decided: dict[str, tuple[TenantConfig, Accepted]] = {}
            held: set[Claim] = set()
            free: set[Claim] = set()
            for tenant_id, command in commands.items():
                if "\0" in tenant_id:
                    return tenant_id, _NUL
                config, wanted = await self._states.current(tenant_id), wanted_claims(command)
                taken = (await self._log.taken_elsewhere(tenant_id, wanted) - free) | (wanted & held)
                decision = decide(config, command, taken, await self._states.index(config), self._clock.now().date())
                if not isinstance(decision, Accepted):
                    return tenant_id, decision
                decided[tenant_id] = config, decision
                moved = claim_changes(decision.changes)
                held, free = held - moved.released | moved.taken, free - moved.taken | moved.released
            if not dry_run:
                await append({name: (config.seq, decision.changes) for name, (config, decision) in decided.items() if decision.changes})
            return {name: self._executed(config, decision, dry_run=dry_run) for name, (config, decision) in decided.items()}

    def _executed(self, config: TenantConfig, decision: Accepted, *, dry_run: bool) -> Executed:
        after = config if dry_run or not decision.changes else self._states.advance_to(decision)
        return Executed(after, decision.changes, decision.passwords, decision.remarks, decision.after)

    async def erase(self, tenant_id: str, command: ErasePerson, log: ErasureLog, *, dry_run: bool = False) -> Erased | Refused:
        """The first step of an erasure: the changes; raises `TooBusy` as `execute`."""
        if reason := text_error(command.reason):
            return Invalid((Violation("reason", reason),))
        lock = self._writing.setdefault(tenant_id, asyncio.Lock())
        async with lock:
            for _ in range(self._attempts):
                config = await self._states.current(tenant_id)
                if command.user_id not in config.users:
                    return Missing(User.KIND, command.user_id)
                state = State(config, await self._states.index(config), today=self._clock.now().date())
                with growing(config.seq > _STEP):
                    changes = await self._whole_log(config)
                    erasing = await asyncio.to_thread(erase, state, changes, command)
                if isinstance(erasing, Refused):
                    return erasing
                if dry_run:
                    return Erased(config, erasing)
                try:
                    await log.begin(tenant_id, config.seq, erasing, command.actor, command.reason)
                except Outrun:
                    continue
                return Erased(await self._states.current(tenant_id), erasing)
            raise TooBusy(f"tenant {tenant_id!r} is being changed by others all the time; try again")

    async def _whole_log(self, config: TenantConfig) -> list[tuple[int, ConfigChanged]]:
        """What made the configuration, read some at a time."""
        found: list[tuple[int, ConfigChanged]] = []
        for after in range(0, config.seq, _STEP):
            some = await self._log.load(config.tenant_id, after, min(config.seq, after + _STEP))
            found += [(each.version, each.change) for each in some]
        return found

    async def read(self, tenant_id: str, moment: Moment = None, *, whole: bool = False) -> TenantConfig | Refused:
        """The configuration as of a moment; `whole`: one in the middle of a change of several resources is that change's end."""
        if "\0" in tenant_id:
            return Missing(Tenant.KIND, tenant_id)
        config = await self._states.current(tenant_id)
        if isinstance(moment, int) and not 0 <= moment <= config.seq:
            return _no_version(config)
        if isinstance(moment, datetime):
            moment = await self._log.version_at(tenant_id, moment)
        if moment is not None:
            config = await self._states.at(tenant_id, await self._log.whole(tenant_id, moment) if whole else moment)
        return config if config.all(Tenant) else Missing(Tenant.KIND, tenant_id)

    async def index(self, config: TenantConfig) -> Index:
        """What refers to what in a configuration that was read."""
        return await self._states.index(config)

    async def read_one(self, tenant_id: str, kind: str, resource_id: str, moment: int | datetime) -> Resource | Refused | None:
        """One resource as of a moment, from the log alone: what it costs does not grow with the log."""
        now = await self.read(tenant_id)
        if isinstance(now, Refused):
            return now
        if isinstance(moment, int) and not 0 <= moment <= now.seq:
            return _no_version(now)
        version = moment if isinstance(moment, int) else await self._log.version_at(tenant_id, moment)
        if version >= now.seq:
            return now.resources.get(kind, {}).get(resource_id)
        return await self._log.one(tenant_id, kind, resource_id, version)

    async def tenants(self) -> list[str]:
        """Ids of all tenants that ever were, sorted."""
        return await self._log.tenants()

    async def changes(self, tenant_id: str, first: int, last: int) -> list[Recorded]:
        """Those of the versions `first` to `last`, in order."""
        return await self._log.load(tenant_id, first - 1, last)

    async def history(
        self,
        tenant_id: str,
        before: int | None,
        limit: int,
        resource: str = "",
        resource_id: str = "",
        seen: Callable[[ConfigChanged], bool] | None = None,
    ) -> looking_back.Page | Refused:
        """A page of changes below version `before`, newest first; see `looking_back`."""
        config = await self._states.current(tenant_id)
        if not config.seq:
            return Missing(Tenant.KIND, tenant_id)
        asked = looking_back.Asked(resource, resource_id, seen)
        return await looking_back.page(self._log, tenant_id, min(_NO_END if before is None else before, config.seq + 1), limit, asked)


def _no_version(config: TenantConfig) -> Invalid:
    return Invalid((Violation("as_of.config_seq", f"must be 0 to {config.seq}, the current version"),))
