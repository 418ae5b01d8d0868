"""Whose registrations are told and kept, of those that are known."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged, SipCredential, Tenant
from carillon_contracts.envelope import EventData
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_media.domain.accounts import Accounts
from carillon_media.handlers.registrar import REMEMBERED, Device, Registrar
from carillon_sip.flow import Flow
from carillon_sip.registrar import Binding

pytestmark = pytest.mark.feature("D-9")
START = datetime(2031, 1, 6, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Desk:
    """A registrar of one device of dupont's, and what it stores; `lobby` is a credential of this tenant."""

    def __init__(self, tenant: str, left_at: datetime | None = None) -> None:
        accounts, clock = Accounts(), ManualClock(START)
        credential = SipCredential(id="lobby", user_id="mia")
        kinds: Any = {"tenant": {tenant: Tenant(id=tenant, realm="x.example")}, "sip_credential": {"lobby": credential}}
        accounts.update(TenantConfig(tenant, 1, kinds))
        self.saved: list[Device] = []
        nobody: Any = None
        self.registrar = Registrar(accounts, nobody, nobody, self, self, clock, nobody)
        flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
        binding = Binding(contact="sip:x@192.0.2.7", expires_at=clock.monotonic() + 3600, call_id="c", cseq=1, flow=flow)
        self.registrar.load([Device("dupont", "lobby", "ann", binding, START, START + HOUR, START, "", left_at)])

    def save(self, devices: Iterable[Device]) -> None:
        self.saved += devices

    def announce(self, tenant: str, subject: str, event: EventData, at: datetime) -> None:
        """Nobody listens."""


@pytest.mark.parametrize("left_at", [START, None])
def test_a_name_that_is_another_tenants_now_tells_nobody_whose_it_was(left_at: datetime | None) -> None:
    ours, theirs = Desk("dupont", left_at), Desk("martin", left_at)

    def told(registrar: Registrar, tenant: str) -> list[str]:
        return [device.user_id for device in (*registrar.devices(tenant), *registrar.departed(tenant))]

    assert told(ours.registrar, "dupont") == ["mia"]
    assert told(theirs.registrar, "dupont") == told(theirs.registrar, "martin") == []


def test_of_a_name_that_is_deleted_nothing_is_kept() -> None:
    desk = Desk("dupont")
    desk.registrar.configured([ConfigChanged(resource="sip_credential", resource_id="lobby", action="deleted", actor="olga")])
    (gone,) = desk.saved
    assert (gone.left_at, gone.expires_at) == (START, START - REMEMBERED)
    assert desk.registrar.departed("dupont") == []
