"""The story of Dupont SA: SIPp and baresip, as carrier and as phones, place every call of it at times of the test clock.

Each call's decisions, steps and traces are those that the simulator gives for the same call."""

import asyncio
from collections.abc import Iterator

import pytest

from strangers.phones import phone
from strangers.story import Story
from strangers.system import System

MAIN, SALES, ALAIN, MENU = "+41215550100", "+41215550110", "+41215550102", "+41215550120"
ALAIN_MOBILE, SECOND_OFFICE = "+41795550102", "+41225550142"
TUESDAY_10, TUESDAY_15, TUESDAY_NIGHT, SATURDAY_10 = (
    "2026-11-24T10:15+01:00",
    "2026-11-24T15:30+01:00",
    "2026-11-24T22:00+01:00",
    "2026-11-28T10:00+01:00",
)


@pytest.fixture(scope="module")
def story(system: System) -> Iterator[Story]:
    story = Story(system)
    yield story
    story.close()


@pytest.fixture
def known(story: Story) -> set[str]:
    return story.call_ids()


@pytest.mark.feature("R-1", "R-5", "R-21")
def test_in_hours_the_main_number_rings_mme_dumas(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("101", "answer.xml") as dumas:
        story.outside_call(MAIN).succeed()
        dumas.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"], record["direction"]) == ("answered", "dumas", "inbound")
    story.as_simulated(record)


@pytest.mark.feature("R-3", "R-7", "M-4", "C-1")
async def test_mme_dumas_transfers_to_support_where_one_is_called_after_the_other(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    system = story.system
    async with phone(system, "101", 1900) as dumas:
        with story.phone("103", "busy.xml") as bernard, story.phone("104", "answer.xml") as claire, story.outside_call(MAIN, 6000) as caller:
            await dumas.until_event("CALL_INCOMING", 20)
            await dumas.command("accept")
            await dumas.until_event("CALL_ESTABLISHED", 20)
            await dumas.command("transfer", f"sip:200@{system.tenant['realm']}")
            await dumas.until_event("CALL_CLOSED", 20)
            for each in (caller, bernard, claire):
                await asyncio.to_thread(each.succeed)
    record = await asyncio.to_thread(story.record, known)
    assert [(item["kind"], item["by"], item["destination"], item["result"]) for item in record["transfers"]] == [
        ("blind", "dumas", "200", "answered")
    ]
    causes = {leg["party"]: leg["cause"] for leg in record["legs"]}
    assert causes["bernard"] == "user_busy"
    assert "claire" in causes
    first, then = story.decisions(record["call_id"])
    assert [first] == story.simulated(MAIN, {})
    assert then[1:] == story.simulated("200", {"bernard": "busy"}, user_id="dumas")[0][1:]


@pytest.mark.feature("R-3", "R-7")
def test_support_falls_to_sales(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("103", "rings_in_vain.xml") as bernard, story.phone("105", "answer.xml") as david:
        story.user_call("101", "200").succeed()
        bernard.succeed()
        david.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"], record["direction"]) == ("answered", "david", "internal")
    story.as_simulated(record, {"bernard": "no_answer", "claire": "unreachable", "elise": "unreachable"})


@pytest.mark.feature("R-3", "V-1")
def test_in_hours_a_call_that_nobody_takes_ends_in_the_mailbox_of_the_main_number(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("101", "busy.xml") as dumas, story.phone("106", "busy.xml") as elise:
        story.outside_call(MAIN).succeed()
        dumas.succeed()
        elise.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("voicemail", "main")
    gone = dict.fromkeys(("bernard", "claire", "david"), "unreachable")
    assert len(story.as_simulated(record, {"dumas": "busy", "elise": "busy", **gone})) == 4


@pytest.mark.feature("R-5", "V-1")
def test_outside_hours_the_mailbox_answers(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_NIGHT)
    story.outside_call(MAIN).succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("voicemail", "main")
    assert len(story.as_simulated(record)) == 1


@pytest.mark.feature("R-5", "R-7", "M-2")
def test_at_the_weekend_the_second_mobile_on_duty_is_called_when_the_first_is_busy(story: Story, known: set[str]) -> None:
    story.clock(SATURDAY_10)
    with story.carrier("duty.xml", 2) as mobiles:
        story.outside_call(MAIN).succeed()
        mobiles.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("answered", "+41795550105")
    (duty,) = story.as_simulated(record)
    assert [target["trunk"]["number"] for target in duty[1]["targets"]] == ["+41795550103", "+41795550105"]


@pytest.mark.feature("R-6")
def test_in_the_morning_all_sales_phones_ring_at_once(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("105", "ring_until_cancelled.xml") as david, story.phone("106", "answer.xml") as elise:
        story.outside_call(SALES).succeed()
        david.succeed()
        elise.succeed()
    record = story.record(known)
    assert record["answered_by"] == "elise"
    story.as_simulated(record)


@pytest.mark.feature("R-2", "R-5")
def test_in_the_afternoon_sales_follow_the_main_number(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_15)
    with story.phone("101", "answer.xml") as dumas:
        story.outside_call(SALES).succeed()
        dumas.succeed()
    record = story.record(known)
    assert record["answered_by"] == "dumas"
    story.as_simulated(record)


@pytest.mark.feature("R-12", "R-18")
@pytest.mark.parametrize(
    ("scenario", "result", "found_at"), [("", "unreachable", ALAIN_MOBILE), ("rings_in_vain.xml", "no_answer", SECOND_OFFICE)]
)
def test_alain_is_found_at_his_mobile_or_his_second_office(
    story: Story, known: set[str], scenario: str, result: str, found_at: str
) -> None:
    story.clock(TUESDAY_10)
    with story.carrier("answer.xml") as carrier:
        if scenario:
            with story.phone("102", scenario) as alain:
                story.outside_call(ALAIN).succeed()
                alain.succeed()
        else:
            story.outside_call(ALAIN).succeed()
        carrier.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("answered", found_at)
    story.as_simulated(record, {"alain": result})


@pytest.mark.feature("R-12")
def test_busy_alain_is_answered_for_by_sales(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("102", "busy.xml") as alain, story.phone("105", "answer.xml") as david:
        story.outside_call(ALAIN).succeed()
        alain.succeed()
        david.succeed()
    record = story.record(known)
    assert record["answered_by"] == "david"
    story.as_simulated(record, {"alain": "busy", "elise": "unreachable"})


@pytest.mark.slow
@pytest.mark.feature("R-12")
def test_alain_s_phone_rings_for_60_seconds_before_his_second_office(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.carrier("answer.xml") as carrier, story.phone("102", "ring_until_cancelled.xml") as alain:
        story.outside_call(ALAIN).succeed()
        alain.succeed()
        carrier.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("answered", SECOND_OFFICE)
    story.as_simulated(record, {"alain": "no_answer"})


@pytest.mark.slow
@pytest.mark.feature("R-7")
def test_at_the_weekend_each_mobile_rings_for_20_seconds_and_then_the_mailbox_answers(story: Story, known: set[str]) -> None:
    story.clock(SATURDAY_10)
    with story.carrier("ring_until_cancelled.xml", 2) as mobiles:
        story.outside_call(MAIN).succeed()
        mobiles.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("voicemail", "main")
    story.as_simulated(record, dict.fromkeys(("+41795550103", "+41795550105"), "no_answer"))
