"""Every tenant's configuration as the fold of the stream CONFIG, and the accounts that come of it.

Invariant: a tenant's configuration is what its events say up to one version. A change that this version of the software cannot read is
passed over, loudly; one that leaves a gap freezes its tenant and no other.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from carillon.common.v1 import call_application_pb2 as pb
from carillon_contracts.config import RESOURCES, Announcement, ConfigChanged, Resource, Tenant
from carillon_contracts.config_events import Reading, many
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import ConfigGap, TenantConfig
from carillon_kit.bus import Bus, Follower, Message
from carillon_kit.heap import growing
from carillon_kit.logs import get_logger
from carillon_media.domain.accounts import Accounts

_log = get_logger(__name__)


class Configuration:
    """Run `follow` as a task; `caught_up` before taking calls."""

    def __init__(self, bus: Bus, accounts: Accounts) -> None:
        self._accounts = accounts
        self._tenants: dict[str, Reading] = {}
        #: Tenants that changed, and what they were when that was asked for last.
        self._changed: dict[str, TenantConfig] = {}
        self._change = asyncio.Event()
        #: Told of changes that came at once, with the configuration after them; set it once `caught_up`.
        self.on_change: Callable[[TenantConfig, Sequence[ConfigChanged]], None] = lambda config, changes: None
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
            reading = self._tenants.setdefault(event.tenantid, Reading(TenantConfig(event.tenantid)))
            before = reading.config
            with growing(many(event)):
                folded = reading.hear(event)
        except (ValidationError, ConfigGap) as error:
            _log.error("a configuration event was not taken", subject=message.subject, stream_seq=message.stream_seq, error=str(error))
            return
        for seq, why in folded.unreadable:
            _log.error("unreadable configuration change", tenant=event.tenantid, config_seq=seq, error=why)
        if folded.config is not before:
            self._accounts.update(folded.config)
            self._changed.setdefault(event.tenantid, before)
            self._change.set()
            self.on_change(folded.config, folded.changes)

    async def changed(self) -> list[tuple[TenantConfig, TenantConfig]]:
        """Wait for a change, then give the tenants that changed: as they are, and as they were when this was asked last."""
        await self._change.wait()
        self._change.clear()
        changed, self._changed = self._changed, {}
        return [(self._tenants[tenant].config, before) for tenant, before in changed.items()]


def phrases(config: TenantConfig, before: TenantConfig | None = None) -> Iterator[pb.Prompt]:
    """Every phrase of a tenant that is spoken from text; with `before`, those of what has changed since."""
    tenant = config.get(Tenant, config.tenant_id)
    language = tenant.language if tenant is not None else ""
    known = before.get(Tenant, config.tenant_id) if before is not None else None
    if before is None or known is None or known.language != language:
        before = TenantConfig(config.tenant_id)
    for kind in _speaking_kinds():
        for each in config.differences(kind, before)[0].values():
            yield from _said(language, each)


@cache
def _speaking_kinds() -> tuple[type[Resource], ...]:
    """Kinds of resources that announcements can be in."""
    return tuple(kind for kind in RESOURCES.values() if _may_hold(kind, set()))


def _may_hold(shape: Any, seen: set[object]) -> bool:
    """Whether an announcement is anywhere in values of this type."""
    if shape is Announcement:
        return True
    if isinstance(shape, type) and issubclass(shape, BaseModel) and shape not in seen:
        seen.add(shape)
        return any(_may_hold(field.annotation, seen) for field in shape.model_fields.values())
    return any(_may_hold(part, seen) for part in get_args(shape))


def _said(language: str, value: object) -> Iterator[pb.Prompt]:
    """Every announcement within a resource, in its own or this language."""
    if isinstance(value, Announcement):
        if value.text:
            yield pb.Prompt(speech=pb.Speech(text=value.text, language=value.language or language))
    elif isinstance(value, BaseModel):
        for part in value.__dict__.values():
            yield from _said(language, part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _said(language, part)
