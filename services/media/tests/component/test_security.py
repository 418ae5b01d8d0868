"""Attackers against the whole service: what they learn, what they can disturb, and who hears of it.

They stand at 127.0.0.66 or in 127.0.1.0/24, phones at 127.0.0.1.
"""

import asyncio
import contextlib
import socket
from typing import Any

import grpc.aio
import pytest

from carillon.media.v1 import security_pb2 as pb
from carillon.media.v1.security_pb2_grpc import SecurityServiceStub
from carillon_contracts.envelope import Event
from carillon_contracts.streams import AUDIT
from carillon_kit.auth import ADMIN, OPERATOR, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually
from carillon_sip import Credentials, InviteReceived, NameAddr, RequestOut, ResponseReceived, SessionAnswered, SessionEnded, SessionFailed
from carillon_sip.digest import answer_challenges

pytestmark = pytest.mark.feature("P-3")

KEY = "k" * 40
ATTACKER = "127.0.0.66"


class Audit:
    """What is published on the stream."""

    def __init__(self, house: Any) -> None:
        self.events: list[Event] = []
        self.task = asyncio.ensure_future(self._watch(house.bus))

    async def _watch(self, bus: Any) -> None:
        async for message in bus.follow(AUDIT.name, "carillon.>"):
            event = Event.from_json(message.data)
            assert message.subject == f"carillon.{event.tenantid}.audit.{event.type.split('.')[2]}"
            self.events.append(event)

    def of(self, fact: str) -> list[Event]:
        return [event for event in self.events if event.type == f"carillon.audit.{fact}.v1"]

    async def until(self, fact: str) -> Event:
        await eventually(lambda: bool(self.of(fact)))
        return self.of(fact)[0]


@pytest.fixture
async def audit(house: Any) -> Any:
    watching = Audit(house)
    yield watching
    watching.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching.task


async def guess(house: Any, user: str, password: str, host: str = ATTACKER, transport: str = "udp") -> int:
    phone = await house.phone(user, transport, host, register=False)
    phone.credentials = Credentials(user, password)
    return int(await phone.register())


async def options(phone: Any, timeout: float = 20.0) -> Any:
    """The response; TimeoutError: nobody answers."""
    address = NameAddr.of("sip:ping@dupont.example")
    phone.do("request", RequestOut("OPTIONS", flow=phone.flow, request_uri="sip:dupont.example", from_=address, to=address))
    return (await phone.expect(ResponseReceived, timeout=timeout)).response


def dialled(house: Any) -> list[str]:
    return [event.data["dialled"] for event in house.events() if event.type == "carillon.call.started.v1"]


async def register(phone: Any, cseq: int, authorization: str = "") -> Any:
    """The response to a REGISTER with this Authorization."""
    address = NameAddr.of(f"sip:{phone.user}@dupont.example")
    headers = (("Authorization", authorization),) if authorization else ()
    request = RequestOut("REGISTER", phone.flow, "sip:dupont.example", address, address, phone.contact, headers, call_id="r", cseq=cseq)
    phone.do("request", request)
    return (await phone.expect(ResponseReceived)).response


async def test_guessing_is_banned_told_and_the_phones_next_door_go_on(house: Any, audit: Audit, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    bob, neighbour = await house.phone("bob"), await house.phone("carol", host=ATTACKER)
    assert [await guess(house, "anne", f"guess-{n}") for n in range(10)] == [403] * 10
    assert [await guess(house, "evan", f"guess-{n}") for n in range(10)] == [403] * 10
    banned = await audit.until("source_banned")
    assert (banned.tenantid, banned.subject) == ("_operator", f"source/{ATTACKER}")
    assert banned.data == {
        "source": ATTACKER,
        "reason": "failures",
        "seconds": 60.0,
        "offence": 1,
        "accounts": ["anne", "evan"],
    }
    stranger = await house.phone("anne", host=ATTACKER, register=False)
    with pytest.raises(TimeoutError):
        await options(stranger, timeout=0.3)
    assert (await options(neighbour)).status == 200
    call = neighbour.call("102")
    await bob.pick_up()
    await neighbour.answered()
    neighbour.do("bye", call)
    await house.ended()
    told = {event.tenantid: event.data for event in audit.of("authentication_failed")}
    assert {tenant: data["account"] for tenant, data in told.items()} == {"dupont": "anne", "_operator": "evan"}
    assert "guess" not in "".join(str(event.data) for event in audit.events)


async def test_a_banned_address_is_not_even_parsed(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await asyncio.gather(*(guess(house, f"u{n}", "x") for n in range(20)))
    heard: list[bytes] = []
    agent = type(house.running.board.parts.sip._agent)
    monkeypatch.setattr(agent, "receive", lambda self, data, flow, now: heard.append(data))
    stranger = await house.phone("anne", host=ATTACKER, register=False)
    for data in (b"OPTIONS sip:x SIP/2.0\r\n\r\n", b"INVITE sip:112@x SIP/2.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b"junk"):
        stranger.link.sendto(data, stranger.server)
    known = await house.phone("bob", register=False)
    known.link.sendto(b"junk of another", known.server)
    await eventually(lambda: bool(heard))
    assert heard == [b"junk of another"]


async def test_an_account_is_locked_for_strangers_and_open_for_its_owner(house: Any, audit: Audit) -> None:
    anne = await house.phone("anne")
    for n in range(20):
        assert await guess(house, "anne", "guess", host=f"127.0.1.{n}") == 403
    locked = await audit.until("account_locked")
    assert (locked.tenantid, locked.subject) == ("dupont", "account/anne")
    assert await guess(house, "anne", "secret-anne", host="127.0.1.99") == 503
    assert await anne.register() == 200
    assert await guess(house, "anne", "secret-anne", host="127.0.0.1") == 200
    for n in range(20):
        assert await guess(house, "evan", "guess", host=f"127.0.2.{n}") == 403
    assert await guess(house, "evan", "guess", host="127.0.2.99") == 503


async def test_forged_datagrams_do_not_ban_whom_they_name(house: Any, audit: Audit) -> None:
    """An attacker knows a nonce of his own, and sends wrong answers to it that seem to come from his victim."""
    attacker, victim = [await house.phone("anne", host=host, register=False) for host in (ATTACKER, "127.0.0.77")]
    challenge = (await register(attacker, 1)).headers.get("WWW-Authenticate")
    for count in range(1, 41):
        wrong = answer_challenges([challenge], Credentials("anne", "guess"), "REGISTER", "sip:dupont.example", "c", count)
        forged = await register(victim, count, str(wrong))
        assert (forged.status, "stale=true" in forged.headers.get("WWW-Authenticate")) == (401, True)
    assert await victim.register() == 200
    assert audit.events == []


async def test_a_trunk_over_tcp_is_never_banned_nor_slowed(house_with: Any, tmp_path: Any) -> None:
    async with house_with(tmp_path, source_burst=5, source_rate=1) as house:
        watching = Audit(house)
        carrier = await house.phone("x", "tcp", "127.0.0.2", register=False)
        for _ in range(50):
            assert (await options(carrier)).status == 200
        assert watching.events == []
        watching.task.cancel()


async def test_networks_that_the_settings_name_are_never_banned_nor_slowed(house_with: Any, tmp_path: Any) -> None:
    async with house_with(tmp_path, source_burst=5, source_rate=1, never_ban="127.0.0.64/30, 192.0.2.1") as house:
        edge = await house.phone("x", host=ATTACKER, register=False)
        for _ in range(50):
            assert (await options(edge)).status == 200
        for n in range(25):
            assert await guess(house, f"u{n}", "x") == 403
        assert house.running.gate.bans() == []


async def test_a_trunk_s_address_is_never_banned(house: Any, audit: Audit) -> None:
    for n in range(25):
        assert await guess(house, f"u{n}", "x", host="127.0.0.2") == 403
    await audit.until("authentication_failed")
    assert audit.of("source_banned") == []
    assert (await options(await house.phone("x", host="127.0.0.2", register=False))).status == 200


async def test_a_flood_is_refused_cheaply_and_calls_that_are_up_are_unharmed(house_with: Any, tmp_path: Any, words: Any) -> None:
    async with house_with(tmp_path, source_burst=30, source_rate=1) as house:
        house.application.follow(words.ring("bob"))
        anne, bob = await house.phone("anne", host=ATTACKER), await house.phone("bob")
        call = anne.call("102")
        await bob.pick_up()
        await anne.answered()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.bind((ATTACKER, 0))
            flood.settimeout(30)
            here = f"{ATTACKER}:{flood.getsockname()[1]}"
            statuses: list[int] = []
            for n in range(120):
                text = (
                    f"INVITE sip:102@dupont.example SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{n}\r\nFrom: <sip:x@y>;tag={n}\r\n"
                    f"To: <sip:102@y>\r\nCall-ID: flood-{n}\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{here}>\r\nMax-Forwards: 70\r\n\r\n"
                )
                flood.sendto(text.encode(), anne.server)
                await asyncio.sleep(0)
            flood.setblocking(False)
            answers: dict[str, bytes] = {}

            def drained() -> bool:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        data = flood.recv(65_536)
                        if not data.startswith(b"SIP/2.0 100"):
                            answers[data.partition(b"Call-ID: ")[2].partition(b"\r\n")[0].decode()] = data
                return len(answers) >= 60

            await eventually(drained)
            statuses = [int(data[8:11]) for data in answers.values()]
        assert set(statuses) == {407, 503}
        refused = [data for data in answers.values() if data.startswith(b"SIP/2.0 503 ")]
        assert all(b"\r\nRetry-After: 30\r\n" in data for data in refused)
        assert 40 <= len(refused) <= 60
        body = anne.offer("inactive")
        anne.do("reinvite", call, body)
        anne.do("bye", call)
        assert (await bob.expect(SessionEnded)).by == "remote"
        assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_help_can_be_called_from_a_banned_address_by_a_registered_device(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    bob = await house.phone("bob")
    await house.phone("anne", host=ATTACKER)
    await asyncio.gather(*(guess(house, f"u{n}", "x") for n in range(20)))
    from_another_port = await house.phone("anne", host=ATTACKER, register=False)
    from_another_port.call("102")
    from_another_port.call("112")
    assert (await bob.expect(InviteReceived)).request.method == "INVITE"
    await eventually(lambda: bool(dialled(house)))
    assert dialled(house) == ["112"]


async def test_who_a_phone_claims_to_be_is_not_passed_on(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    claims = '"Bank" <sip:+41800000000@dupont.example>'
    anne.call(
        "102",
        headers=(
            ("P-Asserted-Identity", claims),
            ("P-Preferred-Identity", claims),
            ("Remote-Party-ID", f"{claims};party=calling"),
            ("Diversion", claims),
        ),
    )
    invite = (await bob.expect(InviteReceived)).request
    assert "800000000" not in invite.to_bytes().decode()
    assert invite.from_.uri.user == "101"
    await eventually(lambda: bool(dialled(house)))
    started = house.events()[0]
    assert (started.data["caller"], started.data["caller_user_id"]) == ("101", "anne")


@pytest.mark.parametrize("address", ["224.0.1.75", "169.254.169.254", "10.1.2.3"])
async def test_audio_is_sent_nowhere_we_do_not_send_to(house_with: Any, tmp_path: Any, words: Any, address: str) -> None:
    async with house_with(tmp_path, refused_networks="10.0.0.0/8") as house:
        house.application.follow(words.ring("bob"))
        anne = await house.phone("anne")
        bob = await house.phone("bob")
        anne.call("102", body=anne.offer().replace(b"127.0.0.1", address.encode()))
        with contextlib.suppress(TimeoutError):
            await bob.pick_up()
        assert (await anne.expect(SessionFailed, timeout=10)).status >= 400
        await house.ended()


async def test_audio_is_not_sent_to_another_call_s_port(house_with: Any, tmp_path: Any, words: Any) -> None:
    async with house_with(tmp_path) as house:
        low, high = min(house.plane.ports), max(house.plane.ports)
        await house.stop()
        await house.start(plane_ports=f"{low}-{high}")
        house.application.follow(words.ring("bob"))
        anne, bob = await house.phone("anne"), await house.phone("bob")
        port = anne.rtp.address.port
        anne.call("102", body=anne.offer().replace(f"m=audio {port} ".encode(), f"m=audio {low} ".encode()))
        with contextlib.suppress(TimeoutError):
            await bob.pick_up()
        await anne.expect(SessionFailed, timeout=10)
        await house.ended()


async def test_a_contact_that_names_ourselves_makes_no_loop(house: Any, words: Any) -> None:
    """In a dialog we send over the flow that the call came by, whatever Contact and Record-Route say; a reply goes to the source."""
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    host, port = anne.server
    ours = NameAddr.of(f"sip:carillon@{host}:{port}")

    class Liar(type(anne)):  # type: ignore[misc]
        contact = property(lambda self: ours)

    anne.__class__ = Liar
    anne.call("102", headers=(("Record-Route", f"<sip:{host}:{port};lr>"),))
    await bob.pick_up()
    await anne.expect(SessionAnswered)
    bob.do("bye", next(iter(bob.agent._context.sessions)))
    assert (await anne.expect(SessionEnded)).by == "remote"
    await house.ended()


async def test_a_reply_is_not_sent_to_ourselves(house: Any) -> None:
    """RFC 3261 section 18.2.2: without rport the reply goes to the port of the Via. Which is ours here."""
    stack = house.running.board.parts.sip
    port = house.running.sip["udp"][1]
    text = (
        f"OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKx\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:x@y>\r\n"
        "Call-ID: loop\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    liar = await house.phone("x", register=False)
    liar.link.sendto(text.encode(), liar.server)
    await eventually(lambda: stack.unsent == 1)


@pytest.mark.parametrize("address", ["169.254.169.254:5060", "224.0.1.75:5060", "10.1.2.3:5060"])
async def test_a_call_goes_to_no_trunk_where_we_do_not_send_to(house_with: Any, tmp_path: Any, words: Any, address: str) -> None:
    async with house_with(tmp_path, refused_networks="10.0.0.0/8") as house:
        await house.configure("trunk", {"id": "carrier", "address": address})
        house.application.follow(words.ring(trunk="+41791234567"), words.hang_up(27, 502))
        anne = await house.phone("anne")
        anne.call("+41791234567")
        assert (await anne.expect(SessionFailed)).status == 502
        assert house.running.board.parts.sip.unsent >= 1
        await house.ended()


@pytest.mark.feature("D-18")
async def test_an_admin_unlocks_a_line_of_the_own_tenant(house: Any, audit: Audit) -> None:
    target = f"127.0.0.1:{house.running.grpc_port}"
    await asyncio.gather(*(guess(house, "anne", "x", host=f"127.0.2.{n}") for n in range(20)))
    await audit.until("account_locked")
    async with channel(target, issue_token(KEY, "ada", "dupont", [ADMIN])) as link:
        unlock = SecurityServiceStub(link).UnlockLine
        assert list((await unlock(pb.UnlockLineRequest(user_id="anne"))).accounts) == ["anne"]
        assert not (await unlock(pb.UnlockLineRequest(user_id="anne"))).accounts
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await unlock(pb.UnlockLineRequest(user_id="evan"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    async with channel(target, issue_token(KEY, "mallory", "martin", [ADMIN])) as link:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await SecurityServiceStub(link).UnlockLine(pb.UnlockLineRequest(user_id="anne"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_operators_see_and_lift_bans_and_nobody_else_may(house: Any, audit: Audit) -> None:
    target = f"127.0.0.1:{house.running.grpc_port}"
    await asyncio.gather(*(guess(house, "evan", "x") for n in range(20)))
    async with channel(target, issue_token(KEY, "olga", None, [OPERATOR])) as link:
        service = SecurityServiceStub(link)
        source, account = (await service.ListBans(pb.ListBansRequest())).bans
        assert (source.source, source.reason, source.offence, account.account) == (ATTACKER, "failures", 1, "evan")
        assert account.until.ToDatetime() > source.until.ToDatetime() or account.until.seconds - source.until.seconds < 2
        await service.LiftBan(pb.LiftBanRequest(source=ATTACKER))
        await service.LiftBan(pb.LiftBanRequest(account="evan"))
        assert not (await service.ListBans(pb.ListBansRequest())).bans
        for request, code in (
            (pb.LiftBanRequest(source=ATTACKER), grpc.StatusCode.NOT_FOUND),
            (pb.LiftBanRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await service.LiftBan(request)
            assert refused.value.code() is code
    assert (await options(await house.phone("anne", host=ATTACKER, register=False))).status == 200
    assert (await audit.until("ban_lifted")).data["by"] == "olga"
    async with channel(target, issue_token(KEY, "a", "dupont", [ADMIN])) as link:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await SecurityServiceStub(link).ListBans(pb.ListBansRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_connections_of_a_banned_address_are_closed_and_new_ones_refused(house: Any, audit: Audit) -> None:
    early = await connection(house)
    for n in range(16):
        assert await guess(house, f"u{n}", "x", transport="tcp") == 403
    await audit.until("source_banned")
    await asyncio.get_running_loop().sock_sendall(early, b"OPTIONS sip:x SIP/2.0\r\n")
    late = await connection(house)
    for one in (early, late):
        with one, contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, 10), 5) == b""


async def connection(house: Any) -> socket.socket:
    one = socket.socket()
    one.bind((ATTACKER, 0))
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, house.running.sip["tcp"])
    return one


async def test_bans_go_on_where_a_process_stopped(house: Any) -> None:
    await asyncio.gather(*(guess(house, f"u{n}", "x") for n in range(20)))
    kept = house.folder / "media/bans.json"
    await eventually(lambda: kept.exists() and ATTACKER in kept.read_text())
    assert kept.stat().st_mode & 0o077 == 0
    await house.stop()
    await house.start()
    assert [(ban.name, ban.offence) for ban in house.running.gate.bans()] == [(ATTACKER, 1)]
    stranger = await house.phone("anne", host=ATTACKER, register=False)
    with pytest.raises(TimeoutError):
        await options(stranger, timeout=0.3)


@pytest.mark.parametrize("status", [401, 407])
async def test_a_phone_that_challenges_us_learns_no_digest(house: Any, words: Any, status: int) -> None:
    """Digest leak: a phone answers our INVITE with a challenge, and hopes for a hash of somebody's password."""
    house.application.follow(words.ring("bob"), words.hang_up(17))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    invite = await bob.expect(InviteReceived)
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    challenge = 'Digest realm="dupont.example", nonce="n", qop="auth", algorithm=MD5'
    bob.do("reject", invite.session, status, headers=((name, challenge),))
    await anne.expect(SessionFailed)
    assert not [output for output in bob.seen if isinstance(output, InviteReceived)]
    await house.ended()


async def test_a_path_that_names_others_leads_nowhere_else(house: Any, words: Any) -> None:
    """A phone that claims a Path (RFC 3327) is still called where its REGISTER came from."""
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob", register=False)
    host, port = bob.server
    address = NameAddr.of("sip:bob@dupont.example")
    for path in (f"<sip:{host}:{port};lr>", "<sip:169.254.169.254;lr>"):
        bob.cseq += 2
        headers = (("Path", path), ("Supported", "path"))
        request = RequestOut(
            "REGISTER",
            bob.flow,
            "sip:dupont.example",
            address,
            address,
            bob.contact,
            headers,
            call_id="p",
            cseq=bob.cseq,
            credentials=bob.credentials,
        )
        bob.do("request", request)
        assert (await bob.expect(ResponseReceived, lambda o: o.response.status >= 200)).response.status == 200
        session = anne.call("102")
        invite = await bob.expect(InviteReceived)
        assert invite.request.headers.all("route") == [path]
        anne.do("cancel", session)
        await eventually(lambda: not house.running.board.calls)
