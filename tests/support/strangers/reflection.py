"""A gRPC client that knows only what reflection tells it, as grpcurl does."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

#: Messages of a stream that are read before it is given up.
_ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended, with the first messages that came."""

    code: grpc.StatusCode
    details: str = ""
    messages: list[Message] = field(default_factory=list)
    #: Fields and reasons of a BadRequest.
    violations: dict[str, str] = field(default_factory=dict)


def violations(error: grpc.RpcError) -> dict[str, str]:
    """Fields and reasons of a BadRequest."""
    raw = next((entry.value for entry in error.trailing_metadata() or () if entry.key == "grpc-status-details-bin"), b"")
    bad = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(raw).details:
        if detail.Unpack(bad):
            return {violation.field: violation.description for violation in bad.field_violations}
    return {}


class Reflected:
    """Calls methods by their names, with JSON, over descriptors that the server gave."""

    def __init__(self, target: str, token: str, tenant: str = "dupont") -> None:
        self.channel = grpc.insecure_channel(target)
        self.metadata = (("authorization", f"Bearer {token}"), ("carillon-tenant", tenant)) if token else ()
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

    def methods(self) -> Iterator[Any]:
        """The descriptor of every method of every service."""
        for service in self.services():
            self._load(service)
            yield from self.pool.FindServiceByName(service).methods

    def send(self, method: Any, request: Message, metadata: tuple[tuple[str, str], ...], seconds: float) -> Answer:
        """Call any method, streaming or not, with one message; of endless streams the beginning is read."""
        kind = "_".join("stream" if streams else "unary" for streams in (method.client_streaming, method.server_streaming))
        answer_class = message_factory.GetMessageClass(method.output_type)
        name = f"/{method.containing_service.full_name}/{method.name}"
        call = getattr(self.channel, kind)(name, lambda message: message.SerializeToString(), answer_class.FromString)
        said = iter([request]) if method.client_streaming else request
        messages: list[Message] = []
        try:
            answer = call(said, metadata=metadata, timeout=seconds)
            if not method.server_streaming:
                return Answer(grpc.StatusCode.OK, messages=[answer])
            for message in answer:
                messages.append(message)
                if len(messages) == _ENOUGH:
                    answer.cancel()
                    break
        except grpc.RpcError as error:
            return Answer(error.code(), error.details() or "", messages, violations(error))
        return Answer(grpc.StatusCode.OK, messages=messages)

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
