"""baresip phones pick up, park, listen, page and speak by intercom through the system; tones tell who hears whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from carillon.directory.v1 import directory_pb2 as pb
from carillon.directory.v1.history_pb2_grpc import HistoryServiceStub
from carillon.directory.v1.sip_credential_pb2_grpc import SipCredentialServiceStub
from carillon.directory.v1.user_pb2_grpc import UserServiceStub
from carillon_cli.phone.baresip import Baresip, BaresipError
from carillon_kit.grpc_client import channel
from strangers.phones import among, holds, phone, type_digits
from strangers.system import System

DUMAS_HZ, ALAIN_HZ, ELISE_HZ = 1900, 700, 1300
HZ = {"101": DUMAS_HZ, "102": ALAIN_HZ, "106": ELISE_HZ}


@pytest.fixture
def known(system: System) -> set[str]:
    return system.call_ids()


async def phones(stack: AsyncExitStack, system: System, *extensions: str) -> list[Baresip]:
    return [await stack.enter_async_context(phone(system, extension, HZ[extension])) for extension in extensions]


async def dial(system: System, who: Baresip, what: str) -> None:
    await who.command("dial", f"sip:{what}@{system.tenant['realm']}")


async def hears(ear: Baresip, hz: int, seconds: float = 1.0) -> None:
    """For so long from now on."""
    before = among(ear, hz)
    await holds(lambda: among(ear, hz) >= before + seconds, f"{ear.folder} hears {hz} Hz")


async def talk(system: System, caller: Baresip, called: Baresip, extension: str) -> None:
    """The two hear each other."""
    await dial(system, caller, extension)
    await called.until_event("CALL_INCOMING")
    await called.command("accept")
    await caller.until_event("CALL_ESTABLISHED")
    await called.until_event("CALL_ESTABLISHED")


def by_dialled(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {record["dialled"]: record for record in records}


@pytest.mark.feature("M-5", "R-19", "C-1")
@pytest.mark.parametrize("code", ["*8", "**106"])
async def test_a_colleague_takes_what_rings_at_anothers_phone(system: System, known: set[str], code: str) -> None:
    async with AsyncExitStack() as stack:
        dumas, alain, elise = await phones(stack, system, "101", "102", "106")
        await dial(system, alain, "106")
        await elise.until_event("CALL_INCOMING")
        await dial(system, dumas, code)
        await elise.until_event("CALL_CLOSED")
        await hears(dumas, ALAIN_HZ)
        await hears(alain, DUMAS_HZ)
        await alain.command("hangup")
        await dumas.until_event("CALL_CLOSED")
    records = by_dialled(await asyncio.to_thread(system.new_records, known, 2))
    rang, asked = records["106"], records[code]
    assert (rang["answered_by"], rang["pickup"]["by"], rang["pickup"]["rung"]) == ("dumas", "dumas", "elise")
    assert (asked["cause"], asked["took_over_call_id"]) == ("took_over", rang["call_id"])


@pytest.mark.feature("M-5", "R-19", "C-1")
async def test_a_call_is_parked_by_transfer_and_taken_back_at_another_phone(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        dumas, alain, elise = await phones(stack, system, "101", "102", "106")
        await talk(system, alain, elise, "106")
        await elise.command("transfer", f"sip:*7@{system.tenant['realm']}")
        await elise.until_event("CALL_CLOSED", 30)
        await holds(lambda: "parked" in system.carillon("calls", "--json"), "the call is parked")
        before = alain.heard()
        await holds(lambda: alain.heard().total - alain.heard().silence >= before.total - before.silence + 1, "Alain hears music")
        await dial(system, dumas, "701")
        await hears(dumas, ALAIN_HZ)
        await hears(alain, DUMAS_HZ)
        await dumas.command("hangup")
        await alain.until_event("CALL_CLOSED")
    parked = by_dialled(await asyncio.to_thread(system.new_records, known, 2))["106"]
    (parking,) = parked["parkings"]
    assert (parking["slot"], parking["parked_by"], parking["taken_by"], parking["result"]) == ("701", "elise", "dumas", "retrieved")


@pytest.mark.feature("M-5")
async def test_nothing_is_taken_where_nothing_waits(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        (dumas,) = await phones(stack, system, "101")
        await dial(system, dumas, "709")
        await dumas.until_event("CALL_CLOSED", 30)
        heard = dumas.heard()
        assert heard.total - heard.silence > 0.5, "the system says that there is nothing"
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert record["status"] == "self_service"


@pytest.mark.feature("M-5", "R-19")
async def test_a_supervisor_listens_whispers_and_barges_in(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        dumas, alain, elise = await phones(stack, system, "101", "102", "106")
        await talk(system, alain, elise, "106")
        await dial(system, dumas, "*82106")
        await hears(dumas, ALAIN_HZ)
        await hears(dumas, ELISE_HZ)
        await hears(alain, ELISE_HZ)
        assert among(alain, DUMAS_HZ) + among(elise, DUMAS_HZ) < 0.2
        await dumas.command("sndcode", "5")
        await hears(elise, DUMAS_HZ)
        await hears(elise, ALAIN_HZ)
        assert among(alain, DUMAS_HZ) < 0.2
        await dumas.command("sndcode", "6")
        await hears(alain, DUMAS_HZ)
        await alain.command("hangup")
        await dumas.until_event("CALL_CLOSED")
    events = await asyncio.to_thread(system.new_records, known, 2)
    assert {record["dialled"] for record in events} == {"106", "*82106"}


@pytest.mark.feature("M-5", "R-19")
async def test_a_page_is_heard_by_all_and_nobody_hears_them(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        dumas, alain, elise = await phones(stack, system, "101", "102", "106")
        await dial(system, dumas, "*811")
        for one in (alain, elise):
            await one.until_event("CALL_INCOMING")
            await one.command("accept")
        for one in (alain, elise):
            await hears(one, DUMAS_HZ)
        assert among(dumas, ALAIN_HZ) + among(dumas, ELISE_HZ) < 0.2
        assert among(alain, ELISE_HZ) < 0.2
        await dumas.command("hangup")
        for one in (alain, elise):
            await one.until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert {leg["party"] for leg in record["legs"]} == {"dumas", "alain", "elise"}


@pytest.mark.feature("M-5", "M-13")
async def test_a_parked_call_outlives_the_process_that_parked_it(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        dumas, alain, elise = await phones(stack, system, "101", "102", "106")
        await talk(system, alain, elise, "106")
        await elise.command("transfer", f"sip:703@{system.tenant['realm']}")
        await elise.until_event("CALL_CLOSED", 30)
        await holds(lambda: "parked" in system.carillon("calls", "--json"), "the call is parked")
        old = await asyncio.to_thread(system.kill, "media")
        await asyncio.to_thread(system.until_restarted, "media", old)
        await holds(lambda: "parked" in system.carillon("calls", "--json", code=None), "the call is parked still", 40)
        await dial(system, dumas, "703")
        await hears(dumas, ALAIN_HZ)
        await hears(alain, DUMAS_HZ)
        await dumas.command("hangup")
        await alain.until_event("CALL_CLOSED")
    records = by_dialled(await asyncio.to_thread(system.new_records, known, 2))
    assert [(one["slot"], one["result"]) for one in records["106"]["parkings"]] == [("703", "retrieved")]
    assert records["703"]["took_over_call_id"] == records["106"]["call_id"]


@pytest.mark.feature("M-5", "R-19")
async def test_an_intercom_names_what_makes_phones_answer(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        dumas, elise = await phones(stack, system, "101", "106")
        await dial(system, dumas, "*80106")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await hears(elise, DUMAS_HZ)
        await hears(dumas, ELISE_HZ)
        await dumas.command("hangup")
        await elise.until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["answered_by"], record["dialled"]) == ("elise", "*80106")


async def elises_settings(system: System) -> pb.User:
    run = system.run
    async with channel(run["grpc"]["directory"], run["admin_token"], "dupont") as link:
        return (await UserServiceStub(link).GetUser(pb.GetUserRequest(id="elise"), timeout=5)).user


async def heard_out(system: System, phone: Baresip, code: str) -> None:
    """The system answers the code, says something and hangs up."""
    phone.events.clear()
    await dial(system, phone, code)
    await phone.until_event("CALL_CLOSED", 30)
    heard = phone.heard()
    assert heard.total - heard.silence > 0.3, f"{code}: {heard}"


@pytest.mark.feature("R-19", "R-12")
async def test_users_change_their_own_settings_by_code(system: System) -> None:
    async with AsyncExitStack() as stack:
        (elise,) = await phones(stack, system, "106")
        await heard_out(system, elise, "*78")
        assert (await elises_settings(system)).do_not_disturb
        await heard_out(system, elise, "*79")
        assert not (await elises_settings(system)).do_not_disturb
        await heard_out(system, elise, "*21*102")
        assert (await elises_settings(system)).forwarding.unconditional.user_id == "alain"
        await heard_out(system, elise, "%2321%23")
        assert not (await elises_settings(system)).forwarding.HasField("unconditional")
    run = system.run
    async with channel(run["grpc"]["directory"], run["admin_token"], "dupont") as link:
        request = pb.ListChangesRequest(resource="user", resource_id="elise", page_size=1)
        (change,) = (await HistoryServiceStub(link).ListChanges(request, timeout=5)).changes
    assert (change.actor, change.reason) == ("users/elise", "dialled #21#")


@pytest.mark.feature("R-19")
async def test_the_last_caller_is_called_back_without_showing_who_calls(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        alain, elise = await phones(stack, system, "102", "106")
        await dial(system, alain, "106")
        await elise.until_event("CALL_INCOMING")
        await alain.command("hangup")
        await elise.until_event("CALL_CLOSED")
        await asyncio.to_thread(system.new_records, known, 1)
        await dial(system, elise, "*69")
        await alain.until_event("CALL_INCOMING")
        await alain.command("accept")
        await hears(alain, ELISE_HZ)
        await elise.command("hangup")
        await alain.until_event("CALL_CLOSED")
        alain.events.clear()
        await dial(system, elise, "*31102")
        incoming = await alain.until_event("CALL_INCOMING")
        assert "anonymous" in incoming["peeruri"]
        await elise.command("hangup")
        await alain.until_event("CALL_CLOSED")
    records = by_dialled(await asyncio.to_thread(system.new_records, known, 3))
    assert records["*69"]["answered_by"] == "alain"


@asynccontextmanager
async def door_of_elise(system: System) -> AsyncIterator[None]:
    """Her phone is a door phone: 5 opens, to the phone 1 is sent."""
    run = system.run
    async with channel(run["grpc"]["directory"], run["admin_token"], "dupont") as link:
        users, mask = UserServiceStub(link), FieldMask(paths=["door_phone"])
        door = pb.User(id="elise", door_phone=pb.DoorPhone(open_digits="5", lock_digits="1"))
        await users.UpdateUser(pb.UpdateUserRequest(user=door, update_mask=mask), timeout=10)
        try:
            yield
        finally:
            await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="elise"), update_mask=mask), timeout=10)


def digits_heard(phone: Baresip) -> list[Any]:
    return [event.get("param") for event in phone.events if "DTMF" in str(event.get("type"))]


@pytest.mark.feature("M-5")
async def test_who_answers_a_door_phone_opens_its_door(system: System, known: set[str]) -> None:
    async with AsyncExitStack() as stack:
        alain, elise = await phones(stack, system, "102", "106")
        await stack.enter_async_context(door_of_elise(system))
        await talk(system, elise, alain, "102")
        await hears(elise, ALAIN_HZ)
        await alain.command("sndcode", "5")
        await holds(
            lambda: any("DTMF" in str(event.get("type")) and event.get("param") == "1" for event in elise.events), "the lock's digit"
        )
        await alain.command("hangup")
        await elise.until_event("CALL_CLOSED")
    await asyncio.to_thread(system.new_records, known, 1)


PHONE_PIN = "246810"


async def on_phone(system: System, phone: str) -> str:
    """Who is logged in there."""
    async with channel(system.run["grpc"]["directory"], system.run["admin_token"], "dupont") as link:
        request = pb.GetSipCredentialRequest(id=phone)
        return (await SipCredentialServiceStub(link).GetSipCredential(request, timeout=20)).sip_credential.user_id


async def log_in(system: System, phone: Baresip, extension: str) -> None:
    """Dial the code with the extension, hear that a PIN is wanted, type it, hear what is said."""
    phone.events.clear()
    await dial(system, phone, f"*11{extension}")
    await phone.until_event("CALL_ESTABLISHED")
    await holds(lambda: phone.heard().total - phone.heard().silence > 0.3, "the PIN is asked for")
    await type_digits(phone, f"{PHONE_PIN}#")
    try:
        await phone.until_event("CALL_CLOSED", 30)
    except BaresipError:  # a digit was lost, and everything is asked for again
        await phone.command("hangup")
        await phone.until_event("CALL_CLOSED")


@pytest.mark.feature("D-23", "R-19")
async def test_a_user_logs_in_on_anothers_phone_by_code_and_has_it_until_they_log_out(system: System) -> None:
    run = system.run
    async with AsyncExitStack() as stack:
        link = await stack.enter_async_context(channel(run["grpc"]["directory"], run["admin_token"], "dupont"))
        users, mask = UserServiceStub(link), FieldMask(paths=["phone_pin"])
        await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="alain", phone_pin=PHONE_PIN), update_mask=mask), timeout=20)
        dumas, elise = await phones(stack, system, "101", "106")
        for _ in range(3):
            await log_in(system, elise, "102")
            if await on_phone(system, "dupont-106") == "alain":
                break
        assert await on_phone(system, "dupont-106") == "alain"
        await holds(lambda: system.carillon("registrations", "--user", "alain"), "media knows it too")
        elise.events.clear()
        await talk(system, dumas, elise, "102")
        await hears(dumas, ELISE_HZ)
        await dumas.command("hangup")
        await elise.until_event("CALL_CLOSED")
        dumas.events.clear()
        await dial(system, elise, "101")
        assert "102" in (await dumas.until_event("CALL_INCOMING"))["peeruri"]
        await elise.command("hangup")
        await dumas.until_event("CALL_CLOSED")
        for _ in range(3):
            await heard_out(system, elise, "*12")
            if await on_phone(system, "dupont-106") == "elise":
                break
        assert await on_phone(system, "dupont-106") == "elise"
        await users.UpdateUser(pb.UpdateUserRequest(user=pb.User(id="alain"), update_mask=mask), timeout=20)
    assert PHONE_PIN not in system.log()
