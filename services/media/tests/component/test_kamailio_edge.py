"""The edge of deploy/kamailio before media nodes: which node gets what, what it does when one drains or dies, TLS, and what it refuses."""

import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carillon_cli.phone.baresip import Account, Baresip
from carillon_kit.certificates import write_self_signed
from carillon_kit.embedded import free_port
from carillon_kit.testing import eventually
from carillon_sip import SessionEnded
from strangers.kamailio import kamailio, needs_kamailio

pytestmark = [needs_kamailio, pytest.mark.feature("M-1", "P-4")]

CONFIGURATION = Path(__file__).resolve().parents[4] / "deploy/kamailio/kamailio.cfg"
EDGE, ELSEWHERE = "127.0.0.3", "127.0.0.9"
REALM = "dupont.example"
SECONDS = 30.0


@asynccontextmanager
async def edge(*nodes: Any, tls: tuple[Path, Path] | None = None, tls_port: int | None = None) -> AsyncIterator[tuple[str, int]]:
    """The edge before these nodes, which it has found to be there."""
    lines = ["1 sip:{}:{}".format(*node.running.sip["udp"]) for node in nodes]
    defines = ['NODES="{folder}/nodes.list"', "PING_SECONDS=1"]
    if tls is not None:
        defines += ["WITH_TLS", f'TLS_CERTIFICATE="{tls[0]}"', f'TLS_KEY="{tls[1]}"']
    pings = [pings_of(node) for node in nodes]
    running = kamailio(CONFIGURATION, EDGE, {"nodes.list": "\n".join(lines) + "\n"}, *defines, tls_port=tls_port)
    # The nodes live in this loop, which must go on while Kamailio starts and stops.
    address = await asyncio.to_thread(running.__enter__)
    try:
        # It asks again a second after it was answered.
        await eventually(lambda: all(len(heard) >= 2 for heard in pings), timeout=SECONDS)
        yield address
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def pings_of(node: Any) -> list[str]:
    """The edge's OPTIONS that the node hears from now on."""
    registrar, heard = node.running.registrar, list[str]()
    answer = registrar.requested

    def requested(transaction: str, request: Any, flow: Any) -> None:
        if request.method == "OPTIONS" and flow.remote[0] == EDGE:
            heard.append(transaction)
        answer(transaction, request, flow)

    registrar.requested = requested
    return heard


@asynccontextmanager
async def phones(new_phone: Any, address: tuple[str, int], *users: str) -> AsyncIterator[list[Any]]:
    """Phones that know the edge alone, registered."""
    behind = SimpleNamespace(running=SimpleNamespace(sip={"udp": address, "tcp": address}))
    async with AsyncExitStack() as stack:
        yield [await new_phone(stack, behind, user) for user in users]


def hears(node: Any, user: str) -> bool:
    """Whether it is this node that the phone registered with."""
    return any(device.user_id == user and not device.node for device in node.running.registrar.devices("dupont"))


async def moves_to(node: Any, phone: Any) -> None:
    """The phone registers until the edge has chosen this node for it."""
    async with asyncio.timeout(SECONDS):
        while await phone.register() != 200 or not hears(node, phone.user):
            await asyncio.sleep(0.2)


@asynccontextmanager
async def behind_an_edge(two_nodes: Any, folder: Path, new_phone: Any, *users: str) -> AsyncIterator[tuple[Any, Any, list[Any]]]:
    """Two nodes, an edge before them, and phones."""
    async with AsyncExitStack() as stack:
        here, there = await stack.enter_async_context(two_nodes(folder, never_ban=f"{EDGE}/32"))
        address = await stack.enter_async_context(edge(here, there))
        yield here, there, await stack.enter_async_context(phones(new_phone, address, *users))


async def test_a_draining_node_keeps_its_call_and_the_other_gets_the_next(
    two_nodes: Any, tmp_path: Path, new_phone: Any, words: Any
) -> None:
    everything = behind_an_edge(two_nodes, tmp_path, new_phone, "anne", "bob", "carol")
    async with everything as (here, there, (anne, bob, carol)):
        # The tenant's domain has chosen one node for all.
        first, other = (here, there) if hears(here, "anne") else (there, here)
        assert hears(first, "bob")
        here.application.follow(words.ring("bob"))
        talk = anne.call("102")
        old = (await bob.pick_up())[0].session
        await anne.answered()
        first.running.draining.drain()
        await moves_to(other, carol)
        here.application.follow(words.ring("bob"))
        carol.call("102")
        new = (await bob.pick_up())[0].session
        await carol.answered()
        assert (len(first.running.board.calls), len(other.running.board.calls)) == (1, 1)
        anne.do("bye", talk)
        assert (await bob.expect(SessionEnded)).session == old
        bob.do("bye", new)
        await carol.expect(SessionEnded)
        await eventually(lambda: not first.running.board.calls and not other.running.board.calls)


async def test_phones_of_a_node_that_is_gone_register_with_the_other(two_nodes: Any, tmp_path: Path, new_phone: Any) -> None:
    async with behind_an_edge(two_nodes, tmp_path, new_phone, "anne") as (here, there, (anne,)):
        first, other = (here, there) if hears(here, "anne") else (there, here)
        await first.stop()
        try:
            await moves_to(other, anne)
        finally:
            await first.start(**({} if first is here else {"node": "second"}))


async def test_over_tls_a_phone_is_called_by_one_over_udp_and_its_certificate_is_that_of_the_edge(
    house_with: Any, tmp_path: Path, new_phone: Any, words: Any
) -> None:
    chain, key, tls_port = tmp_path / "chain.pem", tmp_path / "key.pem", free_port(EDGE)
    write_self_signed(chain, key, [EDGE, "edge.example"], datetime.now(UTC))
    nodes = house_with(tmp_path / "house", never_ban=f"{EDGE}/32")
    async with nodes as house, edge(house, tls=(chain, key), tls_port=tls_port) as address:
        trusting = ssl.create_default_context(cafile=chain)
        with socket.create_connection((EDGE, tls_port), SECONDS) as raw:
            talk = partial(trusting.wrap_socket, raw, server_hostname="edge.example")
            with await asyncio.to_thread(talk) as link:
                assert link.version() in ("TLSv1.2", "TLSv1.3")
        bob = await Baresip.start(Path(tempfile.mkdtemp(prefix="baresip-")), 900, authority=chain)
        try:
            await bob.register(Account("bob", "secret-bob", REALM, (EDGE, tls_port), "tls"))
            async with phones(new_phone, address, "anne") as (anne,):
                house.application.follow(words.ring("bob"))
                call = anne.call("102")
                await bob.until_event("CALL_INCOMING", SECONDS)
                await bob.command("accept")
                await anne.answered()
                anne.do("bye", call)
                await bob.until_event("CALL_CLOSED", SECONDS)
        finally:
            await bob.stop()
            bob.forget()


def request(method: str, uri: str, to_tag: str = "", *headers: str, hops: int = 70) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP phone.invalid;rport;branch=z9hG4bK{method}{to_tag}{hops}{len(headers)}",
        f"From: <sip:mallory@{REALM}>;tag=1",
        f"To: <sip:102@{REALM}>{';tag=' + to_tag if to_tag else ''}",
        f"Call-ID: {method}{to_tag}{hops}{len(headers)}@mallory",
        f"CSeq: 1 {method}",
        "Contact: <sip:mallory@phone.invalid>",
        f"Max-Forwards: {hops}",
        *headers,
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def test_nobody_is_sent_where_a_phone_says(house_with: Any, tmp_path: Path) -> None:
    """Routes and paths that a phone wrote, targets within dialogs that are no node's, and loops."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trap:
        async with house_with(tmp_path, never_ban=f"{EDGE}/32") as house, edge(house) as address:
            trap.bind((ELSEWHERE, 0))
            trap.setblocking(False)
            there = f"{ELSEWHERE}:{trap.getsockname()[1]}"
            for method, uri, tag, headers, hops, expected in (
                ("SUBSCRIBE", f"sip:102@{REALM}", "", ("Event: dialog", f"Route: <sip:{there};lr>"), 70, 401),
                ("SUBSCRIBE", f"sip:102@{there}", "", ("Event: dialog",), 70, 401),
                ("REGISTER", f"sip:{REALM}", "", (f"Path: <sip:{there};lr>", f"Route: <sip:{there};lr>"), 70, 401),
                ("BYE", f"sip:102@{there}", "x", (), 70, 404),
                ("BYE", f"sip:102@{there}", "x", ("Route: <sip:{}:{};lr>".format(*address),), 70, 403),
                ("BYE", f"sip:102@{REALM}", "x", ("Route: <sip:{}:{};lr>".format(*address), f"Route: <sip:{there};lr>"), 70, 403),
                ("OPTIONS", f"sip:102@{REALM}", "", (), 0, 483),
            ):
                status = await asyncio.to_thread(answered, address, request(method, uri, tag, *headers, hops=hops))
                assert status == expected, (method, uri, tag, headers)
            with pytest.raises(BlockingIOError):
                trap.recv(4096)


def answered(address: tuple[str, int], data: bytes) -> int:
    """The final status."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(data, address)
        while True:
            data = sock.recv(4096)
            status = int(data.split(b" ", 2)[1])
            if status >= 200:
                return status
