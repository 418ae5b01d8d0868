"""What a phone is told of the tenant's feature codes and of where it stands."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from carillon_contracts.config import Device, ProvisioningProfile
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import AssignDevice, CreateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Invalid
from carillon_directory.domain.provisioning import gigaset, snom, yealink
from carillon_directory.domain.provisioning.makers import MAKERS
from carillon_directory.domain.provisioning.phone import Key, Line, Phone, Server, gathered
from carillon_directory.testing import after, given

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


@pytest.mark.feature("D-11")
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


#: A value of each setting that is not the one before it.
OTHERS: dict[str, tuple[Any, Any]] = {
    "ringtone": (3, 5),
    "call_waiting": (True, False),
    "date_format": ("day_month_year", "month_day_year"),
    "date_format year first": ("day_month_year", "year_month_day"),
    "time_format": ("h24", "h12"),
    "screen_timeout_seconds": (600, 10),
    "screen_timeout_seconds never": (600, 0),
    "lock_code": ("1234", "4321"),
    "lock_code none": ("1234", ""),
    "language": ("fr", "de"),
    "time_zone": ("Europe/Zurich", "Europe/London"),
    "voicemail": ("*97", "*98"),
    "pick_up": ("**", "*8"),
    "keys": ((), (Key(1, "busy_lamp", "102", "Bob"),)),
}
_OF_HANDSETS = {
    "ringtone",
    "date_format",
    "date_format year first",
    "time_format",
    "screen_timeout_seconds",
    "screen_timeout_seconds never",
}
_NO_KEYS = {"keys", "pick_up"}
#: What a maker's phones or bases cannot be told from here.
LACKS: dict[tuple[str, str], set[str]] = {
    ("yealink", "phone"): set(),
    ("snom", "phone"): {"date_format year first"},
    ("grandstream", "phone"): {"lock_code", "lock_code none"},
    ("polycom", "phone"): set(),
    ("cisco", "phone"): {"date_format year first", "lock_code", "lock_code none", "screen_timeout_seconds never"},
    ("yealink", "base"): {"ringtone", "screen_timeout_seconds", "lock_code", "lock_code none", *_NO_KEYS},
    ("snom", "base"): {*_OF_HANDSETS, *_NO_KEYS},
    ("gigaset", "base"): {"call_waiting", "language", *_OF_HANDSETS, *_NO_KEYS},
}
LINE = Line(1, "acme-101", "secret", "acme.example", "101", "Ann")
HANDSET = replace(LINE, port=2, sip_user="acme-102", display_name="Bob", ipei="029e74a599")
SERVER = Server("sip.example", 5060, "udp", "https://pbx.example/p/x")
TEMPLATES = [(maker, kind) for maker in MAKERS for kind in ("phone", "base") if MAKERS[maker].template(Device(id="d", type=kind))]


def made(maker: str, kind: Any, setting: str, value: Any) -> bytes:
    field = setting.partition(" ")[0]
    keys = (Key(1, "busy_lamp", "102", "Bob"),) if setting == "pick_up" else ()
    known = {"ringtone": 3, "screen_timeout_seconds": 600, "lock_code": "1234"}
    profile = ProvisioningProfile.model_validate(
        {"id": "p", **known, **({field: value} if field in ProvisioningProfile.model_fields else {})}
    )
    one = Phone(SERVER, (LINE,), keys, profile, "fr", "Europe/Zurich", "*97", "**")
    if field not in ProvisioningProfile.model_fields or field == "language":
        one = replace(one, **{field: value})
    template = MAKERS[maker].template(Device(id="d", type=kind))
    assert template is not None
    return template(one).body


def test_each_template_is_in_the_table() -> None:
    assert set(TEMPLATES) == set(LACKS)


@pytest.mark.parametrize("setting", OTHERS)
@pytest.mark.parametrize(("maker", "kind"), TEMPLATES)
def test_a_template_tells_each_setting_that_its_maker_knows(maker: str, kind: str, setting: str) -> None:
    files = {made(maker, kind, setting, value) for value in OTHERS[setting]}
    assert (len(files) == 1) == (setting in LACKS[maker, kind])


@pytest.mark.feature("D-11")
def test_values_are_the_makers_own() -> None:
    """As their guides list them."""

    def told(maker: str, setting: str, value: Any) -> str:
        return made(maker, "phone", setting, value).decode()

    assert "local_time.date_format = 4\n" in told("yealink", "date_format", "month_day_year")
    assert "local_time.date_format = 2\n" in told("yealink", "date_format", "year_month_day")
    assert 'name="dateTime.format"><part name="date">dd-mm-yyyy<' in told("grandstream", "date_format", "day_month_year")
    assert 'name="lcd.backlight"><part name="activeTimeout">10<' in told("grandstream", "screen_timeout_seconds", 600)
    assert 'name="lcd.backlight"><part name="activeTimeout">90<' in told("grandstream", "screen_timeout_seconds", 86400)
    assert 'lcl.datetime.date.format="YYYY/MM/DD"' in told("polycom", "date_format", "year_month_day")
    assert "<Back_Light_Timer>20 s<" in told("cisco", "screen_timeout_seconds", 15)
    assert "<Back_Light_Timer>Always On<" in told("cisco", "screen_timeout_seconds", 600)
    assert "<CW_Setting>No<" in told("cisco", "call_waiting", False)
    assert "<Attendant_Console_Call_Pickup_Code>**#<" in told("cisco", "call_waiting", False)
    assert 'call.directedCallPickupString="**"' in told("polycom", "call_waiting", False)
    assert 'name="call.transfer"><part name="modeViaVpk">BlindTransfer<' in told("grandstream", "call_waiting", False)
    assert "transfer.dsskey_deal_type = 2\n" in told("yealink", "call_waiting", False)
    assert '<enable_backlight_dimming perm="RW">off<' in told("snom", "screen_timeout_seconds", 0)


def base(*lines: Line) -> Phone:
    profile = ProvisioningProfile(id="p", lock_code="2468")
    return Phone(SERVER, lines or (LINE, HANDSET), (), profile, "fr", "Europe/Zurich", "*97", "**")


def test_a_yealink_base_gives_each_handset_its_own_line() -> None:
    lines = set(yealink.base(base()).body.decode().splitlines())
    assert {"account.2.user_name = acme-102", "handset.2.name = Bob", "handset.2.incoming_lines = 2"} <= lines
    assert {"handset.2.dial_out_lines = 2", "handset.2.dial_out_default_line = 2", "custom.handset.language = 1"} <= lines


def test_a_snom_base_knows_a_handset_by_its_ipei_and_any_other_by_its_place() -> None:
    extensions = Xml.fromstring(snom.base(base()).body).find("extension")
    assert extensions is not None
    told = {(each.tag, each.get("idx")): each.text for each in extensions}
    assert told["subscr_dect_ipui", "1"] == "0xFFFFFFFFFF"
    assert told["subscr_dect_ipui", "2"] == "0x029E74A599"
    assert (told["user_name", "2"], told["user_pass", "2"], told["subscr_sip_hs_idx", "2"]) == ("acme-102", "secret", "2")
    assert snom.base(base()).body.count(b"<ac_code>2468<") == 1


def test_a_gigaset_base_adds_handsets_by_ipui_or_place_and_forgets_others() -> None:
    nvm = Xml.fromstring(gigaset.base(base()).body).find("nvm")
    assert nvm is not None
    assert [(each.get("name"), each.get("value")) for each in nvm.iter("oper")] == [
        ("DeleteNotProvisionedHS", None),
        ("add_hs", "00001"),
        ("add_hs", "029e74a599"),
    ]
    told = {each.get("name"): each.get("value") for each in nvm.findall("param")}
    assert told["SipAccount.029e74a599.AuthName"] == "acme-102"
    assert told["SipAccount.00001.AuthPassword"] == "secret"
    assert told["hs.029e74a599.DECT_AC"] == "2468"


def test_handsets_are_of_bases_and_stay_when_their_line_goes_to_somebody_else(whole: dict[str, Any]) -> None:
    config = given(whole)
    lines: list[Any] = [{"port": 2, "sip_credential_id": "acme-101", "ipei": "029e74a599"}]
    document: dict[str, Any] = {"id": "dect", "ports": 4, "lines": lines, "vendor": "Gigaset"}

    def create(**more: Any) -> CreateResource:
        return CreateResource(actor="x", kind="device", document={**document, **more})

    refused = [decide(config, each) for each in (create(), create(type="base", lines=[*lines, lines[0] | {"port": 3}]))]
    assert [isinstance(each, Invalid) and each.violations[0].reason for each in refused] == [
        "lines: only a base has handsets (ipei)",
        "lines: each handset (ipei) may stand once",
    ]
    config = after(config, create(type="base"))
    config = after(
        config, CreateResource(actor="x", kind="sip_credential", document={"id": "acme-b", "user_id": "bob", "password": "pw-of-bob-1"})
    )
    config = after(config, AssignDevice(actor="x", device_id="dect", port=2, user_id="bob"))
    device = config.get(Device, "dect")
    assert device is not None
    assert [(line.port, line.sip_credential_id, line.ipei) for line in device.lines] == [(2, "acme-b", "029e74a599")]
    told = gathered(config, device, {"acme-b": "secret"}, SERVER)
    assert [(line.ipei, line.display_name) for line in told.lines] == [("029e74a599", "Baker")]
