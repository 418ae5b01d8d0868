"""What administrators do in a word, in the running system, and what routing makes of it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from strangers.reflection import Reflected
from strangers.system import System, until


class Admin:
    def __init__(self, system: System) -> None:
        self._addresses, self._token = system.run["grpc"], system.run["admin_token"]

    def do(self, method: str, body: dict[str, Any]) -> Any:
        return Reflected(self._addresses["directory"], self._token).call(f"carillon.directory.v1.{method}", body)

    def shown(self, dialled: str) -> str:
        body = {"caller": "+41791112233", "dialled": dialled, "at": "2030-03-05T10:00:00Z"}
        return str(Reflected(self._addresses["routing"], self._token).call("carillon.routing.v1.RoutingService/Simulate", body))


@pytest.mark.feature("D-12", "R-3")
def test_a_schedule_closed_by_hand_or_by_a_holiday_is_closed_for_the_next_call(system: System) -> None:
    admin, number = Admin(system), "+41215559911"
    hours = {"id": "by-hand", "ranges": [{"weekdays": [1, 2, 3, 4, 5, 6, 7], "start": "00:00", "end": "24:00"}]}
    calendar = {"entries": [{"schedule_id": "by-hand", "next": "open"}], "otherwise": "closed"}
    ends = [{"id": end, "destination": {"destination": {"user_id": user}}} for end, user in (("open", "alain"), ("closed", "bernard"))]
    admin.do("ScheduleService/CreateSchedule", {"schedule": hours})
    admin.do(
        "PlanService/CreatePlan", {"plan": {"id": "by-hand", "entry": "hours", "nodes": [{"id": "hours", "calendar": calendar}, *ends]}}
    )
    admin.do("NumberService/CreateNumber", {"number": {"id": number}})
    assert "goes to plan by-hand" in system.carillon("numbers", "assign", number, "plan", "by-hand")
    until(lambda: "user/alain" in admin.shown(number), "the open way", 30)
    assert "by-hand is night" in system.carillon("schedules", "mode", "by-hand", "night")
    until(lambda: "user/bernard" in admin.shown(number), "the closed way", 30)
    system.carillon("schedules", "mode", "by-hand", "automatic")
    until(lambda: "user/alain" in admin.shown(number), "the open way again", 30)
    assert "Restauration de la République" in system.carillon(
        "schedules", "holidays", "by-hand", "2030", "--region", "GE", "--language", "fr"
    )
    admin.do("FaxBoxService/CreateFaxBox", {"fax_box": {"id": "by-hand"}})
    assert "goes to fax_box by-hand" in system.carillon("numbers", "assign", number, "fax_box", "by-hand")
    until(lambda: "no fax service answers" in admin.shown(number), "the fax box", 30)
    assert f"{number} is free" in system.carillon("numbers", "free", number)
    admin.do("FaxBoxService/DeleteFaxBox", {"id": "by-hand"})
    admin.do("NumberService/DeleteNumber", {"id": number})
    admin.do("PlanService/DeletePlan", {"id": "by-hand"})
    admin.do("ScheduleService/DeleteSchedule", {"id": "by-hand"})


@pytest.mark.feature("D-9", "D-4", "D-18", "D-23")
def test_phones_and_lines_are_handed_out_and_back_by_the_command_line(system: System) -> None:
    admin = Admin(system)
    admin.do("UserService/CreateUser", {"user": {"id": "zoe", "last_name": "Zbinden"}})
    admin.do("SipCredentialService/CreateSipCredential", {"sip_credential": {"id": "dupont-zoe", "user_id": "zoe"}})
    admin.do("SiteService/CreateSite", {"site": {"id": "annex"}})
    admin.do("DeviceService/CreateDevice", {"device": {"id": "loose", "ports": 2}})
    assert system.carillon("devices", "move", "loose", "annex").strip() == "loose is at annex, nobody's"
    assert "port 2: dupont-zoe" in system.carillon("devices", "assign", "loose", "zoe", "--port", "2")
    assert system.carillon("devices", "move", "loose").strip() == "loose is in stock, nobody's"
    assert "981 reaches zoe" in system.carillon("lines", "extend", "zoe", "--first", "981", "--exact")
    assert "user/zoe  " in system.carillon("list", "contacts", "--internal", "--filter", "extensions : 981")
    assert "until they log out" in system.carillon("lines", "login", "dupont-zoe", "alain")
    assert "zoe at 981, supervised by nobody" in system.carillon("lines", "show", "zoe")
    assert "dupont-zoe is zoe's" in system.carillon("lines", "logout", "dupont-zoe")
    assert "password of dupont-zoe" in system.carillon("lines", "reset", "zoe")
    until(lambda: system.carillon("lines", "unlock", "zoe", code=None), "media and routing know the user", 30)
    unlocked = system.carillon("lines", "unlock", "zoe")
    assert "PINs and codes of zoe count again" in unlocked
    assert "zoe has no login" in unlocked
    for service, name in (("Extension", "981"), ("Device", "loose"), ("Site", "annex"), ("SipCredential", "dupont-zoe"), ("User", "zoe")):
        admin.do(f"{service}Service/Delete{service}", {"id": name})


@pytest.mark.feature("P-8")
def test_a_person_is_told_everything_that_is_known_of_them(system: System, tmp_path: Path) -> None:
    told = system.carillon("person", "export", "claire", str(tmp_path / "claire.zip"))
    assert "configuration.json" in told
    with zipfile.ZipFile(tmp_path / "claire.zip") as archive:
        own = json.loads(archive.read("configuration.json"))
        history = json.loads(archive.read("history.json"))
        calls = json.loads(archive.read("calls.json"))
        letters = json.loads(archive.read("letters.json"))
        assert {letter["content"] for letter in letters} == {name for name in archive.namelist() if name.startswith("letters/")}
    assert {("user", "claire"), ("mailbox", "claire")} <= {(each["kind"], each["id"]) for each in own}
    assert "claire" in {change["resource_id"] for change in history}
    assert all("call_id" in call for call in calls)
