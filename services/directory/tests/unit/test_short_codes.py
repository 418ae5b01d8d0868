"""Short codes by the range, and short numbers of contacts."""

from dataclasses import replace
from typing import Any

import pytest

from carillon_contracts.config import Contact, ShortCode
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import AssignShortCodes, Batch, CreateResource, MoveShortCodes
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Exists, Invalid
from carillon_directory.testing import after, given

NUMBERS = (("+41219990001", "Taxi"), ("+41219990002", ""), ("+41219990003", ""))


@pytest.fixture
def config(whole: dict[str, Any]) -> TenantConfig:
    config = given({**whole, "short_number_rules": [{"id": "default"}]})
    for name in ("north", "south"):
        config = after(config, create("department", id=name))
    return config


def create(kind: str, **document: Any) -> CreateResource:
    return CreateResource(actor="x", kind=kind, document=document)


def assign(first: str = "88", department: str = "") -> AssignShortCodes:
    return AssignShortCodes(actor="x", first=first, entries=NUMBERS, department_id=department)


def codes(config: TenantConfig, department: str) -> dict[str, str]:
    return {each.code: each.number for each in config.all(ShortCode).values() if each.department_id == department}


@pytest.mark.feature("D-7")
def test_a_range_is_given_in_one_step_to_departments_side_by_side(config: TenantConfig) -> None:
    for department in ("north", "south"):
        config = after(config, assign("088", department))
        assert codes(config, department) == {f"0{88 + index}": number for index, (number, _) in enumerate(NUMBERS)}
    assert isinstance(decide(config, assign("089", "north")), Exists)


@pytest.mark.feature("D-7")
@pytest.mark.parametrize(("first", "field"), [("98", "first"), ("8x", "first"), ("100", "entries[1].code")])
def test_what_has_no_room_or_is_taken_refuses_all(config: TenantConfig, first: str, field: str) -> None:
    refused = decide(config, assign(first))
    assert isinstance(refused, Invalid)
    assert refused.violations[0].field == field


@pytest.mark.feature("D-7")
def test_a_range_moves_between_departments_and_clashes_refuse_it(config: TenantConfig) -> None:
    def move(first: str, last: str, whose: str = "north", to: str = "south") -> MoveShortCodes:
        return MoveShortCodes(actor="x", first=first, last=last, from_department_id=whose, department_id=to)

    config = after(config, assign("88", "north"))
    moved = after(config, move("88", "89"))
    assert [sorted(codes(moved, name)) for name in ("north", "south")] == [["90"], ["88", "89"]]
    assert codes(after(moved, move("80", "99", "south", "")), "").keys() >= {"88", "89"}
    for wrong in (move("91", "99"), move("9", "10"), move("89", "88")):
        assert isinstance(decide(config, wrong), Invalid)
    taken = after(config, create("short_code", id="s", code="89", number="+41219990009", department_id="south"))
    refused = decide(taken, move("88", "90"))
    assert isinstance(refused, Invalid)
    assert refused.violations[0].reason == "89 is taken by short_code 's'"


@pytest.mark.feature("D-7")
def test_codes_that_moved_are_given_again(config: TenantConfig) -> None:
    move = MoveShortCodes(actor="x", first="088", last="090", from_department_id="north", department_id="south")
    for department in ("south", "", "east"):
        config = after(config, create("department", id="east")) if department == "east" else config
        config = after(after(config, assign("088", "north")), replace(move, department_id=department))
        assert codes(config, department).keys() >= {"088", "089", "090"}
    config = after(config, assign("088", "north"))
    assert codes(config, "north") == {f"0{88 + index}": number for index, (number, _) in enumerate(NUMBERS)}
    assert isinstance(decide(config, assign("089", "north")), Exists)


@pytest.mark.feature("D-5", "D-8")
def test_a_new_contact_of_the_company_gets_a_short_number_where_there_is_a_rule(config: TenantConfig) -> None:
    def made(config: TenantConfig, name: str, **more: Any) -> str:
        config = after(config, create("contact", id=name, last_name="X", phone="+41795551234", **more))
        return config.all(Contact)[name].short_number

    assert made(config, "one", owner_user_id="ann") == ""
    assert made(config, "one") == "534"
    config = after(config, create("contact", id="first", last_name="X", phone="+41795551234"))
    assert made(config, "one") == "5234"
    config = after(config, create("extension", id="5234", destination={"user_id": "ann"}))
    assert made(config, "one") == ""
    assert made(config, "one", short_number="76") == "76"
    both = [create("contact", id=name, last_name="X", phone="+41795550066") for name in ("a", "b")]
    found = after(config, Batch(actor="x", items=tuple(both))).all(Contact)
    assert [found[name].short_number for name in ("a", "b")] == ["566", "5066"]


@pytest.mark.feature("D-5")
def test_without_a_rule_of_the_tenant_contacts_get_no_short_number(whole: dict[str, Any]) -> None:
    config = given({**whole, "short_number_rules": []})
    assert after(config, create("contact", id="one", last_name="X", phone="+41795551234")).all(Contact)["one"].short_number == ""
