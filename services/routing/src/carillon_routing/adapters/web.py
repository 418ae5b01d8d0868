"""Web addresses that plans ask: one request with a deadline, to nowhere inside.

Always: the name is resolved once and the connection goes to an address that was checked; redirects are not followed; an answer is at most
`MAX_ANSWER` bytes. Requests are signed with a key of the tenant, so that the other side knows who asks.
"""

import asyncio
import contextlib
import hashlib
import hmac
import ssl
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

import h11
import orjson
from pydantic import JsonValue

from carillon_kit.clock import Clock
from carillon_kit.logs import get_logger
from carillon_routing.domain.asks import Fetch
from carillon_routing.domain.facts import CallFacts

_log = get_logger(__name__)
MAX_ANSWER = 64 * 1024
#: Requests at once, of one tenant and of all; more are not made.
MAX_OF_TENANT = 64
MAX_REQUESTS = 512
Network = IPv4Network | IPv6Network
#: Addresses that hold an IPv4 address which a gateway may lead inside: NAT64 (RFC 6052) and 6to4 (RFC 3056).
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16"))


class NotAllowed(Exception):
    """The name leads to where requests are not made."""


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.5.0/24, fd00::/8`; raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def tenant_key(token_key: str, tenant: str) -> str:
    """What a tenant's requests are signed with: hex of HMAC-SHA256 over `webhook/<tenant>`."""
    return hmac.new(token_key.encode(), f"webhook/{tenant}".encode(), hashlib.sha256).hexdigest()


def reachable(text: str, allowed: Sequence[Network]) -> bool:
    """Whether requests may go to this address: one of the public Internet, or of an allowed network."""
    address: IPv4Address | IPv6Address = ip_address(text.split("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in allowed):
        return True
    if isinstance(address, IPv6Address) and (address.is_site_local or any(address in network for network in _TRANSLATED)):
        return False
    return address.is_global and not address.is_multicast


class Web:
    """`allowed`: networks inside which may be asked all the same."""

    def __init__(self, token_key: str, allowed: Sequence[Network], clock: Clock) -> None:
        self._token_key = token_key
        self._allowed = allowed
        self._clock = clock
        self._tls = ssl.create_default_context()
        self._running: Counter[str] = Counter()

    async def fetch(self, call: CallFacts, ask: Fetch) -> JsonValue:
        """Status and the texts of the answer; None: no answer in time, none that can be read, or not allowed."""
        if self._running[call.tenant_id] >= MAX_OF_TENANT or self._running.total() >= MAX_REQUESTS:
            _log.warning("too many web requests at once", url=ask.url)
            return None
        self._running[call.tenant_id] += 1
        try:
            async with asyncio.timeout(ask.timeout_ms / 1000):
                return await self._fetch(call, ask)
        except (NotAllowed, OSError, TimeoutError, ValueError, h11.ProtocolError) as error:
            _log.warning("a web address did not answer", call=call.call_id, error=repr(error))
            return None
        finally:
            self._running[call.tenant_id] -= 1
            self._running += Counter()

    async def _fetch(self, call: CallFacts, ask: Fetch) -> JsonValue:
        url = urlsplit(ask.url)
        host, secure = url.hostname or "", url.scheme == "https"
        port = url.port or (443 if secure else 80)
        address = await self._resolved(host, port)
        body = orjson.dumps(dict(ask.body)) if ask.body is not None else b""
        tls = self._tls if secure else None
        reader, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if secure else None)
        try:
            return await _exchange(reader, writer, self._request(call, ask, url, body), body)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                writer.transport.abort()

    async def _resolved(self, host: str, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
        addresses = [str(each[4][0]) for each in found]
        if not addresses or not all(reachable(address, self._allowed) for address in addresses):
            raise NotAllowed(f"{host} is at {', '.join(addresses)}")
        return addresses[0]

    def _request(self, call: CallFacts, ask: Fetch, url: SplitResult, body: bytes) -> h11.Request:
        at = int(self._clock.now().timestamp())
        key = tenant_key(self._token_key, call.tenant_id)
        signature = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = [
            ("host", url.netloc.rpartition("@")[2]),
            ("user-agent", "carillon"),
            ("accept", "application/json"),
            ("connection", "close"),
            ("idempotency-key", f"{call.call_id}/{ask.hop}"),
            ("carillon-signature", f"t={at},v1={signature}"),
        ]
        if ask.body is not None:
            headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return h11.Request(method="GET" if ask.body is None else "POST", target=target, headers=headers)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes) -> JsonValue:
    connection = h11.Connection(h11.CLIENT)
    sent = [connection.send(request)]
    if body:
        sent.append(connection.send(h11.Data(data=body)))
    sent.append(connection.send(h11.EndOfMessage()))
    writer.write(b"".join(part for part in sent if part))
    await writer.drain()
    status, answer = 0, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(16_384))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            answer += event.data
            if len(answer) > MAX_ANSWER:
                raise ValueError(f"an answer of more than {MAX_ANSWER} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return {"status": status, "body": _texts(bytes(answer))}
        elif not isinstance(event, h11.InformationalResponse):
            raise OSError("the connection ended before the answer")


def _texts(answer: bytes) -> dict[str, JsonValue]:
    try:
        said = orjson.loads(answer) if answer else {}
    except orjson.JSONDecodeError:
        return {}
    return {name: value for name, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}
