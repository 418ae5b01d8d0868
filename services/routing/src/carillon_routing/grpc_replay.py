"""`ReplayCall`: the decisions of a past call, made again."""

import json
from collections.abc import Sequence

from carillon.common.v1 import call_application_pb2 as common
from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.call import RoutingDecided
from carillon_contracts.envelope import Event
from carillon_contracts.erasure import ERASED
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.errors import FailedPrecondition, NotFound, Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.domain import made_of
from carillon_routing.domain.advance import BadOutcome
from carillon_routing.domain.comparison import PastCall, course, past_calls
from carillon_routing.domain.facts import Advance
from carillon_routing.domain.queue_steps import EnterQueue
from carillon_routing.domain.replay import FactMissing, Verdict, again, alike, verdict
from carillon_routing.grpc_api import decision_sums, described, step_message, trace_messages
from carillon_routing.grpc_compare import turn_message
from carillon_routing.grpc_explain import checked_call_id
from carillon_routing.projections.past import PastConfigurations

OWN = "routing"
_VERDICTS: dict[Verdict, pb.ReplayVerdict.ValueType] = {
    "equal": pb.REPLAY_VERDICT_EQUAL,
    "other_reasons": pb.REPLAY_VERDICT_OTHER_REASONS,
    "different": pb.REPLAY_VERDICT_DIFFERENT,
}
_OLD = "what it was made of was not kept, by a version of the software before"
_OTHERWISE = (pb.REPLAY_VERDICT_OTHER_REASONS, pb.REPLAY_VERDICT_DIFFERENT)


class Replays:
    """Reads past calls and past configurations; changes nothing."""

    def __init__(self, calls: PastCalls, past: PastConfigurations) -> None:
        self._calls = calls
        self._past = past

    async def replay(self, request: pb.ReplayCallRequest, drafted: TenantConfig | None = None) -> pb.ReplayCallResponse:
        """See routing.proto. `drafted`: the configuration with the draft that the request names."""
        call_id = checked_call_id(request.call_id)
        tenant = current_tenant()
        decisions = await self._calls.decisions(tenant, call_id)
        found = [await self.decision(tenant, event, decision) for event, decision in decisions]
        told = [each.verdict for each in found if each.verdict != pb.REPLAY_VERDICT_NOT_REPEATABLE]
        others = []
        if request.WhichOneof("other"):
            other = drafted or await self._version(tenant, request.config_seq)
            if other is None:
                raise NotFound(f"version {request.config_seq} of the configuration")
            others = await self._elsewhere(tenant, call_id, decisions, other)
        return pb.ReplayCallResponse(decisions=found, equal=bool(told) and set(told) == {pb.REPLAY_VERDICT_EQUAL}, others=others)

    async def _elsewhere(
        self, tenant: str, call_id: str, decisions: Sequence[tuple[Event, RoutingDecided]], other: TenantConfig
    ) -> list[pb.OtherCourse]:
        try:
            calls = past_calls(tenant, call_id, [event.data for event, _ in decisions])
        except made_of.BadRecord as error:
            raise FailedPrecondition([("RECORD", f"calls/{call_id}", str(error))]) from error
        if not calls:
            raise FailedPrecondition([("RECORD", f"calls/{call_id}", "what its decisions were made of was not kept")])
        return [await self._both(tenant, call, other) for call in calls]

    async def _both(self, tenant: str, call: PastCall, other: TenantConfig) -> pb.OtherCourse:
        seq = call.first.config_seq
        then = await self._version(tenant, seq)
        if then is None:
            raise FailedPrecondition([("VERSION", f"config_seq/{seq}", "there is no such version of the configuration")])
        was, would = call.followed(then), call.followed(other)
        return pb.OtherCourse(
            config_seq_then=seq,
            config_seq_other=other.seq,
            elsewhere=course(was) != course(would),
            then=course(was),
            other=course(would),
            turns_then=map(turn_message, was),
            turns_other=map(turn_message, would),
        )

    async def _version(self, tenant: str, seq: int) -> TenantConfig | None:
        try:
            return await self._past.at(tenant, seq)
        except TimeoutError as error:
            raise Unavailable(f"version {seq} of the configuration could not be read in time") from error

    async def decision(self, tenant: str, event: Event, then: RoutingDecided) -> pb.ReplayedDecision:
        """One decision of a past call, made again."""
        told = pb.ReplayedDecision(
            seq=event.seq or 0,
            application=then.application,
            config_seq=event.configseq or 0,
            step_then=then.step,
            details_then=json.dumps(then.details),
            trace_then=[common.TraceEntry(subject=x.subject, matched=x.matched, reason=x.reason, next=x.next) for x in then.trace],
            verdict=pb.REPLAY_VERDICT_NOT_REPEATABLE,
        )
        if then.application != OWN:
            told.remark = f"{then.application} decided it"
        elif then.inputs is None:
            told.remark = "nothing was decided: the call waited for a web address" if then.step == "wait" else _OLD
        else:
            try:
                await self._again(tenant, event, then, told)
            except (made_of.BadRecord, FactMissing, BadOutcome) as error:
                told.verdict, told.remark = pb.REPLAY_VERDICT_DIFFERENT, f"it cannot be made again: {error or type(error).__name__}"
        if told.verdict in _OTHERWISE and _names_erased(event):
            told.verdict, told.remark = pb.REPLAY_VERDICT_NOT_REPEATABLE, "it names somebody who was erased since, and reads otherwise"
        return told

    async def _again(self, tenant: str, event: Event, then: RoutingDecided, told: pb.ReplayedDecision) -> None:
        made = made_of.decode(then.inputs or {}, tenant, event.callid or "")
        told.config_seq = made.config_seq
        config = await self._version(tenant, made.config_seq)
        if config is None:
            told.remark = f"there is no version {made.config_seq} of the configuration"
            return
        now = again(config, made)
        found = verdict(made.sums, decision_sums(now))
        if found != "equal" and _names_erased(event) and alike(then, *described(now.step), now.trace):
            found, told.remark = "equal", "as it reads: it names somebody who was erased since"
        told.verdict = _VERDICTS[found]
        if found != "equal":
            _tell(told, now)


def _names_erased(event: Event) -> bool:
    """Other words stand in it than those that its sums are of."""
    return bool(event.erased) or ERASED in json.dumps(event.data)


def _tell(told: pb.ReplayedDecision, now: Advance) -> None:
    if not isinstance(now.step, EnterQueue):
        told.step_now.CopyFrom(step_message(now.step))
    told.trace_now.extend(trace_messages(now.trace))
