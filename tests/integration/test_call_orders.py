"""Calls that routing makes itself, by baresip phones and SIPp as the carrier: back to a user when a full trunk is free again, over a killed
routing, or when a colleague has hung up; and to a phone that must know of a call for help."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress

import pytest

from carillon_cli.phone.baresip import Baresip, BaresipError
from carillon_kit.embedded import free_port
from strangers.phones import happened, holds, phone
from strangers.reflection import Reflected
from strangers.sipp import Sipp
from strangers.system import System, until

CARRIER = "127.0.0.2"
ELISE = "+41215550106"
FIRST, WANTED = "+3545551111", "+3545552222"


@pytest.fixture
def narrow(system: System) -> Iterator[int]:
    """A trunk for Iceland that has one call at a time; its port."""
    directory, port = Reflected(system.run["grpc"]["directory"], system.run["admin_token"]), free_port(CARRIER)
    body = {"trunk": {"id": "narrow", "address": f"{CARRIER}:{port}", "prefixes": ["+354"], "max_calls": 1}}
    directory.call("carillon.directory.v1.TrunkService/CreateTrunk", body)
    try:
        until(lambda: "narrow" in system.carillon("trunks", "--json"), "the trunk")
        yield port
    finally:
        directory.call("carillon.directory.v1.TrunkService/DeleteTrunk", {"id": "narrow"})


def times(who: Baresip, kind: str) -> int:
    """How often the phone told of it."""
    return sum(event.get("type") == kind for event in who.events)


async def presses(who: Baresip, digit: str) -> None:
    """Again and again, until the call is over: the first may come before anybody listens."""
    async with asyncio.timeout(60):
        while not times(who, "CALL_CLOSED"):
            await who.command("sndcode", digit)
            with suppress(BaresipError):
                await who.until_event("CALL_CLOSED", 2)


def open_for(system: System, user: str) -> bool:
    return user in system.carillon("call-backs")


async def asks_for(system: System, alain: Baresip, elise: Baresip) -> None:
    """By code; that Élise talks is known a moment after she began to."""
    for attempt in range(1, 11):
        before = times(elise, "CALL_INCOMING")
        await alain.command("dial", f"sip:*37106@{system.tenant['realm']}")
        await holds(lambda: times(alain, "CALL_CLOSED") >= attempt or times(elise, "CALL_INCOMING") > before, "an answer")  # noqa: B023
        if open_for(system, "alain"):
            break
        await alain.command("hangup")
        await happened(alain, "CALL_CLOSED", attempt)
    assert open_for(system, "alain")


@pytest.mark.feature("R-18")
async def test_who_finds_the_trunk_full_is_called_back_when_it_is_free_over_a_killed_routing(system: System, narrow: int) -> None:
    known = system.call_ids()
    realm = system.tenant["realm"]
    async with AsyncExitStack() as stack:
        dumas = await stack.enter_async_context(phone(system, "101", 1900))
        alain = await stack.enter_async_context(phone(system, "102", 700))
        carrier = stack.enter_context(Sipp("answer.xml", system.sip, "-d", "50", ip=CARRIER, port=narrow, calls=2, seconds=150))
        await dumas.command("dial", f"sip:{FIRST.replace('+', '00')}@{realm}")
        await happened(dumas, "CALL_ESTABLISHED")
        await alain.command("dial", f"sip:{WANTED.replace('+', '00')}@{realm}")
        await happened(alain, "CALL_ESTABLISHED")
        await presses(alain, "5")
        await holds(lambda: open_for(system, "alain"), "the call-back is kept")
        old = system.kill("routing")
        await asyncio.to_thread(system.until_restarted, "routing", old)
        await dumas.command("hangup")
        await happened(alain, "CALL_INCOMING", seconds=90)
        await alain.command("accept")
        await holds(lambda: not open_for(system, "alain"), "the two are connected", 60)
        await alain.command("hangup")
        await happened(alain, "CALL_CLOSED", 2)
        await asyncio.to_thread(carrier.succeed)
    records = await asyncio.to_thread(system.new_records, known, 3)
    assert {record["answered_by"] for record in records if record["answered_by"]} == {FIRST, WANTED}


@pytest.mark.slow
@pytest.mark.feature("R-18", "R-19")
async def test_a_colleague_who_talks_is_called_when_the_talk_is_over(system: System) -> None:
    known = system.call_ids()
    realm = system.tenant["realm"]
    async with AsyncExitStack() as stack:
        dumas = await stack.enter_async_context(phone(system, "101", 1900))
        alain = await stack.enter_async_context(phone(system, "102", 700))
        elise = await stack.enter_async_context(phone(system, "106", 1300))
        await dumas.command("dial", f"sip:106@{realm}")
        await happened(elise, "CALL_INCOMING")
        await elise.command("accept")
        await happened(dumas, "CALL_ESTABLISHED")
        await asks_for(system, alain, elise)
        rung = times(elise, "CALL_INCOMING")
        await dumas.command("hangup")
        await happened(alain, "CALL_INCOMING")
        await alain.command("accept")
        await happened(elise, "CALL_INCOMING", rung + 1)
        await elise.command("accept")
        await holds(lambda: not open_for(system, "alain"), "they are connected")
        closed = times(alain, "CALL_CLOSED")
        await alain.command("hangup")
        await happened(alain, "CALL_CLOSED", closed + 1)
    records = await asyncio.to_thread(system.new_records, known, 3)
    assert [record["answered_by"] for record in records if record["answered_by"]] == ["elise", "elise"]


@pytest.mark.feature("D-16")
async def test_a_phone_is_told_of_a_call_for_help_until_a_key_says_that_it_was_understood(system: System) -> None:
    """Élise's own number is told; her phone rings for it."""
    known = system.call_ids()
    directory = Reflected(system.run["grpc"]["directory"], system.run["admin_token"])
    recipient = {"id": "told-by-phone", "phones": [ELISE], "language": "en"}
    directory.call("carillon.directory.v1.EmergencyRecipientService/CreateEmergencyRecipient", {"emergency_recipient": recipient})
    try:
        async with AsyncExitStack() as stack:
            alain = await stack.enter_async_context(phone(system, "102", 700))
            elise = await stack.enter_async_context(phone(system, "106", 1300))
            carrier = stack.enter_context(Sipp("answer.xml", system.sip, "-d", "50", ip=CARRIER, port=5060, calls=1, seconds=150))
            await alain.command("dial", f"sip:117@{system.tenant['realm']}")
            await happened(alain, "CALL_ESTABLISHED")
            await happened(elise, "CALL_INCOMING")
            await elise.command("accept")
            await happened(elise, "CALL_ESTABLISHED")
            await presses(elise, "1")
            heard = elise.heard()
            assert heard.total - heard.silence > 0.5, "thanks are spoken"
            await alain.command("hangup")
            await asyncio.to_thread(carrier.succeed)
        records = await asyncio.to_thread(system.new_records, known, 2)
        await holds(lambda: ended(system), "the notice is over")
    finally:
        gone = {"id": "told-by-phone"}
        directory.call("carillon.directory.v1.EmergencyRecipientService/DeleteEmergencyRecipient", gone)
    assert [record["caller"] for record in records if record["dialled"] == "emergency-notice"] == [ELISE]
    assert [(data["phone"], data["number"], data["result"]) for data in ended(system)] == [(ELISE, "117", "acknowledged")]


def ended(system: System) -> list[dict[str, str]]:
    """What became of the notices of the last minutes."""
    events = map(json.loads, system.carillon("events", "--since", "10m", "--json").splitlines())
    return [event["data"] for event in events if event["type"] == "carillon.emergency_notice.ended.v1"]
