"""What phones do by code is checked when it is saved: digits mean one thing, codes differ, members exist."""

from typing import Any

import pytest
from pydantic import JsonValue

from carillon_contracts.config import ParkingLot, codes_of
from carillon_directory.domain.commands import CreateResource, UpdateResource
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted, Invalid
from carillon_directory.testing import given

LOT = {"id": "main", "first_slot": "701", "last_slot": "720"}


def create(kind: str, document: dict[str, Any]) -> CreateResource:
    return CreateResource(actor="tester", kind=kind, document=document)


def wrong(decision: object) -> dict[str, str]:
    assert isinstance(decision, Invalid), decision
    return {each.field.partition(".")[2]: each.reason for each in decision.violations}


@pytest.mark.feature("M-5")
def test_a_lot_has_every_slot_between_its_first_and_its_last() -> None:
    lot = ParkingLot(id="main", first_slot="08", last_slot="11")
    assert lot.slots == ("08", "09", "10", "11")
    assert [digits for digits in ("07", "08", "11", "12", "8", "008") if lot.holds(digits)] == ["08", "11"]


@pytest.mark.feature("M-5")
@pytest.mark.parametrize(("first", "last"), [("720", "701"), ("99", "101"), ("700", "800")])
def test_slots_that_cannot_be_are_refused(company: dict[str, Any], first: str, last: str) -> None:
    assert isinstance(decide(given(company), create("parking_lot", LOT | {"first_slot": first, "last_slot": last})), Invalid)


@pytest.mark.feature("M-5")
def test_an_extension_is_no_slot_and_a_slot_no_extension(company: dict[str, Any]) -> None:
    with_lot = given(company | {"parking_lots": [LOT]})
    extension = {"id": "705", "destination": {"user_id": "ann"}}
    assert wrong(decide(with_lot, create("extension", extension))) == {"id": "705 is a slot of parking lot 'main'"}
    company["extensions"].append(extension)
    assert wrong(decide(given(company), create("parking_lot", LOT))) == {"first_slot": "extension 705 lies between 701 and 720"}


@pytest.mark.feature("M-5")
def test_two_lots_share_no_slot_and_two_paging_groups_no_number(company: dict[str, Any]) -> None:
    config = given(company | {"parking_lots": [LOT], "paging_groups": [{"id": "hall", "number": "1", "user_ids": ["ann"]}]})
    other = LOT | {"id": "other", "first_slot": "720", "last_slot": "730"}
    assert wrong(decide(config, create("parking_lot", other))) == {"first_slot": "parking lot 'main' has some of these slots"}
    page = {"id": "yard", "number": "1", "user_ids": ["bob"]}
    assert wrong(decide(config, create("paging_group", page))) == {"number": "1 is paging group 'hall' already"}


@pytest.mark.feature("M-5")
def test_members_must_exist(company: dict[str, Any]) -> None:
    group = {"id": "sales", "user_ids": ["ann", "nobody"]}
    assert wrong(decide(given(company), create("pickup_group", group))) == {"user_ids[1]": "no user 'nobody'"}


@pytest.mark.feature("R-19")
def test_a_tenant_has_the_usual_codes_but_those_that_it_changes(company: dict[str, Any]) -> None:
    document: dict[str, JsonValue] = {"feature_codes": [{"feature": "park", "code": "*5"}, {"feature": "page"}]}
    config = given(company)
    command = UpdateResource(actor="t", kind="tenant", resource_id=config.tenant_id, document=document, paths=("feature_codes",))
    accepted = decide(config, command)
    assert isinstance(accepted, Accepted)
    codes = codes_of(type(config.tenant).model_validate(accepted.changes[0].after).feature_codes)
    assert (codes["park"], codes["pick_up_group"], "page" in codes) == ("*5", "*8", False)


@pytest.mark.feature("R-19")
@pytest.mark.parametrize(
    "codes",
    [
        [{"feature": "park", "code": "*5"}, {"feature": "page", "code": "*5"}],
        [{"feature": "park", "code": "*5"}, {"feature": "park", "code": "*6"}],
        [{"feature": "park", "code": "5"}],
        [{"feature": "dance", "code": "*5"}],
    ],
    ids=["same as another", "twice", "digits alone", "unknown"],
)
def test_codes_that_cannot_be_are_refused(company: dict[str, Any], codes: list[dict[str, str]]) -> None:
    config = given(company)
    document: dict[str, Any] = {"feature_codes": codes}
    command = UpdateResource(actor="t", kind="tenant", resource_id=config.tenant_id, document=document, paths=("feature_codes",))
    assert isinstance(decide(config, command), Invalid)
