"""SIPp callers wait in a queue for a baresip agent, over kill -9 of routing: nobody is lost, the order stays, nobody is rung twice."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from itertools import groupby
from pathlib import Path
from pprint import pformat

import asyncpg
import pytest

from carillon.routing.v1 import queues_pb2 as pb
from carillon.routing.v1.queues_pb2_grpc import QueueControlServiceStub
from carillon_kit.grpc_client import channel
from strangers.phones import among, happened, holds, phone
from strangers.sipp import SPOKEN_HZ, Sipp, tone_file
from strangers.story import Decisions, Story
from strangers.system import System

pytestmark = pytest.mark.feature("R-10")
CARRIER = "127.0.0.2"
AGENT_HZ = 1900
CALLER_HZ = 1300
COMPANY = """
tenant: {id: dupont, display_name: Dupont SA, realm: dupont.example, country: CH, time_zone: Europe/Zurich, language: fr,
  main_number: "+41215550100"}
agents:
  - {id: dumas, user_id: dumas}
queues:
  - id: hotline
    ring_seconds: 20
    leave_key: "*"
    callback_key: "1"
    members: [{agent_id: dumas}]
    priorities: [{prefixes: ["+4176"], priority: 5}]
  - id: patient
    ring_seconds: 20
    callback_key: "1"
    callback: {offer_after_seconds: 2, tries: 2, pause_seconds: 10}
    members: [{agent_id: dumas}]
  - {id: by-key, leave_key: "*", left_by_key: {user_id: dumas}}
  - {id: short, max_wait_seconds: 1, waited_too_long: {user_id: dumas}}
  - {id: deserted, leave_without_agents: true, no_agents: {user_id: dumas}}
  - {id: tiny, max_size: 1, full: {user_id: dumas}}
extensions:
  - {id: "158", destination: {queue_id: hotline}}
  - {id: "1591", destination: {queue_id: tiny}}
  - {id: "1592", destination: {queue_id: by-key}}
  - {id: "1593", destination: {queue_id: short}}
  - {id: "1594", destination: {queue_id: deserted}}
numbers:
  - {id: "+41215550152", destination: {queue_id: tiny}}
  - {id: "+41215550150", destination: {queue_id: hotline}}
  - {id: "+41215550151", destination: {queue_id: patient}}
"""


class Hotline:
    def __init__(self, system: System) -> None:
        self.system = system
        self.channel = channel(system.run["grpc"]["routing"], system.run["admin_token"], "dupont")
        self.stub = QueueControlServiceStub(self.channel)

    async def state(self, queue_id: str = "hotline") -> pb.QueueState:
        answer = await self.stub.GetQueues(pb.GetQueuesRequest(queue_id=queue_id), timeout=60, wait_for_ready=True)
        return answer.queues[0]

    async def numbers(self, state: str = "waiting") -> list[str]:
        return [caller.number for caller in (await self.state()).callers if caller.state == state]

    async def waits(self, *numbers: str) -> None:
        async with asyncio.timeout(60):
            while await self.numbers() != list(numbers):
                await asyncio.sleep(0.1)


@pytest.fixture
async def hotline(system: System, tmp_path: Path) -> AsyncIterator[Hotline]:
    file = tmp_path / "queues.yaml"
    file.write_text(COMPANY)
    system.carillon("apply", str(file))
    here = Hotline(system)
    async with asyncio.timeout(60):
        while not (await here.stub.GetQueues(pb.GetQueuesRequest(), timeout=10)).queues:
            await asyncio.sleep(0.1)
    yield here
    await here.stub.LogOutAgent(pb.LogOutAgentRequest(agent_id="dumas"), timeout=10)
    await here.channel.close()


#: Who the callers are, by their number.
def caller(number: int) -> str:
    return f"+4179111220{number}"


def calls(system: System, number: int, dest: str) -> Sipp:
    """A caller from outside who would wait for three minutes."""
    replace = {"[caller]": caller(number), '<exec rtp_stream="SOUND,-1,8"/>': ""}
    return Sipp("carrier_calls.xml", system.sip, "-d", "180000", ip=CARRIER, seconds=200, replace=replace, dest=dest)


async def callers(stack: AsyncExitStack, system: System, hotline: Hotline, count: int) -> None:
    """So many, each once those before wait."""
    for number in range(1, count + 1):
        stack.enter_context(calls(system, number, "+41215550150"))
        await hotline.waits(*map(caller, range(1, number + 1)))


async def test_callers_wait_over_a_killed_routing_and_are_served_in_order(system: System, hotline: Hotline) -> None:
    known = system.call_ids()
    async with AsyncExitStack() as stack:
        await callers(stack, system, hotline, 3)
        old = system.kill("routing")
        await asyncio.to_thread(system.until_restarted, "routing", old)
        await hotline.waits(*map(caller, (1, 2, 3)))
        agent = await stack.enter_async_context(phone(system, "101", AGENT_HZ))
        await hotline.stub.LogInAgent(pb.LogInAgentRequest(agent_id="dumas"), timeout=10)
        for number in (1, 2, 3):
            await happened(agent, "CALL_INCOMING", number)
            assert await hotline.numbers("offered") == [caller(number)]
            killed = system.kill("routing") if number == 2 else 0
            await agent.command("accept")
            await happened(agent, "CALL_ESTABLISHED", number)
            if killed:
                await asyncio.to_thread(system.until_restarted, "routing", killed)
            async with asyncio.timeout(60):
                while await hotline.numbers("talking") != [caller(number)]:
                    await asyncio.sleep(0.1)
            await agent.command("hangup")
            await happened(agent, "CALL_CLOSED", number)
        await hotline.waits()
    records = await asyncio.to_thread(system.new_records, known, 3)
    assert {record["caller"]: record["answered_by"] for record in records} == {caller(number): "dumas" for number in (1, 2, 3)}
    for record in records:
        (passage,) = record["queues"]
        assert (passage["queue_id"], passage["left_reason"], passage["answered_by"]) == ("hotline", "answered", "dumas")
        assert [(offer["agent_id"], offer["result"]) for offer in passage["offers"]] == [("dumas", "answered")]
    # Who came when the database did not answer in time has the place all the same, but came on the floor after others.
    places = {record["caller"]: record["queues"][0]["position"] for record in records}
    assert all(1 <= places[caller(number)] <= number for number in (1, 2, 3)), places


async def knows_that_dumas_talks(system: System) -> None:
    """Events of the call have come to routing."""
    connection = await asyncpg.connect(system.run["postgres"]["dsn"])
    try:
        async with asyncio.timeout(60):
            while not await connection.fetchval(
                "select count(*) from routing.call_leg where party = 'dumas' and leg_id = 'a' and ended_at is null"
            ):
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def test_an_agent_who_talks_in_a_call_of_his_own_is_offered_callers_once_he_has_hung_up(system: System, hotline: Hotline) -> None:
    known = system.call_ids()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(phone(system, "101", AGENT_HZ))
        await hotline.stub.LogInAgent(pb.LogInAgentRequest(agent_id="dumas"), timeout=10)
        await agent.command("dial", f"sip:1591@{system.tenant['realm']}")
        await happened(agent, "CALL_ESTABLISHED", 1)
        await knows_that_dumas_talks(system)
        stack.enter_context(calls(system, 1, "+41215550150"))
        await hotline.waits(caller(1))
        await agent.command("hangup")
        await happened(agent, "CALL_CLOSED", 1)
        await happened(agent, "CALL_INCOMING", 1, 60)
        await agent.command("accept")
        await happened(agent, "CALL_ESTABLISHED", 2)
        await agent.command("hangup")
        await happened(agent, "CALL_CLOSED", 2)
        await hotline.waits()
    records = await asyncio.to_thread(system.new_records, known, 2)
    (passage,) = next(record["queues"] for record in records if record["caller"] == caller(1))
    assert [(offer["agent_id"], offer["result"]) for offer in passage["offers"]] == [("dumas", "answered")]


async def test_who_hangs_up_is_gone_and_an_agent_who_does_not_answer_keeps_nobody_from_the_place(system: System, hotline: Hotline) -> None:
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(phone(system, "101", AGENT_HZ))
        async with AsyncExitStack() as waiting:
            await callers(waiting, system, hotline, 2)
            await hotline.stub.LogInAgent(pb.LogInAgentRequest(agent_id="dumas"), timeout=10)
            await agent.until_event("CALL_INCOMING")
            await agent.command("hangup")
            await agent.until_event("CALL_CLOSED")
            await hotline.stub.PauseAgent(pb.PauseAgentRequest(agent_id="dumas", reason="lunch"), timeout=10)
            await hotline.waits(caller(1), caller(2))
            for call in (await hotline.state()).callers:
                await hotline.stub.ReleaseCaller(pb.ReleaseCallerRequest(call_id=call.call_id), timeout=10)
            await hotline.waits()


async def test_who_does_not_want_to_wait_keeps_the_place_and_is_called_back_by_the_agent(system: System, hotline: Hotline) -> None:
    known = system.call_ids()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(phone(system, "101", AGENT_HZ))
        waiting = await stack.enter_async_context(phone(system, "102", CALLER_HZ))
        await waiting.command("dial", f"sip:158@{system.tenant['realm']}")
        await hotline.waits("102")
        await happened(waiting, "CALL_ESTABLISHED", 1)
        await holds(lambda: (heard := waiting.heard()).total - heard.silence > 0.2, "music")
        await waiting.command("sndcode", "1")
        await happened(waiting, "CALL_CLOSED", 1)
        (kept,) = (await hotline.state()).callers
        assert (kept.number, kept.position, kept.callback, kept.state) == ("102", 1, True, "waiting")
        await hotline.stub.LogInAgent(pb.LogInAgentRequest(agent_id="dumas"), timeout=10)
        await happened(agent, "CALL_INCOMING", 1)
        await agent.command("accept")
        await happened(waiting, "CALL_INCOMING", 1)
        await waiting.command("accept")
        async with asyncio.timeout(30):
            while await hotline.numbers("talking") != ["102"]:
                await asyncio.sleep(0.1)
        await holds(lambda: among(agent, CALLER_HZ) > 0.5 and among(waiting, AGENT_HZ) > 0.5, "both hear each other")
        await agent.command("hangup")
        await happened(waiting, "CALL_CLOSED", 2)
        await hotline.waits()
        async with asyncio.timeout(30):
            while (await hotline.state()).callers:
                await asyncio.sleep(0.1)
    records = await asyncio.to_thread(system.new_records, known, 2)
    (asked,) = (record for record in records if "queues" in record)
    assert [(each["queue_id"], each["left_reason"]) for each in asked["queues"]] == [("hotline", "called_back")]
    (back,) = (record for record in records if record is not asked)
    assert (back["caller"], back["dialled"], back["status"]) == ("101", "102", "answered")


async def test_a_caller_from_outside_is_offered_it_and_called_back_through_the_carrier(
    system: System, hotline: Hotline, tmp_path: Path
) -> None:
    """SIPp as the carrier: it brings the call, presses the key that is offered after a while, and takes the call back."""
    known = system.call_ids()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(phone(system, "101", AGENT_HZ))
        with Sipp("carrier_presses.xml", system.sip, ip=CARRIER, port=5060, seconds=90, dest="+41215550151", caller=caller(7)) as outside:
            await asyncio.to_thread(outside.succeed)
        (kept,) = [each for each in (await hotline.state("patient")).callers if each.number == caller(7)]
        assert (kept.callback, kept.state) == (True, "waiting")
        sound = {
            '<recv request="ACK"/>': f'<recv request="ACK"/><nop><action><exec rtp_stream="{tone_file(tmp_path)},-1,8"/></action></nop>'
        }
        with Sipp("answer.xml", system.sip, "-d", "50", "-trace_msg", ip=CARRIER, port=5060, seconds=120, replace=sound) as outside:
            await hotline.stub.LogInAgent(pb.LogInAgentRequest(agent_id="dumas"), timeout=10)
            await happened(agent, "CALL_INCOMING", 1)
            await agent.command("accept")
            await holds(lambda: among(agent, SPOKEN_HZ) > 0.5, "the agent hears who is called back", 60)
            await agent.command("hangup")
            await asyncio.to_thread(outside.succeed)
            asked = "".join(path.read_text() for path in outside.folder.glob("*_messages.log"))
        assert f"INVITE sip:{caller(7)}@{CARRIER}" in asked
        async with asyncio.timeout(30):
            while (await hotline.state("patient")).callers:
                await asyncio.sleep(0.1)
    records = await asyncio.to_thread(system.new_records, known, 2)
    assert {(record["direction"], record["status"]) for record in records} >= {("outbound", "answered")}
    (asked_record,) = [record for record in records if "queues" in record]
    assert [(each["queue_id"], each["left_reason"]) for each in asked_record["queues"]] == [("patient", "called_back")]


def as_simulated(system: System, calls: dict[str, str]) -> None:
    """Every condition of these calls is one of the same calls in the simulator, but for the seconds, and a database that was late."""
    results = {"1591": "full", "1592": "left_by_key", "1593": "waited_too_long", "1594": "no_agents"}
    with closing(Story(system)) as story:
        for dialled, result in results.items():
            simulated = story.simulated(dialled, {}, user_id=system.user("102")["id"], queue_result=result)
            was, would_be = conditions(story.decisions(calls[dialled])), conditions(simulated)
            assert was == would_be, f"{result} was\n{pformat(was)}\nand would be\n{pformat(would_be)}"


def conditions(decisions: Decisions) -> list[tuple[str, bool, str, str]]:
    lines = [line for _, _, trace in decisions for line in trace if "cannot be had now" not in line[2]]
    masked = [(subject, matched, re.sub(r"\d+ s$", "some s", reason), way) for subject, matched, reason, way in lines]
    return [line for line, _ in groupby(masked)]


async def test_every_way_out_of_a_queue_leads_where_it_says(system: System, hotline: Hotline) -> None:
    """Past a queue that is full, by key, after the longest wait, and without agents: as the simulator says."""
    known = system.call_ids()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(phone(system, "101", AGENT_HZ))
        waiting = await stack.enter_async_context(phone(system, "102", CALLER_HZ))
        stack.enter_context(calls(system, 5, "+41215550152"))
        async with asyncio.timeout(60):
            while not (await hotline.state("tiny")).waiting:
                await asyncio.sleep(0.1)
        for number, queue_id in enumerate(("tiny", "by-key", "short", "deserted"), 1):
            await waiting.command("dial", f"sip:159{number}@{system.tenant['realm']}")
            if queue_id == "by-key":
                await happened(waiting, "CALL_ESTABLISHED", number)
                async with asyncio.timeout(60):
                    while not (await hotline.state(queue_id)).waiting:
                        await asyncio.sleep(0.1)
                await waiting.command("sndcode", "*")
            await happened(agent, "CALL_INCOMING", number)
            assert [each.number for each in (await hotline.state(queue_id)).callers if each.number == "102"] == []
            await agent.command("accept")
            await happened(agent, "CALL_ESTABLISHED", number)
            await happened(waiting, "CALL_ESTABLISHED", number)
            await agent.command("hangup")
            await happened(waiting, "CALL_CLOSED", number)
        for each in (await hotline.state("tiny")).callers:
            await hotline.stub.ReleaseCaller(pb.ReleaseCallerRequest(call_id=each.call_id), timeout=10)
    records = await asyncio.to_thread(system.new_records, known, 5)
    mine = [record for record in records if record["caller"] == "102"]
    assert sorted((record["dialled"], record["answered_by"]) for record in mine) == [(f"159{number}", "dumas") for number in range(1, 5)]
    as_simulated(system, {record["dialled"]: record["call_id"] for record in mine})
    left = {record["dialled"]: [each["left_reason"] for each in record.get("queues", [])] for record in mine}
    assert (left["1592"], left["1593"]) == (["left_by_key"], ["waited_too_long"])
