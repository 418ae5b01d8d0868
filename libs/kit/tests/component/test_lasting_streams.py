"""Streams end with the token that they were asked for with."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.wrappers_pb2 import StringValue

from carillon_kit.auth import PublicKeys, TokenVerifier, sign_token
from carillon_kit.ended_tokens import EndedTokens
from carillon_kit.grpc_client import channel
from carillon_kit.grpc_server import GrpcServer, Refusal

from .conftest import KEY

pytestmark = pytest.mark.feature("P-3")
SERVICE = "test.v1.Lasting"


class Lasting:
    """`Watch` goes on for ever; `Fetch` has a second response as soon as `go` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.left = asyncio.Event()

    async def Watch(self, request: StringValue, context: Any) -> AsyncGenerator[StringValue, None]:
        try:
            yield StringValue(value="first")
            await asyncio.Event().wait()
        finally:
            self.left.set()

    async def Fetch(self, request: StringValue, context: Any) -> AsyncGenerator[StringValue, None]:
        yield StringValue(value="first")
        await self.go.wait()
        yield StringValue(value="last")


def add(servicer: Lasting, server: Any) -> None:
    handlers = {
        name: grpc.unary_stream_rpc_method_handler(
            getattr(servicer, name), request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
        )
        for name in ("Watch", "Fetch")
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


class House:
    """A server, and calls to it with a token issued now."""

    def __init__(self) -> None:
        self.key, self.published, self.ended = Ed25519PrivateKey.generate(), PublicKeys(), EndedTokens()
        self.published.add("k", urlsafe_b64encode(self.key.public_key().public_bytes_raw()).decode())
        self.servicer = Lasting()
        self.refusals: list[Refusal] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["House"]:
        server = GrpcServer("127.0.0.1:0", TokenVerifier(KEY, self.published, self.ended), self.refusals.append)
        server.add(add, self.servicer, SERVICE, dict.fromkeys(("Watch", "Fetch"), frozenset({"admin"})))
        self.port = await server.start()
        try:
            async with asyncio.timeout(60):
                yield self
        finally:
            await server.stop(grace=0)

    @asynccontextmanager
    async def asked(self, rpc: str, subject: str = "user/ann") -> AsyncIterator[Any]:
        now = datetime.now(UTC)
        token = sign_token(self.key, "k", subject, "dupont", ["admin"], now, now + timedelta(hours=1))
        async with channel(f"127.0.0.1:{self.port}", token) as link:
            call = link.unary_stream(
                f"/{SERVICE}/{rpc}", request_serializer=StringValue.SerializeToString, response_deserializer=StringValue.FromString
            )
            yield call(StringValue())

    def end(self, subject: str) -> None:
        now = datetime.now(UTC).timestamp()
        self.ended.add("dupont", subject, now, now + 600)


async def ending(responses: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        async for _ in responses:
            pass
    return error.value.code(), error.value.details() or ""


async def test_every_stream_of_a_token_ends_when_the_token_is_ended_and_no_other_does() -> None:
    async with (
        House().running() as house,
        house.asked("Watch") as watch,
        house.asked("Fetch") as fetch,
        house.asked("Fetch", "user/bob") as other,
    ):
        others = aiter(other)
        for each in (aiter(watch), aiter(fetch), others):
            assert (await anext(each)).value == "first"
        house.end("user/ann")
        for each in (watch, fetch):
            assert await ending(each) == (grpc.StatusCode.UNAUTHENTICATED, "the token was ended; log in again")
        await house.servicer.left.wait()
        house.servicer.go.set()
        assert [each.value async for each in others] == ["last"]
        assert not house.refusals, "nobody tried what is not theirs"
