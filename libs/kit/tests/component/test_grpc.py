"""The gRPC server and client together, over a real socket."""

from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2 as details
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status
from opentelemetry import trace

from carillon_kit import telemetry
from carillon_kit.auth import TokenVerifier, issue_token
from carillon_kit.errors import Unauthenticated
from carillon_kit.grpc_server import GrpcServer, current_principal

from .conftest import KEY, SERVICE, Echo, Served, add_echo

Code = grpc.StatusCode


async def refused(awaitable: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value


def detail(error: grpc.aio.AioRpcError, kind: type[Message]) -> Any:
    """The error's only detail, which has to be a `kind`."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status.code == error.code().value[0]
    (box,) = status.details
    found = kind()
    assert box.Unpack(found)
    return found


async def test_the_servicer_knows_who_asks_and_for_which_tenant(served: Any) -> None:
    assert await served.say("hello", served.token("admin", tenant="dupont")) == "tester@dupont: hello"
    assert await served.say("hello", served.token("service"), tenant="dupont") == "tester@dupont: hello"


async def test_metadata_of_the_call_wins_over_the_channels(served: Any) -> None:
    metadata = (("carillon-tenant", "martin"),)
    assert await served.say("x", served.token("operator"), tenant="dupont", metadata=metadata) == "tester@martin: x"


async def test_a_call_without_a_token_is_refused(served: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as bare:
        for rpc in ("Say", "Watch"):
            call = bare.unary_unary(f"/test.v1.Echo/{rpc}", None, None)
            assert (await refused(call(b""))).code() is Code.UNAUTHENTICATED
        basic = (("authorization", "Basic abc"),)
        assert (await refused(bare.unary_unary("/test.v1.Echo/Say", None, None)(b"", metadata=basic))).code() is Code.UNAUTHENTICATED


async def test_forged_and_expired_tokens_are_refused(served: Any) -> None:
    for token in (served.token("admin", key="z" * 32), served.token("admin", tenant="x", expires_in=-1), "not-a-token", ""):
        assert (await refused(served.say("x", token))).code() is Code.UNAUTHENTICATED


async def test_a_role_that_is_not_listed_for_the_rpc_is_refused(served: Any) -> None:
    assert (await refused(served.say("x", served.token("guest", tenant="dupont")))).code() is Code.PERMISSION_DENIED
    call = served.connect(served.token("operator"), "dupont").unary_stream("/test.v1.Echo/Watch")

    async def read() -> None:
        async for _ in call(b""):
            pass

    assert (await refused(read())).code() is Code.PERMISSION_DENIED


async def test_another_tenants_token_is_refused(served: Any) -> None:
    error = await refused(served.say("x", served.token("admin", tenant="martin"), tenant="dupont"))
    assert error.code() is Code.PERMISSION_DENIED


async def test_a_rights_profile_is_refused_where_nobody_checks_profiles(served: Any) -> None:
    narrowed = issue_token(KEY, "user/ann", "dupont", ["admin"], rights_profile="reader")
    error = await refused(served.say("x", narrowed))
    assert error.code() is Code.PERMISSION_DENIED
    assert "rights profile" in (error.details() or "")
    watched = served.connect(narrowed).unary_stream("/test.v1.Echo/Watch")(b"")
    assert (await refused(watched.read())).code() is Code.PERMISSION_DENIED


async def test_a_server_that_checks_profiles_itself_lets_them_in() -> None:
    server = GrpcServer("127.0.0.1:0", TokenVerifier(KEY), checks_profiles=True)
    server.add(add_echo, Echo(), SERVICE, dict.fromkeys(("Say", "Watch"), frozenset({"admin"})))
    served = Served(await server.start())
    try:
        narrowed = issue_token(KEY, "user/ann", "dupont", ["admin"], rights_profile="reader")
        assert await served.say("x", narrowed) == "user/ann@dupont: x"
    finally:
        for opened in served.channels:
            await opened.close()
        await server.stop(grace=0)


async def test_an_operator_has_to_name_a_tenant(served: Any) -> None:
    error = await refused(served.say("x", served.token("operator")))
    assert error.code() is Code.INVALID_ARGUMENT
    assert detail(error, details.BadRequest).field_violations[0].field == "carillon-tenant"


async def test_an_admin_token_without_a_tenant_stands_above_nobody(served: Any) -> None:
    assert (await refused(served.say("x", served.token("admin"), tenant="dupont"))).code() is Code.PERMISSION_DENIED


async def ask(served: Any, text: str) -> grpc.aio.AioRpcError:
    return await refused(served.say(text, served.token("admin", tenant="dupont")))


async def test_field_violations_are_a_bad_request(served: Any) -> None:
    error = await ask(served, "invalid")
    assert error.code() is Code.INVALID_ARGUMENT
    violations = detail(error, details.BadRequest).field_violations
    assert [(v.field, v.description) for v in violations] == [("user.name", "is empty"), ("user.extension", "is taken")]


async def test_more_violations_than_a_client_takes_are_counted(served: Any) -> None:
    invalid = detail(await ask(served, "much invalid"), details.BadRequest).field_violations
    assert invalid[0].field == "users[0].name"
    assert len(invalid) > 50
    assert invalid[-1].description == f"{5001 - (len(invalid) - 1)} more"
    held = detail(await ask(served, "much held"), details.PreconditionFailure).violations
    assert held[0].subject == "user/0"
    assert len(held) > 50
    assert held[-1].description == f"{5000 - (len(held) - 1)} more"
    assert (await ask(served, "long")).code() is Code.NOT_FOUND


async def test_pydantics_errors_are_a_bad_request_with_dotted_paths(served: Any) -> None:
    violations = detail(await ask(served, "pydantic"), details.BadRequest).field_violations
    assert {v.field for v in violations} == {"name", "branches.0.target"}


@pytest.mark.parametrize(("text", "code"), [("not found", Code.NOT_FOUND), ("exists", Code.ALREADY_EXISTS)])
async def test_resources_are_named(served: Any, text: str, code: grpc.StatusCode) -> None:
    error = await ask(served, text)
    assert error.code() is code
    assert "users/7" in detail(error, details.ResourceInfo).resource_name


async def test_what_holds_a_resource_is_said(served: Any) -> None:
    error = await ask(served, "precondition")
    assert error.code() is Code.FAILED_PRECONDITION
    (violation,) = detail(error, details.PreconditionFailure).violations
    assert (violation.type, violation.subject, violation.description) == ("REFERENCED", "plans/main", "uses this group")


@pytest.mark.parametrize(
    ("text", "code"), [("aborted", Code.ABORTED), ("denied", Code.PERMISSION_DENIED), ("unavailable", Code.UNAVAILABLE)]
)
async def test_other_errors_keep_their_code(served: Any, text: str, code: grpc.StatusCode) -> None:
    assert (await ask(served, text)).code() is code


async def test_what_is_away_is_worth_a_retry(served: Any) -> None:
    error = await ask(served, "database away")
    assert error.code() is Code.UNAVAILABLE
    assert "10.0.0.7" not in str(error)


async def test_a_fault_of_ours_is_an_id_and_nothing_else(served: Any) -> None:
    error = await ask(served, "crash")
    assert error.code() is Code.INTERNAL
    assert "hunter2" not in str(error)
    assert detail(error, details.ErrorInfo).metadata["error_id"] in (error.details() or "")


async def test_streams_are_guarded_and_rich_too(served: Any) -> None:
    call = served.connect(served.token("admin", tenant="dupont")).unary_stream(
        "/test.v1.Echo/Watch", request_serializer=StringValue.SerializeToString, response_deserializer=StringValue.FromString
    )
    assert [item.value async for item in call(StringValue(value="x"))] == ["dupont0", "dupont1", "dupont2"]
    seen = []

    async def read() -> None:
        async for item in call(StringValue(value="not found")):
            seen.append(item.value)

    error = await refused(read())
    assert seen == ["dupont0", "dupont1"]
    assert detail(error, details.ResourceInfo).resource_name == "tenants/dupont/users/7"


async def test_the_trace_goes_along(served: Any) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with telemetry.entry("test", parent):
        assert (await served.say("trace", served.token("service"), "dupont"))[:35] == parent[:35]
    assert not trace.get_current_span().get_span_context().is_valid
    assert len(await served.say("trace", served.token("service"), "dupont")) == 55


async def test_an_rpc_that_nobody_listed_keeps_the_server_from_starting() -> None:
    def add(servicer: Any, server: Any) -> None:
        handler = grpc.unary_unary_rpc_method_handler(servicer)
        server.add_registered_method_handlers("s.v1.S", {"Get": handler, "Delete": handler})

    server = GrpcServer("127.0.0.1:0", TokenVerifier("k" * 32))
    with pytest.raises(ValueError, match="nobody says who may call Delete"):
        server.add(add, None, "s.v1.S", {"Get": frozenset({"admin"})})
    with pytest.raises(ValueError, match="has no rpc Put"):
        server.add(add, None, "s.v1.S", {"Get": frozenset(), "Delete": frozenset(), "Put": frozenset()})
    with pytest.raises(ValueError, match=r"not s\.v1\.Other"):
        server.add(add, None, "s.v1.Other", {"Get": frozenset(), "Delete": frozenset()})


async def test_health_needs_no_token(served: Any) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as bare:
        stub = health_pb2_grpc.HealthStub(bare)
        for service in ("", "test.v1.Echo"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_and_describes_the_services(served: Any, version: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{served.port}") as bare:
        call = bare.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="test.v1.Echo"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="grpc.reflection.v1.ServerReflection"),
        ]
        answers = [answer async for answer in call(iter(requests))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {"test.v1.Echo", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= names
    assert answers[1].file_descriptor_response.file_descriptor_proto
    assert answers[2].file_descriptor_response.file_descriptor_proto


async def test_a_taken_port_is_refused(served: Any) -> None:
    server = GrpcServer(f"127.0.0.1:{served.port}", TokenVerifier("k" * 32))
    with pytest.raises(OSError, match="cannot listen"):
        await server.start()


def test_outside_of_a_call_nobody_asks() -> None:
    with pytest.raises(Unauthenticated):
        current_principal()
