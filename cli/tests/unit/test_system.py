import fcntl
import json
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from carillon.directory.v1.directory_pb2 import ListUsersRequest, ListUsersResponse
from carillon_cli.errors import CliError
from carillon_cli.system import System, load, pages, readable

pytestmark = pytest.mark.feature("P-6")
DUMAS = {"id": "dumas", "name": "D", "extension": "101", "sip_user": "dupont-101", "sip_password": "x", "numbers": ["+41215550101"]}


def system(**tenants: dict[str, Any]) -> System:
    return System(Path("/data"), {"version": 1, "tenants": tenants})


def test_no_system_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="no system is running") as refused:
        load(tmp_path)
    assert "carillon up" in refused.value.hint


def test_what_a_killed_system_left_is_no_running_system(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"version": 1, "tenants": {}}))
    (tmp_path / "up.lock").touch()
    with pytest.raises(CliError, match="was killed"):
        load(tmp_path)
    with (tmp_path / "up.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert load(tmp_path).tenants == []


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"version": 2}')
    with pytest.raises(CliError, match="version 2"):
        load(tmp_path)


def test_the_only_tenant_need_not_be_named() -> None:
    assert system(dupont={}).tenant(None) == "dupont"


@pytest.mark.parametrize(("tenants", "wanted"), [({}, None), ({"a": {}, "b": {}}, None), ({"a": {}}, "c")])
def test_a_tenant_that_is_not_clear_is_asked_for(tenants: dict[str, Any], wanted: str | None) -> None:
    with pytest.raises(CliError):
        system(**tenants).tenant(wanted)


@pytest.mark.parametrize("wanted", ["101", "dumas", "dupont-101", "+41215550101"])
def test_a_phone_is_found_by_any_of_its_names(wanted: str) -> None:
    assert system(dupont={"users": [DUMAS]}).phone("dupont", wanted).user_id == "dumas"


def test_a_phone_without_a_known_password_cannot_be_used() -> None:
    without = {key: value for key, value in DUMAS.items() if key != "sip_password"}
    with pytest.raises(CliError, match="no phone '101'"):
        system(dupont={"users": [without]}).phone("dupont", "101")


def refusal(code: grpc.StatusCode, details: str, *fields: tuple[str, str]) -> CliError:
    bad = error_details_pb2.BadRequest()
    for name, reason in fields:
        bad.field_violations.add(field=name, description=reason)
    status = status_pb2.Status()
    status.details.add().Pack(bad)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return readable(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details=details, debug_error_string=None), "media")


def test_a_reason_is_told_once() -> None:
    told = refusal(grpc.StatusCode.INVALID_ARGUMENT, "call_id: too long", ("call_id", "too long"), ("page_size", "too large"))
    assert str(told) == "media refuses: call_id: too long\n  page_size: too large"


@pytest.mark.parametrize(
    ("details", "hint"),
    [
        ("calls/1 not found", "carillon records"),
        ("messages/1 not found", "carillon messages"),
        ("ban of 192.0.2.1 not found", "carillon bans"),
        ("users/elise: no device of user elise is registered", "Register a phone"),
        ("users/nobody not found", "run.json"),
    ],
)
def test_what_is_not_there_is_told_with_where_to_look(details: str, hint: str) -> None:
    assert hint in refusal(grpc.StatusCode.NOT_FOUND, details).hint


async def test_a_list_is_read_to_its_last_page() -> None:
    asked: list[tuple[str, str]] = []

    async def rpc(request: ListUsersRequest, timeout: float) -> ListUsersResponse:
        asked.append((request.filter, request.page_token))
        return ListUsersResponse(next_page_token={"": "b", "b": "c"}.get(request.page_token, ""))

    found = [page.next_page_token async for page in pages(rpc, ListUsersRequest(filter="x"), "directory")]
    assert (asked, found) == ([("x", ""), ("x", "b"), ("x", "c")], ["b", "c", ""])
