"""Watching one's own calls: the published events as they come, and what the ledger has of a call once it is over.

Always: a plain subscriber; every wait has a deadline and says what it waited for.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Self

import grpc.aio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from carillon.cdr.v1 import cdr_pb2, cdr_pb2_grpc
from carillon_cli.commands.events import connect
from carillon_cli.errors import CliError
from carillon_cli.system import RPC_SECONDS, System
from carillon_contracts.call import CallEnded, CallStarted
from carillon_contracts.envelope import Event

#: Events of a test session; the oldest are not kept past this.
KEPT = 20_000
RECORD_SECONDS = 10.0
POLL_SECONDS = 0.05


class Tap:
    """A tenant's events since `open`, in the order of arrival."""

    def __init__(self, system: System, tenant: str, connection: Client) -> None:
        self.system, self.tenant = system, tenant
        self.events: list[Event] = []
        self._connection = connection
        self._news = asyncio.Condition()

    @classmethod
    async def open(cls, system: System, tenant: str) -> Self:
        """Subscribe with the tenant's own user. Raises `CliError` when NATS cannot be reached."""
        found = system.entry(tenant).get("nats", {})
        connection = await connect(str(found.get("url", system.nats_url)), f"_INBOX.{tenant}" if found else "_INBOX")
        tap = cls(system, tenant, connection)
        await connection.subscribe(f"carillon.{tenant}.>", cb=tap._take)
        await connection.flush()
        return tap

    async def close(self) -> None:
        """Unsubscribe."""
        with suppress(NatsError):
            await self._connection.close()

    async def until(self, wanted: Callable[[Event], bool], seconds: float, what: str) -> Event:
        """The first event that fits, also one that came before. Raises `CliError` when none comes in time."""
        try:
            async with asyncio.timeout(seconds), self._news:
                while True:
                    if (found := next(filter(wanted, self.events), None)) is not None:
                        return found
                    await self._news.wait()
        except TimeoutError as error:
            raise CliError(f"{what} was not published within {seconds:g} s") from error

    async def call_id(self, sip_call_id: str, seconds: float = 5.0) -> str:
        """The call that a phone's INVITE became."""
        event = await self.until(
            lambda event: event.type == f"carillon.{CallStarted.TYPE}" and event.data.get("sip_call_id") == sip_call_id,
            seconds,
            "the start of the call",
        )
        return str(event.callid)

    async def ended(self, call_id: str, seconds: float = 15.0) -> None:
        """Wait for the call's last event."""
        await self.until(
            lambda event: event.callid == call_id and event.type == f"carillon.{CallEnded.TYPE}", seconds, f"the end of call {call_id}"
        )

    def of_call(self, call_id: str) -> list[Event]:
        """The call's events as far as they came, by seq."""
        return sorted((event for event in self.events if event.callid == call_id and event.seq), key=lambda event: event.seq or 0)

    async def _take(self, message: Msg) -> None:
        with suppress(ValidationError):
            event = Event.from_json(message.data)
            async with self._news:
                self.events.append(event)
                del self.events[:-KEPT]
                self._news.notify_all()


async def record(system: System, tenant: str, call_id: str, seconds: float = RECORD_SECONDS) -> cdr_pb2.Record:
    """The record of a call, as soon as it is there. Raises `CliError` when it is not in time."""
    until = monotonic() + seconds
    async with system.channel("cdr", tenant) as cdr:
        service = cdr_pb2_grpc.RecordServiceStub(cdr)
        while True:
            try:
                answer = await service.GetRecord(cdr_pb2.GetRecordRequest(call_id=call_id), timeout=RPC_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND or monotonic() > until:
                    raise CliError(f"no record of call {call_id} after {seconds:g} s: {error.details()}") from error
                await asyncio.sleep(POLL_SECONDS)
            else:
                return answer.record
