"""`ExplainService`: calls in words.

Always: reading the sentences' files, and telling a whole call, is done beside the loop that answers media.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from carillon.common.v1 import call_application_pb2 as common
from carillon.routing.v1 import explain_pb2 as pb
from carillon.routing.v1.explain_pb2_grpc import ExplainServiceServicer
from carillon_contracts.call import TraceLine
from carillon_contracts.languages import LANGUAGES, told_in
from carillon_contracts.streams import CALLS
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import ADMIN, OPERATOR
from carillon_kit.bus import Bus
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.adapters.sentences import library
from carillon_routing.domain import explain
from carillon_routing.domain.facts import Advance
from carillon_routing.domain.sentences import Teller
from carillon_routing.domain.watching import Watching
from carillon_routing.grpc_api import described
from carillon_routing.projections.configuration import Configuration, config_of

SERVICE_NAME = "carillon.routing.v1.ExplainService"
RIGHTS = dict.fromkeys(("ExplainCall", "WatchNumbers"), frozenset({str(OPERATOR), str(ADMIN)}))
MOST_NUMBERS, MOST_SECONDS, USUAL_SECONDS = 20, 3600, 600
#: Each reads every call event of its tenant.
MOST_WATCHERS = 5
LISTENS_SECONDS = 10.0


class Explanations(ExplainServiceServicer):
    """Reads past calls, and the names that people and things have now; changes nothing."""

    def __init__(self, configuration: Configuration, calls: PastCalls, bus: Bus, clock: Clock) -> None:
        self._configuration = configuration
        self._calls = calls
        self._bus = bus
        self._clock = clock
        self._watchers = 0

    async def ExplainCall(self, request: pb.ExplainCallRequest, context: object) -> pb.ExplainCallResponse:
        """See explain.proto."""
        call_id = checked_call_id(request.call_id)
        config = config_of(self._configuration, current_tenant())
        teller = await asyncio.to_thread(teller_for, config, request.language)
        events = await self._calls.events(config.tenant_id, call_id)
        try:
            found = await asyncio.to_thread(explain.parts, teller, events)
        except ValidationError as error:
            raise Unavailable(f"an event of call {call_id} cannot be read") from error
        return pb.ExplainCallResponse(
            call_id=call_id,
            language=teller.language,
            parts=map(_part, found),
            text="\n".join(explain.lines(teller, call_id, found)),
        )

    async def WatchNumbers(self, request: pb.WatchNumbersRequest, context: object) -> AsyncIterator[pb.WatchNumbersResponse]:
        """See explain.proto."""
        seconds = request.seconds or USUAL_SECONDS
        wrong = {} if 1 <= len(request.numbers) <= MOST_NUMBERS else {"numbers": f"1 to {MOST_NUMBERS}"}
        wrong |= {f"numbers[{i}]": "must be 1 to 64 characters" for i, each in enumerate(request.numbers) if not 1 <= len(each) <= 64}
        wrong |= {} if 1 <= seconds <= MOST_SECONDS else {"seconds": f"must be 1 to {MOST_SECONDS}"}
        if wrong:
            raise InvalidArgument(wrong)
        config = config_of(self._configuration, current_tenant())
        watching = Watching(config, request.numbers, await asyncio.to_thread(teller_for, config, request.language))
        if self._watchers >= MOST_WATCHERS:
            raise Unavailable(f"{MOST_WATCHERS} watch already")
        self._watchers += 1
        try:
            async for answer in self._watched(config.tenant_id, watching, seconds):
                yield answer
        finally:
            self._watchers -= 1

    async def _watched(self, tenant: str, watching: Watching, seconds: int) -> AsyncIterator[pb.WatchNumbersResponse]:
        follower = self._bus.follow(CALLS.name, f"carillon.{tenant}.call.>", new=True)
        messages = aiter(follower)
        coming = asyncio.ensure_future(anext(messages))
        ends = self._clock.monotonic() + seconds
        try:
            await follower.caught_up(LISTENS_SECONDS)
            first = pb.WatchNumbersResponse()
            first.until.FromDatetime(self._clock.now() + timedelta(seconds=seconds))
            yield first
            while (left := ends - self._clock.monotonic()) > 0:
                if not (await asyncio.wait([coming], timeout=left))[0]:
                    return
                message = coming.result()
                coming = asyncio.ensure_future(anext(messages))
                if watching.wants(message.subject) and (part := watching.part(message.data)) is not None:
                    yield _watched_message(watching, message.subject.split(".")[3], part)
        except TimeoutError as error:
            raise Unavailable("the calls' events cannot be had now") from error
        except StopAsyncIteration:
            return
        finally:
            coming.cancel()
            await follower.close()


def checked_call_id(call_id: str) -> str:
    """Raises `InvalidArgument`."""
    if not 0 < len(call_id) <= 256 or not call_id.isprintable():
        raise InvalidArgument({"call_id": "must be 1 to 256 printable characters"})
    return call_id


def teller_for(config: TenantConfig, wanted: str) -> Teller:
    """In the language that is wanted; empty: in the tenant's. Raises `InvalidArgument`."""
    language = told_in(wanted, config.tenant.language)
    if language is None:
        raise InvalidArgument({"language": f"must be one of {', '.join(LANGUAGES)}"})

    def names(kind: str, name: str) -> str:
        found: Any = config.resources.get(kind, {}).get(name)
        return str(getattr(found, "full_name", "") or getattr(found, "display_name", ""))

    return Teller(library(), language, names)


def explained(teller: Teller, turn: Advance) -> pb.ExplainedDecision:
    """A decision of a call that is not made."""
    trace = (TraceLine(subject=line.subject, matched=line.matched, reason=line.reason, next=line.next) for line in turn.trace)
    return decision_message(explain.told(teller, trace, *described(turn.step)))


def decision_message(told: explain.Told) -> pb.ExplainedDecision:
    """The contract's."""
    return pb.ExplainedDecision(conditions=_conditions(told.conditions), step=told.step, step_sentence=told.step_sentence)


def _conditions(conditions: Iterable[explain.Condition]) -> list[pb.ExplainedCondition]:
    return [
        pb.ExplainedCondition(
            matched=each.matched,
            sentence=each.sentence,
            subject=each.subject,
            reason=each.reason,
            way=each.way,
            kind=each.kind,
            subject_kind=each.subject_kind,
            values=each.values,
            trace=common.TraceEntry(subject=each.line.subject, matched=each.line.matched, reason=each.line.reason, next=each.line.next),
        )
        for each in conditions
    ]


def _watched_message(watching: Watching, call_id: str, part: explain.Part) -> pb.WatchNumbersResponse:
    lines = explain.part_lines(watching.teller, part)
    return pb.WatchNumbersResponse(call_id=call_id, part=_part(part), text="\n".join(lines), left_out=watching.left_out)


def _part(part: explain.Part) -> pb.ExplainedPart:
    message = pb.ExplainedPart(
        seq=part.seq,
        kind=part.kind,
        sentence=part.sentence,
        values=part.values,
        application=part.application,
        config_seq=part.config_seq,
        decision=decision_message(part.decision) if part.decision is not None else None,
    )
    message.at.FromDatetime(part.at)
    return message
