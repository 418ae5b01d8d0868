"""Everything that the directory knows of a person."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.json_format import MessageToDict

from carillon.directory.v1 import contact_pb2_grpc, import_pb2_grpc
from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.person_pb2_grpc import PersonServiceStub
from carillon_kit.auth import OPERATOR, USER, issue_token
from carillon_kit.grpc_client import channel

from .conftest import KEY

pytestmark = pytest.mark.feature("P-8")
TENANT = "persons"


@pytest.fixture(scope="module")
async def company(port: int) -> int:
    request = pb.ApplyTenantRequest(
        tenant=pb.Tenant(id=TENANT, realm="persons.example"),
        mailboxes=[pb.Mailbox(id="anns")],
        users=[pb.User(id="ann", last_name="Archer", mailbox_id="anns"), pb.User(id="bob", last_name="Baker")],
        sip_credentials=[pb.SipCredential(id="persons-ann", user_id="ann", password="correct-horse")],
        extensions=[pb.Extension(id="101", destination=pb.Destination(user_id="ann"))],
        ring_groups=[pb.RingGroup(id="team", members=[pb.RingMember(user_id="ann"), pb.RingMember(user_id="bob")])],
        contacts=[
            pb.Contact(id="friend", last_name="Friend", owner_user_id="ann"),
            pb.Contact(id="others", last_name="O", owner_user_id="bob"),
        ],
    )
    async with channel(f"127.0.0.1:{port}", issue_token(KEY, "x", None, [OPERATOR]), TENANT) as operator:
        await import_pb2_grpc.ImportServiceStub(operator).ApplyTenant(request)
        await contact_pb2_grpc.ContactServiceStub(operator).DeleteContact(pb.DeleteContactRequest(id="friend"))
    return port


@pytest.fixture
async def ann(company: int) -> AsyncIterator[grpc.aio.Channel]:
    async with channel(f"127.0.0.1:{company}", issue_token(KEY, "user/ann", TENANT, [USER])) as link:
        yield link


async def exported(link: grpc.aio.Channel, user: str) -> list[pb.ExportPersonResponse]:
    service: Any = PersonServiceStub(link)
    return [part async for part in service.ExportPerson(pb.ExportPersonRequest(user_id=user), timeout=30)]


async def test_a_person_gets_what_is_theirs_what_names_them_and_its_history(ann: grpc.aio.Channel) -> None:
    parts = await exported(ann, "ann")
    own = {(part.resource.kind, part.resource.id) for part in parts if part.HasField("resource")}
    assert own == {("user", "ann"), ("mailbox", "anns"), ("sip_credential", "persons-ann"), ("extension", "101")}
    assert [(part.mention.kind, part.mention.id) for part in parts if part.HasField("mention")] == [("ring_group", "team")]
    changes = [(part.change.resource_id, part.change.fact) for part in parts if part.HasField("change")]
    assert {("friend", "created"), ("friend", "deleted"), ("ann", "created"), ("101", "created")} <= set(changes)
    assert not {name for name, _ in changes} & {"bob", "others", "team"}
    written = str([MessageToDict(part) for part in parts])
    assert "ha1" not in written
    assert "Baker" not in written


@pytest.mark.parametrize(("user", "code"), [("bob", grpc.StatusCode.PERMISSION_DENIED), ("", grpc.StatusCode.PERMISSION_DENIED)])
async def test_a_person_gets_nothing_of_others(ann: grpc.aio.Channel, user: str, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await exported(ann, user)
    assert refused.value.code() is code
