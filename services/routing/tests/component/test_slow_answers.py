"""A web address that takes longer than a decision may: the call waits, whichever replica goes on with it, and no longer than its node
says."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pydantic import JsonValue, SecretStr

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon_contracts.streams import CALLS, CONFIG
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import MemoryBus
from carillon_kit.clock import ManualClock, SystemClock
from carillon_kit.grpc_client import channel
from carillon_kit.postgres import migrate, open_pool
from carillon_kit.testing import postgres_dsn  # noqa: F401
from carillon_routing.adapters import postgres_facts
from carillon_routing.adapters.postgres_facts import PostgresFacts
from carillon_routing.app import running
from carillon_routing.domain import pending
from carillon_routing.domain.advance import LOOK_UP, BadOutcome
from carillon_routing.domain.asks import Ask, Fetch, Mail
from carillon_routing.domain.cursor import CodeWait, Cursor, decode
from carillon_routing.domain.facts import CallFacts, Entered, Gathered, GaveUp, HangUp, Ring, UserTarget, Wait
from carillon_routing.domain.queue_steps import Waited
from carillon_routing.domain.replay import again
from carillon_routing.handlers import deciding, slow_answers
from carillon_routing.handlers.deciding import Decided, Decider
from carillon_routing.handlers.floors import FloorsWhenUp
from carillon_routing.handlers.queue_calls import QueueCalls
from carillon_routing.handlers.slow_answers import NotYet, SlowAnswers
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import publish_company, with_plan

pytestmark = pytest.mark.feature("R-2", "R-15")
KEY = "k" * 32
CALL = CallFacts("acme", "c1", "inbound", "+41215550100", "+41791112233")
NODES: list[dict[str, Any]] = [
    {"id": "ask", "webhook": {"url": "http://crm.example/x", "timeout_ms": 8000, "variables": ["vip"], "next": "who", "failed": "carl"}},
    {"id": "who", "switch": {"variable": "vip", "entries": [{"value": "yes", "next": "anna"}], "otherwise": "ben"}},
    *({"id": name, "destination": {"destination": {"user_id": name}}} for name in ("anna", "ben", "carl")),
]
CONFIG_NOW = with_plan(*NODES)
YES: JsonValue = {"status": 200, "body": {"vip": "yes"}}


class Outside:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.says: asyncio.Future[JsonValue] = asyncio.get_running_loop().create_future()
        self.asked = 0

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        self.asked += 1
        return await asyncio.shield(self.says)


class Shelf:
    """`ports.Answers` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], JsonValue] = {}

    async def keep(self, tenant: str, call_id: str, key: str, value: JsonValue) -> None:
        self.kept[tenant, call_id, key] = value

    async def read(self, tenant: str, call_id: str, key: str) -> tuple[bool, JsonValue]:
        return (tenant, call_id, key) in self.kept, self.kept.get((tenant, call_id, key))


class Replica:
    """One process of routing."""

    def __init__(self, outside: Outside, shelf: Any, clock: ManualClock, tasks: asyncio.TaskGroup) -> None:
        def start(work: Coroutine[Any, Any, None], name: str) -> object:
            return tasks.create_task(work, name=name)

        self.slow = SlowAnswers(outside, shelf, start, clock)
        self.decider = Decider(ManualClock(), QueueCalls(FloorsWhenUp(expected=False), clock), outside, self.slow)

    async def begins(self) -> Decided:
        return await self.decider.decide(CONFIG_NOW, CALL, None, Entered())

    async def goes_on(self, before: Decided) -> Decided:
        return await self.decider.decide(CONFIG_NOW, CALL, pending.decode(before.cursor, "acme", "c1"), Waited())


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "FACTS_SECONDS", 0.0)


def rung(decided: Decided) -> str:
    assert isinstance(decided.step, Ring), decided.step
    (target,) = decided.step.targets
    assert isinstance(target, UserTarget)
    return target.user_id


async def test_the_call_waits_for_the_answer_and_the_request_is_made_once() -> None:
    outside, shelf, clock = Outside(), Shelf(), ManualClock()
    async with asyncio.TaskGroup() as tasks:
        replica = Replica(outside, shelf, clock, tasks)
        first, told_again = await replica.begins(), await replica.begins()
        assert first.step == Wait(max_ms=8100, quiet=True) == told_again.step
        assert first.made_of is None
        assert first.trace[-1].reason == "http://crm.example/x has not answered yet; the call waits, for 8000 ms at most"
        clock.advance(3)
        assert (await replica.goes_on(first)).step == Wait(max_ms=5100, quiet=True)
        outside.says.set_result(YES)
        waiting = pending.decode(first.cursor, "acme", "c1")
        assert waiting is not None
        assert await replica.slow.came(CALL, waiting.asked, 30)
        last = await replica.goes_on(first)
    assert rung(last) == "anna"
    assert outside.asked == 1
    assert last.made_of is not None
    assert again(CONFIG_NOW, last.made_of) == last.decision, "it can be made again from what is kept"


async def test_another_replica_goes_on_with_what_the_first_was_told() -> None:
    outside, shelf, clock = Outside(), Shelf(), ManualClock()
    async with asyncio.TaskGroup() as tasks:
        first, other = Replica(outside, shelf, clock, tasks), Replica(outside, shelf, clock, tasks)
        waits = await first.begins()
        asked = pending.decode(waits.cursor, "acme", "c1")
        assert asked is not None
        outside.says.set_result(YES)
        assert await other.slow.came(CALL, asked.asked, 30)
        assert rung(await other.goes_on(waits)) == "anna"
    assert outside.asked == 1


async def test_what_does_not_answer_in_the_time_of_its_node_has_failed_and_so_has_what_a_killed_replica_asked() -> None:
    outside, clock = Outside(), ManualClock()
    async with asyncio.TaskGroup() as tasks:
        replica, other = (Replica(outside, Shelf(), clock, tasks) for _ in range(2))
        waits = await replica.begins()
        clock.advance(8.001)
        assert rung(await other.goes_on(waits)) == "carl"
        assert rung(await replica.goes_on(waits)) == "carl"
        outside.says.set_result(None)


async def test_who_gave_a_pin_and_a_phone_that_diverts_are_not_kept_waiting() -> None:
    outside = Outside()
    async with asyncio.TaskGroup() as tasks:
        replica = Replica(outside, Shelf(), ManualClock(), tasks)
        diverted = CallFacts("acme", "c2", "inbound", "+41215550100", "+41791112233")
        decided = await replica.decider.decide(CONFIG_NOW, diverted, None, Entered({"deflected_by": "anna"}))
        assert rung(decided) == "carl"
        dialled = CallFacts("acme", "c3", "from_user", "0215550100", "101", caller_user_id="anna")
        names = [{"id": name, "last_name": name, "account_code_policy_id": "any"} for name in ("anna", "ben", "carl")]
        billed = with_plan(*NODES, users=names, account_code_policies=[{"id": "any", "validated": False}])
        cursor = Cursor(billed.seq, CodeWait("account", "+41215550100"))
        gave = await replica.decider.decide(billed, dialled, cursor, Gathered("1234"))
        assert any(line.subject == "user/anna account code" and line.matched for line in gave.trace)
        assert rung(gave) == "carl"
        waits = pending.decode((await replica.begins()).cursor, "acme", "c1")
        with pytest.raises(BadOutcome):
            await replica.decider.decide(CONFIG_NOW, CALL, waits, Entered())
        outside.says.set_result(None)


async def test_what_looks_for_phones_is_not_kept_waiting() -> None:
    outside = Outside()
    async with asyncio.TaskGroup() as tasks:
        replica = Replica(outside, Shelf(), ManualClock(), tasks)
        assert rung(await replica.decider.decide(CONFIG_NOW, CALL, None, Entered({LOOK_UP: "call"}))) == "carl"
        outside.says.set_result(None)


class TakesLetters(Outside):
    """At once, however long web addresses take."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Mail] = []

    async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
        if not isinstance(ask, Mail):
            return await super().find(call, ask)
        self.mails.append(ask)
        return True


@pytest.mark.feature("R-15")
async def test_the_way_of_who_gave_up_goes_on_behind_a_slow_web_address_which_is_asked_all_the_same() -> None:
    outside, shelf = TakesLetters(), Shelf()
    config = with_plan(
        {"id": "ring", "destination": {"destination": {"user_id": "anna"}, "ways": {"gave_up": "ask"}}},
        {"id": "ask", "webhook": {"url": "http://crm.example/x", "timeout_ms": 8000, "next": "tell"}},
        {"id": "tell", "email": {"recipients": ["desk@acme.example"], "subject": "gave up", "text": "-", "next": "end"}},
        {"id": "end", "hang_up": {}},
    )
    async with asyncio.TaskGroup() as tasks:
        decider = Replica(outside, shelf, ManualClock(), tasks).decider
        first = await decider.decide(config, CALL, None, Entered())
        assert rung(first) == "anna"
        last = await decider.decide(config, CALL, decode(first.cursor), GaveUp())
        assert isinstance(last.step, HangUp)
        assert [mail.recipients for mail in outside.mails] == [("desk@acme.example",)]
        outside.says.set_result(YES)
    assert list(shelf.kept.values()) == [YES], "nobody cut the request short"


async def test_an_error_that_nobody_foresaw_is_no_answer_and_ends_nothing() -> None:
    class Broken(Outside):
        async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
            await super().find(call, ask)
            raise ValueError("a surprise")

    class BrokenShelf(Shelf):
        async def keep(self, tenant: str, call_id: str, key: str, value: JsonValue) -> None:
            raise ValueError("another one")

    outside = Broken()
    async with asyncio.TaskGroup() as tasks:
        replica = Replica(outside, BrokenShelf(), ManualClock(), tasks)
        waits = await replica.begins()
        outside.says.set_result(YES)
        asked = pending.decode(waits.cursor, "acme", "c1")
        assert asked is not None
        assert await replica.slow.came(CALL, asked.asked, 30)
        assert rung(await replica.goes_on(waits)) == "carl"


async def test_answers_in_memory_are_bounded_in_bytes_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_answers, "MAX_KEPT_BYTES", 2_500)
    outside, waits = Outside(), Outside()
    outside.says.set_result({"body": {"vip": "x" * 1000}})

    class Both:
        async def find(self, call: CallFacts, ask: Ask) -> JsonValue:
            return await (waits if ask.key == waiting.key else outside).find(call, ask)

    waiting = Fetch("http://crm.example/slow", 8000, 0)
    asks = [Fetch(f"http://crm.example/{n}", 8000, 0) for n in range(3)]
    async with asyncio.TaskGroup() as tasks:
        slow = SlowAnswers(Both(), Shelf(), lambda work, name: tasks.create_task(work, name=name), ManualClock())
        with pytest.raises(NotYet):
            await slow.find(CALL, waiting, 0)
        for ask in asks:
            await slow.find(CALL, ask, 30)
        assert [(await slow.known(CALL, ask.key))[0] for ask in asks] == [False, True, True]
        waits.says.set_result(YES)
        assert await slow.find(CALL, waiting, 30) == YES, "what is not answered yet stays"
    assert (outside.asked, waits.asked) == (3, 1)


async def test_answers_lie_in_the_database(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(postgres_facts, "DATABASE_SECONDS", 30.0)
    pool = await open_pool(postgres_dsn)
    await migrate(pool, "carillon_routing.migrations")
    facts = PostgresFacts(lambda tenant: SystemClock().now().tzinfo)  # type: ignore[arg-type, return-value]
    assert await facts.read("acme", "c1", "k") == (False, None)
    facts.adopt(pool)
    await facts.keep("acme", "c1", "k", YES)
    await facts.keep("acme", "c1", "k", {"late": "too"})
    await facts.keep("acme", "c1", "none", None)
    assert await facts.read("acme", "c1", "k") == (True, YES)
    assert await facts.read("acme", "c1", "none") == (True, None)
    assert await facts.read("other", "c1", "k") == (False, None)
    await pool.close()


# -- the service ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def crm() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server that answers when it is let; its port."""
    may = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await may.wait()
        body = orjson.dumps({"vip": "yes"})
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], may
        may.set()


async def test_the_service_lets_the_call_wait_and_says_when_it_is_to_go_on() -> None:
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    async with crm() as (port, may):
        hook = NODES[0]["webhook"] | {"url": f"http://127.0.0.1:{port}/x", "timeout_ms": 10_000}
        company = {
            "tenant": {"id": "acme", "realm": "acme.example", "country": "CH"},
            "users": [{"id": name, "last_name": name} for name in ("anna", "ben", "carl")],
            "plans": [{"id": "p", "entry": "ask", "nodes": [{"id": "ask", "webhook": hook}, *NODES[1:]]}],
            "numbers": [{"id": "+41215550100", "destination": {"plan_id": "p"}}],
        }
        await publish_company(bus, company)
        settings = RoutingSettings(token_key=SecretStr(KEY), webhook_networks="127.0.0.0/8")
        token = issue_token(KEY, "media", None, [SERVICE], timedelta(minutes=10))
        async with running(settings, bus) as routing, channel(f"127.0.0.1:{routing}", token, "acme") as link:
            application: Any = CallApplicationStub(link)
            facts = pb.CallFacts(tenant_id="acme", call_id="c1", direction=pb.DIRECTION_INBOUND, dialled="+41215550100")
            entered = pb.NextRequest(call=facts, outcome=pb.Outcome(entered=pb.Entered()))
            waits = await application.Next(entered, timeout=30)
            assert (waits.step.wait.quiet, waits.step.wait.signalled, waits.inputs) == (True, True, b"")
            may.set()
            while not (await application.Await(pb.AwaitRequest(call=facts, cursor=waits.cursor), timeout=30)).signalled:
                pass
            over = pb.Outcome(wait=pb.WaitOutcome(end=pb.WAIT_END_SIGNALLED))
            goes_on = await application.Next(pb.NextRequest(call=facts, cursor=waits.cursor, outcome=over), timeout=30)
    assert goes_on.step.ring.targets[0].user_id == "anna"
    assert goes_on.inputs
