"""What calls go through when parts of the world are gone."""

import asyncio
import signal
from typing import Any

import pytest

from carillon.common.v1 import call_application_pb2 as pb
from carillon_kit.testing import eventually
from carillon_rtp.testing import tone
from carillon_sip import InviteReceived, SessionEnded, SessionFailed


async def never(request: pb.NextRequest) -> pb.NextResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def test_without_routing_extensions_still_reach_each_other(house: Any, words: Any) -> None:
    house.application.decide = never
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    await bob.pick_up()
    await anne.answered()
    anne.do("bye", call)
    events = await house.ended()
    decided = words.last(events, "routing_decided")
    assert (decided["application"], decided["trace"][0]["matched"]) == ("media", False)
    assert len(house.application.asked) == 2


async def test_without_routing_help_can_be_called(house: Any, words: Any) -> None:
    house.application.decide = never
    await house.configure("trunk", {"id": "near", "address": "127.0.0.3:5099", "priority": -1})
    anne = await house.phone("anne")
    anne.call("112")
    await eventually(lambda: any(event.type.endswith("leg_offered.v1") for event in house.events()))
    offered = words.last(house.events(), "leg_offered")
    assert (offered["party"], offered["number"]) == ("trunk:near", "112")


async def test_without_routing_others_are_told_to_try_again(house: Any, words: Any) -> None:
    house.application.decide = never
    anne = await house.phone("anne")
    anne.call("+41791234567")
    failed = await anne.expect(SessionFailed)
    assert (failed.status, failed.response.headers.get("Retry-After")) == (503, "5")
    assert words.last(await house.ended(), "ended")["cause"] == "temporary_failure"


@pytest.mark.feature("M-13")
async def test_a_call_goes_on_when_routing_is_back(house: Any, words: Any) -> None:
    """Routing is away when the step ends: the caller goes on hearing ringing, and then the next phone rings."""
    house.application.follow(words.ring("bob"))
    anne, bob, carol = await house.phone("anne"), await house.phone("bob"), await house.phone("carol")
    call = anne.call("102")
    ringing = await bob.expect(InviteReceived)
    house.application.decide = never
    bob.do("reject", ringing.session, 486)
    await eventually(lambda: len(house.application.asked) >= 4)
    assert {request.outcome.ring.result for request in house.application.asked[1:]} == {pb.RING_RESULT_BUSY}
    house.application.follow(words.ring("carol"))
    await carol.pick_up()
    await anne.answered()
    anne.do("bye", call)
    assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


async def test_a_step_that_cannot_be_done_ends_the_call(house: Any, words: Any) -> None:
    house.application.follow(pb.NextResponse())
    anne = await house.phone("anne")
    anne.call("+41791234567")
    assert (await anne.expect(SessionFailed)).status == 503
    await house.ended()


async def test_a_call_outlives_the_media_plane(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    call = anne.call("102")
    await bob.pick_up()
    to = await anne.answered()
    await house.plane.end(signal.SIGKILL)
    await house.plane.start()
    actor = next(iter(house.running.board.calls.values()))
    plane = actor.parts.plane
    await eventually(lambda: plane.connected)

    async def bridged() -> bool:
        return sum(state.bridged_with is not None for state in await plane.list_sessions()) == 2

    await eventually(bridged)
    anne.rtp.send_audio(tone(440, 100, "PCMA"), "PCMA", to)
    await bob.rtp.wait_for(3)
    anne.do("bye", call)
    await bob.expect(SessionEnded)
    assert words.last(await house.ended(), "ended")["cause"] == "normal_clearing"


@pytest.mark.feature("P-10")
async def test_calls_that_cannot_be_taken_up_are_ended_by_the_next_process(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    await bob.pick_up()
    await anne.answered()
    await eventually(lambda: any(event.type.endswith("bridged.v1") for event in house.events()))
    house.forget_calls()
    await house.stop()
    await house.start(resume_seconds=0)
    events = await house.ended()
    assert words.story(events)[-3:] == ["leg_ended a", "leg_ended b1", "ended"]
    assert {event.data["cause"] for event in events[-3:]} == {"node_failure"}
    await house.stop()
    await house.start(resume_seconds=0)
    assert house.ends() == 1


async def test_stopping_the_service_ends_calls_in_order(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    anne.call("102")
    await bob.pick_up()
    await anne.answered()
    await house.stop()
    for phone in (anne, bob):
        assert (await phone.expect(SessionEnded)).by == "remote"
    await house.start()
    assert words.last(await house.ended(), "ended")["cause"] == "temporary_failure"


async def test_garbage_does_not_disturb(house: Any, words: Any) -> None:
    house.application.follow(words.ring("bob"))
    anne, bob = await house.phone("anne"), await house.phone("bob")
    for junk in (b"", b"\r\n\r\n", b"\x00" * 3000, b"INVITE sip:102@x SIP/2.0\r\n\r\n", b"INVITE " + b"a" * 60_000, b"\xff\xfe SIP/2.0"):
        anne.link.sendto(junk, anne.server)
    anne.call("102")
    await bob.expect(InviteReceived)
