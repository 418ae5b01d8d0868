"""Calls go on: routing killed while one rings, one talks and one chooses; directory and bus stopped. The phones are baresip and SIPp."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from strangers.phones import holds, phone
from strangers.story import Story
from strangers.system import System, until

pytestmark = pytest.mark.feature("M-13")
#: Each step is ended by somebody, and leads to the mailbox.
COMPANY = """
tenant: {id: dupont, display_name: Dupont SA, realm: dupont.example, country: CH, time_zone: Europe/Zurich, language: fr,
  main_number: "+41215550100"}
menus:
  - id: going
    prompt: [{text: "Pour le support, tapez 1. Pour les ventes, tapez 2. Pour la permanence, tapez 3.", language: fr}]
    keys: [{key: "1", destination: {mailbox_id: main}}]
    timeout_seconds: 60
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
"""
STEPS = {"265": "ring", "266": "ring", "267": "gather"}


@pytest.fixture(scope="module")
def story(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    file: Path = tmp_path_factory.mktemp("going") / "company.yaml"
    file.write_text(COMPANY)
    system.carillon("apply", str(file))
    story = Story(system)
    story.clock("2026-11-24T10:15+01:00")
    until(lambda: all(story.simulated(dialled, {}, user_id="elise")[0][0] != "hang_up" for dialled in STEPS), "the company is routed", 30)
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


async def test_calls_go_on_over_a_killed_routing_whatever_step_they_are_at(story: Story, system: System) -> None:
    known = await asyncio.to_thread(system.call_ids)
    async with AsyncExitStack() as stack:
        extensions = ("101", "102", "106", "103", "104")
        rings, talks, chooses, bernard, claire = [await stack.enter_async_context(phone(system, each, 1000)) for each in extensions]
        for caller, dialled in zip((rings, talks, chooses), STEPS, strict=True):
            await caller.command("dial", f"sip:{dialled}@{system.tenant['realm']}")
        await bernard.until_event("CALL_INCOMING", 30)
        await claire.until_event("CALL_INCOMING", 30)
        await claire.command("accept")
        for each in (claire, talks, chooses):
            await each.until_event("CALL_ESTABLISHED", 30)
        # Digits go through from here on.
        await holds(lambda: (heard := chooses.heard()).total - heard.silence > 0.2, "the menu is heard", 30)
        ids = await asyncio.to_thread(until, lambda: calls_at(story, STEPS), "each call is at its step", 30)
        old = system.kill("routing")
        await bernard.command("hangup")
        await claire.command("hangup")
        await chooses.command("sndcode", "1")
        await asyncio.to_thread(system.until_restarted, "routing", old, 60)
        for call_id in ids.values():
            await asyncio.to_thread(story.decided, call_id, 2)
    records = await asyncio.to_thread(system.new_records, known, 3, 30)
    assert {record["dialled"]: record["status"] for record in records} == {"265": "voicemail", "266": "answered", "267": "voicemail"}
    for record in records:
        assert [step for step, *_ in story.decisions(record["call_id"])] == [STEPS[record["dialled"]], "delegate"]


def calls_at(story: Story, steps: dict[str, str]) -> dict[str, str] | None:
    """Ids by what was dialled, once each call's first step is decided."""
    found: dict[str, str] = {}
    for call in story.live_calls():
        decided: list[Any] = story.so_far(call["call_id"])
        if [step for step, *_ in decided] == [steps.get(call["dialled"])]:
            found[call["dialled"]] = call["call_id"]
    return found if found.keys() == steps.keys() else None


def test_calls_are_routed_while_directory_and_bus_stand_still(story: Story, system: System) -> None:
    known = story.call_ids()
    with stopped(system, "nats", "directory"), story.phone("101", "answer.xml") as dumas:
        story.outside_call("+41215550100").succeed()
        dumas.succeed()
    record = story.record(known)
    assert (record["status"], record["answered_by"], record["direction"]) == ("answered", "dumas", "inbound")
    assert [step for step, *_ in story.decisions(record["call_id"])] == ["ring"]
