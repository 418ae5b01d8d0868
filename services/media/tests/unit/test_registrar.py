"""Whose registrations are told, of those that are known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carillon_contracts.config import SipCredential, Tenant
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.clock import ManualClock
from carillon_media.domain.accounts import Accounts
from carillon_media.handlers.registrar import Device, Registrar
from carillon_sip.flow import Flow
from carillon_sip.registrar import Binding

pytestmark = pytest.mark.feature("D-9")
START = datetime(2031, 1, 6, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Store:
    """Keeps nothing."""

    def save(self, devices: Any) -> None:
        """Nothing waits to be written."""

    remove = save


@pytest.mark.parametrize("gone", [True, False])
def test_a_name_that_is_another_tenants_now_tells_nobody_of_whom_it_was_before(gone: bool) -> None:
    accounts, clock = Accounts(), ManualClock(START)
    nobody: Any = None
    credential = SipCredential(id="lobby", user_id="mia")
    kinds: Any = {"tenant": {"martin": Tenant(id="martin", realm="martin.example")}, "sip_credential": {"lobby": credential}}
    accounts.update(TenantConfig("martin", 1, kinds))
    registrar = Registrar(accounts, nobody, nobody, Store(), nobody, clock, nobody)
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.7", 5060))
    binding = Binding(contact="sip:x@192.0.2.7", expires_at=clock.monotonic() + 3600, call_id="c", cseq=1, flow=flow)
    registrar.load([Device("dupont", "lobby", "ann", binding, START, START + HOUR, START, "", START if gone else None)])
    told = registrar.departed if gone else registrar.devices
    assert told("dupont") == told("martin") == []
