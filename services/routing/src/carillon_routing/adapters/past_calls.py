"""Past calls, as cdr keeps them."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError

from carillon.cdr.v1 import cdr_pb2
from carillon_contracts.call import RoutingDecided
from carillon_contracts.envelope import Event
from carillon_kit.errors import NotFound, Unavailable

_SECONDS = 10.0
#: Reading a million calls while they are followed.
STREAM_SECONDS = 1800.0
Metadata = Callable[[str], tuple[tuple[str, str], ...]]


class PastCalls:
    """`records` is a stub of RecordService; None: cdr is not reached from here. `metadata`: of a question for a tenant."""

    def __init__(self, records: Any | None, metadata: Metadata) -> None:
        self._records = records
        self._metadata = metadata

    async def events(self, tenant: str, call_id: str) -> list[Event]:
        """Every event of a call, in order. Raises `NotFound` and `Unavailable`."""
        if self._records is None:
            raise Unavailable("past calls cannot be read: cdr's address is not set")
        try:
            request = cdr_pb2.ListCallEventsRequest(call_id=call_id)
            answer = await self._records.ListCallEvents(request, timeout=_SECONDS, metadata=self._metadata(tenant))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise NotFound(f"calls/{call_id}") from error
            raise Unavailable(f"past calls cannot be read: cdr says {error.code().name}") from error
        try:
            return [Event.from_json(raw) for raw in answer.events]
        except ValidationError as error:
            raise Unavailable(f"an event of call {call_id} cannot be read") from error

    async def decisions(self, tenant: str, call_id: str) -> list[tuple[Event, RoutingDecided]]:
        """Every decision of a call, in order, with its event. Raises `NotFound` and `Unavailable`."""
        found = [event for event in await self.events(tenant, call_id) if event.type == f"carillon.{RoutingDecided.TYPE}"]
        try:
            return [(event, RoutingDecided.model_validate(event.data)) for event in found]
        except ValidationError as error:
            raise Unavailable(f"an event of call {call_id} cannot be read") from error

    async def stream(
        self, tenant: str, after: Timestamp | None, before: Timestamp | None, most: int
    ) -> AsyncGenerator[tuple[int, list[tuple[str, list[bytes]]]], None]:
        """How many calls there will be, and the next ones: id and the event of each decision. Raises `Unavailable`."""
        if self._records is None:
            raise Unavailable("past calls cannot be read: cdr's address is not set")
        request = cdr_pb2.StreamDecisionsRequest(after=after, before=before, max_calls=most)
        try:
            async for page in self._records.StreamDecisions(request, timeout=STREAM_SECONDS, metadata=self._metadata(tenant)):
                yield page.total, [(call.call_id, list(call.events)) for call in page.calls]
        except grpc.aio.AioRpcError as error:
            raise Unavailable(f"past calls cannot be read: cdr says {error.code().name}") from error
