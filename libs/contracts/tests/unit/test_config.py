"""Resources check themselves and say which field is wrong."""

import pytest
from pydantic import ValidationError

from carillon_contracts.config import RESOURCES, Destination, Menu, Plan, Resource, Schedule, Tenant, Trunk, User


def error_field(kind: type[Resource], **fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate({"id": "x", **fields})
    return ".".join(str(part) for part in caught.value.errors()[0]["loc"])


def test_a_destination_is_exactly_one_thing() -> None:
    assert Destination(user_id="alain").kind == "user_id"
    for wrong in ({}, {"user_id": "a", "menu_id": "b"}):
        with pytest.raises(ValidationError, match="exactly one"):
            Destination.model_validate(wrong)


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        (User, {"last_name": ""}, "last_name"),
        (User, {"last_name": "Dupont", "ring_seconds": 5}, "ring_seconds"),
        (User, {"last_name": "Dupont", "email": "a@b, c@d"}, "email"),
        (User, {"last_name": "Dupont", "colour": "red"}, "colour"),
        (Tenant, {"realm": "dupont.example", "time_zone": "Europe/Nowhere"}, "time_zone"),
        (Trunk, {"address": "127.0.0.2:99999"}, "address"),
        (Schedule, {"ranges": [{"weekdays": [1], "start": "12:00", "end": "08:00"}]}, "ranges.0"),
        (Schedule, {"ranges": [{"weekdays": [8], "start": "08:00", "end": "12:00"}]}, "ranges.0.weekdays.0"),
        (Menu, {"prompt": [], "keys": []}, "prompt"),
        (Plan, {"entry": "a", "nodes": [{"id": "a"}]}, "nodes.0"),
    ],
)
def test_a_wrong_value_is_refused_and_its_field_named(kind: type[Resource], fields: dict[str, object], field: str) -> None:
    assert error_field(kind, **fields) == field


@pytest.mark.parametrize(
    ("given", "transport", "kept", "host", "port"),
    [
        ("carrier.example", "udp", "carrier.example", "carrier.example", None),
        ("Carrier.Example:5080", "udp", "Carrier.Example:5080", "carrier.example", 5080),
        ("192.0.2.1", "udp", "192.0.2.1:5060", "192.0.2.1", 5060),
        ("192.0.2.1", "tls", "192.0.2.1:5061", "192.0.2.1", 5061),
        ("[2001:DB8::1]", "tcp", "[2001:DB8::1]:5060", "2001:db8::1", 5060),
    ],
)
def test_a_trunk_is_at_an_address_or_where_dns_says(given: str, transport: str, kept: str, host: str, port: int | None) -> None:
    trunk = Trunk.model_validate({"id": "carrier", "address": given, "transport": transport})
    assert (trunk.address, trunk.host, trunk.port) == (kept, host, port)
    assert Trunk.model_validate_json(trunk.model_dump_json()) == trunk


def test_every_kind_is_listed_under_its_own_name() -> None:
    assert all(name == kind.KIND for name, kind in RESOURCES.items())
