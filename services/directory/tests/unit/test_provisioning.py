"""What a phone is told of the tenant's feature codes and of where it stands."""

from typing import Any

import pytest

from carillon_contracts.config import Device
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.provisioning import snom, yealink
from carillon_directory.domain.provisioning.phone import Phone, Server, gathered
from carillon_directory.testing import given

pytestmark = pytest.mark.feature("D-10")


def phone(config: TenantConfig, device_id: str = "desk-1") -> Phone:
    device = config.get(Device, device_id)
    assert device is not None
    return gathered(config, device, {"acme-101": "secret"}, Server("sip.example", 5060, "udp"))


def watching(whole: dict[str, Any], codes: list[dict[str, str]]) -> Phone:
    """Ann's phone with a key that watches bob."""
    whole["tenant"]["feature_codes"] = codes
    bobs = {"id": "102", "destination": {"user_id": "bob"}}
    return phone(given(whole | {"extensions": [*whole["extensions"], bobs]}))


def test_the_codes_are_the_tenants(whole: dict[str, Any]) -> None:
    usual = watching(whole, [])
    assert (usual.voicemail, usual.pick_up) == ("*97", "**")
    own = watching(whole, [{"feature": "voicemail", "code": "*1"}, {"feature": "pick_up", "code": "*2"}])
    assert (own.voicemail, own.pick_up) == ("*1", "*2")
    assert "linekey.2.extension = *2102" in yealink.settings(own).body.decode()
    assert "blf &lt;sip:102@acme.example&gt;|*2<" in snom.settings(own).body.decode()


def test_a_code_that_is_off_is_on_no_key(whole: dict[str, Any]) -> None:
    off = watching(whole, [{"feature": "voicemail", "code": ""}, {"feature": "pick_up", "code": ""}])
    assert (off.voicemail, off.pick_up) == ("", "")
    lines = yealink.settings(off).body.decode().splitlines()
    assert {"voice_mail.number.1 =", "linekey.2.value = 102", "linekey.2.extension ="} <= {line.strip() for line in lines}
    assert "blf &lt;sip:102@acme.example&gt;<" in snom.settings(off).body.decode()


def test_the_time_is_of_where_the_phone_stands(whole: dict[str, Any]) -> None:
    whole["sites"] = [
        {"id": "lausanne"},
        {"id": "london", "time_zone": "Europe/London"},
        {"id": "lisbon", "time_zone": "Europe/Lisbon"},
    ]
    device, user, department = whole["devices"][0], whole["users"][0], whole["departments"][0]
    assert phone(given(whole)).time_zone == "Europe/Zurich", "a site without one has the tenant's"
    department["site_id"] = "london"
    del device["site_id"]
    assert phone(given(whole)).time_zone == "Europe/London"
    user["site_id"] = "lisbon"
    assert phone(given(whole)).time_zone == "Europe/Lisbon"
    device["site_id"] = "london"
    assert phone(given(whole)).time_zone == "Europe/London"
