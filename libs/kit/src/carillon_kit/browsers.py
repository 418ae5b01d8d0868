"""Browsers call the same gRPC services: Connect (JSON and binary) and gRPC-Web over HTTP, passed on to the servers that have them.

Always: nothing is decided here. The caller's token, tenant and trace go to the server as they came, and its answer comes back with its
rich error details; a page of another origin than those of the settings gets no answer that its browser would let it read.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import uvicorn
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_codecs
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status
from protobuf.wkt import Any as AnyMessage
from uvicorn.protocols.http.h11_impl import H11Protocol

from carillon_kit import telemetry
from carillon_kit.grpc_client import OPTIONS
from carillon_kit.grpc_server import LARGEST_MESSAGE, TENANT_KEY
from carillon_kit.logs import get_logger

#: What goes to the server of a request's headers.
_PASSED_ON = ("authorization", TENANT_KEY, telemetry.HEADER)
#: Of one call that is no stream, in seconds, when the browser names none or a longer one.
_DEADLINE = 30.0
_PREFLIGHT_SECONDS = 7200
_ALLOWED_HEADERS = (
    "authorization, carillon-tenant, traceparent, content-type, connect-protocol-version, connect-timeout-ms, grpc-timeout, x-grpc-web, "
    "x-user-agent"
)
_EXPOSED_HEADERS = "grpc-status, grpc-message, grpc-status-details-bin"
_log = get_logger(__name__)

#: The kinds of `Endpoint`; the library has no public names for them.
AnyEndpoint: TypeAlias = Any
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


def gateway(services: Mapping[str, tuple[ServiceDescriptor, grpc.aio.Channel]]) -> App:
    """An ASGI application that serves each service (by its full name) from the channel to its server."""
    endpoints: dict[str, AnyEndpoint] = {
        f"/{name}/{method.name}": _endpoint(method, channel) for name, (service, channel) in services.items() for method in service.methods
    }
    return _Application(endpoints)


class _Application(ConnectASGIApplication[None]):
    def __init__(self, endpoints: Mapping[str, AnyEndpoint]) -> None:
        codecs = google_protobuf_codecs()
        super().__init__(service=None, endpoints=lambda _: endpoints, read_max_bytes=LARGEST_MESSAGE, codecs=codecs)

    @property
    def path(self) -> str:
        """Mounted at the root."""
        return ""


def _endpoint(method: MethodDescriptor, channel: grpc.aio.Channel) -> AnyEndpoint:
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    stream_type, make, kind, wrap = _KINDS[method.client_streaming, method.server_streaming]
    call = getattr(channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    info = MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=request,
        output=response,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=stream_type,
    )
    return make(method=info, function=wrap(call))


def _one(call: Any) -> Callable[[Any, Any], Awaitable[Any]]:
    async def one(request: Any, context: RequestContext[Any, Any]) -> Any:
        wanted = context.timeout_ms
        timeout = _DEADLINE if wanted is None else min(_DEADLINE, wanted / 1000)
        try:
            return await call(request, metadata=_metadata(context), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            raise _connect_error(error) from error

    return one


def _many(call: Any) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def many(request: Any, context: RequestContext[Any, Any]) -> AsyncIterator[Any]:
        wanted = context.timeout_ms
        answers = call(request, metadata=_metadata(context), timeout=None if wanted is None else wanted / 1000)
        try:
            async for answer in answers:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise _connect_error(error) from error
        finally:
            answers.cancel()

    return many


#: By (the client streams, the server streams).
_KINDS: Mapping[tuple[bool, bool], tuple[StreamType, Callable[..., Any], str, Callable[[Any], Any]]] = {
    (False, False): (StreamType.UNARY, Endpoint.unary, "unary_unary", _one),
    (False, True): (StreamType.SERVER_STREAM, Endpoint.server_stream, "unary_stream", _many),
    (True, False): (StreamType.CLIENT_STREAM, Endpoint.client_stream, "stream_unary", _one),
    (True, True): (StreamType.BIDI_STREAM, Endpoint.bidi_stream, "stream_stream", _many),
}


def _metadata(context: RequestContext[Any, Any]) -> tuple[tuple[str, str], ...]:
    headers = context.request_headers
    return tuple((name, value) for name in _PASSED_ON if (value := headers.get(name)) is not None)


def _connect_error(error: grpc.aio.AioRpcError) -> ConnectError:
    """The same code, words and details."""
    status = rpc_status.from_call(cast(grpc.Call, error))
    details = [] if status is None else [ErrorDetail(AnyMessage(type_url=each.type_url, value=each.value)) for each in status.details]
    return ConnectError(Code(error.code().name.lower().replace("cancelled", "canceled")), error.details() or "", details)


class Cors:
    """Answers preflights, and lets pages of the allowed origins read answers; `*` allows all. No cookie is ever looked at."""

    def __init__(self, app: App, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        allowed = self._allowed(headers.get(b"origin", ""))
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer(send, 204 if allowed else 403, [*allowed, *_PREFLIGHT] if allowed else [])
            return

        async def with_cors(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *allowed]
            await send(message)

        await self._app(scope, receive, with_cors)

    def _allowed(self, origin: str) -> list[tuple[bytes, bytes]]:
        if not origin or not self._origins & {origin, "*"}:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED_HEADERS.encode()),
            (b"vary", b"Origin"),
        ]


_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST, GET"),
    (b"access-control-allow-headers", _ALLOWED_HEADERS.encode()),
    (b"access-control-max-age", str(_PREFLIGHT_SECONDS).encode()),
]


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def services_in(namespace: ModuleType) -> dict[str, ServiceDescriptor]:
    """Every service of the generated code below a namespace package, by its full name."""
    found: dict[str, ServiceDescriptor] = {}
    for root in map(Path, namespace.__path__):
        for path in sorted(root.rglob("*_pb2.py")):
            file = import_module(".".join((namespace.__name__, *path.relative_to(root).with_suffix("").parts))).DESCRIPTOR
            found |= {service.full_name: service for service in file.services_by_name.values()}
    return found


def channels(targets: Iterable[str]) -> dict[str, grpc.aio.Channel]:
    """A bare channel to each `host:port`: whoever calls brings the token. Make them inside the running loop."""
    return {target: grpc.aio.insecure_channel(target, options=OPTIONS) for target in set(targets)}


class _Shown(H11Protocol):
    """Tells the application which certificate its client has shown, as ASGI's extension `tls` has it."""

    def connection_made(self, transport: Any) -> None:
        """The handshake is over."""
        super().connection_made(transport)
        session = transport.get_extra_info("ssl_object")
        certificate = session.getpeercert(binary_form=True) if session is not None else None
        if certificate is not None:
            self.app = _with_certificate(self.app, ssl.DER_cert_to_PEM_cert(certificate))


def _with_certificate(app: Any, certificate: str) -> Any:
    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        extensions = {**scope.get("extensions", {}), "tls": {"client_cert_chain": [certificate]}}
        await app({**scope, "extensions": extensions}, receive, send)

    return told


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own business."""
        yield


@asynccontextmanager
async def serving(
    app: App,
    listen: str,
    *,
    connections: int = 1000,
    tls: tuple[Path | None, Path | None] = (None, None),
    clients: Sequence[Path] = (),
) -> AsyncIterator[int]:
    """The application over HTTP on `host:port` (0: a free one) while the context is; yields the port. `tls`: chain and key;
    `clients`: files of the authorities whose certificates clients may show (without any none is asked for;
    who shows another gets no connection).

    Raises `OSError` when it cannot listen or read them.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    listening = socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="off",
        limit_concurrency=connections,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        server_header=False,
        ssl_certfile=tls[0],
        ssl_keyfile=tls[1],
        http=_Shown,
    )
    config.load()
    if config.ssl is not None and clients:
        config.ssl.verify_mode = ssl.CERT_OPTIONAL
        # An authority of a maker's may stand in a file without the one above it.
        config.ssl.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for file in clients:
            config.ssl.load_verify_locations(file)
    server = _Server(config)
    task = asyncio.create_task(server.serve([listening]), name="browsers")
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=5)
        task.cancel()
        listening.close()
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the server for browsers ended with an error", error=repr(error))
