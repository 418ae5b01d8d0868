"""The process is killed again and again while calls end: one record each, none missing, none double."""

import asyncio
import os
import random
import sys
from functools import partial
from typing import Any

import pytest

from carillon_cdr.domain.record import fold
from carillon_cdr.testing import Script
from carillon_contracts.envelope import Event
from carillon_contracts.record import CallRecorded
from carillon_contracts.streams import CALLS, RECORDS
from carillon_kit.bus import Bus, Outgoing
from carillon_kit.testing import eventually

CALLS_MADE = 300


class Service:
    """`python -m carillon_cdr` as its own process."""

    def __init__(self, nats_url: str, postgres_dsn: str) -> None:
        self._environment = {
            **os.environ,
            "CARILLON_NATS_URL": nats_url,
            "CARILLON_POSTGRES_DSN": postgres_dsn,
            "CARILLON_TOKEN_KEY": "0123456789abcdef0123456789abcdef",
            "CARILLON_ACK_WAIT_SECONDS": "1",
            "CARILLON_LOG_LEVEL": "ERROR",
        }

    async def __aenter__(self) -> "Service":
        self._process = await asyncio.create_subprocess_exec(sys.executable, "-m", "carillon_cdr", env=self._environment)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Without any farewell."""
        assert self._process.returncode is None, "it ended by itself"
        self._process.kill()
        await self._process.wait()


@pytest.mark.feature("C-1")
async def test_killed_in_the_middle_it_makes_each_record_once(nats_url: str, postgres_dsn: str, pool: Any) -> None:
    scripts = [Script(f"k{number}").talk() for number in range(CALLS_MADE)]
    messages = [message for script in scripts for message in script.messages()] * 2
    random.Random(11).shuffle(messages)
    items = [Outgoing(subject, body, str(number)) for number, (subject, body) in enumerate(messages)]
    bus = await Bus.connect(nats_url, "test")
    await bus.ensure_stream(CALLS)
    for kill in range(3):
        async with Service(nats_url, postgres_dsn):
            assert await bus.publish_many(CALLS.name, items[kill::4]) == []
            enough = f"select count(*) > {500 * kill} from call_event"
            await eventually(partial(pool.fetchval, enough))
    assert await bus.publish_many(CALLS.name, items[3::4]) == []
    async with Service(nats_url, postgres_dsn):
        await eventually(lambda: pool.fetchval("select count(*) = $1 from call_record", CALLS_MADE))
        await eventually(lambda: pool.fetchval("select count(*) = 0 from outbox"))
    kept = [CallRecorded.model_validate_json(row["data"]) for row in await pool.fetch("select data::text from call_record")]
    expected = {script.call_id: fold("dupont", script.call_id, script.events) for script in scripts}
    assert {record.call_id: record for record in kept} == expected
    await bus.publish(RECORDS.name, "carillon.dupont.cdr.end", b"", "end")
    published: list[str | None] = []
    async for message in bus.follow(RECORDS.name, "carillon.*.cdr.*"):
        if message.subject.endswith(".end"):
            break
        published.append(Event.from_json(message.data).callid)
    assert len(published) == CALLS_MADE
    assert set(published) == set(expected)
    await bus.close()
