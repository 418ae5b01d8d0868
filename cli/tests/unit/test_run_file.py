from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from carillon_cli.supervisor.layout import Options, Ports, TlsFiles
from carillon_cli.supervisor.run_file import Facts, run_file
from carillon_contracts.config import Destination, Extension, Number, Resource, SipCredential, Tenant, Trunk, User
from carillon_contracts.tenant_config import TenantConfig

pytestmark = pytest.mark.feature("P-4")

RESOURCES: tuple[Resource, ...] = (
    Tenant(id="dupont", realm="dupont.example"),
    User(id="dumas", first_name="Denise", last_name="Dumas"),
    User(id="meier", last_name="Meier"),
    Extension(id="101", destination=Destination(user_id="dumas")),
    SipCredential(id="dupont-101", user_id="dumas"),
    SipCredential(id="other", user_id="meier"),
    Number(id="+41215550100", label="main", destination=Destination(hang_up="busy")),
    Number(id="+41215550101", destination=Destination(user_id="dumas")),
    Trunk(id="carrier", address="127.0.0.2"),
)


@pytest.fixture
def facts() -> Facts:
    kinds: dict[str, dict[str, Resource]] = {}
    for resource in RESOURCES:
        kinds.setdefault(resource.KIND, {})[resource.id] = resource
    config = TenantConfig("dupont", 9, MappingProxyType(kinds))
    return Facts(
        options=Options(Path("/data"), "0.0.0.0", "192.0.2.7", Ports()),
        nats_url="nats://operator:x@127.0.0.1:4222",
        nats_host="127.0.0.1:4222",
        postgres_dsn="postgresql://carillon@127.0.0.1:5433/carillon",
        admin_token="token",
        maildir=Path("/data/mail"),
        clock=None,
        processes={"media": 7},
        tenants={"dupont": config},
        sip_passwords={"dupont-101": "secret"},
        nats_passwords={"dupont": "tenant secret"},
    )


def test_the_shape_is_the_promised_one(facts: Facts) -> None:
    found = run_file(facts)
    services = {"sip", "grpc", "provisioning", "web", "nats", "postgres", "mail"}
    assert set(found) == services | {"version", "admin_token", "processes", "tenants"}
    assert found["sip"] == {"udp": "192.0.2.7:5060", "tcp": "192.0.2.7:5060"}
    assert found["grpc"]["routing"] == "127.0.0.1:7002"
    assert found["mail"] == {"maildir": "/data/mail"}


def test_tls_and_ipv6_are_there_when_they_are_listened_on(facts: Facts) -> None:
    tls = TlsFiles(Path("/data/tls/certificate.pem"), Path("/data/tls/key.pem"))
    found = run_file(replace(facts, options=replace(facts.options, tls=tls, host6="::1")))
    assert found["sip"] == {
        "udp": "192.0.2.7:5060",
        "tcp": "192.0.2.7:5060",
        "tls": "192.0.2.7:5061",
        "tls_certificate": "/data/tls/certificate.pem",
        "udp6": "[::1]:5060",
        "tcp6": "[::1]:5060",
        "tls6": "[::1]:5061",
    }


def test_a_user_has_extension_device_and_numbers(facts: Facts) -> None:
    dumas = run_file(facts)["tenants"]["dupont"]["users"][0]
    assert dumas == {
        "id": "dumas",
        "name": "Denise Dumas",
        "extension": "101",
        "sip_user": "dupont-101",
        "sip_password": "secret",
        "numbers": ["+41215550101"],
    }


def test_a_password_that_is_not_known_is_left_out(facts: Facts) -> None:
    meier = run_file(facts)["tenants"]["dupont"]["users"][1]
    assert meier["sip_user"] == "other"
    assert "sip_password" not in meier


def test_numbers_go_by_their_label_and_trunks_by_their_address(facts: Facts) -> None:
    tenant = run_file(facts)["tenants"]["dupont"]
    assert tenant["numbers"] == {"main": "+41215550100", "+41215550101": "+41215550101"}
    assert tenant["trunks"] == [{"name": "carrier", "address": "127.0.0.2:5060"}]


def test_a_tenant_has_its_own_nats_user(facts: Facts) -> None:
    nats = run_file(facts)["tenants"]["dupont"]["nats"]
    assert nats == {"url": "nats://tenant-dupont:tenant secret@127.0.0.1:4222", "user": "tenant-dupont", "password": "tenant secret"}
