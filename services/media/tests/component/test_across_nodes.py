"""Two media nodes of one installation: phones of one pick up, take back, supervise and watch calls of the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from carillon.common.v1 import call_application_pb2 as app
from carillon.media.v1 import call_control_pb2 as pb
from carillon.media.v1 import media_pb2
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon.media.v1.media_pb2_grpc import LiveCallServiceStub
from carillon_kit.auth import ADMIN, issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually
from carillon_rtp.testing import decode, hear_each_other, share_of, tone
from carillon_sip import InviteReceived, Refer, SessionCancelled, SessionEnded, SessionFailed
from carillon_sip.uri import NameAddr
from strangers.watcher import Watcher, watcher_of

pytestmark = pytest.mark.feature("M-5", "M-6")
LOT = {"id": "main", "first_slot": "701", "last_slot": "702"}
PATIENCE = 20.0


def take(**fields: Any) -> app.NextResponse:
    return app.NextResponse(step=app.Step(pick_up=app.PickUp(**fields)), config_seq=5)


def park(*slots: str) -> app.NextResponse:
    return app.NextResponse(step=app.Step(park=app.Park(slots=slots, timeout_ms=60_000)), config_seq=5)


@pytest.fixture
async def nodes(two_nodes: Any, tmp_path: Path) -> AsyncIterator[tuple[Any, Any]]:
    group = {"id": "all", "user_ids": ["anne", "bob", "carol"]}
    async with two_nodes(tmp_path, ("parking_lot", LOT), ("pickup_group", group)) as both:
        yield both


def calls(node: Any) -> list[Any]:
    return list(node.running.board.calls.values())


async def knows(node: Any, fits: Any) -> None:
    """Of a call of the other node."""
    await eventually(lambda: any(fits(call) for _, call in node.running.elsewhere.of("dupont")), timeout=PATIENCE)


async def rings(here: Any, there: Any, words: Any) -> tuple[Any, Any]:
    """Anne calls Bob, at one node; the other knows that his phone rings."""
    here.application.follow(words.ring("bob"))
    anne, bob = await here.phone("anne"), await here.phone("bob")
    anne.call("102")
    bob.do("ring", (await bob.expect(InviteReceived)).session)
    await knows(there, lambda call: "bob" in call.ringing)
    return anne, bob


@pytest.mark.parametrize(("dialled", "transport"), [("**102", "udp"), ("*8", "udp"), ("**102", "tcp")])
async def test_a_ringing_call_of_another_node_is_picked_up_by_code(
    nodes: tuple[Any, Any], words: Any, dialled: str, transport: str
) -> None:
    here, there = nodes
    anne, bob = await rings(here, there, words)
    carol = await there.phone("carol", transport)
    here.application.follow(take(ringing=app.RingingAt(user_ids=["bob"])))
    session = carol.call(dialled)
    carol_to = await carol.answered()
    await bob.expect(SessionCancelled)
    anne_to = await anne.answered()
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to)
    assert not calls(there)
    carol.do("bye", session)
    await anne.expect(SessionEnded)
    await eventually(lambda: not calls(here), PATIENCE)


async def talk(here: Any, words: Any) -> tuple[Any, Any, Any, Any, str]:
    """Anne called Bob at one node, and he answered; who, where their audio goes, and his session."""
    here.application.follow(words.ring("bob"))
    anne, bob = await here.phone("anne"), await here.phone("bob")
    anne.call("102")
    invite, bob_to = await bob.pick_up()
    return anne, await anne.answered(), bob, bob_to, invite.session


async def test_a_parked_call_is_taken_back_at_another_node_which_parks_in_another_slot(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    anne, anne_to, bob, _, bobs = await talk(here, words)
    here.application.follow(park("701", "702"))
    bob.do("refer", Refer(NameAddr.of("sip:*7@dupont.example"), session=bobs))
    await knows(there, lambda call: call.slot == "701")
    carol = await there.phone("carol")
    own = carol.call("*7")
    await carol.answered()
    await eventually(lambda: [call.call.state.phase.slot for call in calls(there)] == ["702"], PATIENCE)
    carol.do("bye", own)
    here.application.follow(take(slot="701"))
    session = carol.call("701")
    await hear_each_other(anne.rtp, anne_to, carol.rtp, await carol.answered())
    carol.do("bye", session)
    await anne.expect(SessionEnded)
    await eventually(lambda: not calls(here) and not calls(there), PATIENCE)


async def test_a_talk_of_another_node_is_listened_to(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    anne, anne_to, bob, bob_to, bobs = await talk(here, words)
    await knows(there, lambda call: "bob" in call.talking)
    step = app.Supervise(user_id="bob", mode=app.SUPERVISE_MODE_LISTEN, allowed=[app.SUPERVISE_MODE_LISTEN])
    here.application.follow(app.NextResponse(step=app.Step(supervise=step), config_seq=5))
    carol = await there.phone("carol")
    session = carol.call("*82102")
    await carol.answered()
    await eventually(lambda: len(calls(here)) == 2, PATIENCE)
    for sender, to, hertz in ((anne, anne_to, 440), (bob, bob_to, 880)):
        async with asyncio.timeout(PATIENCE):
            while not hears(carol, hertz):
                sender.rtp.send_audio(tone(hertz, 400, "PCMA"), "PCMA", to)
                await carol.rtp.wait_for(len(carol.rtp.received) + 25, deadline=PATIENCE)
    bob.do("bye", bobs)
    await carol.expect(SessionEnded, lambda output: output.session == session)


def hears(phone: Any, hertz: int) -> bool:
    """Somewhere for 160 ms."""
    packets = [packet.payload for packet in phone.rtp.received]
    return any(share_of(decode(b"".join(packets[at : at + 8]), "PCMA"), hertz) > 0.9 for at in range(0, len(packets) - 7, 4))


async def told(watcher: Watcher, state: str) -> ElementTree.Element:
    """The first dialog that is told to be in this state."""
    while True:
        async with asyncio.timeout(PATIENCE):
            notice = await watcher.notices.get()
        for dialog in ElementTree.fromstring(notice.body).iterfind("{*}dialog"):
            if dialog.findtext("{*}state") == state:
                return dialog


async def test_a_lamp_shows_calls_of_another_node_and_its_dialog_can_be_replaced(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    async with watcher_of(there.running.sip["udp"], "carol", "secret-carol") as watcher:
        assert (await watcher.ask("sip:102@dupont.example")).status == 200
        anne, bob = await rings(here, there, words)
        early = await told(watcher, "early")
        call_id, to_tag, from_tag = (early.get(name, "") for name in ("call-id", "local-tag", "remote-tag"))
        carol = await there.phone("carol")
        carol.call("102", headers=(("Replaces", f"{call_id};to-tag={from_tag};from-tag={to_tag}"), ("Require", "replaces")))
        await hear_each_other(carol.rtp, await carol.answered(), anne.rtp, await anne.answered())
        await bob.expect(SessionCancelled)
        await told(watcher, "terminated")


@asynccontextmanager
async def api(node: Any) -> AsyncIterator[tuple[Any, Any]]:
    """An admin's clients of one node."""
    async with channel(f"127.0.0.1:{node.running.grpc_port}", issue_token("k" * 40, "olga", "dupont", [ADMIN])) as link:
        yield CallControlServiceStub(link), LiveCallServiceStub(link)


@pytest.mark.feature("M-12")
async def test_any_node_is_asked_about_any_call(nodes: tuple[Any, Any], words: Any) -> None:
    """Listed, watched, held, refused and ended at the node that has the call, by the asker's own token; picked up by the other's phone."""
    here, there = nodes
    await eventually(lambda: bool(there.running.elsewhere.apis), PATIENCE)
    anne, bob = await rings(here, there, words)
    carol = await there.phone("carol")
    await eventually(lambda: bool(here.running.registrar.devices_of("carol")), PATIENCE)
    async with api(there) as (control, live):
        (listed,) = (await live.ListLiveCalls(media_pb2.ListLiveCallsRequest())).calls
        assert (listed.call_id, listed.node) == (calls(here)[0].call.facts.call_id, "test")
        here.application.follow(take(ringing=app.RingingAt(user_ids=["bob"])))
        made = await control.PickUpCall(pb.PickUpCallRequest(user_id="carol", rung_user_id="bob"))
        _, carol_to = await carol.pick_up()
        await hear_each_other(anne.rtp, await anne.answered(), carol.rtp, carol_to)
        await bob.expect(SessionCancelled)
        await eventually(lambda: made.call_id not in here.running.board.calls, PATIENCE)
        (talk_id,) = here.running.board.calls
        await knows(there, lambda call: "carol" in call.talking)
        stream = aiter(control.WatchCallEvents(pb.WatchCallEventsRequest(call_id=talk_id)))
        assert (await anext(stream)).seq == 1
        await control.HoldLeg(pb.HoldLegRequest(call_id=talk_id, leg_id="a"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await control.HoldLeg(pb.HoldLegRequest(call_id=talk_id, leg_id="a"))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert held(refused.value) == [f"calls/{talk_id}"]
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await control.HangUpCall(pb.HangUpCallRequest(call_id=talk_id), metadata=(("carillon-forwarded", "1"),))
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND, "a request goes on once"
        await control.HangUpCall(pb.HangUpCallRequest(call_id=talk_id))
        seqs = [event.seq async for event in stream]
    await anne.expect(SessionEnded)
    await eventually(lambda: here.ends() == 2, PATIENCE)
    assert seqs == list(range(2, len(here.events(talk_id)) + 1))
    assert words.last(here.events(talk_id), "controlled")["requested_by"] == "olga"


def held(error: grpc.aio.AioRpcError) -> list[str]:
    """What the details of a refusal say is in no state for it."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    found = error_details_pb2.PreconditionFailure()
    return [violation.subject for detail in status.details if detail.Unpack(found) for violation in found.violations]


@pytest.mark.feature("M-12")
async def test_two_talks_of_a_user_at_two_nodes_are_joined_by_api_and_a_silent_node_is_named(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    anne, anne_to, bob, _, _ = await talk(here, words)
    carol = await there.phone("carol")
    await eventually(lambda: bool(there.running.registrar.devices_of("bob")), PATIENCE)
    carol.call("102")
    await bob.pick_up()
    carol_to = await carol.answered()
    await knows(here, lambda call: "carol" in call.talking)
    (one,), (two,) = here.running.board.calls, there.running.board.calls
    async with api(there) as (control, live):
        await knows(there, lambda call: "bob" in call.talking)
        await control.CompleteTransfer(pb.CompleteTransferRequest(call_id=one, leg_id="b1", consult_call_id=two))
        await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to)
        there.running.elsewhere._apis["test"] = "127.0.0.1:1"
        told = await live.ListLiveCalls(media_pb2.ListLiveCallsRequest())
        assert ([call.call_id for call in told.calls], list(told.silent_nodes)) == ([two], ["test"])


async def test_who_gives_up_or_is_no_member_leaves_the_other_nodes_call_alone(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    await rings(here, there, words)
    carol = await there.phone("carol")
    here.application.follow(words.hang_up(21, 603))
    carol.call("**102")
    assert (await carol.expect(SessionFailed)).status == 603
    here.application.follow(words.ring("anne"))
    given_up = carol.call("**102")
    await eventually(lambda: len(calls(here)) == 2, PATIENCE)
    carol.do("cancel", given_up)
    await eventually(lambda: len(calls(here)) == 1, PATIENCE)
    mallory = await there.phone("bob", register=False)
    there.application.follow(words.hang_up(21, 603))
    mallory.call("**102")
    await mallory.expect(SessionFailed)
    assert len(calls(here)) == 1, "who is not registered at a node is not passed on by it"


async def test_the_calls_of_a_node_that_is_gone_are_forgotten_and_one_that_begins_anew_tells_all(
    nodes: tuple[Any, Any], words: Any, tmp_path: Path
) -> None:
    here, there = nodes
    await talk(here, words)
    await knows(there, lambda call: "bob" in call.talking)
    settings = there.settings
    await there.stop()
    await there.start(node="second", postgres_dsn=settings.postgres_dsn)
    await knows(there, lambda call: "bob" in call.talking)
    await here.stop()
    await eventually(lambda: not list(there.running.elsewhere.of("dupont")))
    await here.start(postgres_dsn=settings.postgres_dsn)


@pytest.mark.feature("M-1")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_strangers_phone_of_one_node_calls_one_of_the_other(nodes: tuple[Any, Any], words: Any, sipp: Any, transport: str) -> None:
    """SIPp at both ends: who registered at the second node is rung by the first, through the phone's own node."""
    here, there = nodes
    here.application.follow(words.ring("bob"))
    async with sipp.phone(there, "uas"):
        await eventually(lambda: here.running.registrar.devices_of("bob"), timeout=PATIENCE)
        caller = sipp.Sipp(here, "uac", sipp.free_port(), "-m", "5", "-r", "10", "-d", "200", transport=transport)
        assert await caller.run() == 0
        await here.ended(5)
    assert here.ends() == 5
    assert {event.source for event in here.events()} == {"carillon/media/test"}
    assert {words.last([event], "ended")["cause"] for event in here.events() if event.type.endswith("call.ended.v1")} == {"normal_clearing"}
