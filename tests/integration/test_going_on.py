"""Calls go on: routing killed at every step that it has decided; directory and bus stopped. The phones are baresip and SIPp."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import asyncpg
import pytest

from strangers.phones import among, happened, holds, listens, phone, type_digits
from strangers.story import Story
from strangers.system import System, until

pytestmark = pytest.mark.feature("M-13")
#: Each step is ended by somebody, and leads further.
COMPANY = """
tenant: {id: dupont, display_name: Dupont SA, realm: dupont.example, country: CH, time_zone: Europe/Zurich, language: fr,
  main_number: "+41215550100"}
menus:
  - id: going
    prompt: [{text: "Pour le support, tapez 1. Pour les ventes, tapez 2. Pour la permanence, tapez 3.", language: fr}]
    keys: [{key: "1", destination: {mailbox_id: main}}]
    timeout_seconds: 60
restriction_profiles:
  - {id: going, pin_needed: [mobile]}
parking_lots:
  - {id: going, first_slot: "711", last_slot: "719", recall_seconds: 3600}
paging_groups:
  - {id: going, number: "9", user_ids: [david]}
plans:
  - id: going-ring
    entry: ring
    nodes:
      - {id: ring, destination: {destination: {user_id: bernard}, ring_seconds: 120, ways: {otherwise: box}}}
      - {id: box, mailbox: {mailbox_id: main}}
  - id: going-talk
    entry: ring
    nodes:
      - {id: ring, destination: {destination: {user_id: claire}, ring_seconds: 120, ways: {answered: box}}}
      - {id: box, mailbox: {mailbox_id: main}}
extensions:
  - {id: "265", destination: {plan_id: going-ring}}
  - {id: "266", destination: {plan_id: going-talk}}
  - {id: "267", destination: {menu_id: going}}
  - {id: "268", destination: {announcement: {text: "%s", language: fr}}}
"""
LONG = "Nos bureaux sont fermés pour les vacances. " * 3
OUTSIDE = "0791234567"
#: By what is dialled, so far when routing is killed, and to the end. Who is parked called a colleague, who sent them to a slot.
STEPS = {
    "265": (["ring"], ["ring", "delegate"]),
    "266": (["ring"], ["ring", "delegate"]),
    "267": (["gather"], ["gather", "delegate"]),
    "268": (["play"], ["play", "hang_up"]),
    "105": (["ring", "park"], ["ring", "park"]),
    OUTSIDE: (["gather"], ["gather", "gather"]),
    "*819": (["page"], ["page", "hang_up"]),
}


@pytest.fixture(scope="module")
def story(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    file: Path = tmp_path_factory.mktemp("going") / "company.yaml"
    file.write_text(COMPANY % LONG)
    system.carillon("apply", str(file))
    story = Story(system)
    story.clock("2026-11-24T10:15+01:00")
    until(
        lambda: all(story.simulated(dialled, {}, user_id="elise")[0][0] != "hang_up" for dialled in ("265", "266", "267", "268")),
        "the company is routed",
        30,
    )
    yield story
    story.close()


@contextmanager
def stopped(system: System, *names: str) -> Iterator[None]:
    """Processes that do nothing any more, until the end."""
    found = [int(system.run["processes"][name]) for name in names]
    try:
        for process in found:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in found:
            os.kill(process, signal.SIGCONT)


@pytest.mark.feature("R-9", "R-11", "R-18", "R-19", "M-5")
async def test_calls_go_on_over_a_killed_routing_whatever_step_they_are_at(story: Story, system: System) -> None:
    known = await asyncio.to_thread(system.call_ids)
    realm = system.tenant["realm"]
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(story.set_user, "elise", restriction_profile_id="going", outbound_pin="97531864")
        stack.push_async_callback(asyncio.to_thread, story.set_user, "elise", restriction_profile_id="", outbound_pin="")
        extensions = ("101", "102", "106", "103", "104", "105", "106", "102")
        started = [await stack.enter_async_context(phone(system, each, 1000 + 300 * (each == "105"))) for each in extensions]
        rings, talks, chooses, bernard, claire, david, asked, parked = started
        # Who is to be parked comes first: David's phone is free again for the page.
        await parked.command("dial", f"sip:105@{realm}")
        await david.until_event("CALL_INCOMING", 30)
        await david.command("accept")
        await parked.until_event("CALL_ESTABLISHED", 30)
        await david.until_event("CALL_ESTABLISHED", 30)
        await david.command("transfer", f"sip:711@{realm}")
        await david.until_event("CALL_CLOSED", 30)
        for caller, dialled in ((rings, "265"), (talks, "266")):
            await caller.command("dial", f"sip:{dialled}@{realm}")
        stack.enter_context(story.user_call("103", "*819", 180_000))
        await bernard.until_event("CALL_INCOMING", 30)
        await claire.until_event("CALL_INCOMING", 30)
        await happened(david, "CALL_INCOMING", 2)
        for each in (claire, david):
            await each.command("accept")
        for each in (claire, talks):
            await each.until_event("CALL_ESTABLISHED", 30)
        await happened(david, "CALL_ESTABLISHED", 2)
        # Who is asked for keys, and who is told something, is not for ever.
        await chooses.command("dial", f"sip:267@{realm}")
        await asked.command("dial", f"sip:{OUTSIDE}@{realm}")
        await listens(chooses)
        await listens(asked)
        stack.enter_context(story.user_call("103", "268", 180_000))
        ids: dict[str, str] = {}
        await asyncio.to_thread(until, lambda: calls_at(story, ids), "each call is at its step", 60)
        old = system.kill("routing")
        for each in (bernard, claire, david):
            await each.command("hangup")
        await chooses.command("sndcode", "1")
        await type_digits(asked, "1#")
        await asyncio.to_thread(system.until_restarted, "routing", old, 60)
        for dialled, call_id in ids.items():
            await asyncio.to_thread(story.decided, call_id, len(STEPS[dialled][1]))
        await happened(david, "CALL_CLOSED", 2)
        await david.command("dial", f"sip:711@{realm}")
        await holds(lambda: among(parked, 1300) > 0.5 and among(david, 1000) > 0.5, "who was parked is talked to", 30)
    records = {record["dialled"]: record for record in await asyncio.to_thread(system.new_records, known, len(STEPS) + 1, 30)}
    became = {"265": "voicemail", "266": "answered", "267": "voicemail", "268": "self_service", "105": "answered", "*819": "answered"}
    assert {dialled: records[dialled]["status"] for dialled in became} == became
    for dialled, (_, steps) in STEPS.items():
        assert [step for step, *_ in story.decisions(ids[dialled])][: len(steps)] == steps
    assert records["711"]["took_over_call_id"] == ids["105"]


async def test_a_phone_whose_tcp_connection_died_with_media_is_called_without_waiting_for_it(system: System) -> None:
    known = await asyncio.to_thread(system.call_ids)
    async with phone(system, "106", 1300, "tcp") as elise:
        await stored(system, system.user("106")["sip_user"])
        old = system.kill("media")
        await asyncio.to_thread(system.until_restarted, "media", old)
        async with phone(system, "101", 1900) as dumas:
            await dumas.command("dial", f"sip:106@{system.tenant['realm']}")
            await elise.until_event("CALL_INCOMING", 30)
            await elise.command("accept")
            await dumas.until_event("CALL_ESTABLISHED", 30)
            await holds(lambda: elise.heard().tone_seconds(1900) >= 1, "Élise hears Denise", 30)
    records = await asyncio.to_thread(system.new_records, known, 1)
    assert ("answered", "106") in [(record["status"], record["dialled"]) for record in records]


async def stored(system: System, sip_user: str) -> None:
    """A registration is in the database a moment after its answer."""
    connection = await asyncpg.connect(system.run["postgres"]["dsn"])
    rows = "select count(*) from media.registration where sip_user = $1 and not gone"
    try:
        async with asyncio.timeout(30):
            while not await connection.fetchval(rows, sip_user):
                await asyncio.sleep(0.1)
    finally:
        await connection.close()


def calls_at(story: Story, ids: dict[str, str]) -> bool:
    """Whether each call's first steps are decided: its id by what was dialled."""
    for call in story.live_calls():
        steps, _ = STEPS.get(call["dialled"], ([], []))
        if steps and [step for step, *_ in story.so_far(call["call_id"])][: len(steps)] == steps:
            ids[call["dialled"]] = call["call_id"]
    return ids.keys() == STEPS.keys()


def test_calls_are_routed_while_directory_and_bus_stand_still(story: Story, system: System) -> None:
    known = story.call_ids()
    with stopped(system, "nats", "directory"), story.phone("101", "answer.xml") as dumas:
        story.outside_call("+41215550100").succeed()
        dumas.succeed()
    ours = until(lambda: [each for each in story.records() if each["call_id"] not in known and each["dialled"] == "+41215550100"], "it", 30)
    (record,) = ours
    assert (record["status"], record["answered_by"], record["direction"]) == ("answered", "dumas", "inbound")
    assert [step for step, *_ in story.decisions(record["call_id"])] == ["ring"]
