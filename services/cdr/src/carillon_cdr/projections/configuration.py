"""Every tenant's configuration as far as it says whose calls are, folded from stream CONFIG in memory.

Always: a tenant's configuration is what its events say up to one version. An event that this version of the software cannot read is
passed over, loudly; one that leaves a gap freezes its tenant and no other.
"""

from pydantic import ValidationError

from carillon_contracts.config import Extension, Number, SipCredential
from carillon_contracts.config_events import Reading, many
from carillon_contracts.envelope import Event
from carillon_contracts.streams import CONFIG
from carillon_contracts.tenant_config import ConfigGap, TenantConfig
from carillon_kit.bus import Bus, Message
from carillon_kit.heap import growing
from carillon_kit.logs import get_logger

_log = get_logger("configuration")
#: Most of a large tenant, and nothing that says whose a call is.
_UNUSED = frozenset({Extension.KIND, Number.KIND, SipCredential.KIND})


class Configuration:
    """Over a bus; run `follow()` in the background."""

    def __init__(self, bus: Bus) -> None:
        self._follower = bus.follow(CONFIG.name, "carillon.*.config.>")
        self._tenants: dict[str, Reading] = {}

    def of(self, tenant: str) -> TenantConfig:
        """The tenant's configuration as far as it is known here; version 0 when nothing is."""
        known = self._tenants.get(tenant)
        return known.config if known is not None else TenantConfig(tenant)

    async def follow(self) -> None:
        """Fold until cancelled."""
        async for message in self._follower:
            self.apply(message)

    async def caught_up(self, timeout: float) -> None:
        """Return once what was in the stream at the start is folded; raises `TimeoutError`."""
        await self._follower.caught_up(timeout)

    async def close(self) -> None:
        """End `follow()`."""
        await self._follower.close()

    def apply(self, message: Message) -> None:
        """Fold one event."""
        try:
            event = Event.from_json(message.data)
        except ValidationError as error:
            _log.error("unreadable_configuration_event", subject=message.subject, stream_seq=message.stream_seq, error=str(error))
            return
        if event.configseq is None or event.tenantid != message.subject.split(".")[1]:
            _log.error("misplaced_configuration_event", subject=message.subject, stream_seq=message.stream_seq)
            return
        try:
            with growing(many(event)):
                folded = self._tenants.setdefault(event.tenantid, Reading(TenantConfig(event.tenantid), _UNUSED)).hear(event)
        except ConfigGap as gap:
            _log.error("configuration_gap", tenant=event.tenantid, expected=gap.expected, got=gap.got)
            return
        for seq, why in folded.unreadable:
            _log.error("unreadable_configuration_change", tenant=event.tenantid, config_seq=seq, error=why)
