"""What the service answers to media holds all that the answer was made of; and old configurations are folded anew."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationStub
from carillon.routing.v1 import routing_pb2 as pb_routing
from carillon_contracts.call import RoutingDecided, TraceLine
from carillon_contracts.config import ConfigChanged
from carillon_contracts.envelope import Event
from carillon_contracts.erasure import Cleaner, PersonErasureOrdered
from carillon_contracts.streams import CALLS, CONFIG, config_subject
from carillon_kit.auth import SERVICE, issue_token
from carillon_kit.bus import MemoryBus, Message
from carillon_kit.clock import ManualClock
from carillon_kit.grpc_client import channel
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.app import running
from carillon_routing.domain.facts import CallFacts, Entered
from carillon_routing.domain.made_of import MadeOf, decode, encode
from carillon_routing.domain.replay import again, verdict
from carillon_routing.grpc_api import decision_sums, described
from carillon_routing.grpc_replay import Replays
from carillon_routing.projections.configuration import Configuration
from carillon_routing.projections.past import PastConfigurations
from carillon_routing.settings import RoutingSettings
from carillon_routing.testing import config_of, publish_company

KEY = "k" * 32
PLAN = {
    "id": "p",
    "entry": "ask",
    "nodes": [
        {"id": "ask", "webhook": {"url": "http://127.0.0.1:9/x", "timeout_ms": 50, "next": "split", "failed": "split"}},
        {"id": "split", "split": {"shares": [{"percent": 50, "next": "ring"}, {"percent": 50, "next": "wait"}]}},
        {"id": "ring", "destination": {"destination": {"user_id": "anna"}, "ways": {"otherwise": "wait"}}},
        {"id": "wait", "queue": {"queue_id": "q", "ways": {"otherwise": "end"}}},
        {"id": "end", "hang_up": {"reason": "busy"}},
    ],
}
COMPANY: dict[str, Any] = {
    "tenant": {"id": "acme", "realm": "acme.example", "country": "CH", "language": "fr"},
    "users": [{"id": "anna", "last_name": "Anna"}],
    "trunks": [{"id": "carrier", "address": "192.0.2.1"}],
    "queues": [{"id": "q"}],
    "plans": [PLAN],
    "numbers": [{"id": "+41215550100", "destination": {"plan_id": "p"}}],
}


@pytest.fixture
async def stub() -> AsyncIterator[Any]:
    bus = MemoryBus()
    for stream in (CONFIG, CALLS):
        await bus.ensure_stream(stream)
    await publish_company(bus, COMPANY)
    token = issue_token(KEY, "media", None, [SERVICE])
    async with running(RoutingSettings(token_key=SecretStr(KEY)), bus) as port, channel(f"127.0.0.1:{port}", token, "acme") as link:
        yield CallApplicationStub(link)


@pytest.mark.feature("R-22")
async def test_every_answer_says_what_it_was_made_of_and_that_gives_it_again(stub: Any) -> None:
    config = config_of(COMPANY)
    for number in range(6):
        call = pb.CallFacts(tenant_id="acme", call_id=f"c{number}", direction=pb.DIRECTION_INBOUND, dialled="+41215550100")
        answer = await stub.Next(pb.NextRequest(call=call, outcome=pb.Outcome(entered=pb.Entered())))
        answers = [answer]
        if answer.step.HasField("ring"):
            ring = pb.RingOutcome(result=pb.RING_RESULT_BUSY, targets=[pb.TargetOutcome(target_id="user:anna", result=pb.RING_RESULT_BUSY)])
            answers.append(await stub.Next(pb.NextRequest(call=call, cursor=answer.cursor, outcome=pb.Outcome(ring=ring))))
        for each in answers:
            made = decode(json.loads(each.inputs), "acme", call.call_id)
            assert verdict(made.sums, decision_sums(again(config, made))) == "equal"
            assert any(key.startswith("fetch") for key in made.read) is (made.cursor is None)
        assert answers[-1].step.hang_up.cause == 17


@pytest.mark.feature("R-22")
def test_another_configuration_gives_another_verdict() -> None:
    def decided(node: str) -> tuple[str, str, str]:
        plan = {"id": "p", "entry": node, "nodes": [{"id": node, "destination": {"destination": {"user_id": "anna"}}}]}
        return decision_sums(again(config_of({**COMPANY, "plans": [plan]}), made))

    call = CallFacts("acme", "c", "inbound", "+41215550100", "+41791112233")
    made = MadeOf(call, None, Entered(), datetime(2026, 1, 6, 10, tzinfo=UTC), 1)
    then = decided("ring")
    assert verdict(then, decided("ring")) == "equal"
    assert verdict(then, decided("bell")) == "different"
    assert verdict(then, (*then[:2], "another trace")) == "other_reasons"


@pytest.mark.feature("R-22", "P-8")
async def test_a_decision_that_names_an_erased_person_is_equal_as_it_reads_or_not_repeatable() -> None:
    company = {**COMPANY, "numbers": [{"id": "+41215550100", "destination": {"user_id": "anna"}}]}
    who = "erased-0123456789ab"
    order = PersonErasureOrdered(erasure_id=str(UUID(int=1)), ids={"anna": who}, user_id="anna", pseudonym=who)
    call = CallFacts("acme", "c", "inbound", "+41215550100", "+41791112233")
    made = MadeOf(call, None, Entered(), datetime(2026, 1, 6, 10, tzinfo=UTC), config_of(company).seq)
    now = again(config_of(company), made)
    step, details = described(now.step)
    trace = tuple(TraceLine(subject=x.subject, matched=x.matched, reason=x.reason, next=x.next) for x in now.trace)
    inputs = json.loads(encode(replace(made, sums=decision_sums(now))))
    kept = RoutingDecided(application="routing", step=step, details=details, trace=trace, inputs=inputs).model_dump(mode="json")
    assert "anna" in json.dumps(kept["details"])
    cleaned = Cleaner(order).value(kept)
    number = order.model_copy(update={"ids": {}, "texts": {"+41791112233": "+41790000000"}})
    configuration = Configuration(ManualClock())
    configuration.adopt(config_of(Cleaner(order).value(company)))
    replays = Replays(PastCalls(None, lambda tenant: ()), PastConfigurations(MemoryBus(), configuration, ManualClock()))

    def event_of(data: dict[str, Any]) -> Event:
        return Event(id=UUID(int=1), source="x", type="x", subject="c", time=made.now, data=data, tenantid="acme", callid="c")

    async def verdict_of(data: dict[str, Any], event: Event | None = None) -> "pb_routing.ReplayVerdict.ValueType":
        event = event or event_of(data)
        return (await replays.decision("acme", event, RoutingDecided.model_validate(data))).verdict

    assert await verdict_of(cleaned) == pb_routing.REPLAY_VERDICT_EQUAL
    assert await verdict_of({**cleaned, "step": "play"}) == pb_routing.REPLAY_VERDICT_NOT_REPEATABLE
    assert await verdict_of({**cleaned, "details": {**cleaned["details"], "music": True}}) == pb_routing.REPLAY_VERDICT_NOT_REPEATABLE
    assert await verdict_of({**cleaned, "trace": []}) == pb_routing.REPLAY_VERDICT_NOT_REPEATABLE
    masked = Event.from_json(Cleaner(number).json(event_of(kept).to_json()))
    assert "erased" not in json.dumps(masked.data)
    configuration.adopt(config_of(company))
    assert await verdict_of(masked.data, masked) == pb_routing.REPLAY_VERDICT_EQUAL, "a number alone is masked"
    otherwise = {**masked.data, "step": "play"}
    assert await verdict_of(otherwise, masked) == pb_routing.REPLAY_VERDICT_NOT_REPEATABLE
    configuration.adopt(config_of(Cleaner(order).value(company)))
    assert await verdict_of(kept) == pb_routing.REPLAY_VERDICT_DIFFERENT, "nobody who was erased is named"


async def long_ago() -> tuple[Configuration, PastConfigurations]:
    """Of two tenants, whose former versions are not kept in memory any more."""
    bus = MemoryBus()
    await bus.ensure_stream(CONFIG)
    await publish_company(bus, COMPANY)
    await publish_company(bus, {**COMPANY, "tenant": {**COMPANY["tenant"], "id": "other", "realm": "other.example"}})
    clock = ManualClock(datetime(2026, 1, 6, tzinfo=UTC) + timedelta(days=30))
    configuration = Configuration(clock)
    for message in bus.messages(CONFIG.name):
        configuration.apply(message)
    return configuration, PastConfigurations(bus, configuration, clock)


@pytest.mark.feature("R-22")
async def test_a_version_that_is_no_longer_kept_is_folded_from_the_stream() -> None:
    configuration, past = await long_ago()
    newest = configuration.current("acme")
    assert newest is not None
    for seq in range(1, newest.seq + 1):
        async with asyncio.timeout(30):
            found = await past.at("acme", seq)
        assert found is not None
        assert found.seq == seq
        assert set(found.resources) == set(list(newest.resources)[:seq]), seq
    assert await past.at("acme", 0) is None
    assert await past.at("acme", newest.seq + 1) is None
    assert await past.at("nobody", 1) is None


@pytest.mark.feature("P-8")
async def test_what_was_folded_from_a_copy_of_the_log_that_is_destroyed_since_is_not_kept() -> None:
    bus = MemoryBus()
    await bus.ensure_stream(CONFIG)
    await publish_company(bus, COMPANY)
    old = bus.messages(CONFIG.name)
    configuration = Configuration(ManualClock(datetime(2026, 1, 6, tzinfo=UTC) + timedelta(days=30)))
    for message in old:
        configuration.apply(message)
    past = PastConfigurations(bus, configuration, ManualClock())
    newest = configuration.current("acme")
    assert newest is not None

    async def name() -> str:
        async with asyncio.timeout(30):
            found = await past.at("acme", newest.seq - 1)
        assert found is not None
        return found.users["anna"].last_name

    for message in old:
        await bus.publish(CONFIG.name, message.subject, message.data.replace(b"Anna", b"erased"), message_id=f"{message.stream_seq}.copy")
    assert await name() == "Anna", "as the log says that is still there"
    await bus.erase(CONFIG.name, [message.stream_seq for message in old])
    assert await name() == "erased"
    assert len(past._kept) == 1


@pytest.mark.feature("P-8")
async def test_what_was_folded_before_somebody_was_erased_is_not_kept() -> None:
    configuration, past = await long_ago()
    newest = configuration.current("acme")
    assert newest is not None
    async with asyncio.timeout(30):
        before = [await past.at(tenant, seq) for tenant, seq in (("acme", 1), ("acme", 2), ("other", 1))]
        change = ConfigChanged(resource="person", resource_id="erased-0123456789ab", action="erased", actor="test")
        event = Event(
            id=UUID(int=99),
            source="test",
            type=change.event_type,
            subject="person/erased-0123456789ab",
            time=datetime(2026, 2, 6, tzinfo=UTC),
            data=change.model_dump(mode="json"),
            tenantid="acme",
            configseq=newest.seq + 1,
        )
        configuration.apply(Message(config_subject("acme", "person", "erased"), event.to_json(), 99))
        after = await past.at("acme", 1)
    assert after == before[0]
    assert after is not before[0]
    assert list(past._kept.values()) == [before[2], after]
