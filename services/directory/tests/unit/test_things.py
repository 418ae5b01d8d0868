"""Phones that are moved and handed out, and holidays of schedules."""

from typing import Any

import pytest

from carillon_contracts.config import Device, Schedule
from carillon_contracts.tenant_config import TenantConfig
from carillon_directory.adapters.public_holidays import holidays_of
from carillon_directory.domain.commands import ApplyCompany, AssignDevice, Batch, Bounds, CreateResource, ImportHolidays, MoveDevice
from carillon_directory.domain.decide import decide
from carillon_directory.domain.outcomes import Accepted, Forbidden, Invalid, Missing, Stale
from carillon_directory.testing import after, given
from carillon_kit.errors import InvalidArgument


@pytest.fixture
def config(whole: dict[str, Any]) -> TenantConfig:
    return given(whole)


def device(config: TenantConfig, name: str) -> Device:
    found = config.get(Device, name)
    assert found is not None
    return found


def lines(config: TenantConfig, name: str) -> list[tuple[int, str]]:
    return [(line.port, line.sip_credential_id) for line in device(config, name).lines]


@pytest.mark.feature("D-9")
def test_a_device_goes_to_a_site_and_back_into_stock_where_it_is_nobodys(config: TenantConfig) -> None:
    moved = after(config, MoveDevice(actor="x", device_id="spare", site_id="lausanne"))
    assert device(moved, "spare").site_id == "lausanne"
    back = after(moved, MoveDevice(actor="x", device_id="desk-1"))
    assert (device(back, "desk-1").site_id, lines(back, "desk-1")) == ("", [])
    nowhere = decide(config, MoveDevice(actor="x", device_id="spare", site_id="nowhere"))
    assert isinstance(nowhere, Invalid)
    assert [each.field for each in nowhere.violations] == ["device.site_id"]


@pytest.mark.feature("D-9")
def test_a_port_is_given_to_a_user_by_a_line_that_no_device_has_yet(config: TenantConfig) -> None:
    config = after(
        config, CreateResource(actor="x", kind="sip_credential", document={"id": "acme-102", "user_id": "ann", "password": "pass-word-2"})
    )
    given_to_ann = after(config, AssignDevice(actor="x", device_id="spare", port=3, user_id="ann"))
    assert lines(given_to_ann, "spare") == [(3, "acme-102")]
    both = after(given_to_ann, AssignDevice(actor="x", device_id="spare", port=1, sip_credential_id="acme-101"))
    assert set(lines(both, "spare")) == {(1, "acme-101"), (3, "acme-102")}
    one_free = after(both, AssignDevice(actor="x", device_id="spare", port=3))
    assert lines(one_free, "spare") == [(1, "acme-101")]
    assert lines(after(both, AssignDevice(actor="x", device_id="spare", port=0)), "spare") == []


@pytest.mark.feature("D-9")
def test_what_cannot_be_assigned_is_refused_by_field(config: TenantConfig) -> None:
    def refused(**wanted: Any) -> Any:
        fields: dict[str, Any] = {"device_id": "spare", "port": 1} | wanted
        return decide(config, AssignDevice(actor="x", **fields))

    assert refused(user_id="nobody") == Missing("user", "nobody")
    assert refused(device_id="none") == Missing("device", "none")
    assert refused(user_id="bob").violations[0].field == "user_id"
    assert refused(port=9, user_id="ann").violations[0].reason.endswith("the device has 8 port(s)")
    assert refused(sip_credential_id="none").violations[0].field == "device.lines[0].sip_credential_id"
    assert isinstance(refused(user_id="ann", etag="old"), Stale)
    assert isinstance(refused(user_id="ann", bounds=Bounds(department="trade")), Forbidden)


@pytest.mark.feature("D-12")
def test_a_years_holidays_replace_those_of_an_earlier_import(config: TenantConfig) -> None:
    def imported(before: TenantConfig, year: int, *days: str) -> TenantConfig:
        found = tuple({"date": day, "label": "Fête", "country": "CH", "region": "VD"} for day in days)
        command = ImportHolidays(actor="x", schedule_id="day", country="CH", region="VD", year=year, holidays=found)
        return after(before, command)

    def days(held: TenantConfig) -> list[str]:
        schedule = held.get(Schedule, "day")
        assert schedule is not None
        return [each.date.isoformat() for each in schedule.holidays]

    first = imported(config, 2027, "2027-01-01", "2027-09-20")
    both = imported(first, 2028, "2028-01-01")
    assert days(imported(both, 2027, "2027-01-02")) == ["2027-01-02", "2028-01-01"]
    again = ImportHolidays(actor="x", schedule_id="day", country="CH", region="VD", year=2027, holidays=())
    decided = decide(both, again)
    assert isinstance(decided, Accepted)
    assert len(decided.changes) == 1


@pytest.mark.feature("D-12")
def test_public_holidays_are_those_of_the_region_in_the_language() -> None:
    vaud = {str(each["date"]): each["label"] for each in holidays_of("CH", "VD", 2027, "fr-CH")}
    assert vaud["2027-09-20"] == "Lundi du Jeûne fédéral"
    assert "2027-09-20" not in {each["date"] for each in holidays_of("CH", "ZH", 2027, "fr")}
    assert {each["label"] for each in holidays_of("FR", "", 2027, "fr")} >= {"Fête nationale"}
    for wrong, field in ((("ZZ", "", 2027), "country"), (("CH", "QQ", 2027), "region"), (("CH", "VD", 1), "year")):
        with pytest.raises(InvalidArgument) as refused:
            holidays_of(*wrong, "fr")
        assert list(refused.value.violations) == [field]


@pytest.mark.feature("D-12")
def test_a_new_schedule_has_the_usual_hours_unless_it_says_when_it_is_open(config: TenantConfig) -> None:
    def made(**fields: Any) -> list[tuple[tuple[int, ...], str, str]]:
        found = after(config, CreateResource(actor="x", kind="schedule", document={"id": "new", **fields})).schedules["new"]
        return [(each.weekdays, each.start, each.end) for each in found.ranges]

    week = (1, 2, 3, 4, 5)
    assert made() == made(mode="closed") == [(week, "09:00", "12:00"), (week, "13:00", "18:00")]
    assert made(ranges=[{"weekdays": [6], "start": "10:00", "end": "11:00"}]) == [((6,), "10:00", "11:00")]
    assert made(exceptions=[{"date": "2026-12-24", "ranges": [{"start": "10:00", "end": "11:00"}]}]) == []
    never = CreateResource(actor="x", kind="schedule", document={"id": "never"}, usual_hours=False)
    assert after(config, never).schedules["never"].ranges == after(config, Batch(actor="x", items=(never,))).schedules["never"].ranges == ()


@pytest.mark.feature("D-12")
def test_a_new_schedule_has_the_time_zone_of_its_department_s_site(config: TenantConfig) -> None:
    config = after(config, CreateResource(actor="x", kind="site", document={"id": "rome", "time_zone": "Europe/Rome"}))
    config = after(config, CreateResource(actor="x", kind="department", document={"id": "italy", "site_id": "rome"}))
    config = after(config, CreateResource(actor="x", kind="department", document={"id": "sales-it", "parent_id": "italy"}))

    def zone(**document: Any) -> str:
        return after(config, CreateResource(actor="x", kind="schedule", document={"id": "new", **document})).schedules["new"].time_zone

    assert zone() == ""
    assert zone(department_id="sales-it") == "Europe/Rome"
    assert zone(department_id="sales-it", time_zone="Europe/Paris") == "Europe/Paris"
    company = after(config, ApplyCompany(actor="x", documents={"schedule": [{"id": "new"}]}))
    assert company.schedules["new"].ranges == ()
