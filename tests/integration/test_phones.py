"""Two baresip phones, which are not ours, call each other through the system and hear each other's tone."""

import asyncio

import pytest

from carillon_cli.phone.baresip import Baresip
from strangers.phones import holds, phone
from strangers.system import System

pytestmark = pytest.mark.feature("M-1", "M-3", "M-7", "C-1")

ALAIN_HZ, ELISE_HZ = 700, 1300


@pytest.mark.parametrize("who_hangs_up", ["caller", "callee"])
async def test_both_hear_the_other_and_one_record_has_the_right_talk_time(system: System, who_hangs_up: str) -> None:
    known = system.call_ids()
    async with phone(system, "102", ALAIN_HZ) as alain, phone(system, "106", ELISE_HZ) as elise:
        await alain.command("dial", f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_ESTABLISHED")
        started = asyncio.get_running_loop().time()
        # Recordings grow while the call lasts: three seconds of the other's tone on both sides.
        await holds(lambda: alain.heard().tone_seconds(ELISE_HZ) >= 3, "Alain hears Élise")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 3, "Élise hears Alain")
        await (alain if who_hangs_up == "caller" else elise).command("hangup")
        talked = asyncio.get_running_loop().time() - started
        await (elise if who_hangs_up == "caller" else alain).until_event("CALL_CLOSED")
        for ear, tone in ((alain, ELISE_HZ), (elise, ALAIN_HZ)):
            heard = ear.heard()
            assert heard.tone_seconds(tone) > 0.8 * heard.total, str(heard)
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["status"], record["answered_by"], record["direction"]) == ("answered", "elise", "internal")
    assert (record["caller"], record["dialled"], record["ended_by"]) == ("102", "106", who_hangs_up)
    assert record["talk_seconds"] == pytest.approx(talked, abs=1)
    assert [leg["leg_id"] for leg in record["legs"]] == ["a", "b1"]


def music(ear: Baresip) -> float:
    """Seconds of what is neither silence nor the other phone's tone."""
    heard = ear.heard()
    return heard.total - heard.silence - heard.tone_seconds(ALAIN_HZ)


@pytest.mark.feature("M-4")
async def test_the_held_party_hears_music_and_after_resume_the_other_side_again(system: System) -> None:
    async with phone(system, "102", ALAIN_HZ) as alain, phone(system, "106", ELISE_HZ) as elise:
        await alain.command("dial", f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_ESTABLISHED")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 1, "Élise hears Alain")
        await alain.command("hold")
        await holds(lambda: "held" in system.carillon("calls", "--json"), "the call is held")
        await holds(lambda: music(elise) >= 2, "Élise hears music")
        before, played = elise.heard(), music(elise)
        await holds(lambda: music(elise) >= played + 2, "Élise goes on hearing music")
        held = elise.heard()
        assert held.tone_seconds(ALAIN_HZ) == before.tone_seconds(ALAIN_HZ), f"{before} became {held}"
        assert held.silence - before.silence < 0.3, f"{before} became {held}"
        await alain.command("resume")
        await holds(lambda: "held" not in system.carillon("calls", "--json"), "the call is resumed")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= held.tone_seconds(ALAIN_HZ) + 2, "Élise hears Alain again")
        after = music(elise)
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= held.tone_seconds(ALAIN_HZ) + 3, "Élise still hears Alain")
        assert music(elise) - after < 0.2
        await alain.command("hangup")
        await elise.until_event("CALL_CLOSED")


DUMAS_HZ = 1900


@pytest.mark.feature("M-4")
async def test_a_phone_that_is_not_ours_sends_its_caller_on_and_all_are_in_one_record(system: System) -> None:
    known = system.call_ids()
    async with phone(system, "101", DUMAS_HZ) as dumas, phone(system, "102", ALAIN_HZ) as alain, phone(system, "106", ELISE_HZ) as elise:
        await alain.command("dial", f"sip:106@{system.tenant['realm']}")
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_ESTABLISHED")
        await elise.until_event("CALL_ESTABLISHED")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 1, "Élise hears Alain")
        await elise.command("transfer", f"sip:101@{system.tenant['realm']}")
        await dumas.until_event("CALL_INCOMING")
        await dumas.command("accept")
        await holds(lambda: dumas.heard().tone_seconds(ALAIN_HZ) >= 2, "Mme Dumas hears Alain")
        await holds(lambda: alain.heard().tone_seconds(DUMAS_HZ) >= 2, "Alain hears Mme Dumas")
        await elise.until_event("CALL_CLOSED")
        await alain.command("hangup")
        await dumas.until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["status"], record["answered_by"], record["dialled"]) == ("answered", "elise", "106")
    assert [(item["kind"], item["by"], item["destination"], item["result"]) for item in record["transfers"]] == [
        ("blind", "elise", "101", "answered")
    ]
    assert {leg["party"] for leg in record["legs"]} == {"alain", "elise", "dumas"}


@pytest.mark.feature("M-12")
async def test_click_to_call_rings_the_user_first(system: System) -> None:
    known = system.call_ids()
    async with phone(system, "102", ALAIN_HZ) as alain, phone(system, "106", ELISE_HZ) as elise:
        call_id = (await asyncio.to_thread(system.carillon, "originate", "elise", "102")).strip()
        await elise.until_event("CALL_INCOMING")
        await elise.command("accept")
        await alain.until_event("CALL_INCOMING")
        await alain.command("accept")
        await holds(lambda: elise.heard().tone_seconds(ALAIN_HZ) >= 1, "Élise hears Alain")
        await holds(lambda: alain.heard().tone_seconds(ELISE_HZ) >= 1, "Alain hears Élise")
        await asyncio.to_thread(system.carillon, "calls", "--hang-up", call_id)
        for ear in (alain, elise):
            await ear.until_event("CALL_CLOSED")
    (record,) = await asyncio.to_thread(system.new_records, known, 1)
    assert (record["call_id"], record["status"], record["answered_by"], record["ended_by"]) == (call_id, "answered", "alain", "system")
