"""Short codes by the range, and short numbers of contacts."""

from dataclasses import replace
from typing import Any

import pytest

from carillon_contracts.config import Contact, ShortCode
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.domain.commands import ApplyCompany, AssignShortCodes, Batch, CreateResource, MoveShortCodes
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted, Exists, Invalid
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
@pytest.mark.parametrize(("first", "field"), [("98", "first"), ("8x", "first"), ("1" * 5000, "first"), ("100", "entries[1].code")])
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
@pytest.mark.parametrize("rules", [[], [{"id": "default"}]])
def test_a_new_contact_of_the_company_gets_a_short_number_or_is_told_why_not(whole: dict[str, Any], rules: list[Any]) -> None:
    def made(config: TenantConfig, name: str, **more: Any) -> tuple[str, tuple[str, ...]]:
        decision = decide(config, create("contact", id=name, last_name="X", phone="+41795551234", **more))
        assert isinstance(decision, Accepted)
        assert decision.after is not None
        return decision.after.all(Contact)[name].short_number, tuple(reason for _, reason in decision.remarks)

    config = given({**whole, "short_number_rules": rules})
    assert made(config, "one", owner_user_id="ann") == ("", ())
    assert made(config, "one") == ("534", ())
    config = after(config, create("contact", id="first", last_name="X", phone="+41795551234"))
    assert made(config, "one") == ("5234", ())
    config = after(config, create("extension", id="5234", destination={"user_id": "ann"}))
    assert made(config, "one") == (
        "",
        ("not made: 534 is taken by contact 'first'", "not made: 5234 is taken by extension '5234'"),
    )
    assert made(config, "one", short_number="76") == ("76", ())
    ranged = after(config, create("extension_range", id="r", first="560", last="569"))
    both = [create("contact", id=name, last_name="X", phone="+41795550066") for name in ("a", "b")]
    for known, numbers in ((config, ["566", "5066"]), (ranged, ["5066", ""])):
        found = after(known, Batch(actor="x", items=tuple(both))).all(Contact)
        assert [found[name].short_number for name in ("a", "b")] == numbers


@pytest.mark.feature("D-5", "D-20")
def test_new_contacts_of_a_file_get_the_short_numbers_that_others_of_it_do_not_name(config: TenantConfig) -> None:
    rows: list[Any] = [
        {"id": "a", "last_name": "A", "phone": "+41795550066"},
        {"id": "b", "last_name": "B", "phone": "+41795550066"},
        {"id": "c", "last_name": "C", "phone": "+41795550067", "short_number": "566"},
    ]
    decision = decide(config, ApplyCompany(actor="x", documents={"contact": rows}, short_numbers=True))
    assert isinstance(decision, Accepted)
    assert decision.after is not None
    found = decision.after.all(Contact)
    assert [found[name].short_number for name in "abc"] == ["5066", "", "566"]
    assert [about for about, _ in decision.remarks] == ["extension/566", "extension/5066"]
    plain = decide(config, ApplyCompany(actor="x", documents={"contact": rows}))
    assert isinstance(plain, Accepted)
    assert plain.after is not None
    assert [plain.after.all(Contact)[name].short_number for name in "abc"] == ["", "", "566"]


@pytest.mark.feature("D-5")
def test_where_the_rule_is_off_contacts_get_no_short_number(whole: dict[str, Any]) -> None:
    config = given({**whole, "short_number_rules": [{"id": "default", "off": True}]})
    assert after(config, create("contact", id="one", last_name="X", phone="+41795551234")).all(Contact)["one"].short_number == ""
