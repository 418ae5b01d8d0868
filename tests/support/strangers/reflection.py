"""A gRPC client that knows only what reflection tells it, as grpcurl does."""

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc


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
