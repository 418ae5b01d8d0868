"""A small gRPC service of the kit's own, without generated code."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.wrappers_pb2 import StringValue
from pydantic import BaseModel

from carillon_kit.auth import TokenVerifier, issue_token
from carillon_kit.errors import (
    Aborted,
    AlreadyExists,
    ApiError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from carillon_kit.grpc_client import Channel, channel
from carillon_kit.grpc_server import GrpcServer, current_principal, current_tenant
from carillon_kit.telemetry import traceparent

KEY = "k" * 32
SERVICE = "test.v1.Echo"


class Branch(BaseModel):
    """What a request is parsed into."""

    target: int


class Request(BaseModel):
    """A pydantic model that refuses."""

    name: str
    branches: list[Branch]


RAISED: dict[str, ApiError] = {
    "invalid": InvalidArgument({"user.name": "is empty", "user.extension": "is taken"}),
    "much invalid": InvalidArgument({f"users[{n}].name": "is empty" for n in range(5000)} | {"z" * 5000: "x" * 5000}),
    "much held": FailedPrecondition([("REFERENCE", f"user/{n}", "depends on é") for n in range(5000)]),
    "long": NotFound("x" * 100_000),
    "not found": NotFound("tenants/dupont/users/7"),
    "exists": AlreadyExists("users/7"),
    "aborted": Aborted("the etag is old"),
    "precondition": FailedPrecondition([("REFERENCED", "plans/main", "uses this group")]),
    "denied": PermissionDenied("not yours"),
    "unavailable": Unavailable("database away"),
}


class Echo:
    """Answers with who asks, or raises what it is asked to."""

    async def Say(self, request: StringValue, context: Any) -> StringValue:
        if request.value in RAISED:
            raise RAISED[request.value]
        if request.value == "pydantic":
            Request.model_validate({"branches": [{"target": "x"}]})
        if request.value == "database away":
            raise asyncpg.ConnectionDoesNotExistError("at 10.0.0.7")
        if request.value == "crash":
            raise RuntimeError("the password is hunter2")
        if request.value == "trace":
            return StringValue(value=traceparent() or "")
        principal = current_principal()
        return StringValue(value=f"{principal.subject}@{current_tenant()}: {request.value}")

    async def Watch(self, request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        for number in range(3):
            if request.value in RAISED and number == 2:
                raise RAISED[request.value]
            yield StringValue(value=f"{current_tenant()}{number}")


def add_echo(servicer: Echo, server: Any) -> None:
    """As generated code does it."""
    kinds = {"Say": grpc.unary_unary_rpc_method_handler, "Watch": grpc.unary_stream_rpc_method_handler}
    handlers = {
        name: make(getattr(servicer, name), request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString)
        for name, make in kinds.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


@dataclass
class Served:
    """A running server with the echo service, and channels to it."""

    port: int
    channels: list[Channel] = field(default_factory=list)

    def token(self, *roles: str, tenant: str | None = None, key: str = KEY, expires_in: float | None = None) -> str:
        return issue_token(key, "tester", tenant, roles, expires_in)

    def connect(self, token: str, tenant: str | None = None) -> Channel:
        opened = channel(f"127.0.0.1:{self.port}", token, tenant)
        self.channels.append(opened)
        return opened

    async def say(self, text: str, token: str, tenant: str | None = None, **options: Any) -> str:
        call = self.connect(token, tenant).unary_unary(
            f"/{SERVICE}/Say", request_serializer=StringValue.SerializeToString, response_deserializer=StringValue.FromString
        )
        return str((await call(StringValue(value=text), timeout=5, **options)).value)


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    describe_echo()
    server = GrpcServer("127.0.0.1:0", TokenVerifier(KEY))
    everyone = frozenset({"operator", "admin", "service"})
    server.add(add_echo, Echo(), SERVICE, {"Say": everyone, "Watch": frozenset({"admin"})})
    served = Served(await server.start())
    yield served
    for opened in served.channels:
        await opened.close()
    await server.stop(grace=0)


def describe_echo() -> None:
    """The descriptor that generated code would register, for reflection."""
    file = descriptor_pb2.FileDescriptorProto(name="test/v1/echo.proto", package="test.v1", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    service = file.service.add(name="Echo")
    for name, streams in (("Say", False), ("Watch", True)):
        value = ".google.protobuf.StringValue"
        service.method.add(name=name, input_type=value, output_type=value, server_streaming=streams)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
