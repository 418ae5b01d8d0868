"""A draft compared over past calls by processes of their own: the same as by one, and none of them outlives the comparison."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from carillon.cdr.v1 import cdr_pb2
from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.config import PlanDraft, User
from carillon_kit.clock import SystemClock
from carillon_kit.errors import Unavailable
from carillon_kit.testing import eventually
from carillon_routing.adapters import comparers
from carillon_routing.adapters.comparing import Some, framed
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.domain.comparison import Comparison, together
from carillon_routing.domain.facts import Rang
from carillon_routing.grpc_compare import Comparisons
from carillon_routing.testing import SimulatedCall, kept, with_plan

pytestmark = pytest.mark.feature("R-21")
NODES = (
    {"id": "anna", "destination": {"destination": {"user_id": "anna"}, "ways": {"no_answer": "ben", "otherwise": "box"}}},
    {"id": "ben", "destination": {"destination": {"user_id": "ben"}}},
    {"id": "box", "mailbox": {"mailbox_id": "main"}},
)
CONFIG = with_plan(*NODES)
DRAFT = PlanDraft.model_validate({"id": "d", "plan_id": "p", "entry": "anna", "nodes": [NODES[0], {**NODES[2], "id": "ben"}, NODES[2]]})
PLAN = DRAFT.plan(CONFIG.plans["p"])
CALLS = 60


def call(number: int) -> list[bytes]:
    """Each third one is not answered, each fifth one comes by another number, each seventh one cannot be read."""
    dialled = "+41215550101" if number % 5 == 0 else "+41215550100"
    placed = SimulatedCall.from_outside(CONFIG, dialled, "2026-01-06 10:00", call_id=f"c{number}")
    outcomes = [Rang("no_answer", {"user:anna": "no_answer"})] if number % 3 == 0 else []
    for outcome in outcomes:
        placed.becomes(outcome)
    return [b"{" if number % 7 == 0 else json.dumps({"data": data}).encode() for data in kept(placed, *outcomes)]


class Records:
    """cdr, with pages of three calls; `endless`: again and again."""

    def __init__(self, *, endless: bool = False) -> None:
        self.endless = endless

    async def StreamDecisions(self, request: cdr_pb2.StreamDecisionsRequest, **_: Any) -> AsyncIterator[cdr_pb2.StreamDecisionsResponse]:
        yield cdr_pb2.StreamDecisionsResponse(total=CALLS)
        pages = range(0, CALLS, 3)
        for first in cycle(pages) if self.endless else pages:
            calls = [cdr_pb2.DecidedCall(call_id=f"c{n}", events=call(n)) for n in range(first, first + 3)]
            yield cdr_pb2.StreamDecisionsResponse(total=CALLS, calls=calls)


def comparisons(records: Records) -> Comparisons:
    return Comparisons(PastCalls(records, lambda tenant: ()), SystemClock(), processes=2)


def children() -> set[int]:
    """Processes that follow calls, of this one."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"carillon_routing.adapters.comparing" in (path / "cmdline").read_bytes():
                found.add(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


async def test_processes_find_what_one_comparison_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparers, "_CALLS_EACH", CALLS // 2)
    alone = Comparison(CONFIG, PLAN, 2)
    counts = [alone.add(n, f"c{n}", [json.loads(raw)["data"] for raw in call(n) if raw != b"{"]) for n in range(CALLS)]
    expected = together([alone.found], 2)
    told = list[pb.ComparePlanResponse]()
    async with asyncio.timeout(120):
        async for each in comparisons(Records()).compare(pb.ComparePlanRequest(plan_draft_id="d", samples=2), CONFIG, PLAN):
            told.append(each)
    done = told[-1]
    assert (told[0].total, told[0].read, done.done, done.read) == (CALLS, 0, True, CALLS)
    assert done.by_plan == sum(each.by_plan for each in counts) > 0
    assert done.elsewhere == sum(each.elsewhere for each in counts) > 0
    assert done.not_followed == sum(each.not_followed for each in counts) > 0
    assert [(tuple(g.now), tuple(g.draft), g.calls) for g in done.groups] == [(g.now, g.then, g.calls) for g in expected.groups]
    assert [[s.call_id for s in g.samples] for g in done.groups] == [[s.call_id for s in g.samples] for g in expected.groups]
    assert children() == set()


@pytest.mark.parametrize("killed", [False, True])
async def test_no_process_outlives_a_comparison_that_is_cut_off_or_loses_one(killed: bool) -> None:
    request = pb.ComparePlanRequest(plan_draft_id="d")
    comparison = comparisons(Records(endless=True)).compare(request, CONFIG, PLAN)

    async def read() -> None:
        async with aclosing(comparison):
            async for _ in comparison:
                pass

    running = asyncio.create_task(read())
    await eventually(lambda: any(os.getpriority(os.PRIO_PROCESS, pid) > 0 for pid in children()))
    if killed:
        for pid in children():
            os.kill(pid, 9)
        with pytest.raises(Unavailable, match="follows them has ended"):
            await asyncio.wait_for(running, 60)
    else:
        running.cancel()
        await asyncio.wait([running], timeout=60)
        assert running.cancelled()
    assert children() == set()


class Held:
    """cdr, which answers once it may."""

    def __init__(self) -> None:
        self.may, self.asked = asyncio.Event(), 0

    async def StreamDecisions(self, request: cdr_pb2.StreamDecisionsRequest, **_: Any) -> AsyncIterator[cdr_pb2.StreamDecisionsResponse]:
        self.asked += 1
        await self.may.wait()
        yield cdr_pb2.StreamDecisionsResponse(total=0)


async def test_comparisons_wait_in_order_are_told_so_and_leave_when_they_are_given_up() -> None:
    held = Held()
    them = Comparisons(PastCalls(held, lambda tenant: ()), SystemClock(), processes=1)
    told: dict[str, list[pb.ComparePlanResponse]] = {}

    async def compare(name: str, tenant: str) -> None:
        config = with_plan(*NODES, tenant={"id": tenant, "realm": f"{tenant}.example"})
        told[name] = []
        async with aclosing(them.compare(pb.ComparePlanRequest(plan_draft_id="d"), config, PLAN)) as steps:
            async for step in steps:
                told[name].append(step)

    async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(compare(name, name[0])) for name in ("a1", "a2", "a3", "b1")]
        await eventually(lambda: held.asked == 1 and len(told.get("b1", ())) > 0)
        assert [told[name][0].waiting for name in ("a2", "a3", "b1")] == [1, 2, 3]
        with pytest.raises(Unavailable, match="3 comparisons of a run or wait already"):
            await compare("a4", "a")
        others = [tasks.create_task(compare(f"{name}9", name)) for name in "cdefghi"]
        await eventually(lambda: len(told.get("i9", ())) > 0)
        with pytest.raises(Unavailable, match="10 comparisons wait already"):
            await compare("j1", "j")
        running[1].cancel()
        await eventually(lambda: told["b1"][-1].waiting == 2)
        # Each one that runs starts a process.
        for other in others:
            other.cancel()
        held.may.set()
    assert [told[name][-1].done for name in ("a1", "a3", "b1", "a2", "i9")] == [True, True, True, False, False]
    assert (held.asked, len(others)) == (3, 7)


async def test_that_no_process_can_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(Unavailable, match="no process can be started"):
        async for _ in comparisons(Records()).compare(pb.ComparePlanRequest(plan_draft_id="d"), CONFIG, PLAN):
            pass


def test_a_process_that_cannot_read_a_resource_does_not_show_it() -> None:
    frame = framed(Some(User.KIND, [b'{"id": "anna", "first_name": {"a": "a-secret"}}']))
    program = "from carillon_routing.adapters.comparing import main; main()"
    ended = subprocess.run([sys.executable, "-c", program], input=frame, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert b"cannot be read" in ended.stderr
    assert b"secret" not in ended.stderr
