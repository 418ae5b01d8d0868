"""Who is told of new administrators, and of those that are none any more."""

from collections.abc import Sequence
from typing import Any

import pytest

from carillon_contracts.config import ConfigChanged
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.administrators import changed, letters
from carillon_directory.domain.commands import EVERYTHING, Bounds, CreateResource
from carillon_directory.testing import given as company

pytestmark = pytest.mark.feature("P-3", "D-24")
VISITING, INSIDE = Bounds(inside=True, visiting=True), Bounds(inside=True)


@pytest.fixture
def before() -> TenantConfig:
    users = [
        {"id": "zoe", "last_name": "Zed", "role": "admin", "email": "zoe@x.example", "language": "de-CH"},
        {"id": "yan", "last_name": "Young", "role": "admin"},
        {"id": "head", "last_name": "Head", "role": "department_admin", "email": "head@x.example"},
    ]
    return company({"tenant": {"id": "acme", "realm": "acme.example", "language": "xx"}, "users": users})


def user(user_id: str, was: str | None, now: str | None, **fields: Any) -> ConfigChanged:
    before, after = ({"id": user_id, "last_name": user_id, "role": role} | fields if role else None for role in (was, now))
    action = "updated" if before and after else "created" if after else "deleted"
    return ConfigChanged.model_validate(
        {"actor": "x", "resource": "user", "resource_id": user_id, "action": action, "before": before, "after": after}
    )


def told(changes: Sequence[ConfigChanged], bounds: Bounds) -> list[tuple[str, str, str, str]]:
    command = CreateResource(actor="somebody", bounds=bounds, kind="user", document={})
    return [(each.user_id, each.was, each.now, each.by) for each in changed(command, changes)]


def test_what_comes_from_outside_is_told_and_what_the_tenants_own_people_do_is_not() -> None:
    changes = [
        user("a", None, "admin"),
        user("b", "user", "department_admin"),
        user("c", "admin", None),
        user("d", "admin", "user"),
        user("e", "admin", "admin"),
        user("f", None, "user"),
    ]
    expected = [("a", "", "admin"), ("b", "user", "department_admin"), ("c", "admin", ""), ("d", "admin", "user")]
    for bounds in (VISITING, EVERYTHING):
        assert told(changes, bounds) == [(*each, "somebody") for each in expected]
    assert told(changes, INSIDE) == []


def test_a_letter_goes_to_each_administrator_of_before_who_has_an_address(before: TenantConfig) -> None:
    changes = [user(f"new-{number}", None, "admin", email="n@x.example") for number in range(60)]
    news = list(changed(CreateResource(actor="olga", kind="user", document={}), changes))
    ((reader, letter),) = letters(before, news, changes)
    assert (reader.id, letter.to) == ("zoe", ("zoe@x.example",))
    assert letter.subject == "Die Administratoren von acme haben gewechselt"
    assert "olga, von ausserhalb Ihrer Firma" in letter.text
    assert "new-0 (new-0): ist jetzt Administrator (admin)" in letter.text
    assert "und 10 weitere" in letter.text
    assert not list(letters(TenantConfig("new"), news, changes)), "of a tenant that has just begun there is nobody to tell"
