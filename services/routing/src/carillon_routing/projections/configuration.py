"""Every tenant's configuration, folded from stream CONFIG in memory, with the versions that calls under way still refer to.

Always: a tenant's configuration is what its events say up to one version. An event that this version of the software cannot read is passed
over, loudly; one that leaves a gap waits until the gap is filled and holds up no other tenant.
"""

import asyncio
import gc
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from carillon_contracts.config import Tenant
from carillon_contracts.config_events import Reading, many, versions
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.bus import Bus, Message
from carillon_kit.clock import Clock
from carillon_kit.errors import NotFound
from carillon_kit.heap import growing
from carillon_kit.logs import get_logger

_log = get_logger("configuration")

#: How long a version that was replaced is kept for calls that began with it.
KEEP = timedelta(hours=1)
#: And how many of a tenant's at most; they share what did not change.
KEEP_VERSIONS = 500
#: Events of a tenant that wait for a missing one.
MAX_WAITING = 10_000
#: After so many changes the garbage collector is told to pass over what they made: looking at a large tenant's takes it 30 ms, and what a
#: configuration holds has no circles, so that counting references frees it.
FREEZE_EVERY = 1_000


@dataclass(slots=True)
class _Tenant:
    reading: Reading
    #: Versions before the current one, oldest first, with when they were replaced.
    former: deque[tuple[datetime, TenantConfig]] = field(default_factory=lambda: deque(maxlen=KEEP_VERSIONS))
    waiting: dict[int, Event] = field(default_factory=dict)
    #: How many persons were erased.
    erasures: int = 0
    #: Set, and replaced, whenever `current` is.
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def current(self) -> TenantConfig:
        """The newest version."""
        return self.reading.config


class Configuration:
    """All tenants' configurations. `clock` tells how long ago a version was replaced: the machine's, not a test's.

    `up_to`: no version after this one is folded."""

    def __init__(self, clock: Clock, up_to: int | None = None) -> None:
        self._clock = clock
        self._up_to = up_to
        self._tenants: dict[str, _Tenant] = {}

    def current(self, tenant: str) -> TenantConfig | None:
        """The newest version, or None when the tenant is not known (yet)."""
        known = self._tenants.get(tenant)
        return known.current if known is not None and known.current.seq else None

    def zone(self, tenant: str) -> ZoneInfo:
        """The tenant's time zone; UTC for one that is not known."""
        config = self.current(tenant)
        return ZoneInfo(config.tenant.time_zone) if config is not None and config.all(Tenant) else ZoneInfo("UTC")

    def at(self, tenant: str, seq: int) -> TenantConfig | None:
        """That version if it is the current one or was replaced less than `KEEP` ago; otherwise the newest."""
        known = self._tenants.get(tenant)
        if known is None:
            return None
        return next((config for _, config in known.former if config.seq == seq), known.current)

    def erasures(self, tenant: str) -> int:
        """So many persons were erased: what was folded before the last of them reads otherwise now."""
        known = self._tenants.get(tenant)
        return 0 if known is None else known.erasures

    async def until(self, tenant: str, seq: int, seconds: float) -> bool:
        """Whether a version at least that new is there within so many seconds; not for a tenant that nothing is known of."""
        known = self._tenants.get(tenant)
        if known is None:
            return False
        try:
            async with asyncio.timeout(seconds):
                while known.current.seq < seq:
                    await known.changed.wait()
        except TimeoutError:
            return False
        return True

    def adopt(self, config: TenantConfig) -> None:
        """Take a configuration that was folded elsewhere, for tests and measurements."""
        self._tenants[config.tenant_id] = _Tenant(Reading(config))

    def apply(self, message: Message) -> None:
        """Fold one event. Repetitions change nothing."""
        try:
            event = Event.from_json(message.data)
        except ValidationError as error:
            _log.error("unreadable configuration event", subject=message.subject, stream_seq=message.stream_seq, error=str(error))
            return
        if event.configseq is None or event.tenantid != message.subject.split(".")[1]:
            _log.error("misplaced configuration event", subject=message.subject, stream_seq=message.stream_seq)
            return
        first, _ = versions(event)
        if self._up_to is not None and first > self._up_to:
            return
        tenant = self._tenants.setdefault(event.tenantid, _Tenant(Reading(TenantConfig(event.tenantid))))
        if first > tenant.current.seq + 1:
            self._wait(tenant, event, first)
            return
        self._fold(tenant, event)
        while (following := tenant.waiting.pop(tenant.current.seq + 1, None)) is not None:
            self._fold(tenant, following)

    def _wait(self, tenant: _Tenant, event: Event, seq: int) -> None:
        _log.error("configuration gap", tenant=event.tenantid, expected=tenant.current.seq + 1, got=seq)
        if len(tenant.waiting) < MAX_WAITING:
            tenant.waiting[seq] = event

    def _fold(self, tenant: _Tenant, event: Event) -> None:
        before = tenant.current
        with growing(many(event)):
            folded = tenant.reading.hear(event, self._up_to)
        for seq, error in folded.unreadable:
            _log.error("unreadable configuration change; the resource stays as it was", tenant=event.tenantid, config_seq=seq, error=error)
        tenant.changed.set()
        tenant.changed = asyncio.Event()
        if folded.anew or any(change.action == "erased" for change in folded.changes):
            # Older versions name somebody whom nothing shall name any more.
            tenant.former.clear()
            tenant.erasures += 1
        elif tenant.current is not before and before.seq:
            tenant.former.append((event.time, before))
        oldest = self._clock.now() - KEEP
        while tenant.former and tenant.former[0][0] < oldest:
            tenant.former.popleft()


def config_of(configuration: Configuration, tenant: str) -> TenantConfig:
    """The newest version of a tenant that is there. Raises `NotFound`."""
    config = configuration.current(tenant)
    if config is None or config.get(Tenant, tenant) is None:
        raise NotFound(f"tenant/{tenant}")
    return config


class ConfigurationFollower:
    """Feeds a `Configuration` from the bus: `run()` in the background, `caught_up()` before the first question is answered."""

    def __init__(self, bus: Bus, configuration: Configuration) -> None:
        self._follower = bus.follow(CONFIG.name, "carillon.*.config.>")
        self._configuration = configuration

    async def run(self) -> None:
        """Fold until closed."""
        count = 0
        async for message in self._follower:
            self._configuration.apply(message)
            count += 1
            if not count % FREEZE_EVERY:
                gc.freeze()

    async def caught_up(self, timeout: float) -> None:
        """Return once what was in the stream at the start is folded; raises `TimeoutError`."""
        await self._follower.caught_up(timeout)

    async def close(self) -> None:
        """End `run()`."""
        await self._follower.close()
