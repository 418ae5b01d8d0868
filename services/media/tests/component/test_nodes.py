"""Two media nodes of one installation: a phone that registered at one is called, and hangs up, through the other."""

from pathlib import Path
from typing import Any

import pytest

from carillon_kit.testing import eventually, fresh_database
from carillon_sip import InviteReceived, RequestOut, ResponseReceived, SessionAnswered, SessionCancelled, SessionEnded, SessionFailed
from carillon_sip.uri import NameAddr

pytestmark = pytest.mark.feature("M-1")


@pytest.fixture
def postgres_dsn() -> str:
    """A database for one test alone."""
    return fresh_database()


def users(node: Any) -> list[str]:
    return sorted(device.user_id for device in node.running.registrar.devices("dupont"))


async def departed(node: Any) -> list[Any]:
    registrar = node.running.registrar
    await eventually(lambda: bool(registrar.departed("dupont", "bob")))
    return registrar.departed("dupont", "bob")  # type: ignore[no-any-return]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_reaches_a_phone_of_another_node_and_both_sides_can_hang_up(
    two_nodes: Any, tmp_path: Path, words: Any, transport: str
) -> None:
    async with two_nodes(tmp_path) as (here, there):
        here.application.follow(words.ring("bob"))
        anne, bob = await here.phone("anne"), await there.phone("bob", transport)
        await eventually(lambda: users(here) == users(there) == ["anne", "bob"])
        for hangs_up, hears in ((anne, bob), (bob, anne)):
            anne.call("102")
            invite, _ = await bob.pick_up()
            assert invite.request.uri == str(bob.contact.uri)
            answered = await anne.expect(SessionAnswered)
            session = {anne: answered.session, bob: invite.session}
            hangs_up.do("bye", session[hangs_up])
            await hears.expect(SessionEnded)
            await eventually(lambda: not here.running.board.calls)
        assert not there.running.board.calls


async def test_a_caller_that_gives_up_and_a_callee_that_refuses(two_nodes: Any, tmp_path: Path, words: Any) -> None:
    async with two_nodes(tmp_path) as (here, there):
        here.application.follow(words.ring("bob"), words.hang_up(17))
        anne, bob = await here.phone("anne"), await there.phone("bob")
        await eventually(lambda: "bob" in users(here))
        call = anne.call("102")
        await bob.expect(InviteReceived)
        anne.do("cancel", call)
        await bob.expect(SessionCancelled)
        await eventually(lambda: not here.running.board.calls)
        here.application.follow(words.ring("bob"), words.hang_up(17))
        anne.seen.clear()
        anne.call("102")
        invite = await bob.expect(InviteReceived)
        bob.do("reject", invite.session, 486)
        assert (await anne.expect(SessionFailed)).status == 486


async def test_who_moves_to_another_node_or_leaves_is_known_to_all(two_nodes: Any, tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (here, there):
        bob = await here.phone("bob")
        await eventually(lambda: users(there) == ["bob"])
        (known,) = there.running.registrar.devices("dupont")
        assert known.node == "test"
        bob.server = there.running.sip["udp"]
        assert await bob.register() == 200
        (moved,) = there.running.registrar.devices("dupont")
        assert moved.node == ""
        await eventually(lambda: [device.node for device in here.running.registrar.devices("dupont")] == ["second"])
        bob.server = here.running.sip["udp"]
        assert await bob.register(expires=0) == 200
        await eventually(lambda: users(here) == users(there) == [])
        (left,) = await departed(there)
        assert left.heard_at < left.left_at
        facts = [event.type.split(".")[2] for event in here.registrations()]
        assert facts == ["registered", "unregistered"]


async def test_only_nodes_and_the_phone_itself_can_use_a_flow_token(two_nodes: Any, tmp_path: Path, words: Any) -> None:
    async with two_nodes(tmp_path) as (here, there):
        here.application.follow(words.ring("bob"))
        anne, bob = await here.phone("anne"), await there.phone("bob")
        await eventually(lambda: "bob" in users(here))
        anne.call("102")
        invite = await bob.expect(InviteReceived)
        route = invite.request.headers.all("record-route")[0]
        mallory = await there.phone("carol", register=False)
        victim = NameAddr.of(str(bob.contact.uri))
        for sender, target in ((mallory, str(bob.contact.uri)), (bob, "sip:victim@127.0.0.1:9")):
            request = RequestOut(
                "OPTIONS",
                flow=sender.flow,
                request_uri=target,
                from_=victim,
                to=victim,
                headers=(("Route", route), ("Route", "<sip:127.0.0.1:9;lr>")),
            )
            sender.do("request", request)
            assert (await sender.expect(ResponseReceived)).response.status == 403


async def test_one_node_registers_with_carriers_and_the_other_takes_over(
    house_with: Any, second: Any, tmp_path: Path, postgres_dsn: str
) -> None:
    async with house_with(tmp_path, postgres_dsn=postgres_dsn) as here:
        await eventually(lambda: here.running.trunks.registers)
        async with second(here, tmp_path / "second", postgres_dsn=postgres_dsn) as there:
            await eventually(lambda: there.running.cluster.peers)
            assert here.running.trunks.registers
            assert not there.running.trunks.registers
            await here.stop()
            await eventually(lambda: there.running.trunks.registers)
            await here.start(postgres_dsn=postgres_dsn)
            await eventually(lambda: here.running.cluster.peers)
            assert not here.running.trunks.registers
