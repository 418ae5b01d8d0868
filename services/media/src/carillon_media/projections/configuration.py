"""Every tenant's configuration as the fold of the stream CONFIG, and the accounts that come of it.

Invariant: a tenant's configuration is what its events say up to one version. A change that this version of the software cannot read is
passed over, loudly; one that leaves a gap freezes its tenant and no other.
"""

import asyncio
from collections.abc import Callable, Iterator

from pydantic import BaseModel, ValidationError

from carillon.common.v1 import call_application_pb2 as pb
from carillon_contracts.config import Announcement, ConfigChanged, Tenant
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import ConfigGap, TenantConfig, evolve, pass_over
from carillon_kit.bus import Bus, Follower, Message
from carillon_kit.logs import get_logger
from carillon_media.domain.accounts import Accounts

_log = get_logger(__name__)


class Configuration:
    """Run `follow` as a task; `caught_up` before taking calls."""

    def __init__(self, bus: Bus, accounts: Accounts) -> None:
        self._accounts = accounts
        self._configs: dict[str, TenantConfig] = {}
        self._changed: set[str] = set()
        self._change = asyncio.Event()
        #: Told of each change, with the configuration after it; set it once `caught_up`.
        self.on_change: Callable[[TenantConfig, ConfigChanged], None] = lambda config, change: None
        self._follower: Follower = bus.follow(CONFIG.name, "carillon.*.config.>")

    async def follow(self) -> None:
        """Fold until cancelled."""
        async for message in self._follower:
            self.fold(message)

    async def caught_up(self, timeout: float) -> None:
        """All that was in the stream at the start is folded; raises TimeoutError."""
        await self._follower.caught_up(timeout)

    async def close(self) -> None:
        """End `follow`."""
        await self._follower.close()

    def fold(self, message: Message) -> None:
        """One event."""
        try:
            event = Event.from_json(message.data)
            before = self._configs.get(event.tenantid) or TenantConfig(event.tenantid)
            after = _evolved(before, event.configseq or 0, event)
        except (ValidationError, ConfigGap) as error:
            _log.error("a configuration event was not taken", subject=message.subject, stream_seq=message.stream_seq, error=str(error))
            return
        if after is not before:
            self._configs[event.tenantid] = after
            self._accounts.update(after)
            self._changed.add(event.tenantid)
            self._change.set()
            self._tell(after, event)

    def _tell(self, config: TenantConfig, event: Event) -> None:
        try:
            self.on_change(config, ConfigChanged.model_validate(event.data))
        except ValidationError:
            return  # passed over, and told, by the fold

    async def changed(self) -> list[TenantConfig]:
        """Wait for a change, then give the tenants that changed."""
        await self._change.wait()
        self._change.clear()
        changed, self._changed = self._changed, set()
        return [self._configs[tenant] for tenant in changed]


def phrases(config: TenantConfig) -> list[pb.Prompt]:
    """Every phrase of a tenant that is spoken from text."""
    return [prompt for resources in config.resources.values() for each in resources.values() for prompt in _said(config, each)]


def _evolved(config: TenantConfig, seq: int, event: Event) -> TenantConfig:
    try:
        return evolve(config, seq, ConfigChanged.model_validate(event.data))
    except ValidationError as error:
        _log.error("unreadable configuration change", tenant=config.tenant_id, config_seq=seq, error=str(error))
        return pass_over(config, seq)


def _said(config: TenantConfig, value: object) -> Iterator[pb.Prompt]:
    """Every announcement within a resource, in its own or the tenant's language."""
    if isinstance(value, Announcement):
        if not value.text:
            return
        tenant = config.resources.get(Tenant.KIND, {}).get(config.tenant_id)
        language = value.language or (tenant.language if isinstance(tenant, Tenant) else "")
        yield pb.Prompt(speech=pb.Speech(text=value.text, language=language))
    elif isinstance(value, BaseModel):
        for part in value.__dict__.values():
            yield from _said(config, part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _said(config, part)
