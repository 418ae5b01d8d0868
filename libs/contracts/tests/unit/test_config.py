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


def test_a_trunk_without_port_is_on_5060() -> None:
    assert Trunk(id="carrier", address="carrier.example").address == "carrier.example:5060"


def test_every_kind_is_listed_under_its_own_name() -> None:
    assert all(name == kind.KIND for name, kind in RESOURCES.items())
