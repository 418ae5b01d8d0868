"""Applications by gRPC: our words to the contract's and back, with a deadline, one retry, and checks on what they answer.

Invariant: `ask` returns a step that media can carry out, or raises `NoDecision`, within two deadlines.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio
import orjson
from google.protobuf.json_format import MessageToDict

from carillon.common.v1 import call_application_pb2 as pb
from carillon_contracts.call import TraceLine
from carillon_media.domain.causes import RingResult
from carillon_media.domain.describe import describe
from carillon_media.domain.facts import CallFacts
from carillon_media.domain.steps import (
    AudioFile,
    Beep,
    Conference,
    ConferenceOutcome,
    ConferenceResult,
    Delegate,
    Entered,
    Gather,
    GatherOutcome,
    GaveUpOutcome,
    HangUp,
    HoldReminder,
    Music,
    Outcome,
    Page,
    PageOutcome,
    Park,
    ParkOutcome,
    PickUp,
    PickUpOutcome,
    Play,
    PlayOutcome,
    Prompt,
    Record,
    Recorded,
    RecordingPlan,
    RecordOutcome,
    Ring,
    RingOutcome,
    RingTarget,
    Silence,
    Speech,
    Spoken,
    Step,
    Supervise,
    SuperviseMode,
    SuperviseOutcome,
    TalkSide,
    TrunkTarget,
    Wait,
    WaitOutcome,
)
from carillon_media.ports import Answer, Applications, NoDecision

DEADLINE = 0.3
TRIES = 2
#: Phones do not ring without a pause.
MIN_REMINDER_MS = 10_000
MAX_TARGETS = 100
#: Trunks that are tried after the first one of a target.
MAX_FURTHER_TRUNKS = 9
MAX_PROMPTS = 50
MAX_RECORDING_MS = 2 * 3_600_000
MAX_KEY, MAX_LABELS = 8, 16
MAX_CURSOR = 64 * 1024
MAX_TRACE = 200
#: Queues that one decision may lead through.
MAX_QUEUES = 20
MAX_SLOTS, MAX_USERS, MAX_PAGED = 100, 1000, 200
MIN_PARK_MS, MAX_PARK_MS = 5000, 12 * 3_600_000
MAX_PAGE_RING_MS = 30_000
#: Seconds that an application may keep us waiting for the end of a wait: a bit more than it says it does.
AWAIT_DEADLINE = 8.0
MAX_WAIT_MS = 3_600_000
MAX_INPUTS = 64 * 1024
#: What a replica says that is killed, starts or is overrun; another answer would be given again.
_NOT_THERE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_OBJECT = re.compile(r"sha256-[0-9a-f]{64}")


class _Stub(Protocol):
    def Next(
        self, request: pb.NextRequest, *, timeout: float, metadata: Sequence[tuple[str, str]]
    ) -> "grpc.aio.UnaryUnaryCall[pb.NextRequest, pb.NextResponse]": ...
    def Await(
        self, request: pb.AwaitRequest, *, timeout: float, metadata: Sequence[tuple[str, str]]
    ) -> "grpc.aio.UnaryUnaryCall[pb.AwaitRequest, pb.AwaitResponse]": ...


class GrpcApplications:
    """`ports.Applications` on one stub for each application that is configured."""

    def __init__(self, stubs: Mapping[str, _Stub], deadline: float = DEADLINE) -> None:
        self._stubs = stubs
        self._deadline = deadline

    async def ask(self, application: str, facts: CallFacts, cursor: bytes, outcome: Outcome) -> Answer:
        """Ask, once more if there is no answer; raises NoDecision."""
        stub = self._stubs.get(application)
        if stub is None:
            raise NoDecision(f"no application {application!r} is configured")
        request = pb.NextRequest(call=call_facts(facts), cursor=cursor, outcome=outcome_message(outcome))
        metadata = (("carillon-tenant", facts.tenant),)
        reason, passing = "", False
        for _ in range(TRIES):
            try:
                response = await stub.Next(request, timeout=self._deadline, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                reason, passing = f"{error.code().name}: {error.details()}", error.code() in _NOT_THERE
                continue
            return answer_of(response)
        raise NoDecision(reason, passing=passing)

    async def signalled(self, application: str, facts: CallFacts, cursor: bytes) -> bool:
        """Ask once whether the wait is to end; raises NoDecision."""
        stub = self._stubs.get(application)
        if stub is None:
            raise NoDecision(f"no application {application!r} is configured")
        request = pb.AwaitRequest(call=call_facts(facts), cursor=cursor)
        try:
            response = await stub.Await(request, timeout=AWAIT_DEADLINE, metadata=(("carillon-tenant", facts.tenant),))
        except grpc.aio.AioRpcError as error:
            raise NoDecision(f"{error.code().name}: {error.details()}") from error
        return response.signalled


class LocalApplications:
    """`ports.Applications`: those of this process by name, all others elsewhere."""

    def __init__(self, elsewhere: Applications, here: Mapping[str, Applications]) -> None:
        self._elsewhere = elsewhere
        self._here = here

    async def ask(self, application: str, facts: CallFacts, cursor: bytes, outcome: Outcome) -> Answer:
        """As the port."""
        return await self._here.get(application, self._elsewhere).ask(application, facts, cursor, outcome)

    async def signalled(self, application: str, facts: CallFacts, cursor: bytes) -> bool:
        """As the port."""
        return await self._here.get(application, self._elsewhere).signalled(application, facts, cursor)


def call_facts(facts: CallFacts) -> pb.CallFacts:
    """The contract's facts."""
    message = pb.CallFacts(
        tenant_id=facts.tenant,
        call_id=facts.call_id,
        direction=pb.DIRECTION_INBOUND if facts.direction == "inbound" else pb.DIRECTION_FROM_USER,
        caller_number=facts.caller,
        caller_name=facts.caller_name,
        caller_user_id=facts.caller_user_id or "",
        dialled=facts.dialled,
        trunk_id=facts.trunk_id or "",
        caller_sip_credential_id=facts.caller_credential,
        hops_spent=facts.hops_spent,
    )
    message.started_at.FromDatetime(facts.started_at)
    return message


_RESULTS: Mapping[RingResult, "pb.RingResult.ValueType"] = {
    "answered": pb.RING_RESULT_ANSWERED,
    "no_answer": pb.RING_RESULT_NO_ANSWER,
    "busy": pb.RING_RESULT_BUSY,
    "unreachable": pb.RING_RESULT_UNREACHABLE,
    "congested": pb.RING_RESULT_CONGESTED,
    "rejected": pb.RING_RESULT_REJECTED,
}


def outcome_message(outcome: Outcome) -> pb.Outcome:
    """The contract's outcome."""
    match outcome:
        case Entered(arguments):
            return pb.Outcome(entered=pb.Entered(arguments=dict(arguments)))
        case RingOutcome(result, targets):
            each = [pb.TargetOutcome(target_id=t.target_id, result=_RESULTS[t.result], sip_status=t.sip_status) for t in targets]
            return pb.Outcome(ring=pb.RingOutcome(result=_RESULTS[result], targets=each))
        case GaveUpOutcome():
            return pb.Outcome(gave_up=pb.GaveUpOutcome())
        case PlayOutcome():
            return pb.Outcome(play=pb.PlayOutcome())
        case GatherOutcome(digits, timed_out):
            return pb.Outcome(gather=pb.GatherOutcome(digits=digits, timed_out=timed_out))
        case RecordOutcome(name, duration_ms):
            return pb.Outcome(record=pb.RecordOutcome(object=name, duration_ms=duration_ms))
        case ParkOutcome(parked, slot):
            timed_out = parked == "timed_out"
            ended = pb.PARK_RESULT_TIMED_OUT if timed_out else pb.PARK_RESULT_NO_SLOT
            return pb.Outcome(park=pb.ParkOutcome(result=ended, slot=slot))
        case PickUpOutcome():
            return pb.Outcome(pick_up=pb.PickUpOutcome())
        case SuperviseOutcome(took_part):
            return pb.Outcome(supervise=pb.SuperviseOutcome(took_part=took_part))
        case PageOutcome(reached):
            return pb.Outcome(page=pb.PageOutcome(reached=reached))
        case ConferenceOutcome(result):
            return pb.Outcome(conference=pb.ConferenceOutcome(result=_CONFERENCE_RESULTS[result]))
        case WaitOutcome(end, digit):
            return pb.Outcome(wait=pb.WaitOutcome(end=_WAIT_ENDS[end], digit=digit))


_WAIT_ENDS = {"timed_out": pb.WAIT_END_TIMED_OUT, "signalled": pb.WAIT_END_SIGNALLED, "digit": pb.WAIT_END_DIGIT}


def answer_of(response: pb.NextResponse) -> Answer:
    """What was decided; raises NoDecision when it cannot be done."""
    if len(response.cursor) > MAX_CURSOR:
        raise NoDecision(f"a cursor of {len(response.cursor)} bytes")
    step = step_of(response.step)
    trace = tuple(
        TraceLine.model_construct(subject=line.subject, matched=line.matched, reason=line.reason, next=line.next)
        for line in response.trace[:MAX_TRACE]
    )
    details = describe(step)
    if response.queues:
        details["queues"] = [MessageToDict(place, preserving_proto_field_name=True) for place in response.queues[:MAX_QUEUES]]
    return Answer(step, response.cursor, trace, response.config_seq, details, _inputs(response.inputs))


def _inputs(raw: bytes) -> dict[str, Any] | None:
    """What is no JSON object, or too large to be kept with every decision, is not kept."""
    if not raw or len(raw) > MAX_INPUTS:
        return None
    try:
        found = orjson.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def step_of(message: pb.Step) -> Step:
    """Our step; raises NoDecision."""
    kind = message.WhichOneof("kind")
    if kind is None:
        raise NoDecision("an answer without a step")
    make = _STEPS.get(kind)
    if make is None:
        raise NoDecision(f"a step {kind}, which this node does not know")
    return make(message)


def _ring(message: pb.Step) -> Ring:
    ring = message.ring
    if len(ring.targets) > MAX_TARGETS:
        raise NoDecision(f"{len(ring.targets)} targets in one ring step")
    targets = tuple(_target(target) for target in ring.targets)
    if len({target.target_id for target in targets}) != len(targets):
        raise NoDecision("target ids are not unique")
    recording = _recording(ring.recording) if ring.HasField("recording") else None
    return Ring(
        targets,
        ring.caller_number,
        ring.caller_name,
        ring.ask_after_answer,
        ring.auto_answer,
        ring.music,
        recording,
        account_code=ring.account_code[:15],
        ask_after_giving_up=ring.ask_after_giving_up,
        ringback_music_id=ring.ringback_music_id,
        reminder=_reminder(ring.hold_reminder) if ring.HasField("hold_reminder") else None,
        music_id=ring.music_id,
    )


def _reminder(reminder: pb.HoldReminder) -> HoldReminder:
    return HoldReminder(max(MIN_REMINDER_MS, reminder.every_ms), _prompts(reminder.prompts))


_ONLY: Mapping[int, TalkSide] = {pb.RECORDED_SIDE_CALLER: "caller", pb.RECORDED_SIDE_CALLED: "called"}


def _recording(recording: pb.Recording) -> RecordingPlan:
    key = recording.key if set(recording.key) <= set("0123456789*#") and len(recording.key) <= MAX_KEY else ""
    return RecordingPlan(
        on_demand=recording.on_demand,
        announcement=_prompts(recording.announcement),
        tone=recording.tone,
        stereo=recording.stereo,
        only=_ONLY.get(recording.only, ""),
        retention_days=max(0, recording.retention_days),
        key=key,
        labels=dict(list(recording.labels.items())[:MAX_LABELS]),
        never=recording.never,
        from_tenant=recording.from_tenant,
    )


def _target(target: pb.RingTarget) -> RingTarget:
    kind = target.WhichOneof("kind")
    if kind is None:
        raise NoDecision(f"ring target {target.target_id!r} leads nowhere")
    trunk = target.trunk
    further = tuple(trunk.further_trunk_ids[:MAX_FURTHER_TRUNKS])
    whom = target.user_id if kind == "user_id" else TrunkTarget(trunk.trunk_id, trunk.number, further)
    caller = (target.caller.number, target.caller.name) if target.HasField("caller") else None
    return RingTarget(target.target_id, whom, max(0, target.start_after_ms), max(0, target.stop_after_ms), caller)


def _prompts(prompts: Sequence[pb.Prompt]) -> tuple[Prompt, ...]:
    if len(prompts) > MAX_PROMPTS:
        raise NoDecision(f"{len(prompts)} prompts in one step")
    found: list[Prompt] = []
    for prompt in prompts:
        match prompt.WhichOneof("kind"):
            case "speech":
                found.append(Speech(prompt.speech.text, prompt.speech.language))
            case "beep":
                found.append(Beep())
            case "silence_ms":
                found.append(Silence(max(0, prompt.silence_ms)))
            case "audio":
                found.append(AudioFile(prompt.audio.audio_id, prompt.audio.text, prompt.audio.language))
            case "music":
                found.append(Music(prompt.music.playlist_id, max(0, prompt.music.max_ms)))
            case "recording":
                found.append(Recorded(_object(prompt.recording)))
            case None:
                pass
            case kind:
                found.append(_spoken(kind, prompt))
    return tuple(found)


def _object(name: str) -> str:
    if not _OBJECT.fullmatch(name):
        raise NoDecision("a recording that is no object")
    return name


def _spoken(kind: str, prompt: pb.Prompt) -> Spoken:
    match kind:
        case "date":
            return Spoken("date", (prompt.date.year, prompt.date.month, prompt.date.day), prompt.date.language)
        case "time":
            return Spoken("time", (prompt.time.hour, prompt.time.minute), prompt.time.language)
        case "amount":
            return Spoken("amount", (prompt.amount.hundredths,), prompt.amount.language, prompt.amount.currency)
        case "number" | "position" | "digits" | "duration":
            number: pb.SpokenNumber = getattr(prompt, kind)
            return Spoken(kind, (number.value,), number.language)
    raise NoDecision(f"a prompt of kind {kind}")


def _play(message: pb.Step) -> Play:
    return Play(_prompts(message.play.prompts))


def _gather(message: pb.Step) -> Gather:
    gather = message.gather
    return Gather(
        _prompts(gather.prompts),
        max(1, gather.max_digits),
        gather.finish_digits,
        gather.first_digit_timeout_ms or 5000,
        gather.inter_digit_timeout_ms or 3000,
        gather.secret,
    )


def _record(message: pb.Step) -> Record:
    record = message.record
    max_ms = min(record.max_ms, MAX_RECORDING_MS) if record.max_ms > 0 else 180_000
    return Record(record.beep, max_ms, max(0, record.silence_ms), max(0, record.min_ms), record.finish_digits, dict(record.labels))


def _wait(message: pb.Step) -> Wait:
    wait = message.wait
    max_ms = min(max(0, wait.max_ms), MAX_WAIT_MS)
    return Wait(_prompts(wait.prompts), wait.leave_digits, max_ms, wait.signalled, wait.quiet, wait.music_id)


def _delegate(message: pb.Step) -> Delegate:
    return Delegate(message.delegate.application, dict(message.delegate.arguments))


def _hang_up(message: pb.Step) -> HangUp:
    step = message.hang_up
    return HangUp(step.cause, step.sip_status, step.reason, _prompts(step.prompts))


def _park(message: pb.Step) -> Park:
    park = message.park
    slots, users = tuple(park.slots[:MAX_SLOTS]), tuple(park.page_user_ids[:MAX_PAGED])
    if not slots:
        raise NoDecision("a park step without slots")
    timeout_ms = min(max(MIN_PARK_MS, park.timeout_ms), MAX_PARK_MS)
    return Park(slots, timeout_ms, _prompts(park.announcement), users, _prompts(park.page_prompts))


def _pick_up(message: pb.Step) -> PickUp:
    pick_up = message.pick_up
    return PickUp(tuple(pick_up.ringing.user_ids[:MAX_USERS]), pick_up.slot)


_MODES: Mapping[int, SuperviseMode] = {
    pb.SUPERVISE_MODE_LISTEN: "listen",
    pb.SUPERVISE_MODE_WHISPER: "whisper",
    pb.SUPERVISE_MODE_BARGE: "barge",
}


def _supervise(message: pb.Step) -> Supervise:
    supervise = message.supervise
    mode = _MODES.get(supervise.mode)
    if mode is None:
        raise NoDecision("a supervise step without a mode")
    return Supervise(supervise.user_id, mode, tuple(known for each in supervise.allowed if (known := _MODES.get(each))))


def _page(message: pb.Step) -> Page:
    page = message.page
    within = min(max(1000, page.answer_within_ms), MAX_PAGE_RING_MS)
    return Page(tuple(page.user_ids[:MAX_PAGED]), page.caller_number, page.caller_name, within)


def _conference(message: pb.Step) -> Conference:
    step = message.conference
    if not step.room_id or "/" in step.room_id:
        raise NoDecision("a conference without a room")
    return Conference(
        room_id=step.room_id,
        display_name=step.display_name,
        creator=step.creator,
        party_name=step.party_name,
        language=step.language,
        announcement="name" if step.announcement == "name" else "sound" if step.announcement == "sound" else "",
        record=step.record,
        max_parties=step.max_parties if 0 < step.max_parties <= 200 else 200,
        music_id=step.music_id,
        idle_seconds=step.idle_seconds if step.idle_seconds > 0 else 120,
        retention_days=max(0, step.retention_days),
        labels=dict(step.labels),
        wait_for_creator=step.wait_for_creator,
    )


_CONFERENCE_RESULTS: Mapping[ConferenceResult, "pb.ConferenceResult.ValueType"] = {
    "left": pb.CONFERENCE_RESULT_LEFT,
    "kicked": pb.CONFERENCE_RESULT_KICKED,
    "closed": pb.CONFERENCE_RESULT_CLOSED,
    "full": pb.CONFERENCE_RESULT_FULL,
    "locked": pb.CONFERENCE_RESULT_LOCKED,
    "failed": pb.CONFERENCE_RESULT_FAILED,
}
_STEPS: Mapping[str, Callable[[pb.Step], Step]] = {
    "ring": _ring,
    "play": _play,
    "gather": _gather,
    "record": _record,
    "delegate": _delegate,
    "hang_up": _hang_up,
    "conference": _conference,
    "park": _park,
    "pick_up": _pick_up,
    "supervise": _supervise,
    "page": _page,
    "wait": _wait,
}
