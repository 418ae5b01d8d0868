"""Attended transfers whose two calls are at two media nodes: who hears whom afterwards, what is recorded, and who may not."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.testing import eventually
from carillon_media.handlers.joining import HEADER, Join
from carillon_rtp.testing import hear_each_other
from carillon_sip import (
    Invite,
    InviteReceived,
    NameAddr,
    Refer,
    ReferAnswered,
    ReferProgress,
    SessionCancelled,
    SessionEnded,
    SessionFailed,
    SessionProgress,
)
from carillon_sip.replaces import Replaces, with_replaces

pytestmark = pytest.mark.feature("M-4")
PATIENCE = 20.0


@pytest.fixture
async def nodes(two_nodes: Any, tmp_path: Path) -> AsyncIterator[tuple[Any, Any]]:
    async with two_nodes(tmp_path) as both:
        yield both


def calls(node: Any) -> list[Any]:
    return list(node.running.board.calls.values())


def transferred(phone: Any, session: str, number: str, *, of: tuple[str, str, str]) -> Refer:
    """REFER in one dialog of the phone with Replaces of another one: its Call-ID, our tag, the phone's tag."""
    return Refer(with_replaces(NameAddr.of(f"sip:{number}@dupont.example"), Replaces(*of)), session=session)


def dialog(phone: Any, session: str) -> tuple[str, str, str]:
    """For `transferred`."""
    found = phone.agent.dialog(session)
    return found.call_id, found.remote_tag, found.local_tag


async def phones(here: Any, there: Any, words: Any) -> tuple[Any, Any, Any]:
    """Anne's and Bob's phones are registered at one node, Carol's at the other one."""
    here.application.follow(words.ring("bob"))
    found = await here.phone("anne"), await here.phone("bob"), await there.phone("carol")
    await eventually(lambda: there.running.registrar.devices_of("bob"), timeout=PATIENCE)
    return found


async def talk(caller: Any, callee: Any) -> tuple[str, str, Any]:
    """The sessions of both, and where the caller's audio goes."""
    session = caller.call("102")
    invite, _ = await callee.pick_up()
    return session, invite.session, await caller.answered()


def recorded(step: pb.NextResponse, policy: str) -> pb.NextResponse:
    """As a policy says: always, never, or (empty) there is none."""
    if policy:
        step.step.ring.recording.MergeFrom(pb.Recording(stereo=True, never=policy == "never"))
    return step


async def test_two_talks_of_a_phone_at_two_nodes_are_joined(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    anne, bob, carol = await phones(here, there, words)
    _, first, anne_to = await talk(anne, bob)
    carols, other, carol_to = await talk(carol, bob)
    bob.do("refer", transferred(bob, first, "103", of=dialog(bob, other)))
    assert (await bob.expect(ReferAnswered)).status == 202
    await bob.expect(ReferProgress, lambda progress: progress.status == 200)
    for session in (first, other):
        await bob.expect(SessionEnded, lambda ended, session=session: ended.session == session)
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to, skip=4)
    carol.do("bye", carols)
    await anne.expect(SessionEnded)
    await eventually(lambda: here.ends() == 2 and not calls(here) and not calls(there), PATIENCE)
    one, two = {event.callid for event in here.events()}
    told = {event.callid: event.data["other_call_id"] for event in here.events() if event.type.endswith("call.transferred.v1")}
    assert told == {one: two, two: one}
    for call_id in (one, two):
        events = here.events(call_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert words.last(events, "ended")["cause"] == "normal_clearing"


@pytest.mark.parametrize(
    ("asked", "other", "expected"), [("always", "always", [0, 1]), ("never", "always", [0, 0]), ("always", "", [0, 1])]
)
async def test_one_node_records_who_are_joined_as_the_stricter_policy_says(
    nodes: tuple[Any, Any], words: Any, asked: str, other: str, expected: list[int]
) -> None:
    """Policies of the talk at the node that is asked, and of the one at the other node; how many recordings run at each afterwards."""
    here, there = nodes
    anne, bob, carol = await phones(here, there, words)
    here.application.follow(recorded(words.ring("bob"), asked))
    _, first, anne_to = await talk(anne, bob)
    here.application.follow(recorded(words.ring("bob"), other))
    _, second, carol_to = await talk(carol, bob)
    bob.do("refer", transferred(bob, first, "103", of=dialog(bob, second)))
    await bob.expect(ReferProgress, lambda progress: progress.status == 200)
    for session in (first, second):
        await bob.expect(SessionEnded, lambda ended, session=session: ended.session == session)
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to, skip=4)
    assert [len(calls(node)[0].call.state.running_tapes) for node in nodes] == expected


async def test_who_rings_by_another_node_is_rung_for_the_other_side(nodes: tuple[Any, Any], words: Any) -> None:
    """The second call is ended where it is, and the other side is sent to what was dialled there."""
    here, there = nodes
    anne, bob, carol = await phones(here, there, words)
    _, first, anne_to = await talk(anne, bob)
    here.application.follow(words.ring("carol"))
    second = await there.phone("bob", register=False)
    second.call("103")
    carol.do("ring", (await carol.expect(InviteReceived)).session)
    rings = (await second.expect(SessionProgress, lambda progress: progress.response.status == 180)).response
    bob.do("refer", transferred(bob, first, "103", of=(rings.call_id, rings.to_tag, rings.from_tag)))
    assert (await bob.expect(ReferAnswered)).status == 202
    await carol.expect(SessionCancelled)
    await second.expect(SessionFailed)
    _, carol_to = await carol.pick_up()
    await bob.expect(ReferProgress, lambda progress: progress.status == 200)
    await hear_each_other(anne.rtp, anne_to, carol.rtp, carol_to, skip=4)
    asked = here.application.asked[-1].call
    assert (asked.caller_user_id, asked.dialled) == ("bob", "103")


async def test_only_nodes_join_calls_and_only_those_of_one_user(nodes: tuple[Any, Any], words: Any) -> None:
    here, there = nodes
    anne, bob, carol = await phones(here, there, words)
    annes, *_ = await talk(anne, bob)
    _, other, _ = await talk(carol, bob)
    anne.do("refer", transferred(anne, annes, "103", of=dialog(bob, other)))
    assert (await anne.expect(ReferAnswered)).status == 403
    anne.do("refer", transferred(anne, annes, "103", of=("x", "y", "z")))
    assert (await anne.expect(ReferAnswered)).status == 481
    join = Join("dupont", calls(there)[0].legs["b1"].session, "bob", "mallory", "666", "c", datetime.now(UTC).timestamp())
    actor, sealed = calls(here)[0], here.running.board.transfers.joining._sealer.seal(TypeAdapter(Join).dump_json(join).decode())
    here.application.follow(words.hang_up(21, 603))
    anne.call("102", headers=((HEADER, sealed),))
    assert (await anne.expect(SessionFailed)).status == 603, "a phone's INVITE is a call like others, whatever it says"
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    node = Invite(
        flow=here.running.cluster.flow_to(here.running.cluster.peers["second"]),
        request_uri="sip:join@127.0.0.1",
        from_=NameAddr.of("sip:666@dupont.example"),
        to=NameAddr.of("sip:join@127.0.0.1"),
        contact=anne.contact,
        body=anne.offer(),
        headers=((HEADER, changed),),
    )
    heard: list[Any] = []

    def hear(session: str, output: Any) -> bool:
        heard.append(output)
        return True

    here.running.board.transfers.joining.heard = hear
    actor.parts.sip.invite(node)
    await eventually(lambda: bool(heard), timeout=PATIENCE)
    assert heard[-1].status == 403
    assert not any(isinstance(output, SessionEnded) for phone in (anne, bob, carol) for output in phone.seen)
    assert len(calls(here)) == len(calls(there)) == 1
