"""Web-hooks against a local server: signed, once, bounded, and never inside unless a setting allows it."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator

import pytest

from carillon_kit.clock import ManualClock
from carillon_routing.adapters.web import MAX_ANSWER, Web, networks, reachable, tenant_key
from carillon_routing.domain.asks import Fetch
from carillon_routing.domain.facts import CallFacts

pytestmark = pytest.mark.feature("R-2")
KEY = "k" * 32
CALL = CallFacts("acme", "c1", "inbound", "+41215550100", "+41791112233")
LOOPBACK = networks("127.0.0.0/8")


class Server:
    """Answers every request with the same bytes and keeps what it was asked; without bytes it never answers."""

    def __init__(self) -> None:
        self.answer = b""
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            length = next((int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length")), 0)
            self.bodies.append(await reader.readexactly(length))
            if self.answer:
                writer.write(self.answer)
                await writer.drain()
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    def says(self, status: str, body: bytes, more: str = "") -> None:
        self.answer = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body

    def ask(self, timeout_ms: int = 20_000, body: dict[str, str] | None = None) -> Fetch:
        return Fetch(f"http://127.0.0.1:{self.port}/hook?x=1", timeout_ms, 3, body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    it = Server()
    listening = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = listening.sockets[0].getsockname()[1]
    yield it
    listening.close()


def web(*, allowed: bool = True) -> Web:
    return Web(KEY, LOOPBACK if allowed else (), ManualClock())


async def test_a_signed_post_brings_the_texts_of_the_answer(server: Server) -> None:
    server.says("200 OK", b'{"vip": "yes", "number": 3}')
    assert await web().fetch(CALL, server.ask(body={"call_id": "c1"})) == {"status": 200, "body": {"vip": "yes"}}
    assert server.heads[0].startswith("POST /hook?x=1 HTTP/1.1\r\n")
    assert server.bodies == [b'{"call_id":"c1"}']
    at = int(ManualClock().now().timestamp())
    signature = hmac.new(tenant_key(KEY, "acme").encode(), f"{at}.".encode() + server.bodies[0], hashlib.sha256).hexdigest()
    assert f"carillon-signature: t={at},v1={signature}\r\n" in server.heads[0]
    assert "idempotency-key: c1/3\r\n" in server.heads[0]
    assert tenant_key(KEY, "acme") != tenant_key(KEY, "other")


async def test_without_a_body_it_is_a_get(server: Server) -> None:
    server.says("200 OK", b'{"user_id": "anna"}')
    assert await web().fetch(CALL, server.ask()) == {"status": 200, "body": {"user_id": "anna"}}
    assert server.heads[0].startswith("GET /hook?x=1 ")


async def test_nothing_inside_is_asked_unless_the_setting_allows_it(server: Server) -> None:
    server.says("200 OK", b"{}")
    assert await web(allowed=False).fetch(CALL, server.ask(body={})) is None
    assert server.connections == 0


INSIDE = """127.0.0.1 10.1.2.3 169.254.169.254 192.168.1.1 100.64.0.1 224.0.0.1 0.0.0.0 ::1 fe80::1 fd00::1 ff02::1
    ::ffff:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::1 fec0::1"""


@pytest.mark.parametrize("address", INSIDE.split())
def test_addresses_that_are_not_of_the_public_internet_are_refused(address: str) -> None:
    assert not reachable(address, ())
    assert reachable("1.1.1.1", ())
    assert reachable("2606:4700::1111", ())


async def test_a_redirect_is_an_answer_and_not_followed(server: Server) -> None:
    server.says("302 Found", b"", f"location: http://127.0.0.1:{server.port}/other\r\n")
    assert await web().fetch(CALL, server.ask(body={})) == {"status": 302, "body": {}}
    assert server.connections == 1


@pytest.mark.parametrize("answer", [b"no http\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n" + b" " * (MAX_ANSWER + 4464)])
async def test_an_answer_that_is_too_long_or_none_at_all_is_none(server: Server, answer: bytes) -> None:
    server.answer = answer
    assert await web().fetch(CALL, server.ask(body={})) is None


async def test_who_does_not_answer_in_time_is_not_waited_for(server: Server) -> None:
    assert await web().fetch(CALL, server.ask(timeout_ms=50, body={})) is None
