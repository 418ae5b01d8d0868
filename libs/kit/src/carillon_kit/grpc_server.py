"""The gRPC server of every service: deny by default, rich errors, health, reflection, trace context.

Invariant: no rpc of ours runs before its token was verified and one of the roles listed for that very rpc was found in it; an rpc
that nobody listed keeps the server from starting. Only health, reflection and what is listed for `ANYONE` are open. A tenant's token
with another tenant's name is refused before the request is looked at, and so is one with a rights profile where nobody checks profiles.
A stream lasts no longer than its token: see `lasting_streams`.

The checks wrap each handler where it is registered instead of being interceptors: one coroutine less per call.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg
import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_status import rpc_status
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from carillon_kit import logs, telemetry
from carillon_kit.auth import ANYONE, OPERATOR, SERVICE, Principal, TokenVerifier, Verified
from carillon_kit.bus.api import PublishFailed
from carillon_kit.errors import ApiError, InvalidArgument, PermissionDenied, Unauthenticated, Unavailable, internal_status
from carillon_kit.ids import SystemIds
from carillon_kit.lasting_streams import LastingStreams, TokenOver

TENANT_KEY = "carillon-tenant"
_BEARER = "Bearer "
#: A fetched recording of ten minutes (16 bit, 8 kHz) fits.
LARGEST_MESSAGE = 16 * 1024 * 1024
_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
    # A client's pings may come close together where it or we had to wait for the processor; an import must not be cut off for that.
    ("grpc.http2.max_ping_strikes", 0),
)
#: What says that something we need is away: the client may try again, and is told no more.
_AWAY = (ConnectionError, TimeoutError, PublishFailed, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError)
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"

_log = logs.get_logger(__name__)
#: Lets a call in by its metadata, or raises.
_Enter = Callable[[Mapping[str, Any]], Verified | None]
_token: ContextVar[Verified | None] = ContextVar("carillon_token", default=None)
_tenant: ContextVar[str | None] = ContextVar("carillon_tenant", default=None)


def current_token() -> Verified:
    """What the call that is being served was made with; raises `Unauthenticated` outside of one."""
    token = _token.get()
    if token is None:
        raise Unauthenticated
    return token


def current_principal() -> Principal:
    """Who makes the call that is being served; raises `Unauthenticated` outside of one."""
    return current_token().principal


def current_tenant() -> str:
    """The tenant of the call: the token's; operators and services name it in metadata `carillon-tenant`.

    Raises `InvalidArgument` when they do not. A tenant's token that comes with another tenant's name gets no further than the server.
    """
    principal, named = current_principal(), _tenant.get()
    if principal.tenant is not None:
        return principal.tenant
    if not principal.roles & {OPERATOR, SERVICE}:
        raise PermissionDenied("the token names no tenant")
    if not named:
        raise InvalidArgument({TENANT_KEY: "metadata needed: the token stands above the tenants"})
    return named


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that was not allowed: which, why, and whose, as far as that is known (`subject` and `tenant` may be empty)."""

    method: str
    reason: Literal["unauthenticated", "permission_denied"]
    subject: str
    tenant: str
    #: As gRPC tells it: `ipv4:192.0.2.7:50123`.
    peer: str


class GrpcServer:
    """A `grpc.aio` server on `listen` (`host:port`, port 0: a free one). Make it inside the running loop.

    `on_refusal` is told of every call that was not allowed; it must not wait. Tokens that a rights profile narrows are refused unless
    `checks_profiles`: then what is served looks at the profile itself.
    """

    def __init__(
        self,
        listen: str,
        verifier: TokenVerifier,
        on_refusal: Callable[[Refusal], None] | None = None,
        *,
        checks_profiles: bool = False,
    ) -> None:
        self._on_refusal = on_refusal
        self._checks_profiles = checks_profiles
        self._listen = listen
        self._verifier = verifier
        self._streams = LastingStreams(verifier)
        self._ids = SystemIds()
        self._server = grpc.aio.server(options=_OPTIONS)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._services: list[str] = []

    def add(
        self,
        add_servicer: Callable[[Any, Any], None],
        servicer: object,
        service_full_name: str,
        rights: Mapping[str, frozenset[str]],
        *,
        checks_profiles: bool = False,
    ) -> None:
        """Serve `servicer`; `rights` names every rpc and the roles that may call it, anything else is refused with `ValueError`.

        `checks_profiles`: this service looks at rights profiles itself, whatever the others of the server do.

        `add_servicer` is the generated `add_XServicer_to_server`, `service_full_name` e.g. `carillon.directory.v1.Directory`.
        """
        recorder = _Recorder()
        add_servicer(servicer, recorder)
        if set(recorder.handlers) != {service_full_name}:
            raise ValueError(f"{add_servicer.__name__} serves {sorted(recorder.handlers)}, not {service_full_name}")
        handlers = recorder.handlers[service_full_name]
        if unlisted := sorted(set(handlers) - set(rights)):
            raise ValueError(f"{service_full_name}: nobody says who may call {', '.join(unlisted)}")
        if unknown := sorted(set(rights) - set(handlers)):
            raise ValueError(f"{service_full_name} has no rpc {', '.join(unknown)}")
        checks = checks_profiles or self._checks_profiles
        wrapped = {rpc: self._guarded(f"{service_full_name}/{rpc}", handler, rights[rpc], checks) for rpc, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_full_name, wrapped),))
        self._services.append(service_full_name)

    async def start(self) -> int:
        """Listen, report healthy; returns the port. Raises `OSError` when the address cannot be had."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        _enable_reflection(self._server, [*self._services, health.SERVICE_NAME])
        try:
            port = self._server.add_insecure_port(self._listen)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}") from error
        await self._server.start()
        for service in ("", *self._services):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return int(port)

    async def withdraw(self) -> None:
        """Report not serving from now on, and serve those who ask nevertheless."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: float = 5.0) -> None:
        """Report not serving, take no more calls, let those that run finish within `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)

    def _enter(self, allowed: frozenset[str], checks_profiles: bool, metadata: Mapping[str, Any]) -> Verified | None:
        _token.set(None)
        _tenant.set(metadata.get(TENANT_KEY))
        if allowed == ANYONE:
            return None
        header = metadata.get("authorization", "")
        if not header.startswith(_BEARER):
            raise Unauthenticated
        token = self._verifier.verify(header[len(_BEARER) :])
        principal = token.principal
        _token.set(token)
        if not principal.roles & allowed:
            raise PermissionDenied("the token's roles do not allow this")
        if principal.rights_profile and not checks_profiles:
            raise PermissionDenied("the token is narrowed by a rights profile, which allows nothing here")
        if principal.tenant is not None and metadata.get(TENANT_KEY, principal.tenant) != principal.tenant:
            raise PermissionDenied("the token is another tenant's")
        return token

    async def _refuse(self, context: Any, method: str, error: Exception) -> None:
        """Abort the call with the rich status of `error`; always raises."""
        if isinstance(error, ValidationError):
            error = InvalidArgument.of(error)
        if isinstance(error, _AWAY):
            _log.warning("rpc cannot be served now", method=method, error=f"{type(error).__name__}: {error}")
            error = Unavailable()
        if isinstance(error, Unauthenticated | PermissionDenied) and not isinstance(error, TokenOver):
            self._report(method, error, context)
        if isinstance(error, ApiError):
            status = error.to_status()
        else:
            error_id = self._ids.token(8)
            _log.error("rpc failed", method=method, error_id=error_id, exc_info=error)
            status = internal_status(error_id)
        await context.abort_with_status(rpc_status.to_status(status))

    def _report(self, method: str, error: Unauthenticated | PermissionDenied, context: Any) -> None:
        if self._on_refusal is None:
            return
        token = _token.get()
        reason: Literal["unauthenticated", "permission_denied"] = (
            "unauthenticated" if isinstance(error, Unauthenticated) else "permission_denied"
        )
        subject, tenant = ("", None) if token is None else (token.principal.subject, token.principal.tenant)
        self._on_refusal(Refusal(method, reason, subject, tenant or "", context.peer()))

    def _guarded(self, method: str, handler: Any, allowed: frozenset[str], checks_profiles: bool) -> Any:
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        wrap = self._stream if handler.response_streaming else self._unary
        behaviour = getattr(handler, make.__name__.removesuffix("_rpc_method_handler"))
        return make(
            wrap(method, behaviour, lambda metadata: self._enter(allowed, checks_profiles, metadata)),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Callable[[Any, Any], Awaitable[Any]], enter: _Enter) -> Any:
        async def unary(request: Any, context: Any) -> Any:
            metadata = dict(context.invocation_metadata())
            with telemetry.entry(method, metadata.get(telemetry.HEADER), SpanKind.SERVER):
                try:
                    enter(metadata)
                    return await behaviour(request, context)
                except grpc.aio.AbortError:
                    raise
                except Exception as error:  # noqa: BLE001  (a server's edge)
                    await self._refuse(context, method, error)

        return unary

    def _stream(self, method: str, behaviour: Callable[[Any, Any], AsyncGenerator[Any, None]], enter: _Enter) -> Any:
        rpc = method.rpartition("/")[2]

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            metadata = dict(context.invocation_metadata())
            try:
                token = enter(metadata)
                async for response in self._streams.lasting(rpc, token, behaviour(request, context)):
                    yield response
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001  (a server's edge)
                await self._refuse(context, method, error)

        return stream


_MAKERS: Mapping[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class _Recorder:
    """Stands in for a server in generated `add_XServicer_to_server`, to get at the handlers by name."""

    def __init__(self) -> None:
        self.handlers: dict[str, Mapping[str, Any]] = {}

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """The same handlers, already opaque."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """The handlers by rpc name."""
        self.handlers[service] = handlers


def _enable_reflection(server: grpc.aio.Server, services: list[str]) -> None:
    """Reflection v1 and v1alpha: the messages are the same, grpcio-reflection only knows the older name."""
    names = [*services, reflection.SERVICE_NAME, _REFLECTION_V1]
    pool = descriptor_pool.Default()
    try:
        pool.FindFileContainingSymbol(_REFLECTION_V1)
    except KeyError:
        pool.AddSerializedFile(_renamed(reflection_pb2.DESCRIPTOR.serialized_pb))
    reflection.enable_server_reflection(names, server, pool)
    servicer = reflection.aio.ReflectionServicer(service_names=names, pool=pool)  # type: ignore[attr-defined]
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_REFLECTION_V1, {"ServerReflectionInfo": handler}),))


def _renamed(v1alpha: bytes) -> bytes:
    file = descriptor_pb2.FileDescriptorProto.FromString(v1alpha)
    file.name = "grpc/reflection/v1/reflection.proto"
    file.package = "grpc.reflection.v1"
    for message in file.message_type:
        for item in message.field:
            if item.HasField("type_name"):
                item.type_name = item.type_name.replace(".v1alpha.", ".v1.")
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
            method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    return file.SerializeToString()
