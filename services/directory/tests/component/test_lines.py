"""A line's status: what media and cdr say beside what is configured, for those who may see it, also while somebody is away."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.cdr.v1 import cdr_pb2, cdr_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1 import import_pb2_grpc, line_pb2
from carillon.directory.v1.line_pb2_grpc import LineServiceStub
from carillon.media.v1 import media_pb2, media_pb2_grpc
from carillon_directory.app import running
from carillon_kit.auth import ADMIN, DEPARTMENT_ADMIN, OPERATOR, SERVICE, USER, TokenVerifier, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.grpc_server import GrpcServer, current_tenant

from .conftest import KEY, settings_for

pytestmark = pytest.mark.feature("D-9")
TENANT = "lines"
REGISTERED = media_pb2.Registration(
    user_id="ann",
    sip_user="ann-desk",
    contact="sip:ann@192.0.2.7:5062",
    user_agent="Yealink SIP-T54W",
    source="udp:192.0.2.7:5062",
    node="media-1",
    watched_by=["bob", "eve"],
    message_notices=3,
)


DEPARTED = media_pb2.Registration(user_id="ann", sip_user="ann-home", user_agent="Linphone", watched_by=["bob"], message_notices=1)
DEPARTED.left_at.FromDatetime(datetime(2031, 1, 5, 18, tzinfo=UTC))


def record(call_id: str, minute: int, party: str = "former", account_code: str = "4711") -> cdr_pb2.Record:
    found = cdr_pb2.Record(call_id=call_id, caller="101", account_code=account_code, legs=[cdr_pb2.Leg(leg_id="a1", party=party)])
    found.started_at.FromDatetime(datetime(2031, 1, 6, 9, minute, tzinfo=UTC))
    return found


#: By what a list asks for.
CALLS = {"ann": [record("c3", 30, "ann"), record("c1", 10, "ann")], "101": [record("c3", 30, "ann"), record("c2", 20)], "102": []}
#: Of a user alone: what was before the line was handed over is not there; one of somebody else's, as of a cdr that knows no such list.
OWN = {"ann": [record("c2", 20), record("c1", 10, "ann")]}

#: Calls that were a department's: `c2` is of who had the extension before, elsewhere.
THEIRS = {"trade": {"c1", "c3"}}


class Media(media_pb2_grpc.RegistrationServiceServicer):
    """Knows one phone, of one tenant."""

    async def ListRegistrations(self, request: media_pb2.ListRegistrationsRequest, context: object) -> media_pb2.ListRegistrationsResponse:
        if (current_tenant(), request.user_id) != (TENANT, "ann"):
            return media_pb2.ListRegistrationsResponse()
        return media_pb2.ListRegistrationsResponse(registrations=[REGISTERED], departed=[DEPARTED], silent_nodes=["media-2"])


class Cdr(cdr_pb2_grpc.RecordServiceServicer):
    """Answers as `CALLS` says."""

    GetRecord = cdr_pb2_grpc.RecordServiceServicer.GetRecord
    ListCallEvents = cdr_pb2_grpc.RecordServiceServicer.ListCallEvents
    StreamDecisions = cdr_pb2_grpc.RecordServiceServicer.StreamDecisions

    async def ListRecords(self, request: cdr_pb2.ListRecordsRequest, context: object) -> cdr_pb2.ListRecordsResponse:
        found = OWN[request.user_id] if request.user_id else CALLS[request.rung_user_id or request.party]
        if request.department_id:
            found = [each for each in found if each.call_id in THEIRS[request.department_id]]
        return cdr_pb2.ListRecordsResponse(records=found[: request.page_size])


@pytest.fixture(scope="module")
async def media() -> AsyncIterator[str]:
    """`host:port` of somebody who answers as media does, and as cdr."""
    server = GrpcServer("127.0.0.1:0", TokenVerifier(KEY))
    media_rights: Mapping[str, frozenset[str]] = {"ListRegistrations": frozenset({SERVICE})}
    names = ("ListRecords", "GetRecord", "ListCallEvents", "StreamDecisions")
    cdr_rights: Mapping[str, frozenset[str]] = dict.fromkeys(names, frozenset({str(SERVICE)}))
    server.add(media_pb2_grpc.add_RegistrationServiceServicer_to_server, Media(), "carillon.media.v1.RegistrationService", media_rights)
    server.add(cdr_pb2_grpc.add_RecordServiceServicer_to_server, Cdr(), "carillon.cdr.v1.RecordService", cdr_rights)
    port = await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop()


@pytest.fixture(scope="module")
async def directory(nats_url: str, postgres_dsn: str, media: str) -> AsyncIterator[int]:
    """With a company in it, and cdr and media within reach."""
    async with running(settings_for(nats_url, postgres_dsn, media=media, cdr=media)) as port:
        await apply(port)
        yield port


async def apply(port: int) -> None:
    request = pb.ApplyTenantRequest(
        tenant=pb.Tenant(id=TENANT, realm="lines.example"),
        departments=[pb.Department(id="trade"), pb.Department(id="board")],
        rights_profiles=[pb.RightsProfile(id="desk", rights=[pb.Right(resource="*")])],
        sites=[pb.Site(id="geneva")],
        users=[
            pb.User(id="ann", first_name="Ann", last_name="Archer", department_id="trade"),
            pb.User(id="bob", last_name="Brown", department_id="board", function_keys=[pb.FunctionKey(key=1, user_id="ann")]),
        ],
        extensions=[pb.Extension(id=digits, destination=pb.Destination(user_id="ann")) for digits in ("101", "102")],
        numbers=[pb.Number(id="+41225550101", destination=pb.Destination(user_id="ann"))],
        sip_credentials=[pb.SipCredential(id="ann-desk", user_id="ann"), pb.SipCredential(id="ann-home", user_id="ann")],
        devices=[
            pb.Device(
                id="desk",
                vendor="yealink",
                model="T54W",
                mac="001565aabb01",
                owner="Lessor SA",
                site_id="geneva",
                ports=2,
                lines=[pb.DeviceLine(port=2, sip_credential_id="ann-desk", label="Counter")],
            )
        ],
        supervisions=[pb.Supervision(id="s", supervisor_user_ids=["bob"], user_ids=["ann"], modes=[pb.SUPERVISION_MODE_LISTEN])],
    )
    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "x", None, [OPERATOR]), TENANT) as operator:
        await import_pb2_grpc.ImportServiceStub(operator).ApplyTenant(request)


async def status(port: int, token: str, user_id: str = "ann", calls: int = 0) -> line_pb2.LineStatus:
    async with channel(f"127.0.0.1:{port}", token, TENANT) as link:
        stub: Any = LineServiceStub(link)
        answer: line_pb2.GetLineStatusResponse = await stub.GetLineStatus(line_pb2.GetLineStatusRequest(user_id=user_id, calls=calls))
        return answer.line


def admin() -> str:
    return issue_token(KEY, "user/root", TENANT, [ADMIN])


async def refusal(port: int, token: str, user_id: str = "ann", calls: int = 0) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await status(port, token, user_id, calls)
    return refused.value.code()


async def test_everything_of_a_line_by_one_call(directory: int) -> None:
    line = await status(directory, admin())
    assert (line.user_id, line.display_name, line.department_id) == ("ann", "Ann Archer", "trade")
    assert (list(line.extension_ids), list(line.number_ids)) == (["101", "102"], ["+41225550101"])
    assert (list(line.lamp_user_ids), list(line.supervisor_user_ids), list(line.watched_by)) == (["bob"], ["bob"], ["bob", "eve"])
    desk, home = line.phones
    assert (desk.sip_credential_id, desk.state, list(desk.registrations)) == ("ann-desk", line_pb2.LINE_STATE_ONLINE, [REGISTERED])
    assert (desk.device_id, desk.port, desk.device_label, desk.vendor, desk.model) == ("desk", 2, "Counter", "yealink", "T54W")
    assert (desk.mac, desk.owner, desk.site_id, desk.message_notices) == ("001565aabb01", "Lessor SA", "geneva", 3)
    assert (home.sip_credential_id, home.state, home.device_id) == ("ann-home", line_pb2.LINE_STATE_OFFLINE, "")
    assert (list(home.registrations), home.departed, home.message_notices) == ([], DEPARTED, 1)
    assert not desk.HasField("departed")
    assert [each.call_id for each in line.last_calls] == ["c3", "c2", "c1"]
    assert list(line.missing) == ["media-2"]
    assert [each.call_id for each in (await status(directory, admin(), calls=1)).last_calls] == ["c3"]


async def test_a_line_is_shown_to_its_person_and_to_those_who_administer_it(directory: int) -> None:
    missing = grpc.StatusCode.NOT_FOUND
    own = issue_token(KEY, "user/ann", TENANT, [USER])
    line = await status(directory, own)
    assert line.user_id == "ann"
    told = [(each.call_id, each.account_code) for each in line.last_calls]
    assert told == [("c1", "")], "neither of who had the extension or the line before, nor with the codes, which are not shown to users"
    assert {each.account_code for each in (await status(directory, admin())).last_calls} == {"4711"}
    assert await refusal(directory, own, "bob") == missing
    trade, board = (issue_token(KEY, "user/x", TENANT, [DEPARTMENT_ADMIN], department=name) for name in ("trade", "board"))
    line = await status(directory, trade)
    assert line.phones
    assert [each.call_id for each in line.last_calls] == ["c3", "c1"], "not of the extension's former person, of another department"
    narrowed = issue_token(KEY, "user/root", TENANT, [ADMIN], rights_profile="desk")
    assert not (await status(directory, narrowed)).last_calls
    assert await refusal(directory, board) == missing
    assert await refusal(directory, admin(), "nobody") == missing
    assert await refusal(directory, admin(), calls=51) == grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_away_is_named_and_the_rest_is_told(nats_url: str, postgres_dsn: str, directory: int, media: str) -> None:
    async with running(settings_for(nats_url, postgres_dsn, media="127.0.0.1:9", cdr="")) as port:
        line = await status(port, admin())
    assert list(line.missing) == ["media", "cdr"]
    assert {phone.state for phone in line.phones} == {line_pb2.LINE_STATE_UNSPECIFIED}
    assert (list(line.extension_ids), list(line.last_calls)) == (["101", "102"], [])
