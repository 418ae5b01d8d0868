"""Trunks by name, against a DNS server of our own on loopback: servers in order, times to live, silence, calls both ways."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from carillon_kit.testing import eventually
from carillon_media.adapters.dns import Dns
from carillon_media.adapters.resolver import TrunkResolver
from carillon_sip import InviteReceived
from carillon_sip.locate import Destination

pytestmark = pytest.mark.feature("M-2")


class NameServer(asyncio.DatagramProtocol):
    """Answers from `zone`: (name, type) -> (ttl, records as text). Silent while `deaf`."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], tuple[int, list[str]]] = {}
        self.asked: Counter[str] = Counter()
        self.deaf = False
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked[f"{kind} {name}"] += 1
        if self.deaf:
            return
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        found = self.zone.get((name, kind))
        if found is not None:
            reply.answer.append(dns.rrset.from_text(question.name, found[0], dns.rdataclass.IN, kind, *found[1]))
        elif not any(other == name for other, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(reply.to_wire(), addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()


def resolver_of(server: NameServer, *wanted: Destination) -> TrunkResolver:
    return TrunkResolver(lambda: wanted, Dns([server.address]), ("A", "AAAA"))


def found(resolver: TrunkResolver, destination: Destination, choice: int = 0) -> list[tuple[str, str, int]]:
    return [(server.transport, server.ip, server.port) for server in resolver.servers(destination, choice)]


async def test_naptr_srv_and_addresses_are_followed_in_one_refresh() -> None:
    async with name_server() as server:
        server.zone = {
            ("carrier.example", "NAPTR"): (60, ['10 10 "s" "SIP+D2T" "" _sip._tcp.carrier.example.', '20 10 "s" "SIP+D2U" "" _u.example.']),
            ("_sip._tcp.carrier.example", "SRV"): (60, ["2 0 5070 b.carrier.example.", "1 0 5060 a.carrier.example."]),
            ("_u.example", "SRV"): (60, ["1 0 5080 a.carrier.example."]),
            ("a.carrier.example", "A"): (60, ["192.0.2.1"]),
            ("a.carrier.example", "AAAA"): (60, ["2001:db8::1"]),
            ("b.carrier.example", "A"): (60, ["192.0.2.2"]),
            ("carrier.example", "A"): (60, ["192.0.2.80"]),
        }
        auto, udp = Destination("carrier.example"), Destination("192.0.2.9", 5060, "udp")
        resolver = resolver_of(server, auto, udp)
        assert found(resolver, auto) == []
        assert found(resolver, udp) == [("udp", "192.0.2.9", 5060)]
        await resolver.refresh(0.0)
        assert found(resolver, auto) == [
            ("tcp", "192.0.2.1", 5060),
            ("tcp", "2001:db8::1", 5060),
            ("tcp", "192.0.2.2", 5070),
            ("udp", "192.0.2.1", 5080),
            ("udp", "2001:db8::1", 5080),
        ]
        assert {ip for ip in ("192.0.2.1", "192.0.2.2", "192.0.2.80", "192.0.2.3") if "carrier.example" in resolver.names(ip)} == {
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.80",
        }


async def test_answers_hold_for_their_time_and_then_are_asked_for_again() -> None:
    async with name_server() as server:
        server.zone = {("carrier.example", "A"): (30, ["192.0.2.1"])}
        wanted = Destination("carrier.example", 5060, "udp")
        resolver = resolver_of(server, wanted)
        await resolver.refresh(0.0)
        server.zone[("carrier.example", "A")] = (30, ["192.0.2.2"])
        await resolver.refresh(29.0)
        assert (found(resolver, wanted), server.asked["A carrier.example"]) == ([("udp", "192.0.2.1", 5060)], 1)
        await resolver.refresh(31.0)
        assert (found(resolver, wanted), server.asked["A carrier.example"]) == ([("udp", "192.0.2.2", 5060)], 2)
        assert list(resolver.names("192.0.2.1")) == ["192.0.2.1"]


async def test_what_was_known_holds_while_dns_is_silent_and_is_not_asked_for_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carillon_media.adapters.dns.LIFETIME_SECONDS", 0.2)
    monkeypatch.setattr("carillon_media.adapters.dns.TRY_SECONDS", 0.1)
    async with name_server() as server:
        server.zone = {("carrier.example", "A"): (5, ["192.0.2.1"])}
        wanted = Destination("carrier.example", 5060, "udp")
        resolver = resolver_of(server, wanted)
        await resolver.refresh(0.0)
        server.deaf = True
        await resolver.refresh(100.0)
        silent = server.asked["A carrier.example"]
        assert silent > 1
        await resolver.refresh(102.0)
        assert (found(resolver, wanted), server.asked["A carrier.example"]) == ([("udp", "192.0.2.1", 5060)], silent)
        server.deaf = False
        server.zone[("carrier.example", "A")] = (5, ["192.0.2.7"])
        await resolver.refresh(106.0)
        assert found(resolver, wanted) == [("udp", "192.0.2.7", 5060)]


async def test_a_name_that_is_gone_is_gone_and_one_that_nobody_wants_is_forgotten() -> None:
    async with name_server() as server:
        server.zone = {("carrier.example", "A"): (5, ["192.0.2.1"])}
        wanted = [Destination("carrier.example", 5060, "udp"), Destination("localhost", 5060, "udp")]
        resolver = TrunkResolver(lambda: wanted, Dns([server.address]))
        await resolver.refresh(0.0)
        # What DNS does not know, the machine's own tables may.
        assert ("udp", "127.0.0.1", 5060) in found(resolver, wanted[1])
        server.zone = {}
        await resolver.refresh(10.0)
        assert found(resolver, wanted[0]) == []
        known, forgotten = wanted[0], wanted.pop()
        await resolver.refresh(20.0)
        assert (found(resolver, known), found(resolver, forgotten)) == ([], [])


async def test_calls_go_to_the_first_server_that_answers_and_come_from_any(house_with: Any, tmp_path: Any, words: Any) -> None:
    """The first server of the SRV record is dead, so its spare gets the call; that one may call us by its address alone."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(name_server())
        host, port = server.address
        house = await stack.enter_async_context(house_with(tmp_path, dns_servers=f"{host}:{port}"))
        anne = await house.phone("anne")
        carrier = await house.phone("carrier", host="127.0.0.2", register=False)
        alive = carrier.flow.local[1]
        server.zone = {
            ("_sip._udp.carrier.example", "SRV"): (60, ["1 0 9 dead.example.", f"2 0 {alive} alive.example."]),
            ("dead.example", "A"): (60, ["127.0.0.3"]),
            ("alive.example", "A"): (60, ["127.0.0.2"]),
        }
        await house.configure("trunk", {"id": "carrier", "address": "carrier.example", "silence_seconds": 1})
        reach = house.running.board.parts.directory

        def first_server() -> str:
            contact = reach.contact_of_trunk("dupont", "carrier", "+41791234567")
            return contact.flow.remote[0] if contact is not None else ""

        await eventually(lambda: first_server() == "127.0.0.3")
        house.application.follow(words.ring(trunk="+41791234567"))
        anne.call("+41791234567")
        invite = await carrier.expect(InviteReceived, timeout=10.0)
        assert invite.request.uri == "sip:+41791234567@carrier.example"
        assert reach.trunks_at("127.0.0.2") == reach.trunks_at("127.0.0.3") == [("dupont", "carrier")]
        house.application.follow(words.ring("anne"))
        carrier.credentials = None
        carrier.call("+41215550100")
        assert (await anne.expect(InviteReceived)).request.method == "INVITE"
