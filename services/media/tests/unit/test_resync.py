"""Which phones a change concerns, and what they are told."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged, Device, DeviceLine, ProvisioningProfile, SipCredential, Tenant, User
from carillon_contracts.tenant_config import TenantConfig
from carillon_media.domain.accounts import Accounts
from carillon_media.domain.resync import touched
from carillon_media.handlers.resync import Resync
from carillon_sip.commands import RequestOut
from carillon_sip.flow import Flow

FLOW = Flow("udp", ("127.0.0.1", 5060), ("192.0.2.7", 5062))


def config() -> TenantConfig:
    found: list[Any] = [
        Tenant(id="acme", realm="acme.example"),
        ProvisioningProfile(id="office"),
        User(id="ann", last_name="Archer", provisioning_profile_id="office"),
        User(id="bob", last_name="Baker"),
        SipCredential(id="acme-101", user_id="ann"),
        SipCredential(id="acme-102", user_id="bob"),
        Device(id="p1", lines=(DeviceLine(port=1, sip_credential_id="acme-101"),)),
        Device(id="p2", lines=(DeviceLine(port=1, sip_credential_id="acme-102"),), provisioning_profile_id="office"),
    ]
    kinds: dict[str, dict[str, Any]] = {}
    for each in found:
        kinds.setdefault(each.KIND, {})[each.id] = each
    return TenantConfig("acme", 9, kinds)


def change(resource: str, name: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> ConfigChanged:
    return ConfigChanged(resource=resource, resource_id=name, action="updated", before=before, after=after, actor="x")


def line(credential: str) -> dict[str, Any]:
    return {"lines": [{"sip_credential_id": credential}]}


@pytest.mark.feature("D-10")
@pytest.mark.parametrize(
    ("changed", "phones"),
    [
        (change("user", "ann", {"id": "ann", "last_name": "Archer"}, {"id": "ann", "last_name": "Baxter"}), {"acme-101"}),
        (change("user", "ann", {"id": "ann", "site_id": "geneva"}, {"id": "ann", "site_id": "lausanne"}), {"acme-101"}),
        (change("user", "ann", {"id": "ann", "email": "a@x"}, {"id": "ann", "email": "b@x"}), set()),
        (change("provisioning_profile", "office", {}, {"ringtone": 3}), {"acme-101", "acme-102"}),
        (change("provisioning_profile", "other", {}, {"ringtone": 3}), set()),
        (
            change("device", "p1", {"lines": [{"sip_credential_id": "acme-101"}]}, {"lines": [{"sip_credential_id": "acme-102"}]}),
            {"acme-101", "acme-102"},
        ),
        (change("device", "p1", {"lines": [{"sip_credential_id": "acme-101"}]}, None), {"acme-101"}),
        (change("sip_credential", "acme-102", {"user_id": "bob"}, {"user_id": "ann"}), {"acme-102"}),
        (change("sip_credential", "acme-102", {"user_id": "bob"}, {"user_id": "bob"}), set()),
        (change("schedule", "day", {}, {}), set()),
    ],
)
def test_a_change_concerns_the_phones_that_it_sets(changed: ConfigChanged, phones: set[str]) -> None:
    assert touched(config(), [changed]) == phones


class Sip:
    def __init__(self) -> None:
        self.sent: list[RequestOut] = []

    def request(self, request: RequestOut) -> str:
        self.sent.append(request)
        return "t"

    def own_address(self, flow: Flow) -> tuple[str, int]:
        return "127.0.0.1", 5060


@pytest.mark.feature("D-10")
async def test_several_changes_make_one_notice_to_phones_heard_here() -> None:
    accounts, sip = Accounts(), Sip()
    accounts.update(config())
    binding = SimpleNamespace(flow=FLOW, contact="sip:acme-101@192.0.2.7:5062", path=("<sip:edge;lr>",))
    here = SimpleNamespace(tenant="acme", sip_user="acme-101", node="", binding=binding)
    elsewhere = SimpleNamespace(tenant="acme", sip_user="acme-101", node="media-2", binding=binding)
    resync = Resync(accounts, sip, lambda sip_user: [here, elsewhere], gather_seconds=0.01)  # type: ignore[list-item]
    running = asyncio.create_task(resync.run())
    for name in ("Baxter", "Brown"):
        resync.changed(config(), [change("user", "ann", {"last_name": "Archer"}, {"last_name": name})])
    async with asyncio.timeout(10):
        while not sip.sent:
            await asyncio.sleep(0.01)
    running.cancel()
    (sent,) = sip.sent
    assert (sent.method, sent.request_uri, sent.flow) == ("NOTIFY", "sip:acme-101@192.0.2.7:5062", FLOW)
    assert ("Event", "check-sync;reboot=false") in sent.headers
    assert ("Route", "<sip:edge;lr>") in sent.headers
