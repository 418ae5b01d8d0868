"""Phones that keep their connections (RFC 5626), phones behind a proxy (RFC 3327), carriers over TLS: against the whole service."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from carillon.common.v1 import call_application_pb2 as app
from carillon_kit.certificates import write_self_signed
from carillon_kit.testing import eventually, fresh_database
from carillon_media.handlers import trunks
from carillon_media.io.tls import Certificates, TlsFiles
from carillon_sip import InviteReceived, NameAddr, RequestOut, ResponseReceived, SessionFailed
from carillon_sip.message import Request
from carillon_sip.parser import StreamFramer, parse_message

pytestmark = pytest.mark.feature("M-1")
INSTANCE = '"<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"'


async def register(phone: Any, reg_id: int = 0, path: str = "", contact: str = "") -> Any:
    """The final response to a REGISTER of a flow, or through a proxy."""
    phone.cseq += 2
    address = NameAddr.of("sip:bob@dupont.example")
    flow = (("reg-id", str(reg_id)), ("+sip.instance", INSTANCE)) if reg_id else ()
    where = NameAddr.of(contact) if contact else phone.contact
    headers = [("Expires", "600"), ("Supported", "path, outbound")] + ([("Path", path)] if path else [])
    request = RequestOut(
        "REGISTER",
        flow=phone.flow,
        request_uri="sip:dupont.example",
        from_=address,
        to=address,
        contact=NameAddr(where.uri, "", flow),
        headers=tuple(headers),
        call_id="outbound",
        cseq=phone.cseq,
        credentials=phone.credentials,
    )
    phone.do("request", request)
    return (await phone.expect(ResponseReceived, lambda o: o.response.status >= 200)).response


@pytest.mark.feature("M-13")
async def test_connections_end_with_their_process_and_calls_go_to_the_other_phone_or_on(
    house_with: Any, tmp_path: Path, words: Any
) -> None:
    async with house_with(tmp_path, postgres_dsn=(dsn := fresh_database())) as house:
        first, second = await house.phone("bob", "udp", register=False), await house.phone("bob", "tcp", register=False)
        second.cseq = 10
        assert [(await register(first, 1)).status, (await register(second, 2)).status] == [200, 200]
        carol = await house.phone("carol", "tcp")
        assert [device.binding.reg_id for device in house.running.registrar.devices("dupont", "bob")] == [1, 2]
        await house.die(postgres_dsn=dsn)
        registrar = house.running.registrar
        await eventually(lambda: [device.binding.reg_id for device in registrar.devices("dupont", "bob")] == [1])
        await eventually(lambda: [e.data["reason"] for e in house.registrations() if "reason" in e.data] == ["connection_lost"])
        anne = await house.phone("anne")
        house.application.follow(words.ring("bob"))
        call = anne.call("102")
        await first.expect(InviteReceived)
        anne.do("cancel", call)
        house.application.follow(words.ring("carol"), words.hang_up(20, 480))
        anne.call("103")
        assert (await anne.expect(SessionFailed, lambda output: output.status != 487)).status == 480
        assert house.application.asked[-1].outcome.ring.result == app.RING_RESULT_UNREACHABLE
        carol.close()
        await carol.open()
        assert await carol.register() == 200
        house.application.follow(words.ring("carol"))
        anne.call("103")
        await carol.expect(InviteReceived)


@pytest.mark.feature("M-13")
async def test_a_phone_whose_connection_died_with_us_is_called_over_one_to_its_contact(house_with: Any, tmp_path: Path, words: Any) -> None:
    """Where no NAT stands between: the Contact has the address that it registered from."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    listener = await asyncio.start_server(takes, "127.0.0.1", 0)
    contact = f"sip:bob@127.0.0.1:{listener.sockets[0].getsockname()[1]};transport=tcp"
    async with house_with(tmp_path, postgres_dsn=(dsn := fresh_database())) as house, listener:
        bob, anne = await house.phone("bob", "tcp", register=False), await house.phone("anne")
        assert (await register(bob, contact=contact)).status == 200
        house.application.follow(words.ring("bob"))
        call = anne.call("102")
        await bob.expect(InviteReceived)
        anne.do("cancel", call)
        await anne.expect(SessionFailed)
        await house.die(postgres_dsn=dsn)
        await eventually(lambda: house.running.registrar.devices("dupont", "bob"))
        anne.call("102")
        async with asyncio.timeout(30):
            assert (await got.get()).startswith(f"INVITE {contact} SIP/2.0\r\n".encode())


async def test_a_flow_that_is_lost_is_unbound_at_once_and_the_other_rings(house: Any, words: Any) -> None:
    first, second = await house.phone("bob", "udp", register=False), await house.phone("bob", "tcp", register=False)
    second.cseq = 10
    assert (await register(first, 1)).headers.get("Require") == "outbound"
    assert (await register(second, 2)).status == 200
    registrar = house.running.registrar
    assert [device.binding.reg_id for device in registrar.devices("dupont")] == [1, 2]
    anne = await house.phone("anne")
    house.application.follow(words.ring("bob"))
    anne.call("102")
    assert (await second.expect(InviteReceived)).request.method == "INVITE"
    assert not any(isinstance(output, InviteReceived) for output in first.seen)
    second.close()
    await eventually(lambda: [device.binding.reg_id for device in registrar.devices("dupont", "bob")] == [1])
    await eventually(lambda: house.registrations()[-1].data.get("reason") == "connection_lost")
    house.application.follow(words.ring("bob"))
    anne.call("102")
    assert (await first.expect(InviteReceived)).request.method == "INVITE"


@pytest.mark.parametrize("fails", ["is refused by an edge", "is silent"])
async def test_a_phone_whose_flow_fails_is_called_over_its_other_one_and_never_over_both(
    house: Any, words: Any, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(trunks, "FLOW_SECONDS", 0.2 if fails == "is silent" else 60.0)
    first, second = await house.phone("bob", "udp", register=False), await house.phone("bob", "udp", register=False)
    second.cseq = 10
    assert [(await register(first, 1)).status, (await register(second, 2)).status] == [200, 200]
    if fails != "is refused by an edge":
        second.close()
    anne = await house.phone("anne")
    house.application.follow(words.ring("bob"), words.hang_up(17, 486))
    anne.call("102")
    if fails == "is refused by an edge":
        refused = await second.expect(InviteReceived)
        assert not any(isinstance(output, InviteReceived) for output in first.seen)
        second.do("reject", refused.session, 430)
    rung = await first.expect(InviteReceived)
    assert rung.request.uri == str(first.contact.uri)
    first.do("reject", rung.session, 486)
    assert (await anne.expect(SessionFailed)).status == 486
    assert house.application.asked[-1].outcome.ring.result == app.RING_RESULT_BUSY


async def test_a_strangers_flow_that_is_silent_has_it_called_over_the_one_before(
    house: Any, words: Any, sipp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunks, "FLOW_SECONDS", 0.2)
    house.application.follow(words.ring("bob"))
    async with sipp.phone(house, "uas", flow=f";reg-id=1;+sip.instance={INSTANCE}"):
        gone = sipp.Sipp(house, "register", sipp.free_port(), "-m", "1", user="bob", flow=f";reg-id=2;+sip.instance={INSTANCE}")
        assert await gone.run() == 0
        assert [device.binding.reg_id for device in house.running.registrar.devices("dupont", "bob")] == [1, 2]
        assert await sipp.Sipp(house, "uac", sipp.free_port(), "-m", "1", "-d", "100").run() == 0
        told = words.story(await house.ended())
    assert ("leg_ended b1" in told, "leg_answered b2" in told) == (True, True)


async def test_a_phone_that_says_no_over_one_flow_is_not_called_over_the_other(
    house: Any, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunks, "FLOW_SECONDS", 60.0)
    first, second = await house.phone("bob", "udp", register=False), await house.phone("bob", "udp", register=False)
    second.cseq = 10
    assert [(await register(first, 1)).status, (await register(second, 2)).status] == [200, 200]
    anne = await house.phone("anne")
    house.application.follow(words.ring("bob"), words.hang_up(17, 486))
    anne.call("102")
    second.do("reject", (await second.expect(InviteReceived)).session, 486)
    assert (await anne.expect(SessionFailed)).status == 486
    assert not any(isinstance(output, InviteReceived) for output in first.seen)


async def test_a_phone_behind_a_proxy_is_called_through_it(house: Any, words: Any) -> None:
    proxy = await house.phone("bob", register=False)
    host, port = proxy.flow.local
    path = f"<sip:token@{host}:{port};lr>"
    response = await register(proxy, path=path)
    assert response.headers.get("Path") == path
    anne = await house.phone("anne")
    house.application.follow(words.ring("bob"))
    anne.call("102")
    request = (await proxy.expect(InviteReceived)).request
    assert request.headers.raw("route") == [path]
    assert request.uri == str(proxy.contact.uri)


@pytest.mark.feature("M-2")
async def test_a_call_to_a_carrier_over_tls_goes_to_the_one_that_proves_its_name(
    house_with: Callable[..., Any], tmp_path: Path, words: Any
) -> None:
    chain, key = tmp_path / "carrier.pem", tmp_path / "carrier-key.pem"
    write_self_signed(chain, key, ["127.0.0.2"], datetime.now(UTC))
    got: asyncio.Queue[Request] = asyncio.Queue()

    async def carrier(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = StreamFramer()
        while data := await reader.read(65536):
            for message in framer.feed(data):
                request = parse_message(message)
                assert isinstance(request, Request)
                got.put_nowait(request)

    server = await asyncio.start_server(carrier, "127.0.0.2", 0, ssl=Certificates(TlsFiles(chain, key)).server)
    port = server.sockets[0].getsockname()[1]
    async with house_with(tmp_path, tls_ca=chain) as house:
        await house.configure("trunk", {"id": "carrier", "address": f"127.0.0.2:{port}", "transport": "tls"})
        anne = await house.phone("anne")
        reach = house.running.board.parts.directory
        await eventually(lambda: reach.contact_of_trunk("dupont", "carrier", "+41791234567").flow.transport == "tls")
        house.application.follow(words.ring(trunk="+41791234567"))
        anne.call("+41791234567")
        async with asyncio.timeout(30):
            request = await got.get()
        assert request.uri == f"sip:+41791234567@127.0.0.2:{port};transport=tls"
        assert request.via_top.transport == "TLS"
        assert request.contact is not None
        assert request.contact.uri.parameter("transport") == "tls"
    server.close()
