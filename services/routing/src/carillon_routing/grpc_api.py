"""`CallApplication.Next` of routing: proto to facts, `advance`, step to proto.

Always: what a client can send that makes no sense is INVALID_ARGUMENT with the field; the cursor's configuration version decides as long as
it is kept.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict

from carillon.common.v1 import call_application_pb2 as pb
from carillon.common.v1.call_application_pb2_grpc import CallApplicationServicer, add_CallApplicationServicer_to_server
from carillon_contracts.config import Tenant
from carillon_contracts.hops import HOPS
from carillon_contracts.tenant_config import TenantConfig
from carillon_kit.auth import OPERATOR, SERVICE
from carillon_kit.clock import Clock
from carillon_kit.errors import InvalidArgument, NotFound
from carillon_kit.grpc_server import GrpcServer, current_tenant
from carillon_routing.domain import cursor as cursors
from carillon_routing.domain import facts, made_of, pending
from carillon_routing.domain.advance import BadOutcome
from carillon_routing.domain.causes import cause_of
from carillon_routing.domain.feature_steps import (
    FeatureStep,
    NothingTaken,
    Page,
    PageOver,
    Park,
    ParkOver,
    PickUp,
    Supervise,
    SuperviseMode,
    SuperviseOver,
)
from carillon_routing.domain.pending import Pending
from carillon_routing.domain.queue_steps import EnterQueue, QueuePlace, Waited
from carillon_routing.domain.replay import sums
from carillon_routing.handlers.deciding import Decided, Decider
from carillon_routing.handlers.queue_calls import AWAIT_SECONDS, QueueCalls
from carillon_routing.handlers.slow_answers import SlowAnswers
from carillon_routing.ports import FactFinder
from carillon_routing.projections.configuration import Configuration

SERVICE_NAME = "carillon.common.v1.CallApplication"
_DIGITS = re.compile(r"[0-9A-D*#]{0,64}")
#: A caller who is refused hears music no longer than that.
BUSY_MUSIC_MS = 15_000
#: What a number of a call's place begins with at most, which the database keeps in 32 bits.
MOST_VISITS = 1 << 30
_RESULTS: dict[int, facts.RingResult] = {
    pb.RING_RESULT_ANSWERED: "answered",
    pb.RING_RESULT_NO_ANSWER: "no_answer",
    pb.RING_RESULT_BUSY: "busy",
    pb.RING_RESULT_UNREACHABLE: "unreachable",
    pb.RING_RESULT_CONGESTED: "congested",
    pb.RING_RESULT_REJECTED: "rejected",
}
_MODES: dict[SuperviseMode, "pb.SuperviseMode.ValueType"] = {
    "listen": pb.SUPERVISE_MODE_LISTEN,
    "whisper": pb.SUPERVISE_MODE_WHISPER,
    "barge": pb.SUPERVISE_MODE_BARGE,
}
_DIRECTIONS: dict[int, facts.Direction] = {pb.DIRECTION_INBOUND: "inbound", pb.DIRECTION_FROM_USER: "from_user"}


def add_services(
    server: GrpcServer, configuration: Configuration, clock: Clock, queues: QueueCalls, finder: FactFinder, slow: SlowAnswers
) -> None:
    """Register all of routing's services."""
    rights = {"Next": frozenset({SERVICE, OPERATOR}), "Await": frozenset({SERVICE, OPERATOR})}
    add = add_CallApplicationServicer_to_server
    server.add(add, RoutingApplication(configuration, clock, queues, finder, slow), SERVICE_NAME, rights)


class RoutingApplication(CallApplicationServicer):
    """Routing as a call application; it keeps no call."""

    def __init__(self, configuration: Configuration, clock: Clock, queues: QueueCalls, finder: FactFinder, slow: SlowAnswers) -> None:
        self._configuration = configuration
        self._clock = clock
        self._queues = queues
        self._slow = slow
        self._decider = Decider(clock, queues, finder, slow)

    async def Next(self, request: pb.NextRequest, context: object) -> pb.NextResponse:
        """See call_application.proto."""
        call = _call(request.call)
        outcome = _outcome(request.outcome)
        if isinstance(outcome, facts.Entered):
            outcome, cursor = _sent_on(outcome, request.cursor, self._clock.now()), None
        else:
            cursor = _cursor(request.cursor, call)
        config = self._config(call, cursor)
        try:
            decided = await self._decider.decide(config, call, cursor, outcome)
        except BadOutcome as error:
            raise InvalidArgument({"outcome": str(error)}) from error
        step = step_message(decided.step)
        return pb.NextResponse(
            step=step,
            cursor=decided.cursor,
            trace=trace_messages(decided.trace),
            config_seq=decided.config_seq,
            inputs=_kept(decided, step),
            queues=[_place(place) for place in decided.queues],
        )

    async def Await(self, request: pb.AwaitRequest, context: object) -> pb.AwaitResponse:
        """See call_application.proto."""
        call = _call(request.call)
        cursor = _cursor(request.cursor, call)
        if isinstance(cursor, Pending):
            left = max(0, cursor.until - self._slow.now()) / 1000
            return pb.AwaitResponse(signalled=await self._slow.came(call, cursor.asked, min(left, AWAIT_SECONDS)) or left <= AWAIT_SECONDS)
        if cursor is None or not isinstance(cursor.wait, cursors.QueueWait):
            raise InvalidArgument({"cursor": "is not of a wait step"})
        return pb.AwaitResponse(signalled=await self._queues.signalled(call, cursor.wait))

    def _config(self, call: facts.CallFacts, cursor: cursors.Cursor | Pending | None) -> TenantConfig:
        if cursor is None:
            config = self._configuration.current(call.tenant_id)
        else:
            config = self._configuration.at(call.tenant_id, cursor.config_seq)
        if config is None or config.get(Tenant, call.tenant_id) is None:
            raise NotFound(f"tenant/{call.tenant_id}")
        return config


def _place(place: QueuePlace) -> pb.QueuePlace:
    message = pb.QueuePlace(queue_id=place.queue_id, position=place.position, priority=place.priority, left=place.left)
    if place.joined_at:
        message.joined_at.FromMilliseconds(round(place.joined_at * 1000))
    return message


def _kept(decided: Decided, step: pb.Step) -> bytes:
    """What the decision was made of; nothing of one that waits for a web address."""
    if decided.made_of is None or decided.decision is None:
        return b""
    return made_of.encode(replace(decided.made_of, sums=decision_sums(decided.decision, step)))


def decision_sums(own: facts.Advance, step: pb.Step | None = None) -> tuple[str, str, str]:
    """See `replay.sums`; `step`: the message of the decision's step, if it is at hand. What a queue said is not known of old decisions."""
    if isinstance(own.step, EnterQueue):
        return sums(b"queue", own)
    return sums((step or step_message(own.step)).SerializeToString(deterministic=True), own)


def _call(call: pb.CallFacts) -> facts.CallFacts:
    tenant = current_tenant()
    direction = _DIRECTIONS.get(call.direction)
    violations = {}
    if call.tenant_id != tenant:
        violations["call.tenant_id"] = f"is not {tenant}, for which the question is asked"
    if direction is None:
        violations["call.direction"] = "must be inbound or from_user"
    if len(call.dialled) > 128:
        violations["call.dialled"] = "must be at most 128 characters"
    if violations or direction is None:
        raise InvalidArgument(violations)
    return facts.CallFacts(
        tenant_id=tenant,
        call_id=call.call_id,
        direction=direction,
        dialled=call.dialled,
        caller_number=call.caller_number,
        caller_name=call.caller_name,
        caller_user_id=call.caller_user_id,
        trunk_id=call.trunk_id,
        sip_credential_id=call.caller_sip_credential_id,
        hops_spent=max(0, min(HOPS, call.hops_spent)),
    )


def _cursor(raw: bytes, call: facts.CallFacts) -> cursors.Cursor | Pending | None:
    if not raw:
        return None
    try:
        return pending.decode(raw, call.tenant_id, call.call_id) or cursors.decode(raw)
    except cursors.BadCursor as error:
        raise InvalidArgument({"cursor": str(error)}) from error


def _sent_on(entered: facts.Entered, raw: bytes, now: datetime) -> facts.Entered:
    """With what the call holds and where it waits when it is sent on; nothing of a cursor that routing does not know any more.

    Who is sent on without one (another application had the call, or the last way led nowhere) may have had places before: seconds are
    more than those were, so that none which was given back is thought to be asked for again."""
    try:
        stood = cursors.decode(raw) if raw else None
    except cursors.BadCursor:
        stood = None
    if stood is None:
        return replace(entered, visits=int(now.timestamp()) % MOST_VISITS) if entered.arguments else entered
    queue_id = stood.wait.queue_id if isinstance(stood.wait, cursors.QueueWait) else ""
    return replace(entered, places=stood.places, visits=stood.visits, queue_id=queue_id)


def _outcome(outcome: pb.Outcome) -> facts.Outcome | Waited:
    match outcome.WhichOneof("kind"):
        case "entered":
            return facts.Entered(dict(outcome.entered.arguments))
        case "ring":
            return facts.Rang(
                _result(outcome.ring.result, "outcome.ring.result"),
                {target.target_id: _result(target.result, "outcome.ring.targets.result") for target in outcome.ring.targets},
                cause_of(outcome.ring.targets[0].sip_status) if len(outcome.ring.targets) == 1 else 0,
            )
        case "gave_up":
            return facts.GaveUp()
        case "play":
            return facts.Played()
        case "gather":
            if _DIGITS.fullmatch(outcome.gather.digits) is None:
                raise InvalidArgument({"outcome.gather.digits": "must be at most 64 of 0-9, A-D, * and #"})
            return facts.Gathered(outcome.gather.digits, outcome.gather.timed_out)
        case "record":
            return facts.Recorded()
        case "park":
            timed_out = outcome.park.result == pb.PARK_RESULT_TIMED_OUT
            return ParkOver("timed_out" if timed_out else "no_slot", outcome.park.slot[:8])
        case "pick_up":
            return NothingTaken()
        case "supervise":
            return SuperviseOver(outcome.supervise.took_part)
        case "page":
            return PageOver(outcome.page.reached)
        case "wait":
            return Waited(outcome.wait.digit[:1] if outcome.wait.end == pb.WAIT_END_DIGIT else "")
        case _:
            raise InvalidArgument({"outcome": "must be one of those of call_application.proto"})


def _result(result: int, field: str) -> facts.RingResult:
    found = _RESULTS.get(result)
    if found is None:
        raise InvalidArgument({field: f"{result} is no result"})
    return found


def step_message(step: facts.Step) -> pb.Step:
    """The contract's step."""
    match step:
        case facts.Ring():
            return pb.Step(
                ring=pb.Ring(
                    targets=[_target(target) for target in step.targets],
                    caller_number=step.caller_number,
                    caller_name=step.caller_name,
                    ask_after_answer=step.ask_after_answer,
                    auto_answer=step.auto_answer,
                    music=step.music,
                    music_id=step.music_id,
                    recording=_recording(step.recording) if step.recording is not None else None,
                    ask_after_giving_up=step.ask_after_giving_up,
                    account_code=step.account_code,
                    ringback_music_id=step.ringback_music_id,
                    hold_reminder=_reminder(step.reminder) if step.reminder is not None else None,
                )
            )
        case facts.Play():
            return pb.Step(play=pb.Play(prompts=_prompts(step.phrases)))
        case facts.Gather():
            return pb.Step(
                gather=pb.Gather(
                    prompts=_prompts(step.phrases),
                    max_digits=step.max_digits,
                    finish_digits=step.finish_digits,
                    first_digit_timeout_ms=step.first_digit_timeout_ms,
                    inter_digit_timeout_ms=step.inter_digit_timeout_ms,
                    secret=step.secret,
                )
            )
        case facts.Delegate():
            return pb.Step(delegate=pb.Delegate(application=step.application, arguments=step.arguments))
        case facts.HangUp():
            music = [pb.Prompt(music=pb.Music(playlist_id=step.music_id, max_ms=BUSY_MUSIC_MS))] if step.music_id else []
            return pb.Step(hang_up=pb.HangUp(cause=step.cause, sip_status=step.sip_status, reason=step.reason, prompts=music))
        case facts.Wait():
            wait = pb.Wait(
                prompts=_prompts(step.phrases),
                leave_digits=step.leave_digits,
                max_ms=step.max_ms,
                signalled=step.signalled,
                quiet=step.quiet,
                music_id=step.music_id,
            )
            return pb.Step(wait=wait)
        case EnterQueue():
            raise AssertionError("a queue has said nothing")
        case Park() | PickUp() | Supervise() | Page():
            return _feature_step(step)


def _feature_step(step: FeatureStep) -> pb.Step:
    match step:
        case Park():
            park = pb.Park(
                slots=step.slots,
                timeout_ms=step.timeout_ms,
                announcement=_prompts(step.announcement),
                page_user_ids=step.page_user_ids,
                page_prompts=_prompts(step.page_phrases),
            )
            return pb.Step(park=park)
        case PickUp(user_ids, slot):
            return pb.Step(pick_up=pb.PickUp(slot=slot) if slot else pb.PickUp(ringing=pb.RingingAt(user_ids=user_ids)))
        case Supervise(user_id, mode, allowed):
            supervise = pb.Supervise(user_id=user_id, mode=_MODES[mode], allowed=[_MODES[each] for each in allowed])
            return pb.Step(supervise=supervise)
        case Page():
            page = pb.Page(
                user_ids=step.user_ids,
                caller_number=step.caller_number,
                caller_name=step.caller_name,
                answer_within_ms=step.answer_within_ms,
            )
            return pb.Step(page=page)


def described(step: facts.Step) -> tuple[str, dict[str, Any]]:
    """Kind and fields of the contract's step, as the contract's JSON; of a queue, which tells the rest, `queue` and none."""
    if isinstance(step, EnterQueue):
        return "queue", {}
    message = step_message(step)
    kind = message.WhichOneof("kind") or ""
    return kind, MessageToDict(getattr(message, kind), preserving_proto_field_name=True)


def _target(target: facts.RingTarget) -> pb.RingTarget:
    rung = pb.RingTarget(target_id=target.target_id, start_after_ms=target.start_ms, stop_after_ms=target.stop_ms)
    if isinstance(target, facts.UserTarget):
        rung.user_id = target.user_id
    else:
        rung.trunk.trunk_id, rung.trunk.number = target.trunk_id, target.number
        rung.trunk.further_trunk_ids.extend(target.further)
        if target.caller is not None:
            rung.caller.number, rung.caller.name = target.caller
    return rung


def _prompts(phrases: Iterable[facts.Phrase]) -> list[pb.Prompt]:
    return [_prompt(phrase) for phrase in phrases]


def _reminder(reminder: facts.HoldReminder) -> pb.HoldReminder:
    return pb.HoldReminder(every_ms=reminder.every_ms, prompts=_prompts(reminder.phrases))


_ONLY: Mapping[str, pb.RecordedSide.ValueType] = {
    "both": pb.RECORDED_SIDE_UNSPECIFIED,
    "caller": pb.RECORDED_SIDE_CALLER,
    "called": pb.RECORDED_SIDE_CALLED,
}


def _recording(recording: facts.Recording) -> pb.Recording:
    return pb.Recording(
        on_demand=recording.on_demand,
        announcement=_prompts(recording.announcement),
        tone=recording.tone,
        stereo=recording.stereo,
        only=_ONLY[recording.sides],
        retention_days=recording.retention_days,
        key=recording.key,
        labels={"recording_policy_id": recording.policy_id},
        never=recording.never,
        from_tenant=recording.from_tenant,
    )


def _prompt(phrase: facts.Phrase) -> pb.Prompt:
    if phrase.audio_id:
        return pb.Prompt(audio=pb.AudioFile(audio_id=phrase.audio_id, text=phrase.text, language=phrase.language))
    return pb.Prompt(speech=pb.Speech(text=phrase.text, language=phrase.language))


def trace_messages(lines: Iterable[facts.TraceLine]) -> list[pb.TraceEntry]:
    """The contract's trace."""
    return [pb.TraceEntry(subject=line.subject, matched=line.matched, reason=line.reason, next=line.next) for line in lines]
