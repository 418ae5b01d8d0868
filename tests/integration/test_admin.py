"""The admin API seen by a client that knows only what reflection tells it, as grpcurl does."""

from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from strangers.system import System

pytestmark = pytest.mark.feature("P-1", "P-3")


class Reflected:
    """Calls methods by their names, with JSON, over descriptors that the server gave."""

    def __init__(self, target: str, token: str, tenant: str = "dupont") -> None:
        self.channel = grpc.insecure_channel(target)
        self.metadata = [("authorization", f"Bearer {token}"), ("carillon-tenant", tenant)] if token else []
        self.pool = descriptor_pool.DescriptorPool()
        self.stub = reflection_pb2_grpc.ServerReflectionStub(self.channel)

    def services(self) -> list[str]:
        answer = self._ask(reflection_pb2.ServerReflectionRequest(list_services=""))
        return [service.name for service in answer.list_services_response.service]

    def call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """`carillon.directory.v1.UserService/GetUser`"""
        service, name = method.split("/")
        self._load(service)
        found = self.pool.FindServiceByName(service).FindMethodByName(name)
        request = json_format.ParseDict(body, message_factory.GetMessageClass(found.input_type)())
        answer_class = message_factory.GetMessageClass(found.output_type)
        call = self.channel.unary_unary(f"/{method}", lambda message: message.SerializeToString(), answer_class.FromString)
        return json_format.MessageToDict(call(request, metadata=self.metadata, timeout=10), preserving_proto_field_name=True)

    def _ask(self, request: Any) -> Any:
        return next(iter(self.stub.ServerReflectionInfo(iter([request]), metadata=self.metadata, timeout=10)))

    def _load(self, symbol: str) -> None:
        answer = self._ask(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
        files = [descriptor_pb2.FileDescriptorProto.FromString(raw) for raw in answer.file_descriptor_response.file_descriptor_proto]
        waiting = {file.name: file for file in files}
        while waiting:
            for file in list(waiting.values()):
                missing = [name for name in file.dependency if name in waiting]
                if not missing:
                    for name in file.dependency:
                        self._load_file(name)
                    self.pool.Add(waiting.pop(file.name))

    def _load_file(self, name: str) -> None:
        try:
            self.pool.FindFileByName(name)
        except KeyError:
            answer = self._ask(reflection_pb2.ServerReflectionRequest(file_by_filename=name))
            for raw in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(raw)
                for dependency in file.dependency:
                    self._load_file(dependency)
                self.pool.Add(file)


@pytest.fixture(scope="module")
def directory(system: System) -> Reflected:
    return Reflected(system.run["grpc"]["directory"], system.run["admin_token"])


def violations(error: grpc.RpcError) -> dict[str, str]:
    """Fields and reasons of a BadRequest."""
    raw = next(value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin")
    status = status_pb2.Status.FromString(raw)
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(bad):
            return {violation.field: violation.description for violation in bad.field_violations}
    return {}


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
def test_without_a_token_every_door_is_closed(system: System, token: str) -> None:
    for service, method in (
        ("directory", "carillon.directory.v1.UserService/ListUsers"),
        ("cdr", "carillon.cdr.v1.RecordService/ListRecords"),
        ("voicemail", "carillon.voicemail.v1.MessageService/ListMessages"),
        ("media", "carillon.media.v1.LiveCallService/ListLiveCalls"),
        ("routing", "carillon.common.v1.CallApplication/Next"),
    ):
        known = Reflected(system.run["grpc"][service], system.run["admin_token"])
        known.metadata, known_call = known.metadata, known.call
        known._load(method.split("/")[0])
        found = known.pool.FindServiceByName(method.split("/")[0]).FindMethodByName(method.split("/")[1])
        answer_class = message_factory.GetMessageClass(found.output_type)
        metadata = [("authorization", f"Bearer {token}")] if token else []
        call = known.channel.unary_unary(f"/{method}", lambda raw: raw, answer_class.FromString)
        with pytest.raises(grpc.RpcError) as caught:
            call(b"", metadata=metadata, timeout=10)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED, service
        assert known_call
