"""`ReplayCall`: the decisions of a past call, made again."""

import json

from carillon.common.v1 import call_application_pb2 as common
from carillon.routing.v1 import routing_pb2 as pb
from carillon_contracts.call import RoutingDecided
from carillon_contracts.envelope import Event
from carillon_kit.errors import Unavailable
from carillon_kit.grpc_server import current_tenant
from carillon_routing.adapters.past_calls import PastCalls
from carillon_routing.domain import made_of
from carillon_routing.domain.advance import BadOutcome
from carillon_routing.domain.facts import Advance
from carillon_routing.domain.queue_steps import EnterQueue
from carillon_routing.domain.replay import FactMissing, Verdict, again, verdict
from carillon_routing.grpc_api import decision_sums, step_message, trace_messages
from carillon_routing.grpc_explain import checked_call_id
from carillon_routing.projections.past import PastConfigurations

OWN = "routing"
_VERDICTS: dict[Verdict, pb.ReplayVerdict.ValueType] = {
    "equal": pb.REPLAY_VERDICT_EQUAL,
    "other_reasons": pb.REPLAY_VERDICT_OTHER_REASONS,
    "different": pb.REPLAY_VERDICT_DIFFERENT,
}


class Replays:
    """Reads past calls and past configurations; changes nothing."""

    def __init__(self, calls: PastCalls, past: PastConfigurations) -> None:
        self._calls = calls
        self._past = past

    async def replay(self, request: pb.ReplayCallRequest) -> pb.ReplayCallResponse:
        """See routing.proto."""
        call_id = checked_call_id(request.call_id)
        tenant = current_tenant()
        found = [await self._one(tenant, event, decision) for event, decision in await self._calls.decisions(tenant, call_id)]
        told = [each.verdict for each in found if each.verdict != pb.REPLAY_VERDICT_NOT_REPEATABLE]
        return pb.ReplayCallResponse(decisions=found, equal=bool(told) and set(told) == {pb.REPLAY_VERDICT_EQUAL})

    async def _one(self, tenant: str, event: Event, then: RoutingDecided) -> pb.ReplayedDecision:
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
            told.remark = "what it was made of was not kept: a queue's state, a secret, or a version of the software before"
        else:
            try:
                await self._again(tenant, event, then, told)
            except (made_of.BadRecord, FactMissing, BadOutcome) as error:
                told.verdict, told.remark = pb.REPLAY_VERDICT_DIFFERENT, f"it cannot be made again: {error or type(error).__name__}"
        return told

    async def _again(self, tenant: str, event: Event, then: RoutingDecided, told: pb.ReplayedDecision) -> None:
        made = made_of.decode(then.inputs or {}, tenant, event.callid or "")
        told.config_seq = made.config_seq
        try:
            config = await self._past.at(tenant, made.config_seq)
        except TimeoutError as error:
            raise Unavailable(f"version {made.config_seq} of the configuration could not be read in time") from error
        if config is None:
            told.remark = f"there is no version {made.config_seq} of the configuration"
            return
        now = again(config, made)
        found = verdict(made.sums, decision_sums(now))
        told.verdict = _VERDICTS[found]
        if found != "equal":
            _tell(told, now)


def _tell(told: pb.ReplayedDecision, now: Advance) -> None:
    if not isinstance(now.step, EnterQueue):
        told.step_now.CopyFrom(step_message(now.step))
    told.trace_now.extend(trace_messages(now.trace))
