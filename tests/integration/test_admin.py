"""The admin API seen by a client that knows only what reflection tells it, as grpcurl does."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest

from carillon_cli import company
from carillon_cli.demo import company as dupont
from strangers.reflection import Reflected, violations
from strangers.system import System

pytestmark = pytest.mark.feature("P-1", "P-3")


@pytest.fixture(scope="module")
def directory(system: System) -> Reflected:
    return Reflected(system.run["grpc"]["directory"], system.run["admin_token"])


def version(directory: Reflected) -> str:
    return str(directory.call("carillon.directory.v1.TenantService/GetTenant", {"id": "dupont"})["tenant"]["config_seq"])


def test_reflection_names_every_service_of_the_directory(directory: Reflected) -> None:
    names = {name.rsplit(".", 1)[-1] for name in directory.services()}
    assert {"TenantService", "UserService", "PlanService", "TrunkService", "HistoryService", "ImportService", "Health"} <= names


@pytest.mark.parametrize(
    ("method", "body", "field"),
    [
        ("UserService/CreateUser", {"user": {"id": "x", "last_name": ""}}, "user.last_name"),
        ("UserService/CreateUser", {"user": {"id": "x", "last_name": "X", "email": "a@b\r\nBcc: c@d"}}, "user.email"),
        ("UserService/CreateUser", {"user": {"id": "x", "last_name": "X", "mailbox_id": "nowhere"}}, "user.mailbox_id"),
        ("ExtensionService/CreateExtension", {"extension": {"id": "1", "destination": {"user_id": "alain"}}}, "extension.id"),
        ("TrunkService/CreateTrunk", {"trunk": {"id": "x", "address": "host:99999"}}, "trunk.address"),
    ],
)
def test_wrong_input_is_refused_with_its_field_and_changes_nothing(
    directory: Reflected, method: str, body: dict[str, Any], field: str
) -> None:
    before = version(directory)
    with pytest.raises(grpc.RpcError) as caught:
        directory.call(f"carillon.directory.v1.{method}", body)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in violations(caught.value)
    assert violations(caught.value)[field]
    assert version(directory) == before


def test_what_is_used_cannot_be_deleted_and_the_holder_is_named(directory: Reflected) -> None:
    before = version(directory)
    with pytest.raises(grpc.RpcError) as caught:
        directory.call("carillon.directory.v1.UserService/DeleteUser", {"id": "bernard"})
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "support" in str(caught.value.details()) + str(caught.value.trailing_metadata())
    assert version(directory) == before


@pytest.mark.parametrize("token", ["", "nonsense"])
@pytest.mark.parametrize(
    ("service", "method"),
    [
        ("directory", "carillon.directory.v1.UserService/ListUsers"),
        ("cdr", "carillon.cdr.v1.RecordService/ListRecords"),
        ("voicemail", "carillon.voicemail.v1.MessageService/ListMessages"),
        ("media", "carillon.media.v1.LiveCallService/ListLiveCalls"),
        ("routing", "carillon.common.v1.CallApplication/Next"),
    ],
)
def test_without_a_token_every_door_is_closed(system: System, service: str, method: str, token: str) -> None:
    stranger = Reflected(system.run["grpc"][service], token)
    with pytest.raises(grpc.RpcError) as caught:
        stranger.call(method, {})
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.feature("D-20", "P-6")
def test_the_company_comes_out_as_the_file_that_went_in(system: System) -> None:
    file = company.normal(company.load(dupont.text(), dupont.NAME)[1])
    loaded = sum(len(section) if isinstance(section, list) else 1 for section in file.values())
    first = system.carillon("export", "--as-of", str(loaded))  # Tests of the other files may have changed something since.
    assert company.normal(company.load(first, "exported")[1]) == file


@pytest.mark.feature("D-20", "P-6")
def test_what_is_exported_changes_nothing(system: System, tmp_path: Path) -> None:
    system.carillon("export", str(tmp_path / "now.yaml"))
    assert "holds all of it already" in system.carillon("apply", "--prune", str(tmp_path / "now.yaml"))


@pytest.mark.feature("P-6")
def test_single_resources_are_shown(system: System) -> None:
    assert "last_name: Dumas" in system.carillon("get", "user", "dumas")
    assert "realm: dupont.example" in system.carillon("get", "tenant")
    numbers = system.carillon("list", "numbers", "--filter", "label = sales")
    assert [line.split() for line in numbers.splitlines()[1:]] == [["+41215550110", "sales", "plan", "sales"]]


@pytest.mark.feature("R-25")
@pytest.mark.parametrize("plan", ["main", "sales"])
def test_the_plans_of_the_company_are_as_its_story_says(system: System, plan: str) -> None:
    assert system.carillon("simulate", "--test", plan)


def test_the_session_that_the_docs_show_goes_as_they_say(system: System, directory: Reflected) -> None:
    """The snippet of docs/api.md, run as it stands there."""
    text = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    user = {"id": "front-end", "last_name": "Front", "role": "USER_ROLE_ADMIN"}
    directory.call("carillon.directory.v1.UserService/CreateUser", {"user": user})
    made = directory.call("carillon.directory.v1.AccessService/SetPassword", {"user_id": "front-end"})
    told = {"CARILLON_WEB": system.run["web"]["url"], "CARILLON_LOGIN": made["login"], "CARILLON_PASSWORD": made["password"]}
    try:
        done = subprocess.run(
            [sys.executable, "-c", found[1]], env=os.environ | told, capture_output=True, text=True, timeout=120, check=False
        )
    finally:
        directory.call("carillon.directory.v1.UserService/DeleteUser", {"id": "front-end"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["I am user/front-end", "made 5", "refused: already_exists"]
    assert lines[3] == f"listed {[f'Session {n}' for n in (4, 3, 2, 1, 0)]}"
    assert lines[4:6] == ["changed +41215550177", "too late: aborted"]
    assert lines[6].startswith("watched [")
    assert lines[7:] == ["deleted 5"]
