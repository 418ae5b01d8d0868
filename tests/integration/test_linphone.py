"""Linphone, a phone that is not ours and not baresip either: it registers, calls, is called, holds and transfers in the running system."""

import asyncio
import json
from pathlib import Path

import pytest

from strangers.linphone import linphone, needs_linphone
from strangers.phones import holds, phone
from strangers.system import System

pytestmark = [needs_linphone, pytest.mark.feature("M-1", "M-3", "M-7")]

ALAIN_HZ, ELISE_HZ, DUMAS_HZ = 700, 1300, 1900


async def test_it_calls_holds_resumes_and_hangs_up(system: System) -> None:
    known = system.call_ids()
    async with linphone(system, "102", ALAIN_HZ) as alain, phone(system, "106", ELISE_HZ) as elise:
        call = await alain.dial(f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING", 30)
        await elise.command("accept")
        await alain.until_event("StreamsRunning", call)
        await alain.speak(call)
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 1, "Élise hears Alain", 30)
        await alain.hears()
        await alain.reports(2)
        await alain.command(f"call-pause {call}")
        await alain.until_event("Paused", call)
        await holds(lambda: "held" in system.carillon("calls", "--json"), "the call is held", 30)
        await alain.command(f"call-resume {call}")
        await alain.until_event("StreamsRunning", call)
        await holds(lambda: "held" not in system.carillon("calls", "--json"), "the call is resumed", 30)
        await alain.command(f"terminate {call}")
        await elise.until_event("CALL_CLOSED", 30)
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["status"], record["answered_by"], record["ended_by"]) == ("answered", "elise", "caller")
    told = await asyncio.to_thread(system.carillon, "events", "--since", "1h", "--json", "--call", record["call_id"])
    ended = [event for event in map(json.loads, told.splitlines()) if event["type"] == "carillon.call.leg_ended.v1"]
    extended = next(event["data"]["quality"]["extended"] for event in ended if event["legid"] == "a")
    assert extended["r_factor"] > 50, "its report by RTCP XR"
    assert extended["mos_listening"] > 2
    assert extended["buffer_ms"] > 0


async def test_over_tls_with_srtp_it_is_called_and_its_caller_hangs_up(system: System) -> None:
    """It checks our certificate; the caller speaks RTP over UDP."""
    known = system.call_ids()
    trusted = Path(system.run["sip"]["tls_certificate"])
    async with linphone(system, "102", ALAIN_HZ, "tls", trusted) as alain, phone(system, "106", ELISE_HZ) as elise:
        await elise.command("dial", f"sip:102@{system.tenant['realm']}")
        call = await alain.until_event("IncomingReceived")
        await alain.command(f"answer {call}")
        await alain.until_event("StreamsRunning", call)
        await alain.speak(call)
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 1, "Élise hears Alain", 30)
        await alain.hears()
        await elise.command("hangup")
        await alain.until_event("End", call)
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["status"], record["answered_by"], record["ended_by"]) == ("answered", "alain", "caller")


@pytest.mark.feature("M-4")
@pytest.mark.parametrize("attended", [False, True])
async def test_it_transfers_its_caller(system: System, attended: bool) -> None:
    """Blind, and attended: the second call is taken over by REFER with Replaces."""
    realm = system.tenant["realm"]
    async with linphone(system, "102", ALAIN_HZ) as alain, phone(system, "106", ELISE_HZ) as elise, phone(system, "101", DUMAS_HZ) as dumas:
        await elise.command("dial", f"sip:102@{realm}")
        call = await alain.until_event("IncomingReceived")
        await alain.command(f"answer {call}")
        await alain.until_event("StreamsRunning", call)
        if attended:
            await alain.command(f"call-pause {call}")
            await alain.until_event("Paused", call)
            second = await alain.dial(f"sip:101@{realm}")
            await dumas.until_event("CALL_INCOMING", 30)
            await dumas.command("accept")
            await alain.until_event("StreamsRunning", second)
            await alain.command(f"call-transfer {call} {second}")
        else:
            await alain.command(f"call-transfer {call} sip:101@{realm}")
            await dumas.until_event("CALL_INCOMING", 30)
            await dumas.command("accept")
        await holds(lambda: dumas.heard().tone_seconds(ELISE_HZ) >= 1, "Mme Dumas hears Élise", 30)
        await holds(lambda: elise.heard().tone_seconds(DUMAS_HZ) >= 1, "Élise hears Mme Dumas", 30)
        await alain.until_event("End", call)
        await elise.command("hangup")
        await dumas.until_event("CALL_CLOSED", 30)
