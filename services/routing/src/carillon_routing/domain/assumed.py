"""What becomes of a step in a simulated call, and how long it takes: who answers, who gives up, which keys are pressed.

Always: what begins later than the caller hangs up never happens; a ringing goes as media's timetable goes (who comes next starts at once
when nobody rings any more). What is spoken takes the time of its audio file, or of its text read aloud, unless a key stops it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from carillon_contracts.config import Audio
from carillon_contracts.tenant_config import TenantConfig
from carillon_routing.domain.cursor import SECRET_WAITS, Cursor, QueueWait
from carillon_routing.domain.facts import (
    Advance,
    Gather,
    Gathered,
    GaveUp,
    Outcome,
    Phrase,
    Play,
    Played,
    Rang,
    Ring,
    RingResult,
    RingTarget,
    UserTarget,
    Wait,
)
from carillon_routing.domain.queue_steps import EnterQueue, QueueOver, QueueReason, Waited

#: A ring step that nobody answers came to the first of these that a target came to.
_WORST: tuple[RingResult, ...] = ("no_answer", "busy", "rejected", "congested", "unreachable")
#: The cause (Q.850) that a phone or carrier usually gives with it; of who does not answer or is not there, none is heard.
_CAUSES: Mapping[RingResult, int] = {"busy": 17, "rejected": 21, "congested": 41}
#: About as long as a voice takes for a character.
_CHARACTER_MS = 70


@dataclass(frozen=True, slots=True)
class QueueAssumed:
    """A queue as the caller finds it: how many wait, how many agents are logged in and idle (None: not said)."""

    waiting: int = 0
    logged_in: int | None = None
    idle: int | None = None


@dataclass(frozen=True, slots=True)
class Assumed:
    """What becomes of users (by id) and outside numbers that ring; who is not there answers. `keys`: one entry a question."""

    results: Mapping[str, RingResult] = field(default_factory=lambda: MappingProxyType({}))
    keys: tuple[str, ...] = ()
    #: Why the caller leaves queues. Where queues are followed (`simulated_queues`), only what is done or found there so that it may come to
    #: that, in queues that `queues` does not tell.
    queue: QueueReason = "answered"
    queues: Mapping[str, QueueAssumed] = field(default_factory=lambda: MappingProxyType({}))
    #: Before agents are free, or the caller leaves by key.
    queue_seconds: int = 0
    #: Users who are logged in at no queue; all other agents are.
    logged_out: frozenset[str] = frozenset()
    #: Users who talk all the time: queues pass them over.
    busy: frozenset[str] = frozenset()
    #: By user: the seconds for which an agent talks on with somebody else, and those that one was idle before.
    talks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    idle: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: Cause (Q.850) with which who does not answer releases the call.
    causes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: Whoever answers does so after this many seconds of ringing.
    answer_seconds: int = 0
    #: The same of one user or outside number.
    answers: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: Whoever answered hangs up after this many seconds; None: they talk on, and the call stays there.
    talk_seconds: int | None = None
    #: The caller hangs up at this second of the call; None: never.
    gives_up_at: int | None = None


@dataclass(frozen=True, slots=True)
class Became:
    """The outcome of a step (None: routing is asked no more), its name (a key of `[happened]`), how long it took, and the talk."""

    kind: str
    outcome: Outcome | Waited | None
    ms: int = 0
    talk_ms: int = 0
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


#: What becomes of a wait in a queue that is followed.
Waits = Callable[[Wait, Cursor], Became]


def became(
    config: TenantConfig, decided: Advance, assumed: Assumed, keys: list[str], elapsed_ms: int, waits: Waits | None = None
) -> Became | None:
    """What the step leads to; None: there the call stays. Takes what is pressed from `keys`; `elapsed_ms` since the call began."""
    if decided.at is None:
        return None
    found = _became(config, decided, decided.at, assumed, keys, waits)
    if assumed.gives_up_at is None:
        return found
    left = max(0, assumed.gives_up_at * 1000 - elapsed_ms)
    if found is not None and found.ms <= left:
        return found if found.ms + found.talk_ms <= left else replace(found, outcome=None)
    told = isinstance(decided.step, Ring) and decided.step.ask_after_giving_up
    return Became("gave_up", GaveUp() if told else None, left)


def _became(config: TenantConfig, decided: Advance, at: Cursor, assumed: Assumed, keys: list[str], waits: Waits | None) -> Became | None:
    match decided.step:
        case Ring() as ring:
            return _rang(ring, assumed)
        case Play(phrases):
            return Became("play_ended", Played(), spoken_ms(config, phrases))
        case Gather() as gather:
            pressed = keys.pop(0) if keys else ""
            if not pressed:
                return Became("no_digits", Gathered("", timed_out=True), spoken_ms(config, gather.phrases) + gather.first_digit_timeout_ms)
            secret = gather.secret or isinstance(at.wait, SECRET_WAITS)
            return Became("secret_digits" if secret else "digits", Gathered(pressed), values={} if secret else {"digits": pressed})
        case EnterQueue(queue_id):
            return _queued(config, queue_id, assumed)
        case Wait() as wait if waits is not None and isinstance(at.wait, QueueWait):
            return waits(wait, at)
        case _:
            return None


def _rang(ring: Ring, assumed: Assumed) -> Became:
    results, ms, answerer = timetable(ring.targets, assumed)
    if answerer is None:
        worst: RingResult = next((result for result in _WORST if result in results.values()), "unreachable")
        cause = assumed.causes.get(who(ring.targets[0]), _CAUSES.get(worst, 0)) if len(ring.targets) == 1 else 0
        return Became("ring_ended", Rang(worst, results, cause), ms, values={"result": worst})
    values = {"who": f"user/{answerer.user_id}" if isinstance(answerer, UserTarget) else answerer.number}
    ends = assumed.talk_seconds is not None and ring.ask_after_answer
    return Became("answered", Rang("answered", results) if ends else None, ms, (assumed.talk_seconds or 0) * 1000, values)


def timetable(targets: Sequence[RingTarget], assumed: Assumed) -> tuple[dict[str, RingResult], int, RingTarget | None]:
    """Results by target id of those whose turn came, how long it rang (ms), and who answered."""
    pending = sorted(targets, key=lambda target: target.start_ms)
    ringing: list[tuple[int, RingTarget, RingResult]] = []
    results: dict[str, RingResult] = {}
    now = early = 0
    while pending or ringing:
        if not ringing:
            early = max(early, pending[0].start_ms - now)
        while pending and pending[0].start_ms - early <= now:
            target = pending.pop(0)
            ringing.append(_one(target, assumed, now, early))
        ends = min(end for end, _, _ in ringing)
        now = min(ends, pending[0].start_ms - early) if pending else ends
        for _, target, result in [each for each in ringing if each[0] <= now]:
            results[target.target_id] = result
            if result == "answered":
                return results, now, target
        ringing = [each for each in ringing if each[0] > now]
    return results, now, None


def _one(target: RingTarget, assumed: Assumed, now: int, early: int) -> tuple[int, RingTarget, RingResult]:
    """When its ringing ends (ms), and how."""
    result = assumed.results.get(who(target), "answered")
    stop = max(now, target.stop_ms - early)
    answers = now + assumed.answers.get(who(target), assumed.answer_seconds) * 1000
    if result == "no_answer" or (result == "answered" and answers > stop):
        return stop, target, "no_answer"
    return (answers if result == "answered" else now), target, result


def who(target: RingTarget) -> str:
    """The user's id, or the number."""
    return target.user_id if isinstance(target, UserTarget) else target.number


def _queued(config: TenantConfig, queue_id: str, assumed: Assumed) -> Became:
    """Of a queue that is not followed."""
    reason, ms = _leaves(config, queue_id, assumed)
    if reason == "answered":
        ends = assumed.talk_seconds is not None
        return Became("queue_answered", QueueOver(reason) if ends else None, ms, (assumed.talk_seconds or 0) * 1000)
    return Became("queue_left", QueueOver(reason), ms, values={"reason": reason})


def _leaves(config: TenantConfig, queue_id: str, assumed: Assumed) -> tuple[QueueReason, int]:
    """Why the caller leaves the queue, and after how long (ms)."""
    queue = config.queues.get(queue_id)
    longest = (queue.max_wait_seconds if queue is not None else 0) * 1000
    waits = assumed.queue_seconds * 1000
    if assumed.queue == "waited_too_long":
        return assumed.queue, longest or waits
    if longest and waits >= longest and assumed.queue in ("answered", "left_by_key", "called_back", "removed"):
        return "waited_too_long", longest
    return assumed.queue, 0 if assumed.queue in ("full", "no_agents") else waits


def spoken_ms(config: TenantConfig, phrases: Sequence[Phrase]) -> int:
    """How long it takes to say these."""
    files = [config.get(Audio, phrase.audio_id) if phrase.audio_id else None for phrase in phrases]
    return sum(len(phrase.text) * _CHARACTER_MS if file is None else file.duration_ms for phrase, file in zip(phrases, files, strict=True))
