"""The story of Dupont SA: SIPp and baresip, as carrier and as phones, place every call of it at times of the test clock.

Each call's decisions, steps and traces are those that the simulator gives for the same call."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory

from carillon_cli.phone import g711, tones
from strangers.kamailio import kamailio, needs_kamailio
from strangers.phones import among, holds, listens, phone, type_digits
from strangers.reflection import Reflected
from strangers.sipp import Sipp
from strangers.story import CARRIER, CARRIER_PORT, Story
from strangers.system import System, until

MAIN, SALES, ALAIN, CLAIRE, MENU = "+41215550100", "+41215550110", "+41215550102", "+41215550104", "220"
ALAIN_MOBILE, SECOND_OFFICE = "+41795550102", "+41225550142"
TUESDAY_10, TUESDAY_15, TUESDAY_NIGHT, SATURDAY_10 = (
    "2026-11-24T10:15+01:00",
    "2026-11-24T15:30+01:00",
    "2026-11-24T22:00+01:00",
    "2026-11-28T10:00+01:00",
)
PIN, WRONG_PIN = "97531864", "86421357"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def story(system: System) -> Iterator[Story]:
    system.carillon("apply", str(HERE / "dupont_more.yaml"))
    story = Story(system)
    yield story
    story.close()


@pytest.fixture
def known(story: Story) -> set[str]:
    return story.call_ids()


def live_calls(system: System, tenant: str) -> set[str]:
    """Ids of the calls of a tenant that are up."""
    media = Reflected(system.run["grpc"]["media"], system.run["admin_token"], tenant)
    try:
        return {call["call_id"] for call in media.call("carillon.media.v1.LiveCallService/ListLiveCalls", {}).get("calls", ())}
    finally:
        media.channel.close()


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
        with (
            story.phone("103", "busy.xml") as bernard,
            story.phone("104", "answer.xml") as claire,
            story.outside_call(MAIN, 6000) as caller,
        ):
            await dumas.until_event("CALL_INCOMING", 30)
            await dumas.command("accept")
            await dumas.until_event("CALL_ESTABLISHED", 30)
            await dumas.command("transfer", f"sip:200@{system.tenant['realm']}")
            await dumas.until_event("CALL_CLOSED", 30)
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


@pytest.mark.feature("R-6", "D-8")
def test_in_the_morning_all_sales_phones_ring_at_once(story: Story, known: set[str]) -> None:
    """Each shows the caller by the name that its user knows."""
    story.clock(TUESDAY_10)
    with (
        story.phone("105", "ring_until_cancelled.xml", shows="Bon Client SA") as david,
        story.phone("106", "answer.xml", shows="Papa") as elise,
    ):
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


@pytest.mark.feature("R-11", "R-17")
async def test_the_menu_speaks_both_languages_and_every_key_leads_where_it_says(story: Story, known: set[str]) -> None:
    """A wrong key, French, back, English, sales."""
    story.clock(TUESDAY_10)
    keys = ("9", "1", "*", "2", "2")
    with story.phone("105", "ring_until_cancelled.xml") as david, story.phone("106", "answer.xml") as elise:
        async with phone(story.system, "102", 700) as caller:
            await caller.command("dial", f"sip:{MENU}@{story.system.tenant['realm']}")
            call_id = (await asyncio.to_thread(story.live))["call_id"]
            for turn, key in enumerate(keys, 1):
                await asyncio.to_thread(story.decided, call_id, turn)
                await listens(caller)
                await caller.command("sndcode", key)
            await asyncio.to_thread(david.succeed)
            await caller.command("hangup")
            await asyncio.to_thread(elise.succeed)
    record = await asyncio.to_thread(story.record, known)
    assert (record["status"], record["answered_by"]) == ("answered", "elise")
    spoken = [
        {prompt["speech"]["language"] for prompt in fields["prompts"]} for step, fields, _ in story.as_simulated(record, keys=keys)[:-1]
    ]
    assert spoken == [{"fr", "en"}, {"fr", "en"}, {"fr"}, {"fr"}, {"en"}]


def key_file(folder: Path, low: int, high: int) -> Path:
    """A key of 100 ms as its two tones and three seconds of silence, as SIPp streams it."""
    pairs = zip(tones.tone(low, g711.RATE // 10), tones.tone(high, g711.RATE // 10), strict=True)
    samples = [*(one + other for one, other in pairs), *([0] * (3 * g711.RATE))]
    path = folder / "key.alaw"
    path.write_bytes(g711.encode("PCMA", samples))
    return path


@pytest.mark.feature("R-11", "M-7")
def test_the_menu_hears_keys_of_a_carrier_without_telephone_events(story: Story, known: set[str], tmp_path: Path) -> None:
    """SIPp offers G.711 alone and plays the tones of 2 every three seconds: English, sales."""
    story.clock(TUESDAY_10)
    replace = {
        "RTP/AVP 8 0 101": "RTP/AVP 8 0",
        "a=rtpmap:101 telephone-event/8000\n": "",
        "a=fmtp:101 0-15\n": "",
        "SOUND": str(key_file(tmp_path, 697, 1336)),
    }
    media = Reflected(story.system.run["grpc"]["media"], story.system.run["admin_token"])
    with story.phone("106", "answer.xml") as elise:
        menu, caller, options = "+41215550120", story.caller, ("-d", "100000")
        with Sipp("carrier_calls.xml", story.system.sip, *options, ip=CARRIER, seconds=110, replace=replace, dest=menu, caller=caller):
            call_id = story.live()["call_id"]
            story.talks(call_id, 60)
            media.call("carillon.media.v1.CallControlService/HangUpCall", {"call_id": call_id})
            elise.succeed()
    media.channel.close()
    record = story.record(known)
    assert (record["status"], record["answered_by"]) == ("answered", "elise")
    story.as_simulated(record, keys=("2", "2"))


@pytest.mark.slow
@pytest.mark.feature("R-11")
@pytest.mark.parametrize(
    ("keys", "results", "answers"),
    [
        (("9", "9", "9"), {"dumas": "answered"}, "101"),
        (("1", "1"), {"bernard": "answered"}, "103"),
        (("2", "3"), {"+41795550103": "busy"}, ""),
    ],
)
async def test_the_other_ways_out_of_the_menu(
    story: Story, known: set[str], keys: tuple[str, ...], results: dict[str, str], answers: str
) -> None:
    """A wrong key three times: the main number's rules; support, in French; in English who is on call, of whom the first is busy."""
    story.clock(TUESDAY_10)
    with story.phone(answers, "answer.xml") if answers else story.carrier("duty.xml", 2) as taker:
        async with phone(story.system, "102", 700) as caller:
            await caller.command("dial", f"sip:{MENU}@{story.system.tenant['realm']}")
            call_id = (await asyncio.to_thread(story.live))["call_id"]
            for turn, key in enumerate(keys, 1):
                await asyncio.to_thread(story.decided, call_id, turn)
                await listens(caller)
                await caller.command("sndcode", key)
            await asyncio.to_thread(story.talks, call_id, 100)
            await caller.command("hangup")
            await asyncio.to_thread(taker.succeed)
    record = await asyncio.to_thread(story.record, known)
    assert record["status"] == "answered"
    story.as_simulated(record, results, keys=keys)


@pytest.mark.feature("R-3", "R-11")
async def test_who_presses_nothing_comes_to_support_then_to_sales_then_back_to_the_main_number(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("101", "answer.xml") as dumas:
        async with phone(story.system, "102", 700) as caller:
            await caller.command("dial", f"sip:221@{story.system.tenant['realm']}")
            call_id = (await asyncio.to_thread(story.live))["call_id"]
            await asyncio.to_thread(story.talks, call_id, 60)
            await caller.command("hangup")
            await asyncio.to_thread(dumas.succeed)
    record = await asyncio.to_thread(story.record, known)
    assert (record["status"], record["answered_by"]) == ("answered", "dumas")
    assert len(story.as_simulated(record, dict.fromkeys(("claire", "elise"), "unreachable"))) == 5


@pytest.mark.feature("R-12", "R-21")
def test_claire_works_half_time_and_is_called_in_the_mornings_alone(story: Story, known: set[str]) -> None:
    half = {"unconditional": {"mailbox_id": "claire"}, "unconditional_hours": {"start": "12:00", "end": "08:00"}}
    with story.forwarding("claire", half):
        story.clock(TUESDAY_15)
        until(lambda: story.simulated(CLAIRE, {})[0][0] == "delegate", "routing knows her hours", 30)
        story.outside_call(CLAIRE).succeed()
        afternoon = story.record(known)
        story.as_simulated(afternoon)
        story.clock(TUESDAY_10)
        with story.phone("104", "answer.xml") as claire:
            story.outside_call(CLAIRE).succeed()
            claire.succeed()
        morning = story.record(known | {afternoon["call_id"]})
        story.as_simulated(morning)
    assert (afternoon["status"], afternoon["answered_by"]) == ("voicemail", "claire")
    assert (morning["status"], morning["answered_by"]) == ("answered", "claire")


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


# -- beside the story --------------------------------------------------------------------------------------------------


@pytest.mark.feature("R-5", "D-12")
@pytest.mark.parametrize(
    ("number", "day", "answers"),
    [
        # Both are open: the first in the admin's order wins.
        ("+41215550130", "2026-12-24", "103"),
        ("+41215550131", "2026-12-24", "105"),
        # A public holiday closes the shop.
        ("+41215550131", "2026-12-25", "103"),
    ],
)
def test_holidays_beside_opening_hours_in_the_admin_s_order(story: Story, known: set[str], number: str, day: str, answers: str) -> None:
    story.clock(f"{day}T10:00+01:00")
    with story.phone(answers, "answer.xml") as taker:
        story.outside_call(number).succeed()
        taker.succeed()
    record = story.record(known)
    assert record["status"] == "answered"
    story.as_simulated(record)


@pytest.mark.feature("R-6", "R-7")
def test_a_group_falls_to_a_group_that_falls_to_a_group(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    with story.phone("103", "busy.xml") as bernard, story.phone("105", "answer.xml") as david:
        story.outside_call("+41215550134").succeed()
        bernard.succeed()
        david.succeed()
    record = story.record(known)
    assert record["answered_by"] == "david"
    assert len(story.as_simulated(record, {"bernard": "busy", "claire": "unreachable"})) == 3


@pytest.mark.feature("R-3", "R-2")
async def test_a_caller_who_gives_up_is_written_about(story: Story) -> None:
    story.clock(TUESDAY_10)
    with story.phone("101", "ring_until_cancelled.xml") as dumas:
        async with story.outside_phone(700) as caller:
            await caller.command("dial", f"sip:+41215550132@{story.system.sip[0]}")
            await caller.until_event("CALL_RINGING", 30)
            await caller.command("hangup")
            await asyncio.to_thread(dumas.succeed)
    (mail,) = await asyncio.to_thread(until, lambda: story.mails("manques@dupont.example"), "the mail", 30)
    assert (mail["subject"], mail.get_body(("plain",)).get_content().strip()) == (f"Appel manqué de {story.caller}", "+41215550132")


@pytest.mark.feature("R-12", "R-24")
def test_forwardings_in_a_circle_end_and_the_trace_says_so(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    assert story.outside_call("+41215550133").wait() != 0
    record = story.record(known)
    assert record["status"] == "busy"
    (decided,) = story.as_simulated(record)
    assert any("the call was forwarded 10 times already" in reason for _, _, reason, _ in decided[2])


@pytest.mark.feature("D-14", "D-16", "R-18")
def test_with_everything_forbidden_help_can_be_called_and_nothing_else(story: Story, known: set[str]) -> None:
    story.clock(TUESDAY_10)
    story.set_user("elise", restriction_profile_id="nothing", department_id="line-2")
    try:
        with story.carrier("answer.xml") as carrier:
            story.user_call("106", "117").succeed()
            carrier.succeed()
            seen = "".join(path.read_text() for path in carrier.folder.glob("*_messages.log"))
        record = story.record(known)
        refused = story.user_call("106", "102", 20_000)
        story.decided(story.live()["call_id"], 1)
    finally:
        story.set_user("elise", restriction_profile_id="", department_id="")
    assert "INVITE sip:117@" in seen
    assert "+41215550106" in seen
    assert (record["status"], record["direction"]) == ("answered", "outbound")
    story.as_simulated(record)
    refused.wait()
    assert story.record(known | {record["call_id"]})["cause"] == "call_rejected"
    (mail,) = until(lambda: story.mails("secours@dupont.example"), "the mail about the call", 30)
    assert mail["subject"] == "Appel d'urgence au 117 par Élise Martin"
    assert "Adresse: Rue du Lac 1, Renens" in mail.get_body(("plain",)).get_content()


@pytest.mark.feature("D-14", "R-18", "C-1")
async def test_a_pin_and_an_account_code_are_asked_for_by_voice(story: Story, known: set[str]) -> None:
    """A wrong PIN, the right one, the code: the call goes out, is charged to the code, and nobody can read the PIN anywhere."""
    story.clock(TUESDAY_10)
    await asyncio.to_thread(story.set_user, "elise", restriction_profile_id="pin", account_code_policy_id="sites", outbound_pin=PIN)
    try:
        with story.carrier("answer.xml") as carrier:
            async with phone(story.system, "106", 1300) as elise:
                await elise.command("dial", f"sip:0791234567@{story.system.tenant['realm']}")
                call_id = (await asyncio.to_thread(story.live))["call_id"]
                for turn, digits in enumerate((WRONG_PIN, PIN, "77"), 1):
                    await asyncio.to_thread(story.decided, call_id, turn)
                    await listens(elise)
                    await type_digits(elise, f"{digits}#")
                await asyncio.to_thread(story.talks, call_id, 30)
                await elise.command("hangup")
                await asyncio.to_thread(carrier.succeed)
    finally:
        await asyncio.to_thread(story.set_user, "elise", restriction_profile_id="", account_code_policy_id="", outbound_pin="")
    record = await asyncio.to_thread(story.record, known)
    assert (record["status"], record["answered_by"], record["account_code"]) == ("answered", "+41791234567", "77")
    for written in (str(story.events(call_id)), story.system.log()):
        assert PIN not in written
        assert WRONG_PIN not in written


@needs_kamailio
@pytest.mark.feature("R-23")
def test_two_tenants_call_each_other_through_the_outside(story: Story, known: set[str]) -> None:
    """There and back through a carrier; neither learns more of the other than its number."""
    story.clock(TUESDAY_10)
    system = story.system
    system.carillon("apply", str(HERE / "rossi.yaml"))
    host, port = system.sip
    with kamailio(HERE / "carrier.cfg", CARRIER, {}, f'EXCHANGE="sip:{host}:{port}"', port=CARRIER_PORT):
        story.user_call("101", "0325550100").succeed()
        out = story.record(known)
        theirs = story.of_tenant("rossi", 1)
        with story.phone("106", "answer.xml") as elise:
            story.outside_call("+41325550101").succeed()
            elise.succeed()
        back = story.record(known | {out["call_id"]})
        known = story.call_ids()
        circle = story.outside_call("+41215550135")
        assert circle.wait() != 0
        assert "SIP/2.0 482" in circle.complaint()
        rounds = story.new_records(known, 8)
    assert (out["status"], out["direction"], out["answered_by"]) == ("answered", "outbound", "+41325550100")
    assert [(each["status"], each["direction"], each["caller"]) for each in theirs] == [("voicemail", "inbound", "+41215550101")]
    assert (back["status"], back["direction"], back["answered_by"], back["caller"]) == ("answered", "inbound", "elise", story.caller)
    assert len(rounds) == 8
    for each in rounds:
        assert any(
            subject == "hop budget" and not matched for *_, trace in story.decisions(each["call_id"]) for subject, matched, *_ in trace
        )
    assert "dupont" not in str(theirs).replace("+41215550101", "")
    assert "rossi" not in str((out, back))
    rossi = Reflected(system.run["grpc"]["routing"], system.run["admin_token"], "rossi")
    try:
        for question in ("ExplainService/ExplainCall", "RoutingService/ReplayCall"):
            with pytest.raises(grpc.RpcError) as refused:
                rossi.call(f"carillon.routing.v1.{question}", {"call_id": out["call_id"]})
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            assert "dupont" not in str(rossi.call(f"carillon.routing.v1.{question}", {"call_id": theirs[0]["call_id"]}))
        (compare,) = (each for each in rossi.methods() if each.name == "ComparePlan")
        every = story.of_tenant("rossi", 10)
        plan = json.dumps({"id": "shop-first", "entry": "end", "nodes": [{"id": "end", "hang_up": {}}]})
        answer: Any = rossi.send(compare, message_factory.GetMessageClass(compare.input_type)(plan=plan), rossi.metadata, 60)
        assert [each.total for each in answer.messages[-1:]] == [len(every)]
    finally:
        rossi.channel.close()


@needs_kamailio
@pytest.mark.feature("R-23", "M-4")
async def test_two_tenants_hear_each_other_by_a_carrier_that_hands_descriptions_on(story: Story, known: set[str]) -> None:
    """There and back: from Dupont SA to the other tenant, whose number is sent on to Dupont SA; audio passes four of our own ports."""
    story.clock(TUESDAY_10)
    system = story.system
    await asyncio.to_thread(system.carillon, "apply", str(HERE / "rossi.yaml"))
    host, port = system.sip
    defines = f'EXCHANGE="sip:{host}:{port}"', "AS_IT_IS"
    with kamailio(HERE / "carrier.cfg", CARRIER, {}, *defines, port=CARRIER_PORT):
        async with phone(system, "101", 700) as dumas, phone(system, "106", 1900) as elise:
            await dumas.command("dial", f"sip:0325550101@{system.tenant['realm']}")
            await elise.until_event("CALL_INCOMING", 30)
            await elise.command("accept")
            await dumas.until_event("CALL_ESTABLISHED", 30)
            await holds(lambda: among(dumas, 1900) > 1 and among(elise, 700) > 1, "both hear each other", 30)
            live = {tenant: await asyncio.to_thread(live_calls, system, tenant) for tenant in ("dupont", "rossi")}
            assert {tenant: len(ids) for tenant, ids in live.items()} == {"dupont": 2, "rossi": 1}
            assert not live["dupont"] & live["rossi"]
            await dumas.command("hangup")
            await elise.until_event("CALL_CLOSED", 30)
    ours = await asyncio.to_thread(story.new_records, known, 2)
    assert {(each["status"], each["direction"]) for each in ours} == {("answered", "outbound"), ("answered", "inbound")}
