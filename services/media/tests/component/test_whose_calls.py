"""Live calls over a real port for departments' admins and people: seen, watched and controlled by those whose they are."""

from typing import Any

import grpc
import grpc.aio
import pytest

from carillon.common.v1 import call_application_pb2 as app_pb
from carillon.media.v1 import call_control_pb2 as pb
from carillon.media.v1.call_control_pb2_grpc import CallControlServiceStub
from carillon.media.v1.media_pb2 import ListLiveCallsRequest
from carillon.media.v1.media_pb2_grpc import LiveCallServiceStub
from carillon_kit.auth import issue_token
from carillon_kit.grpc_client import channel
from carillon_kit.testing import eventually
from carillon_sip import InviteReceived, SessionEnded

pytestmark = pytest.mark.feature("P-3", "M-12")
KEY = "k" * 40
#: `sales` has `shop` below it; the queue that the call comes through is of `desk`.
PEOPLE = {"anne": "sales", "bob": "shop", "carol": "support"}
EVERYBODY = {"admin", *PEOPLE, *PEOPLE.values(), "desk", "stranger"}


class Asked:
    """The service as somebody finds it: `admin`, `sales` (its admin), `anne` (herself), `stranger`: the same one of another tenant."""

    def __init__(self, house: Any, who: str, rights_profile: str = "") -> None:
        tenant = "martin" if who == "stranger" else "dupont"
        role = "user" if who in PEOPLE else "admin" if who in ("admin", "stranger") else "department_admin"
        department = who if role == "department_admin" else ""
        token = issue_token(KEY, f"user/{who}", tenant, [role], department=department, rights_profile=rights_profile)
        self._channel = channel(f"127.0.0.1:{house.running.grpc_port}", token)

    async def __aenter__(self) -> "Asked":
        opened = await self._channel.__aenter__()
        self.live: Any = LiveCallServiceStub(opened)
        self.control: Any = CallControlServiceStub(opened)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._channel.__aexit__(*error)

    async def calls(self) -> list[str]:
        return [each.call_id for each in (await self.live.ListLiveCalls(ListLiveCallsRequest())).calls]


async def seen_by(house: Any) -> set[str]:
    """Who is told of the call."""
    found = set()
    for who in EVERYBODY:
        async with Asked(house, who) as asked:
            if await asked.calls():
                found.add(who)
    return found


async def code(attempt: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attempt
    return refused.value.code()


@pytest.fixture
async def ringing(house: Any, words: Any) -> tuple[Any, Any, str]:
    """Anne calls the queue, and the phones of Bob and Carol ring: Anne's, Bob's, and the call's id."""
    await house.configure("department", {"id": "sales"})
    for name, parent in (("shop", "sales"), ("support", ""), ("desk", "")):
        await house.configure("department", {"id": name, "parent_id": parent})
    await house.configure("queue", {"id": "help", "department_id": "desk"})
    await house.configure("rights_profile", {"id": "configurer", "rights": [{"resource": "*", "level": "write"}]})
    for name, department in PEOPLE.items():
        await house.configure("user", {"id": name, "last_name": name.title(), "department_id": department})
    step: app_pb.NextResponse = words.ring("bob", "carol", seconds=240)
    step.trace.add(subject="queue/help", matched=True, reason="the caller waits for an agent")
    house.application.follow(step)
    anne, bob, carol = [await house.phone(name) for name in PEOPLE]
    anne.call("102")
    carol.do("ring", (await carol.expect(InviteReceived)).session)
    calls = house.running.board.calls
    await eventually(lambda: any("b2" in actor.call.legs for actor in calls.values()))
    return anne, bob, next(iter(calls))


async def test_a_call_is_seen_and_led_by_those_whose_it_is(house: Any, ringing: Any) -> None:
    anne, bob, call_id = ringing

    async def by_all() -> bool:
        """Once the departments are known here."""
        return await seen_by(house) == EVERYBODY - {"stranger"}

    await eventually(by_all)
    hang_up = pb.HangUpCallRequest(call_id=call_id)
    for who in ("bob", "carol", "support", "stranger"):
        async with Asked(house, who) as asked:
            assert await code(asked.control.HangUpCall(hang_up)) == grpc.StatusCode.NOT_FOUND, "a phone that only rings ends no call"
    await bob.pick_up()
    await anne.answered()

    async def by_those_who_talk() -> bool:
        return await seen_by(house) == EVERYBODY - {"stranger", "carol", "support"}

    await eventually(by_those_who_talk)
    async with Asked(house, "bob") as asked:
        await asked.control.HoldLeg(pb.HoldLegRequest(call_id=call_id, leg_id="b1"))
        await asked.control.ResumeLeg(pb.ResumeLegRequest(call_id=call_id, leg_id="b1"))
        assert await code(asked.control.HoldLeg(pb.HoldLegRequest(call_id=call_id, leg_id="a"))) == grpc.StatusCode.NOT_FOUND
        assert await code(asked.control.StartRecording(pb.StartRecordingRequest(call_id=call_id))) == grpc.StatusCode.PERMISSION_DENIED
        await asked.control.HangUpCall(hang_up)
    assert (await anne.expect(SessionEnded)).by == "remote"


async def test_a_departments_admin_watches_the_calls_of_the_department(house: Any, ringing: Any) -> None:
    _, _, call_id = ringing
    for who, told in (("stranger", False), ("carol", False), ("desk", True), ("support", True), ("shop", True)):
        async with Asked(house, who) as asked:

            async def first(asked: Asked = asked) -> str:
                try:
                    async for each in asked.control.WatchCallEvents(pb.WatchCallEventsRequest(call_id=call_id)):
                        return str(each.call_id)
                except grpc.aio.AioRpcError as error:
                    return error.code().name
                return ""

            async def heard(told: bool = told) -> bool:
                return (await first() == call_id) is told

            await eventually(heard)
            if who == "desk":
                everything = asked.control.WatchCallEvents(pb.WatchCallEventsRequest())
                assert await code(everything.read()) == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_watcher_is_told_no_more_of_a_call_that_has_left_the_department(house: Any, ringing: Any) -> None:
    _, bob, call_id = ringing
    async with Asked(house, "support") as asked:

        async def known() -> bool:
            return await asked.calls() == [call_id]

        await eventually(known)
        watched = aiter(asked.control.WatchCallEvents(pb.WatchCallEventsRequest(call_id=call_id)))
        assert (await anext(watched)).seq == 1
        await bob.pick_up()

        async def rest() -> None:
            async for _ in watched:
                pass

        assert await code(rest()) == grpc.StatusCode.NOT_FOUND


async def test_a_rights_profile_opens_live_calls_if_it_names_them(house: Any, ringing: Any) -> None:
    _, _, call_id = ringing
    async with Asked(house, "admin", "configurer") as asked:
        assert await code(asked.calls()) == grpc.StatusCode.PERMISSION_DENIED
        assert await code(asked.control.HangUpCall(pb.HangUpCallRequest(call_id=call_id))) == grpc.StatusCode.PERMISSION_DENIED
